//! Fetching from directories: what arrives, what is refused, and that nothing in the source is ever executed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use assay_git::{Blame, FetchError, FetchLimits, FetchRequest, HistoryLimits, Source, TreeLimits, fetch};
use git2::{ObjectType, Oid};
use insta::assert_snapshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fixture::{FILE, Fixture, SUBMODULE, SYMLINK, fetch_from, id, listing};

#[track_caller]
fn check_error(error: &FetchError, blame: Blame, expected: &str) {
    assert_eq!(
        (error.to_string().as_str(), error.blame()),
        (expected, blame),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_whole_history_of_one_branch() {
    let fixture = Fixture::with_commits(5);
    let main = fixture.git.refname_to_id("refs/heads/main").unwrap();
    fixture.branch("other", fixture.commit(fixture.tree(&[]), &[], "Elsewhere"));
    let (fetched, repository) = fixture.fetch(None).await.unwrap();
    assert_eq!(
        (fetched.commit, fetched.reference.as_str()),
        (id(main), "refs/heads/main")
    );
    assert_eq!(fetched.received_at, SystemTime::UNIX_EPOCH);
    let history = repository
        .history(fetched.commit, HistoryLimits::STANDARD)
        .unwrap();
    assert_eq!((history.commits.len(), history.truncated), (5, false));
    let fetched = git2::Repository::open_bare(fixture.scratch().join("fetched.git")).unwrap();
    let names: Vec<_> = fetched
        .references()
        .unwrap()
        .names()
        .map(|name| name.unwrap().to_owned())
        .collect();
    assert_eq!(names, ["refs/assay/fetched"]);
}

#[tokio::test]
async fn every_way_to_name_a_commit() {
    let fixture = Fixture::with_commits(3);
    let main = fixture.git.refname_to_id("refs/heads/main").unwrap();
    let old = fixture.git.find_commit(main).unwrap().parent_id(0).unwrap();
    let object = fixture.git.find_object(old, None).unwrap();
    let tagger = git2::Signature::now("Sam", "sam@example.com").unwrap();
    let mut tag = fixture.git.tag("v1", &object, &tagger, "One", false).unwrap();
    for i in 0..12 {
        let target = fixture.git.find_object(tag, None).unwrap();
        tag = fixture
            .git
            .tag(&format!("nested{i}"), &target, &tagger, "Again", false)
            .unwrap();
    }
    fixture.reference("refs/tags/blob", fixture.blob("x"));
    // A commit that only a reference of ours names, and one that no reference names any more.
    let tree = fixture.tree(&[(FILE, b"a.txt", fixture.blob("pushed over"))]);
    let pinned = fixture.commit(tree, &[old], "Pinned");
    fixture.reference("refs/assay/push/1", pinned);
    let left = fixture.commit(tree, &[pinned], "Left behind");
    for (reference, expected) in [
        (Some("main".to_owned()), Ok(main)),
        (Some("refs/heads/main".to_owned()), Ok(main)),
        (Some("HEAD".to_owned()), Ok(main)),
        (Some("v1".to_owned()), Ok(old)),
        (Some(old.to_string()), Ok(old)),
        (Some(pinned.to_string()), Ok(pinned)),
        (Some(left.to_string()), Ok(left)),
        (
            Some("nested11".to_owned()),
            Err("`refs/tags/nested11` is not a commit"),
        ),
        (Some("blob".to_owned()), Err("`refs/tags/blob` is not a commit")),
        (
            Some("nowhere".to_owned()),
            Err("the repository has no `nowhere`; its branches: main"),
        ),
        (
            Some("--upload-pack=id".to_owned()),
            Err("the branch, tag or commit asked for is not a name that git allows"),
        ),
        (
            Some("0".repeat(39) + "1"),
            Err("the repository has no commit 0000000000000000000000000000000000000001 to give"),
        ),
    ] {
        let fetched = fixture.fetch(reference.as_deref()).await;
        let _ = std::fs::remove_dir_all(fixture.scratch().join("fetched.git"));
        match expected {
            Ok(expected) => assert_eq!(fetched.map(|(fetched, _)| fetched.commit).unwrap(), id(expected)),
            Err(expected) => assert_eq!(
                fetched.map(|(fetched, _)| fetched).unwrap_err().to_string(),
                expected
            ),
        }
    }
}

#[tokio::test]
async fn nothing_to_fetch() {
    let empty = Fixture::empty();
    for reference in [None, Some("main")] {
        let error = empty.fetch(reference).await.map(|_| ()).unwrap_err();
        check_error(&error, Blame::Candidate, "the repository has no commits");
    }

    let fixture = Fixture::empty();
    let commit = fixture.commit(fixture.tree(&[]), &[], "Start");
    fixture.branch("a", commit);
    // `HEAD` names `main`, which does not exist; the only branch is meant.
    assert_eq!(fixture.fetch(None).await.unwrap().0.reference, "refs/heads/a");
    std::fs::remove_dir_all(fixture.scratch().join("fetched.git")).unwrap();
    fixture.branch("b", commit);
    let error = fixture.fetch(None).await.map(|_| ()).unwrap_err();
    check_error(
        &error,
        Blame::Candidate,
        "the repository's default branch does not exist; its branches: a, b",
    );
}

#[tokio::test]
async fn no_repository_there() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    std::fs::write(path("file"), b"\x00\xff").unwrap();
    std::fs::create_dir(path("directory")).unwrap();
    std::fs::create_dir_all(path("junk/.git/objects")).unwrap();
    for name in ["HEAD", "config", "packed-refs", "index"] {
        std::fs::write(
            path("junk/.git").join(name),
            [0xff, 0, 0x1b, b'[', b'\n'].repeat(1000),
        )
        .unwrap();
    }
    for (name, expected) in [
        ("nothing", "there is no such directory"),
        ("file", "there is no git repository there: it is not a directory"),
        (
            "directory",
            "there is no git repository there: 'DIR/directory' does not appear to be a git repository",
        ),
        (
            "junk",
            "there is no git repository there: 'DIR/junk' does not appear to be a git repository",
        ),
    ] {
        let source = Source::Local(path(name));
        let error = fetch_from(&source, None, &path("into"), FetchLimits::STANDARD)
            .await
            .unwrap_err();
        let shown = error.to_string().replace(scratch.path().to_str().unwrap(), "DIR");
        assert_eq!((shown.as_str(), error.blame()), (expected, Blame::Caller));
        assert!(!path("into").exists());
    }
}

#[tokio::test]
async fn a_damaged_repository() {
    let fixture = Fixture::with_commits(3);
    let main = fixture.git.refname_to_id("refs/heads/main").unwrap();
    let tree = fixture.git.find_commit(main).unwrap().tree_id().to_string();
    let object = fixture.path().join("objects").join(&tree[..2]).join(&tree[2..]);
    std::fs::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&object, b"\x00junk").unwrap();
    let error = fixture.fetch(None).await.map(|_| ()).unwrap_err();
    assert!(matches!(error, FetchError::Damaged { .. }), "{error:?}");
    assert_eq!(error.blame(), Blame::Candidate);
}

