//! Histories: what they tell, and where they end.

use std::time::{Duration, Instant};

use assay_git::template::Template;
use assay_git::{FetchLimits, History, HistoryLimits, IntroducedBlobs, Repository, Tree, TreeLimits};
use insta::assert_snapshot;

use crate::fixture::{DIRECTORY, FILE, Fixture, SYMLINK, id};

fn lines(repository: &Repository, history: &History) -> String {
    let commits = history.commits.iter().map(|commit| {
        let marks = [(commit.is_merge, " merge"), (commit.is_root, " root")];
        let marks: String = marks
            .iter()
            .filter(|(is, _)| *is)
            .map(|(_, mark)| *mark)
            .collect();
        let change = repository
            .change_size(commit.id, HistoryLimits::STANDARD)
            .unwrap()
            .map(|change| (change.n_files, change.insertions, change.deletions));
        format!("{} +{} {change:?}{marks}\n", commit.subject, commit.body_bytes)
    });
    commits
        .chain(history.truncated.then(|| "truncated\n".to_owned()))
        .collect()
}

fn paths(introduced: &IntroducedBlobs) -> String {
    let blobs = introduced
        .blobs
        .iter()
        .map(|blob| format!("{} {}\n", blob.path, blob.size));
    blobs
        .chain(introduced.truncated.then(|| "truncated\n".to_owned()))
        .collect()
}

