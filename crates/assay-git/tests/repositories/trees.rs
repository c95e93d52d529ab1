//! Trees that nobody should have to check out.

use std::time::{Duration, Instant};

use assay_git::{Blame, Reason, TreeError, TreeLimits};
use git2::Oid;
use insta::assert_snapshot;

use crate::fixture::{DIRECTORY, FILE, Fixture, PROGRAM, SUBMODULE, SYMLINK, id, listing};

/// What a hostile tree may cost.
const SOON: Duration = Duration::from_secs(2);

#[track_caller]
fn check_refused(fixture: &Fixture, tree: Oid, expected: &str) {
    let commit = id(fixture.commit(tree, &[], "Bomb"));
    let started = Instant::now();
    let error = fixture.read_tree(commit).unwrap_err();
    assert!(started.elapsed() < SOON, "took {:?}", started.elapsed());
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.blame(), Blame::Candidate);
}

#[test]
fn a_plain_tree() {
    let fixture = Fixture::empty();
    let (text, program) = (fixture.blob("text\n"), fixture.blob("#!/bin/sh\n"));
    let inner = fixture.tree(&[(FILE, b"a.py", text)]);
    let (fixture, commit) = Fixture::with(
        &[
            (FILE, b"README.md", text),
            (DIRECTORY, b"app", inner),
            (PROGRAM, b"run", program),
        ],
        fixture,
    );
    let tree = fixture.read_tree(commit).unwrap();
    assert_snapshot!(listing(&tree), @r"
    README.md
    app/a.py
    run executable
    ");
    assert_eq!(fixture.read().read(tree.files[1].id, 5).unwrap(), b"text\n");
    assert!(fixture.read().read(tree.files[1].id, 4).is_err());
}

#[test]
fn what_is_left_out() {
    let fixture = Fixture::empty();
    let blob = fixture.blob("x");
    let link = fixture.blob("/etc/passwd");
    let pointer = fixture.blob(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n",
    );
    let large = fixture.blob(vec![b'x'; 5_000_001]);
    let deep = fixture.tree(&[(FILE, b"a\tb", blob), (FILE, b"fine", blob)]);
    let (fixture, commit) = Fixture::with(
        &[
            (FILE, b"-rf", blob),
            (FILE, b"..", blob),
            (FILE, b".GIT", blob),
            (DIRECTORY, b".git", deep),
            (FILE, b"a/b", blob),
            (FILE, b"bin\xff", blob),
            (DIRECTORY, b"deep", deep),
            (FILE, b"esc\x1b[31m", blob),
            (FILE, "gnp.\u{202e}exe".as_bytes(), blob),
            (FILE, b"large", large),
            (SYMLINK, b"link", link),
            (FILE, b"new\nline", blob),
            (0o104_755, b"setuid", blob),
            (SUBMODULE, b"sub", blob),
            (FILE, b"video.mp4", pointer),
        ],
        fixture,
    );
    let tree = fixture.read_tree(commit).unwrap();
    assert_snapshot!(listing(&tree), @r"
    -rf
    deep/fine
    setuid executable
    video.mp4 lfs
    - .. OddName
    - .GIT OddName
    - .git OddName
    - a/b OddName
    - bin\xff OddName
    - deep/a\tb OddName
    - esc\u{1b}[31m OddName
    - gnp.\u{202e}exe OddName
    - large TooLarge { bytes: 5000001 }
    - link Symlink
    - new\nline OddName
    - sub Submodule
    ");
}

#[test]
fn a_tree_bomb_of_directories_and_files() {
    let fixture = Fixture::empty();
    let mut tree = fixture.blob("boom");
    let mut mode = FILE;
    for _ in 0..10 {
        let names: Vec<_> = (0..10).map(|i| format!("d{i}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (mode, name.as_bytes(), tree)).collect();
        tree = fixture.tree(&entries);
        mode = DIRECTORY;
    }
    check_refused(
        &fixture,
        tree,
        "too many files: more than 20000 files and directories",
    );
}

#[test]
fn a_tree_bomb_without_any_file() {
    let fixture = Fixture::empty();
    let mut tree = fixture.tree(&[]);
    for _ in 0..10 {
        let names: Vec<_> = (0..10).map(|i| format!("d{i}")).collect();
        let entries: Vec<_> = names
            .iter()
            .map(|name| (DIRECTORY, name.as_bytes(), tree))
            .collect();
        tree = fixture.tree(&entries);
    }
    check_refused(
        &fixture,
        tree,
        "too many files: more than 20000 files and directories",
    );
}

#[test]
fn one_directory_with_100_000_files() {
    let fixture = Fixture::empty();
    let blob = fixture.blob("x");
    let names: Vec<_> = (0..100_000).map(|i| format!("f{i:06}")).collect();
    let entries: Vec<_> = names.iter().map(|name| (FILE, name.as_bytes(), blob)).collect();
    let tree = fixture.tree(&entries);
    check_refused(
        &fixture,
        tree,
        "too many files: more than 20000 files and directories",
    );
}

#[test]
fn a_hundred_directories_in_each_other() {
    let fixture = Fixture::empty();
    let mut tree = fixture.tree(&[(FILE, b"x", fixture.blob("x"))]);
    for _ in 0..100 {
        tree = fixture.tree(&[(DIRECTORY, b"d", tree)]);
    }
    check_refused(&fixture, tree, "too deep: more than 64 directories in each other");
}

#[test]
fn a_path_without_end() {
    let fixture = Fixture::empty();
    let mut tree = fixture.tree(&[(FILE, b"x", fixture.blob("x"))]);
    for _ in 0..10 {
        tree = fixture.tree(&[(DIRECTORY, &[b'd'; 200], tree)]);
    }
    check_refused(&fixture, tree, "a path is longer than 1024 bytes");
}

#[test]
fn too_much_in_all() {
    let fixture = Fixture::empty();
    let blob = fixture.blob(vec![0; 4_000_000]);
    let names: Vec<_> = (0..26).map(|i| format!("f{i:02}")).collect();
    let entries: Vec<_> = names.iter().map(|name| (FILE, name.as_bytes(), blob)).collect();
    let tree = fixture.tree(&entries);
    check_refused(&fixture, tree, "too large: more than 100 MB in all");
}

#[test]
fn one_file_of_a_gigabyte() {
    let fixture = Fixture::empty();
    // An object file that says so in its first bytes and ends there: whoever reads on, fails.
    let header = b"blob 1073741824\0";
    let stored_block = [
        &[
            0x78,
            0x01,
            0x00,
            header.len() as u8,
            0x00,
            !(header.len() as u8),
            0xff,
        ][..],
        header,
    ]
    .concat();
    let blob = Oid::from_str("0123456789012345678901234567890123456789").unwrap();
    let directory = fixture.path().join("objects/01");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(
        directory.join("23456789012345678901234567890123456789"),
        stored_block,
    )
    .unwrap();
    let (fixture, commit) = Fixture::with(&[(FILE, b"zeros", blob)], fixture);
    let started = Instant::now();
    let tree = fixture.read_tree(commit).unwrap();
    assert_eq!(tree.left_out[0].reason, Reason::TooLarge { bytes: 1 << 30 });
    let error = fixture.read().read(id(blob), 5_000_000).unwrap_err();
    assert!(started.elapsed() < SOON, "took {:?}", started.elapsed());
    assert_eq!(
        error.to_string(),
        format!("object {blob} is 1073741824 bytes large, more than the 5000000 allowed")
    );
}

#[test]
fn objects_that_are_not_what_they_seem() {
    let fixture = Fixture::empty();
    let missing = Oid::from_str("00000000000000000000000000000000000000ff").unwrap();
    let empty = fixture.tree(&[]);
    for (entries, expected) in [
        (
            [(FILE, &b"a"[..], missing)],
            "there is no object 00000000000000000000000000000000000000ff",
        ),
        (
            [(DIRECTORY, b"a", missing)],
            "there is no object 00000000000000000000000000000000000000ff",
        ),
        (
            [(FILE, b"a", empty)],
            "object 4b825dc642cb6eb9a060e54bf8d69288fbee4904 is of another kind than expected",
        ),
    ] {
        let tree = fixture.tree(&entries);
        check_refused(&fixture, tree, expected);
    }
    // A commit object of two megabytes is not read either.
    let commit = id(fixture.commit(empty, &[], &"x".repeat(2 << 20)));
    assert!(matches!(fixture.read_tree(commit), Err(TreeError::Read(_))));
    assert!(fixture.read().tree(id(empty), TreeLimits::STANDARD).is_err());
}