#[tokio::test]
async fn trees_that_git_itself_refuses() {
    for name in [&b".git"[..], b".GIT", b"..", b"a/b", b"git~1"] {
        let fixture = Fixture::empty();
        let blob = fixture.blob("x");
        let (fixture, _) = Fixture::with(&[(FILE, name, blob)], fixture);
        let error = fixture.fetch(None).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, FetchError::Damaged { .. }), "{name:?}: {error:?}");
    }
    let fixture = Fixture::empty();
    let blob = fixture.blob("x");
    let (fixture, _) = Fixture::with(&[(FILE, b"a", blob), (FILE, b"a", blob)], fixture);
    let error = fixture.fetch(None).await.map(|_| ()).unwrap_err();
    assert_snapshot!(error, @"the repository is damaged: object a977c9748a910b46ebb40dda046aba3624ec6290: duplicateEntries: contains duplicate file entries");
}

#[tokio::test]
async fn links_submodules_and_attributes_arrive_as_they_are() {
    let fixture = Fixture::empty();
    let attributes = fixture.blob("* filter=lfs diff=lfs merge=lfs\n*.py ident export-ignore filter=evil\n");
    let modules = fixture.blob("[submodule \"x\"]\n\tpath = x\n\turl = https://example.invalid/x\n");
    let (file, link) = (fixture.blob("$Id$\n"), fixture.blob("../../etc/passwd"));
    let commit = fixture.commit(fixture.tree(&[]), &[], "Elsewhere");
    let (fixture, _) = Fixture::with(
        &[
            (FILE, b".gitattributes", attributes),
            (FILE, b".gitmodules", modules),
            (FILE, b"a.py", file),
            (SYMLINK, b"link", link),
            (SUBMODULE, b"x", commit),
        ],
        fixture,
    );
    let (fetched, repository) = fixture.fetch(None).await.unwrap();
    let tree = repository.tree(fetched.commit, TreeLimits::STANDARD).unwrap();
    assert_snapshot!(listing(&tree), @r"
    .gitattributes
    .gitmodules
    a.py
    - link Symlink
    - x Submodule
    ");
    let file = tree.files.iter().find(|file| file.path == "a.py").unwrap();
    assert_eq!(repository.read(file.id, 100).unwrap(), b"$Id$\n");
}

/// A repository that runs a program wherever git lets a repository do so.
fn trap(fixture: &Fixture) -> std::path::PathBuf {
    let marker = fixture.scratch().join("executed");
    let program = fixture.scratch().join("trap.sh");
    std::fs::write(
        &program,
        format!("#!/bin/sh\necho \"$0 $*\" >> {}\n", marker.display()),
    )
    .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let hooks = fixture.path().join("hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for hook in [
        "post-checkout",
        "pre-receive",
        "post-receive",
        "update",
        "reference-transaction",
        "pre-auto-gc",
        "fsmonitor-watchman",
    ] {
        std::fs::copy(&program, hooks.join(hook)).unwrap();
    }
    let program = program.display();
    let config = format!(
        "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tfsmonitor = {program}\n\thooksPath = {hooks}\n\tsshCommand = {program}\n\
         \tgitProxy = {program}\n\taskPass = {program}\n\tpager = {program}\n\teditor = {program}\n\talternateRefsCommand = {program}\n\
         [pager]\n\tupload-pack = {program}\n\tls-remote = {program}\n[alias]\n\tupload-pack = !{program}\n\tpack-objects = !{program}\n\
         [uploadpack]\n\tpackObjectsHook = {program}\n[credential]\n\thelper = !{program}\n[filter \"evil\"]\n\tclean = {program}\n\tsmudge = {program}\n\
         [diff]\n\texternal = {program}\n[gc]\n\tauto = 1\n[trace2]\n\teventTarget = {marker}\n[include]\n\tpath = /dev/zero-does-not-exist\n",
        hooks = hooks.display(),
        marker = marker.display(),
    );
    std::fs::write(fixture.path().join("config"), config).unwrap();
    marker
}

#[tokio::test]
async fn nothing_in_the_source_is_executed() {
    let fixture = Fixture::with_commits(2);
    let marker = trap(&fixture);
    fixture.fetch(None).await.unwrap();
    assert!(!marker.exists(), "{}", std::fs::read_to_string(&marker).unwrap());
}

#[tokio::test]
async fn it_does_not_matter_who_owns_the_directory() {
    let fixture = Fixture::with_commits(2);
    fn give_away(path: &Path) -> bool {
        let inside = std::fs::read_dir(path)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path());
        let all = inside.filter(|path| path.is_dir()).all(|path| give_away(&path));
        all && std::os::unix::fs::chown(path, Some(12_345), Some(12_345)).is_ok()
    }
    // Only root can give a directory away; for others there is nothing to test.
    if give_away(&fixture.path()) {
        fixture.fetch(None).await.unwrap();
    }
}

