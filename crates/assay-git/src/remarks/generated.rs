//! Whether a file is somebody's work, or what a tool, an editor or a system leaves behind.

/// Directories that tools make, at any depth.
const DIRECTORIES: &str = "
    node_modules __pycache__ .venv venv site-packages .pytest_cache .mypy_cache .ruff_cache .tox
    .nyc_output .idea .vs .gradle .next htmlcov .hypothesis .eggs __MACOSX
";

/// Directories that tools make at the root, and that could be something else below it.
const DIRECTORIES_AT_ROOT: &str = "dist coverage logs target .cache";

/// Files that tools, editors and systems make.
const FILES: &str = ".DS_Store Thumbs.db desktop.ini .env .coverage npm-debug.log nohup.out";

/// Endings of files that tools, editors and systems make.
const ENDINGS: &str = ".pyc .pyo .log .swp .swo .orig .rej .class .o";

/// The tool, editor or system that leaves such a path behind, as a name for people (`node_modules/`, `*.pyc`).
///
/// A path of a directory ends in `/`.
pub fn generated_by(path: &str) -> Option<String> {
    let (directories, name) = path.rsplit_once('/').unwrap_or(("", path));
    let made = directories.split('/').enumerate().find(|&(depth, directory)| {
        is_one_of(DIRECTORIES, directory)
            || directory.ends_with(".egg-info")
            || depth == 0 && is_one_of(DIRECTORIES_AT_ROOT, directory)
    });
    if let Some((_, directory)) = made {
        return Some(format!("{directory}/"));
    }
    if is_one_of(FILES, name) {
        return Some(name.to_owned());
    }
    let ending = ENDINGS.split_whitespace().find(|ending| name.ends_with(ending))?;
    Some(format!("*{ending}"))
}

fn is_one_of(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|one| one == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_tools_leave_behind() {
        for (path, expected) in [
            ("node_modules/x/index.js", Some("node_modules/")),
            ("app/__pycache__/a.cpython-313.pyc", Some("__pycache__/")),
            ("a.pyc", Some("*.pyc")),
            ("dist/bundle.js", Some("dist/")),
            ("src/dist/x.py", None),
            ("coverage/lcov.info", Some("coverage/")),
            ("coverage.py", None),
            (".env", Some(".env")),
            (".env.example", None),
            ("sub/.DS_Store", Some(".DS_Store")),
            ("server.log", Some("*.log")),
            ("src/log.py", None),
            ("node_modules", None),
            ("node_modules/", Some("node_modules/")),
            ("app.egg-info/PKG-INFO", Some("app.egg-info/")),
            ("src/main.py", None),
            ("package-lock.json", None),
        ] {
            assert_eq!(generated_by(path).as_deref(), expected, "{path}");
        }
    }
}
