//! Where bytes of strangers come in, for the fuzz targets.

use std::time::Duration;

use crate::fetch::Advertised;
use crate::host::{Head, Relay};

/// Reads the beginning of a push and judges it.
pub async fn push(mut bytes: &[u8]) {
    if let Ok(head) = Head::read(&mut bytes, Duration::from_secs(1)).await {
        drop(head.judge());
    }
}

/// What of git's answer is passed on when it comes in two pieces.
pub fn relayed(bytes: &[u8]) -> Vec<u8> {
    let mut relay = Relay::default();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut passed = relay.pass(first);
    passed.extend(relay.pass(second));
    passed.extend(relay.rest());
    passed
}

/// What is wanted of a repository that says this of itself, or why nothing is, as people see it.
pub fn wanted(lines: &[u8], reference: Option<&str>) -> String {
    match Advertised::parse(lines).choose(reference) {
        Ok(wanted) => wanted.shown,
        Err(error) => error.to_string(),
    }
}