#[tokio::test]
async fn a_shallow_source() {
    let fixture = Fixture::with_commits(6);
    let main = fixture.git.refname_to_id("refs/heads/main").unwrap();
    let end = fixture.git.find_commit(main).unwrap().parent_id(0).unwrap();
    std::fs::write(fixture.path().join("shallow"), format!("{end}\n")).unwrap();
    let (fetched, repository) = fixture.fetch(None).await.unwrap();
    let history = repository
        .history(fetched.commit, HistoryLimits::STANDARD)
        .unwrap();
    assert_eq!((history.commits.len(), history.truncated), (2, true));
}

#[tokio::test]
async fn a_working_tree_with_spaces_in_its_name() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("my 'own' $(touch x) repo");
    let git = git2::Repository::init(&path).unwrap();
    std::fs::write(path.join("not-committed"), "x").unwrap();
    let tree = git
        .find_tree(git.treebuilder(None).unwrap().write().unwrap())
        .unwrap();
    let author = git2::Signature::now("Sam", "sam@example.com").unwrap();
    let commit = git
        .commit(Some("HEAD"), &author, &author, "Start", &tree, &[])
        .unwrap();
    let into = scratch.path().join("into");
    let fetched = fetch_from(&Source::Local(path), None, &into, FetchLimits::STANDARD)
        .await
        .unwrap();
    assert_eq!(fetched.commit, id(commit));
}

/// Bytes that do not compress.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..n).map(|_| next()).collect()
}