#[test]
fn a_history_with_a_merge_and_a_deleted_secret() {
    let fixture = Fixture::empty();
    let (a, b, secret) = (
        fixture.blob("a\n"),
        fixture.blob("a\nb\n"),
        fixture.blob("API_KEY=1\n"),
    );
    let config = fixture.tree(&[(FILE, b"prod.env", secret)]);
    let first = fixture.commit(
        fixture.tree(&[(FILE, b"a.py", a)]),
        &[],
        "Start\n\nWith a body.\n",
    );
    let leak = fixture.commit(
        fixture.tree(&[(FILE, b"a.py", a), (DIRECTORY, b"config", config)]),
        &[first],
        "\n\nAdd config  \n",
    );
    let side = fixture.commit(
        fixture.tree(&[(FILE, b"a.py", b)]),
        &[first],
        "Grow\x1b[31m \u{202e}a",
    );
    let merge = fixture.commit(fixture.tree(&[(FILE, b"a.py", b)]), &[leak, side], "Merge");
    let repository = fixture.read();
    let history = repository.history(id(merge), HistoryLimits::STANDARD).unwrap();
    assert_snapshot!(lines(&repository, &history), @r"
    Merge +0 None merge
    Add config +0 Some((1, 1, 0))
    Grow\u{1b}[31m \u{202e}a +0 Some((1, 1, 0))
    Start +12 Some((1, 1, 0)) root
    ");
    assert_eq!(history.commits[0].author, "Sam <sam@example.com>");

    let tree = repository.tree(id(merge), TreeLimits::STANDARD).unwrap();
    let introduced = repository
        .introduced_blobs(id(merge), &tree, HistoryLimits::STANDARD)
        .unwrap();
    assert_snapshot!(paths(&introduced), @r"
    a.py 2
    config/prod.env 10
    ");
    assert_eq!(introduced.blobs[1].commit, id(leak));
}

#[test]
fn names_in_a_history_stay_usable() {
    let fixture = Fixture::empty();
    let blobs: Vec<_> = (0..6).map(|i| fixture.blob(format!("{i}"))).collect();
    let inner = fixture.tree(&[(FILE, b"x", blobs[0])]);
    let odd = fixture.tree(&[
        (DIRECTORY, b"..", inner),
        (FILE, b".git", blobs[1]),
        (FILE, b"a\nb", blobs[2]),
        (FILE, b"a/b", blobs[3]),
        (FILE, b"\xff", blobs[4]),
        (SYMLINK, b"link", blobs[5]),
    ]);
    let first = fixture.commit(odd, &[], "Odd");
    let last = fixture.commit(fixture.tree(&[]), &[first], "Clean");
    let introduced = fixture
        .read()
        .introduced_blobs(id(last), &Tree::default(), HistoryLimits::STANDARD)
        .unwrap();
    assert_snapshot!(paths(&introduced), @r"
    _../x 1
    _.git 1
    _\xff 1
    _a\nb 1
    _a_b 1
    ");
}

#[test]
fn limits_truncate() {
    let fixture = Fixture::with_commits(10);
    let head = id(fixture.git.refname_to_id("refs/heads/main").unwrap());
    let repository = fixture.read();
    let few_commits = HistoryLimits {
        commits: 3,
        ..HistoryLimits::STANDARD
    };
    assert_snapshot!(lines(&repository, &repository.history(head, few_commits).unwrap()), @r"
    Write version 9 +0 Some((1, 1, 1))
    Write version 8 +0 Some((1, 1, 1))
    Write version 7 +0 Some((1, 1, 1))
    truncated
    ");
    for (compared_entries, compared_bytes, is_within) in [(2, 4096, true), (1, 4096, false), (2, 4095, false)]
    {
        let limits = HistoryLimits {
            compared_entries,
            compared_bytes,
            ..HistoryLimits::STANDARD
        };
        let size = repository.change_size(head, limits).unwrap();
        assert_eq!(size.is_some(), is_within, "{limits:?}");
    }
    let few_blobs = HistoryLimits {
        introduced_blobs: 2,
        ..HistoryLimits::STANDARD
    };
    let introduced = repository
        .introduced_blobs(head, &Tree::default(), few_blobs)
        .unwrap();
    assert_snapshot!(paths(&introduced), @r"
    app.py 10
    app.py 10
    truncated
    ");
}

#[test]
fn a_tree_bomb_in_the_history_is_not_unfolded() {
    let fixture = Fixture::empty();
    let mut tree = fixture.blob("boom");
    let mut mode = FILE;
    for _ in 0..10 {
        let names: Vec<_> = (0..10).map(|i| format!("d{i}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (mode, name.as_bytes(), tree)).collect();
        tree = fixture.tree(&entries);
        mode = DIRECTORY;
    }
    let bomb = fixture.commit(tree, &[], "Bomb");
    let last = id(fixture.commit(fixture.tree(&[]), &[bomb], "Defuse"));
    let started = Instant::now();
    let repository = fixture.read();
    let history = repository.history(last, HistoryLimits::STANDARD).unwrap();
    let shown = lines(&repository, &history);
    let introduced = repository
        .introduced_blobs(last, &Tree::default(), HistoryLimits::STANDARD)
        .unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "took {:?}",
        started.elapsed()
    );
    assert_snapshot!(shown, @r"
    Defuse +0 None
    Bomb +0 None root
    ");
    assert_snapshot!(paths(&introduced), @r"
    d0/d0/d0/d0/d0/d0/d0/d0/d0/d0 4
    truncated
    ");
}

#[test]
fn a_commit_of_megabytes_ends_the_history() {
    let fixture = Fixture::empty();
    let tree = fixture.tree(&[(FILE, b"a", fixture.blob("a"))]);
    let first = fixture.commit(tree, &[], "First");
    let huge = fixture.commit(tree, &[first], &"x".repeat(10 << 20));
    let long = fixture.commit(
        tree,
        &[huge],
        &format!("{}\n\n{}", "y".repeat(5000), "z".repeat(500_000)),
    );
    let history = fixture.read().history(id(long), HistoryLimits::STANDARD).unwrap();
    assert!(history.truncated);
    let [only] = history.commits.as_slice() else {
        panic!("{history:?}")
    };
    assert_eq!((only.subject.chars().count(), only.body_bytes), (201, 500_000));
}

#[tokio::test]
async fn a_history_deeper_than_the_limit_is_cut_off() {
    let fixture = Fixture::with_commits(10);
    let limits = FetchLimits {
        depth: 3,
        ..FetchLimits::STANDARD
    };
    let (fetched, repository) = fixture.fetch_within(None, limits).await.unwrap();
    let history = repository
        .history(fetched.commit, HistoryLimits::STANDARD)
        .unwrap();
    assert_snapshot!(lines(&repository, &history), @r"
    Write version 9 +0 Some((1, 1, 1))
    Write version 8 +0 Some((1, 1, 1))
    Write version 7 +0 None
    truncated
    ");
    let tree = repository.tree(fetched.commit, TreeLimits::STANDARD).unwrap();
    let introduced = repository
        .introduced_blobs(fetched.commit, &tree, HistoryLimits::STANDARD)
        .unwrap();
    assert_snapshot!(paths(&introduced), @r"
    app.py 10
    app.py 10
    truncated
    ");
}

#[test]
fn the_seed_is_found_by_its_content() {
    let fixture = Fixture::empty();
    let (given, own) = (fixture.blob("given\n"), fixture.blob("own\n"));
    let template = Template::new([("README.md".to_owned(), b"given\n".to_vec())].into()).unwrap();
    let seeded = fixture.commit(fixture.tree(&[(FILE, b"README.md", given)]), &[], "Any words");
    let unseeded = fixture.commit(
        fixture.tree(&[(FILE, b"README.md", given), (FILE, b"a.py", own)]),
        &[],
        "Start",
    );
    let hosted = fixture.commit(
        fixture.tree(&[(FILE, b"README.md", given), (FILE, b"SUBMITTING.md", own)]),
        &[],
        "Start",
    );
    let empty = fixture.commit(fixture.tree(&[]), &[], "Start");
    for (root, expected) in [
        (seeded, Some(id(seeded))),
        (unseeded, None),
        (hosted, Some(id(hosted))),
        (empty, None),
    ] {
        let head = fixture.commit(fixture.tree(&[(FILE, b"a.py", own)]), &[root], "Work");
        let history = fixture.read().history(id(head), HistoryLimits::STANDARD).unwrap();
        assert_eq!(fixture.read().seed(&history, &template).unwrap(), expected);
    }
}
