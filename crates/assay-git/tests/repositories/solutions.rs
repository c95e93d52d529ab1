//! Sample solutions as repositories.

use std::path::Path;

use assay_git::solution::{Files, SolutionError, materialise, variants};
use assay_git::{FetchLimits, HistoryLimits, Repository, Source, TreeLimits};
use insta::assert_snapshot;
use tempfile::TempDir;

use crate::fixture::fetch_from;

const BANDS: &str = "bands: {total: {min: 0, max: 100}}\n";

const PATCH: &str = "\
diff --git a/app/main.py b/app/main.py
--- a/app/main.py
+++ b/app/main.py
@@ -1,2 +1,2 @@
 def main():
-    return \"good\"
+    return \"flawed\"
";

/// An exercise with a template, a reference and a solution with a flaw.
fn exercise() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &str| write(directory.path(), path, content);
    write("templates/python/README.md", "Exercise\n");
    write("templates/python/app/main.py", "def main():\n    pass\n");
    write("templates/python/old.txt", "old\n");
    write("templates/python/__pycache__/main.pyc", "junk");
    write(
        "solutions/python/reference/app/main.py",
        "def main():\n    return \"good\"\n",
    );
    write(
        "solutions/python/reference/migrations/1.sql",
        "create table t ();\n",
    );
    write("solutions/python/reference/README.md", "Solution\n");
    write(
        "solutions/python/reference/expected.yaml",
        &format!(
            "version: 1\ntitle: Reference\nbase: template\nremove: [old.txt]\ncommits:\n\
             - {{message: Add the schema, paths: [migrations/]}}\n\
             - {{message: Write the service, paths: [app]}}\n{BANDS}"
        ),
    );
    write("solutions/python/flawed/flaw.patch", PATCH);
    write(
        "solutions/python/flawed/expected.yaml",
        &format!(
            "version: 1\ntitle: A flaw\nbase: reference\ncommits:\n- {{message: Introduce it, patch: flaw.patch}}\n{BANDS}"
        ),
    );
    directory
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn shown(exercise: &Path, solution: &str) -> Result<String, SolutionError> {
    let scratch = tempfile::tempdir().unwrap();
    let into = scratch.path().join("made.git");
    let commit = materialise(exercise, "python", solution, &into)?;
    let repository = Repository::open(&into).unwrap();
    let history = repository.history(commit, HistoryLimits::STANDARD).unwrap();
    let tree = repository.tree(commit, TreeLimits::STANDARD).unwrap();
    let commits = history
        .commits
        .iter()
        .rev()
        .map(|commit| format!("{} {} {}\n", commit.id.short(), commit.author, commit.subject));
    let files = tree.files.iter().map(|file| {
        let content = repository.read(file.id, 1000).unwrap();
        format!("{}: {:?}\n", file.path, String::from_utf8(content).unwrap())
    });
    Ok(commits.chain(files).collect())
}