#[tokio::test]
async fn a_pack_larger_than_the_limit() {
    let fixture = Fixture::empty();
    let blob = fixture.blob(noise(8 << 20));
    let (fixture, _) = Fixture::with(&[(FILE, b"noise", blob)], fixture);
    let limits = FetchLimits {
        pack_bytes: 1 << 20,
        ..FetchLimits::STANDARD
    };
    let error = fixture.fetch_within(None, limits).await.map(|_| ()).unwrap_err();
    check_error(&error, Blame::Candidate, "the repository is larger than 1 MiB");
    fixture.fetch(None).await.unwrap();
}

#[tokio::test]
async fn objects_that_unpack_to_more_than_the_memory() {
    let fixture = Fixture::empty();
    // A tree, unlike a file, has to be in memory to be checked.
    let blob = fixture.blob("x");
    let names: Vec<_> = (0..600_000).map(|i| format!("f{i:08}")).collect();
    let entries: Vec<_> = names.iter().map(|name| (FILE, name.as_bytes(), blob)).collect();
    let (fixture, _) = Fixture::with(&entries, fixture);
    let limits = FetchLimits {
        memory_bytes: 40 << 20,
        ..FetchLimits::STANDARD
    };
    let error = fixture.fetch_within(None, limits).await.map(|_| ()).unwrap_err();
    check_error(
        &error,
        Blame::Candidate,
        "the repository takes too much memory or time to unpack",
    );
}

#[tokio::test]
async fn a_hundred_thousand_branches() {
    let fixture = Fixture::with_commits(1);
    let main = fixture.git.refname_to_id("refs/heads/main").unwrap();
    let packed: String = (0..120_000)
        .map(|i| format!("{main} refs/heads/a-rather-long-name-of-a-branch-{i:08}\n"))
        .collect();
    std::fs::write(fixture.path().join("packed-refs"), packed).unwrap();
    let error = fixture.fetch(None).await.map(|_| ()).unwrap_err();
    check_error(
        &error,
        Blame::Candidate,
        "the repository has too many branches and tags",
    );
}

#[tokio::test]
async fn a_large_file_passes_through_without_being_held() {
    let fixture = Fixture::empty();
    let odb = fixture.git.odb().unwrap();
    let chunk = vec![0; 1 << 20];
    let mut writer = odb.writer(96 << 20, ObjectType::Blob).unwrap();
    for _ in 0..96 {
        std::io::Write::write_all(&mut writer, &chunk).unwrap();
    }
    let blob = writer.finalize().unwrap();
    drop(writer);
    drop(odb);
    let (fixture, _) = Fixture::with(&[(FILE, b"zeros", blob)], fixture);
    let limits = FetchLimits {
        memory_bytes: 64 << 20,
        ..FetchLimits::STANDARD
    };
    let (fetched, repository) = fixture.fetch_within(None, limits).await.unwrap();
    let tree = repository.tree(fetched.commit, TreeLimits::STANDARD).unwrap();
    assert_eq!(listing(&tree), "- zeros TooLarge { bytes: 100663296 }\n");
}

#[tokio::test]
async fn a_place_that_is_taken() {
    let fixture = Fixture::with_commits(1);
    let into = fixture.scratch().join("taken");
    std::fs::create_dir(&into).unwrap();
    std::fs::write(into.join("precious"), "x").unwrap();
    let error = fetch_from(&Source::Local(fixture.path()), None, &into, FetchLimits::STANDARD)
        .await
        .unwrap_err();
    check_error(&error, Blame::Platform, "cannot create the repository");
    assert!(into.join("precious").exists());
}

#[tokio::test]
async fn too_late_and_cancelled_before_it_began() {
    let fixture = Fixture::with_commits(1);
    let source = Source::Local(fixture.path());
    let into = fixture.scratch().join("into");
    let limits = FetchLimits::STANDARD;
    let request = FetchRequest {
        source: &source,
        authorization: None,
        reference: None,
        into: &into,
        received_at: SystemTime::UNIX_EPOCH,
        limits,
    };
    let error = fetch(request, &CancellationToken::new(), Instant::now())
        .await
        .unwrap_err();
    check_error(&error, Blame::Platform, "not fetched in time");
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error = fetch(request, &cancel, Instant::now() + Duration::from_secs(60))
        .await
        .unwrap_err();
    check_error(&error, Blame::Platform, "cancelled");
    assert!(!into.exists());
}

#[tokio::test]
async fn a_branch_that_names_a_missing_commit() {
    let fixture = Fixture::with_commits(1);
    let missing = Oid::from_str("00000000000000000000000000000000000000ff").unwrap();
    std::fs::write(fixture.path().join("refs/heads/ghost"), format!("{missing}\n")).unwrap();
    let error = fixture.fetch(Some("ghost")).await.map(|_| ()).unwrap_err();
    assert_eq!(error.blame(), Blame::Caller, "{error:?}");
}
