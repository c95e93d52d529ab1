//! The first lines of a push: which references it wants to change, and whether it may.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::packets::{FLUSH, length, packet};
use super::references::Update;
use super::{BRANCH, Received, Turn};
use crate::ObjectId;

/// Most references of one push.
const MAX_COMMANDS: usize = 32;

/// Most bytes before the pack. Beyond the references, a clone that is shallow in many places names each of them.
const MAX_HEAD: usize = 256 << 10;

/// Longest name of a tag, in bytes, without `refs/tags/`.
const MAX_TAG_NAME: usize = 100;

/// A reference and what it is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// None: it is to be deleted.
    pub(super) new: Option<ObjectId>,
    pub(super) reference: String,
}

/// All before the pack.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// As it came, to the flush.
    pub(super) bytes: Vec<u8>,
    pub(super) commands: Vec<Command>,
    /// Whether the client takes remarks.
    pub(super) sideband: bool,
    /// Whether it wants to know what became of each reference.
    report: bool,
}

/// Why there is no [`Head`].
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The client fell silent or broke off.
    Gone,
    /// It is not the beginning of a push.
    NotGit(&'static str),
}

impl Head {
    /// Reads up to the first flush, or to the end where nothing is there.
    pub(crate) async fn read(
        input: &mut (impl AsyncRead + Send + Unpin),
        idle: Duration,
    ) -> Result<Self, HeadError> {
        let mut head = Self::default();
        loop {
            let mut start = [0; 4];
            match timeout(idle, input.read_exact(&mut start)).await {
                Ok(Ok(_)) => (),
                Ok(Err(_)) if head.bytes.is_empty() => return Ok(head),
                _ => return Err(HeadError::Gone),
            }
            head.bytes.extend_from_slice(&start);
            let length = match length(&start) {
                Some(0) => return Ok(head),
                Some(length @ 5..) => length - 4,
                _ => return Err(HeadError::NotGit("a packet has no length")),
            };
            if head.bytes.len() + length > MAX_HEAD {
                return Err(HeadError::NotGit("too many references at once"));
            }
            let mut line = vec![0; length];
            match timeout(idle, input.read_exact(&mut line)).await {
                Ok(Ok(_)) => head.take(&line)?,
                _ => return Err(HeadError::Gone),
            }
            head.bytes.extend_from_slice(&line);
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), HeadError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.starts_with(b"shallow ") {
            return Ok(());
        }
        let mut parts = line.splitn(2, |byte| *byte == 0);
        let command = parts.next().unwrap_or_default();
        if let Some(capabilities) = parts.next() {
            let capabilities = String::from_utf8_lossy(capabilities);
            let has = |name: &str| capabilities.split_ascii_whitespace().any(|word| word == name);
            self.sideband |= has("side-band-64k");
            self.report |= has("report-status") || has("report-status-v2");
        }
        let command = std::str::from_utf8(command).ok().and_then(Command::parse);
        self.commands
            .push(command.ok_or(HeadError::NotGit("a line names no reference"))?);
        Ok(())
    }

    /// The rules of the house: the graded branch and tags, nothing is ever deleted. All or nothing.
    pub(crate) fn judge(&self) -> Option<Refusal> {
        let reasons: Vec<Option<&str>> = self.commands.iter().map(Command::judge).collect();
        if self.commands.len() > MAX_COMMANDS {
            return Some(Refusal::of_all(self, "more than 32 references in one push"));
        }
        reasons.iter().any(Option::is_some).then(|| Refusal {
            reasons: reasons
                .into_iter()
                .map(|reason| reason.unwrap_or("not taken because of the others in this push"))
                .map(str::to_owned)
                .collect(),
        })
    }

    /// The answer to it.
    pub(super) fn answered(&self, updates: Vec<Update>, turn: Option<Turn>) -> Received {
        Received {
            updates,
            rewrites: false,
            shows_remarks: self.sideband,
            last: Vec::new(),
            turn,
        }
    }
}

impl Command {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let id = |word: Option<&str>| word?.parse::<ObjectId>().ok();
        let (_old, new, reference) = (id(words.next())?, id(words.next())?, words.next()?);
        Some(Self {
            new: (!new.0.is_zero()).then_some(new),
            reference: reference.to_owned(),
        })
    }

    /// Why it is refused.
    fn judge(&self) -> Option<&'static str> {
        let tag = self.reference.strip_prefix("refs/tags/");
        if tag.is_none() && self.reference != BRANCH {
            return Some("only the branch main and tags are taken: git push origin HEAD:main");
        }
        if self.new.is_none() {
            return Some("nothing is deleted here");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '/');
        let is_plain =
            |tag: &str| tag.len() <= MAX_TAG_NAME && !tag.starts_with('-') && tag.chars().all(plain);
        match tag {
            Some(tag) if !is_plain(tag) => {
                Some("a tag's name has at most 100 letters, digits and . _ - + / here")
            }
            _ => None,
        }
    }
}

