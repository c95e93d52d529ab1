//! What programs of ours say to each other over a border: lines of the agent in a container, summaries of a load, findings of a
//! probe, attestations.

use assay_core::agent::{LineBuffer, MAX_LINE_BYTES, Message, Request};
use assay_core::attestation::{Link, PublicKey};
use assay_core::load::LoadSummary;
use assay_core::report::Report;

/// Believes everything, so that the payload is reached.
struct Credulous;

impl PublicKey for Credulous {
    fn id(&self) -> &str {
        "key"
    }

    fn verifies(&self, _: &[u8], _: &[u8]) -> bool {
        true
    }
}

pub(crate) fn read(bytes: &[u8]) {
    let mut lines = LineBuffer::new(MAX_LINE_BYTES);
    let each = |line: Result<&[u8], _>| {
        let Ok(line) = line else { return };
        // What was read can be written.
        if let Ok(message) = serde_json::from_slice::<Message>(line) {
            serde_json::to_vec(&message).unwrap();
        }
        if let Ok(request) = serde_json::from_slice::<Request>(line) {
            serde_json::to_vec(&request).unwrap();
        }
        if let Ok(summary) = serde_json::from_slice::<LoadSummary>(line) {
            serde_json::to_vec(&summary).unwrap();
        }
        drop(serde_json::from_slice::<Report>(line));
        if let Ok(link) = Link::open(line, &[Credulous]) {
            assert!(link.fits(b"").is_err());
        }
    };
    lines.push(bytes, each);
    lines.push(b"\n", each);
}
