//! Git's packets: four hexadecimal digits that say how long one is, themselves included, then that many bytes. `0000` ends a
//! part. In an answer to a push, the first byte of a packet is its band: 1 for programs, 2 for people.

/// Ends a part.
pub(super) const FLUSH: &[u8] = b"0000";

/// A packet that says nothing: the client and everybody in between see that we are still there.
pub const KEEPALIVE: &[u8] = b"0005\x01";

/// Longest line for people, in bytes. What is longer is cut.
const MAX_REMARK: usize = 1000;

/// One packet. `payload` is at most 65516 bytes long.
pub(super) fn packet(payload: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", payload.len() + 4).into_bytes();
    packet.extend_from_slice(payload);
    packet
}

/// A line that git shows as `remote: …`. What could move a terminal's cursor or turn its text around becomes an escape.
pub fn remark(line: &str) -> Vec<u8> {
    let mut payload = vec![2];
    payload.extend_from_slice(crate::display::one_line(line.as_bytes(), MAX_REMARK).as_bytes());
    payload.push(b'\n');
    packet(&payload)
}

/// Length of the packet that begins here, as its first four bytes say. None: they are no length.
pub(super) fn length(start: &[u8]) -> Option<usize> {
    let digits = start
        .get(..4)
        .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Lets packets pass as they become whole, except the `0000` that may be the last one.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    kept: Vec<u8>,
}

impl Relay {
    /// What may go on, now that these bytes have come.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.kept.extend_from_slice(bytes);
        let mut end = 0;
        while let Some(rest) = self.kept.get(end..).filter(|rest| rest.len() >= 4) {
            let length = match length(rest) {
                // A flush may pass only when more comes after it.
                Some(0) if rest.len() == 4 => break,
                Some(0..4) => 4,
                Some(length) => length,
                // Not packets at all: not ours to judge.
                None => rest.len(),
            };
            if rest.len() < length {
                break;
            }
            end += length;
        }
        self.kept.drain(..end).collect()
    }

    /// What was held back to the end.
    pub(crate) fn rest(self) -> Vec<u8> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_flush_is_held_back_however_it_arrives() {
        for (pieces, passed, rest) in [
            (&["0005\x01", "0000"][..], "0005\x01", "0000"),
            (&["00", "05\x010000"], "0005\x01", "0000"),
            (&["0005\x01000", "0"], "0005\x01", "0000"),
            (&["00000006ab", "0000"], "00000006ab", "0000"),
            (&["0000", "0000"], "0000", "0000"),
            (&["0009ab"], "", "0009ab"),
            (&["what is this"], "what is this", ""),
            (&[], "", ""),
        ] {
            let mut relay = Relay::default();
            let seen: Vec<u8> = pieces
                .iter()
                .flat_map(|piece| relay.pass(piece.as_bytes()))
                .collect();
            let seen = (
                String::from_utf8(seen).unwrap(),
                String::from_utf8(relay.rest()).unwrap(),
            );
            assert_eq!((seen.0.as_str(), seen.1.as_str()), (passed, rest), "{pieces:?}");
        }
    }

    #[test]
    fn a_remark_is_one_harmless_line() {
        assert_eq!(remark("hint: ok"), b"000e\x02hint: ok\n");
        assert_eq!(remark("a\x1b[2Jb\nc"), b"0014\x02a\\u{1b}[2Jb\\nc\n");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_turned_around(bytes: Vec<u8>, cuts: Vec<u8>) {
            let mut relay = Relay::default();
            let (mut seen, mut rest) = (Vec::new(), bytes.as_slice());
            for cut in cuts {
                let (piece, later) = rest.split_at(rest.len().min(usize::from(cut)));
                seen.extend(relay.pass(piece));
                rest = later;
            }
            seen.extend(relay.pass(rest));
            seen.extend(relay.rest());
            prop_assert_eq!(seen, bytes);
        }
    }
}