#[test]
fn a_reference_and_a_flaw_on_top_of_it() {
    let exercise = exercise();
    assert_snapshot!(shown(exercise.path(), "template").unwrap(), @r#"
    e221f39667 Assay <assay@example.com> Start from the template of the exercise
    README.md: "Exercise\n"
    app/main.py: "def main():\n    pass\n"
    old.txt: "old\n"
    "#);
    assert_snapshot!(shown(exercise.path(), "reference").unwrap(), @r#"
    e221f39667 Assay <assay@example.com> Start from the template of the exercise
    9e1669b997 Sam Candidate <sam@example.com> Add the schema
    e42ae3341a Sam Candidate <sam@example.com> Write the service
    README.md: "Solution\n"
    app/main.py: "def main():\n    return \"good\"\n"
    migrations/1.sql: "create table t ();\n"
    "#);
    assert_snapshot!(shown(exercise.path(), "flawed").unwrap(), @r#"
    e221f39667 Assay <assay@example.com> Start from the template of the exercise
    9e1669b997 Sam Candidate <sam@example.com> Add the schema
    e42ae3341a Sam Candidate <sam@example.com> Write the service
    b1df32cf9e Sam Candidate <sam@example.com> Introduce it
    README.md: "Solution\n"
    app/main.py: "def main():\n    return \"flawed\"\n"
    migrations/1.sql: "create table t ();\n"
    "#);
}

#[tokio::test]
async fn a_made_repository_can_be_fetched() {
    let exercise = exercise();
    let (made, fetched) = (exercise.path().join("made"), exercise.path().join("fetched"));
    let commit = materialise(exercise.path(), "python", "flawed", &made).unwrap();
    let result = fetch_from(&Source::Local(made), None, &fetched, FetchLimits::STANDARD)
        .await
        .unwrap();
    assert_eq!(
        (result.commit, result.reference.as_str()),
        (commit, "refs/heads/main")
    );
}

#[test]
fn mistakes_name_their_place() {
    let described = |rest: &str| format!("version: 1\ntitle: T\n{rest}\n{BANDS}");
    let mistakes = [
        ("flaw.patch", PATCH.replace("good", "better")),
        ("flaw.patch", PATCH.replace("main.py", "gone.py")),
        ("flaw.patch", "not a patch\n".to_owned()),
        ("flaw.patch", String::new()),
        ("other.patch", PATCH.to_owned()),
        (
            "expected.yaml",
            described("base: reference\ncommits: [{message: M, patch: x.patch}]"),
        ),
        (
            "expected.yaml",
            described("base: flawed\ncommits: [{message: M, patch: flaw.patch}]"),
        ),
        (
            "expected.yaml",
            described("base: ../../x\ncommits: [{message: M, patch: flaw.patch}]"),
        ),
        (
            "expected.yaml",
            described(
                "base: reference\ncommits: [{message: M, paths: [lib]}, {message: N, patch: flaw.patch}]",
            ),
        ),
        (
            "expected.yaml",
            described("base: reference\nremove: [lib]\ncommits: [{message: M, patch: flaw.patch}]"),
        ),
        ("expected.yaml", described("base: reference\ncommitz: []")),
    ];
    let mut errors = String::new();
    for (file, content) in mistakes {
        let exercise = exercise();
        write(
            exercise.path(),
            &format!("solutions/python/flawed/{file}"),
            &content,
        );
        errors += &error(exercise.path(), "flawed");
    }
    let exercise = exercise();
    errors += &error(exercise.path(), "missing");
    std::os::unix::fs::symlink(
        "/etc/passwd",
        exercise.path().join("solutions/python/reference/link"),
    )
    .unwrap();
    errors += &error(exercise.path(), "reference");
    assert_snapshot!(errors, @r"
    solution flawed: flaw.patch does not apply to app/main.py, hunk @@ -1,2 +1,2 @@: hunk at line 1 did not apply
    solution flawed: flaw.patch does not apply to app/gone.py: the path 'gone.py' does not exist in the given tree
    solution flawed: flaw.patch does not apply: no patch found
    solution flawed: the commit `Introduce it` changes nothing
    solution flawed: no commit uses other.patch
    solution flawed: patch `x.patch` is not there
    solution flawed builds on itself, or on more than 8 others
    solution ../../x: solution `../../x` is not there
    solution flawed: file or folder `lib` is not there
    solution flawed: file to remove `lib` is not there
    DIR/solutions/python/flawed/expected.yaml:4:10: commitz: unknown field `commitz`, expected one of `version`, `title`, `base`, `remove`, `commits`, `bands`, `findings`, `no_findings`
    cannot read DIR/solutions/python/missing
    DIR/solutions/python/reference/link is not a plain file with a plain name
    ");
}

fn error(exercise: &Path, solution: &str) -> String {
    let error = shown(exercise, solution).unwrap_err();
    format!("{error}\n").replace(exercise.to_str().unwrap(), "DIR")
}

#[test]
fn a_reference_with_seeded_bugs() {
    let exercise = exercise();
    let patches = |patches: &[(&str, String)]| {
        let named = patches
            .iter()
            .map(|(name, patch)| ((*name).to_owned(), patch.clone().into_bytes()));
        named.collect()
    };
    let described = format!("It is flawed.\n\n{PATCH}");
    let made = variants(exercise.path(), "python", &patches(&[("flawed", described)])).unwrap();
    let shown = |files: &Files| {
        let lines = files
            .iter()
            .map(|(path, file)| format!("{path}: {:?}", String::from_utf8_lossy(&file.content)));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(shown(&made.reference), @r#"
    README.md: "Solution\n"
    app/main.py: "def main():\n    return \"good\"\n"
    migrations/1.sql: "create table t ();\n"
    "#);
    assert_snapshot!(shown(&made.bugs["flawed"]), @r#"
    README.md: "Solution\n"
    app/main.py: "def main():\n    return \"flawed\"\n"
    migrations/1.sql: "create table t ();\n"
    "#);

    let broken = [
        ("gone", PATCH.replace("main.py", "gone.py")),
        ("late", PATCH.replace("good", "better")),
        ("prose", "no patch\n".to_owned()),
    ];
    let errors = variants(exercise.path(), "python", &patches(&broken)).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_snapshot!(errors.join("\n"), @r"
    solution reference: gone does not apply to app/gone.py: the path 'gone.py' does not exist in the given tree
    solution reference: late does not apply to app/main.py, hunk @@ -1,2 +1,2 @@: hunk at line 1 did not apply
    solution reference: prose does not apply: no patch found
    ");
}
