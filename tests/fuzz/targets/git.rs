//! What git and its users say to us: the first byte says what.
//!
//! The beginning of a push, the answer that is relayed, the references of a repository, addresses, READMEs, and texts that are
//! compared with a template.

use std::sync::LazyLock;

use assay_git::host::{Protocol, Service};
use assay_git::{ObjectId, Source, display, entry, readme, template};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().unwrap());

pub(crate) fn read(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    match which % 6 {
        0 => RUNTIME.block_on(entry::push(bytes)),
        1 => assert_eq!(entry::relayed(bytes), bytes),
        2 => {
            let (lines, wanted) = text
                .split_once('\n')
                .map_or((&*text, None), |(wanted, lines)| (lines, Some(wanted)));
            let shown = entry::wanted(lines.as_bytes(), wanted);
            assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
        }
        3 => {
            drop(text.parse::<Source>());
            _ = text.parse::<ObjectId>();
            let _ = (Service::of(&text), Protocol::of_header(Some(&text)));
            let line = display::one_line(bytes, 100);
            assert!(
                line.chars().count() <= 101 && !line.contains(|c: char| c.is_control()),
                "{line:?}"
            );
        }
        4 => _ = readme::instructions(&text),
        _ => {
            let half = bytes.len() / 2;
            let lines = template::owned_lines(&bytes[..half], &bytes[half..]);
            let n_lines = bytes[half..].split(|byte| *byte == b'\n').count();
            let lines = lines.unwrap_or_default();
            assert!(
                lines
                    .iter()
                    .all(|range| range.start() >= &1 && *range.end() as usize <= n_lines)
            );
        }
    }
}
