//! Repositories that cannot be assessed, or only in part: each ends with a clear sentence and the right exit code.

use std::path::Path;
use std::process::Command;

use crate::house::{self, assess, git};

/// Exit code and a part of the sentence.
#[track_caller]
fn check(repository: &str, more: &[&str], exit: i32, sentence: &str) {
    if !house::has_engine() {
        println!("skipped: no container engine answers");
        return;
    }
    let assessed = assess(repository, more).unwrap();
    assert!(
        assessed.exit == exit && assessed.said.contains(sentence),
        "exit {}:\n{}",
        assessed.exit,
        assessed.said
    );
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn an_empty_repository_has_nothing_to_run() {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q"]).unwrap();
    check(&shown(dir.path()), &[], 4, "the repository has no commits");
}

#[test]
fn a_missing_reference_is_named_with_those_there_are() {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q"]).unwrap();
    git(
        dir.path(),
        &["commit", "-q", "--allow-empty", "-m", "Nothing yet"],
    )
    .unwrap();
    check(
        &shown(dir.path()),
        &["--ref", "release"],
        4,
        "no `release`; its branches: main",
    );
    check(&shown(dir.path()), &[], 4, "the commit has no file");
}

#[test]
fn what_is_no_repository_is_the_callers_mistake() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("HEAD"), [0_u8, 159, 146, 150]).unwrap();
    check(&shown(dir.path()), &[], 96, "there is no git repository there");
    check("/nowhere/at/all", &[], 96, "there is no such directory");
    check(
        "https://user:password@example.com/x.git",
        &[],
        96,
        "without credentials",
    );
}

#[test]
fn a_tree_with_too_many_files_is_refused_and_scores_nothing() {
    if !house::has_engine() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q"]).unwrap();
    // 100 000 names of one empty file, written as one tree object.
    let blob = git(dir.path(), &["hash-object", "-w", "/dev/null"]).unwrap();
    let listing: String = (0..100_000)
        .map(|i| format!("100644 blob {}\tf{i}\n", blob.trim()))
        .collect();
    let file = dir.path().join("listing");
    std::fs::write(&file, listing).unwrap();
    let tree = Command::new("git")
        .arg("mktree")
        .current_dir(dir.path())
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let commit = git(dir.path(), &["commit-tree", "-m", "Many", tree.trim()]).unwrap();
    git(dir.path(), &["update-ref", "refs/heads/main", commit.trim()]).unwrap();
    let assessed = assess(&shown(dir.path()), &[]).unwrap();
    let report = assessed.report.unwrap();
    assert_eq!(report["score"]["total"], 0.0, "{}", assessed.said);
    assert_eq!(
        report["checks"][0]["fault"]["code"], "tree_refused",
        "{}",
        assessed.said
    );
    assert!(assessed.said.contains("too many files"), "{}", assessed.said);
    house::assert_nothing_left(report["run"]["id"].as_str().unwrap());
}

#[test]
fn links_submodules_and_pointers_are_left_out_and_told() {
    if !house::has_engine() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    house::overlay(&house::greeting().join("solutions/python/reference"), dir.path()).unwrap();
    git(dir.path(), &["init", "-q"]).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("passwd")).unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";
    std::fs::write(dir.path().join("model.bin"), pointer).unwrap();
    std::fs::write(dir.path().join(".gitattributes"), "*.bin filter=lfs\n").unwrap();
    git(dir.path(), &["-c", "filter.lfs.clean=cat", "add", "-A"]).unwrap();
    let gitlink = "160000,1111111111111111111111111111111111111111,vendored";
    git(dir.path(), &["update-index", "--add", "--cacheinfo", gitlink]).unwrap();
    git(dir.path(), &["commit", "-q", "-m", "Greet by name over HTTP"]).unwrap();
    let assessed = assess(&shown(dir.path()), &[]).unwrap();
    let report = assessed.report.unwrap();
    let style = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["id"] == "style")
        .unwrap();
    let notes = style["notes"].to_string();
    for part in [
        "passwd is a symbolic link",
        "vendored is a submodule",
        "1 files are pointers of Git LFS",
    ] {
        assert!(notes.contains(part), "{notes}");
    }
    assert_eq!(report["categories"][0]["score"], 70.0, "{}", assessed.said);
}
