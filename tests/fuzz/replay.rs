//! The fuzz targets on all that fuzzing has found so far: what broke once stays mended.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "targets/git.rs"]
mod git;
#[path = "targets/hooks.rs"]
mod hooks;
#[path = "targets/messages.rs"]
mod messages;
#[path = "targets/reports.rs"]
mod reports;
#[path = "targets/specifications.rs"]
mod specifications;

fn replay(target: &str, read: fn(&[u8])) {
    let folder = format!("{}/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut n = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let held = std::panic::catch_unwind(|| read(&bytes));
        assert!(held.is_ok(), "{target}: {}", path.display());
        n += 1;
    }
    assert!(n > 0, "{target} has no seeds");
}

macro_rules! targets {
    ($($target:ident)*) => {$(
        #[test]
        fn $target() {
            replay(stringify!($target), self::$target::read);
        }
    )*};
}

mod on {
    use super::{git, hooks, messages, replay, reports, specifications};

    targets! { git hooks messages reports specifications }
}