/// Why no reference of a push is changed.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// One for each, in their order.
    reasons: Vec<String>,
}

impl Refusal {
    /// The same for all.
    pub(super) fn of_all(head: &Head, reason: &str) -> Self {
        Self {
            reasons: head.commands.iter().map(|_| reason.to_owned()).collect(),
        }
    }

    /// As git itself would say it: all but the last packet, and that one.
    pub(super) fn report(&self, head: &Head) -> (Vec<u8>, Vec<u8>) {
        let mut report = Vec::new();
        if head.report {
            report.extend(packet(b"unpack ok\n"));
            for (command, reason) in head.commands.iter().zip(&self.reasons) {
                report.extend(packet(format!("ng {} {reason}\n", command.reference).as_bytes()));
            }
            if !head.sideband {
                return (report, FLUSH.to_vec());
            }
            report.extend_from_slice(FLUSH);
        }
        let in_band = |part: &[u8]| packet(&[&[1], part].concat());
        let report: Vec<u8> = report.chunks(60_000).flat_map(in_band).collect();
        (report, FLUSH.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "88c2ad5fa4d4ad8ac5e4a0f8a4f2c4e0b2d2c4e0";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    async fn head(lines: &[String]) -> Result<Head, HeadError> {
        let mut bytes: Vec<u8> = lines.iter().flat_map(|line| packet(line.as_bytes())).collect();
        bytes.extend_from_slice(FLUSH);
        bytes.extend_from_slice(b"PACK");
        Head::read(&mut bytes.as_slice(), Duration::from_secs(5)).await
    }

    #[tokio::test]
    async fn what_may_be_pushed() {
        let long = "x".repeat(101);
        for (new, reference, refused) in [
            (ID, "refs/heads/main", ""),
            (ID, "refs/tags/v1.0/final+1", ""),
            (ID, "refs/heads/other", "only the branch main"),
            (ID, "refs/assay/push/1", "only the branch main"),
            (ID, "HEAD", "only the branch main"),
            (ZERO, "refs/heads/main", "nothing is deleted"),
            (ZERO, "refs/tags/v1", "nothing is deleted"),
            (ID, "refs/tags/<svg/onload=alert(1)>", "a tag's name"),
            (ID, "refs/tags/--upload-pack=id", "a tag's name"),
            (ID, &format!("refs/tags/{long}"), "a tag's name"),
        ] {
            let head = head(&[format!("{ZERO} {new} {reference}\0 report-status side-band-64k")])
                .await
                .unwrap();
            let reason = head
                .judge()
                .map_or(String::new(), |refusal| refusal.reasons[0].clone());
            assert!(
                reason.starts_with(refused) && reason.is_empty() == refused.is_empty(),
                "{reference}: {reason}"
            );
        }
    }

    #[tokio::test]
    async fn a_refusal_speaks_for_every_reference() {
        let lines = [
            format!("{ZERO} {ID} refs/heads/main\0report-status side-band-64k agent=git/2"),
            format!("{ZERO} {ID} refs/heads/x"),
        ];
        let head = head(&lines).await.unwrap();
        let (report, last) = head.judge().unwrap().report(&head);
        insta::assert_snapshot!(String::from_utf8_lossy(&report).replace('\x01', "1|"), @r"
        00b21|000eunpack ok
        0044ng refs/heads/main not taken because of the others in this push
        0057ng refs/heads/x only the branch main and tags are taken: git push origin HEAD:main
        0000
        ");
        assert_eq!(last, FLUSH);
    }

    #[tokio::test]
    async fn what_is_no_push() {
        let many: Vec<String> = (0..4000).map(|i| format!("{ZERO} {ID} refs/tags/{i}")).collect();
        for (lines, expected) in [
            (&["hello".to_owned()][..], "a line names no reference"),
            (&[format!("push-cert {ID}")], "a line names no reference"),
            (&many, "too many references at once"),
        ] {
            assert!(matches!(head(lines).await, Err(HeadError::NotGit(why)) if why == expected));
        }
        let refusal = head(&many[..33]).await.unwrap().judge().unwrap();
        assert_eq!(refusal.reasons[32], "more than 32 references in one push");
        for (bytes, gone) in [(&b""[..], false), (b"00", false), (b"0032abc", true)] {
            let mut input = bytes;
            let head = Head::read(&mut input, Duration::from_secs(5)).await;
            assert_eq!(head.is_err(), gone, "{bytes:?}");
        }
    }
}
