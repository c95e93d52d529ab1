//! Cobertura, `JaCoCo` and Clover.

use super::Collector;
use crate::xml::{self, Element, Node};
use crate::{Broken, Problems};

/// `<sources><source>` and `<class filename>` with `<line number hits condition-coverage="50% (1/2)">`.
pub(super) fn cobertura(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let mut sources: Vec<String> = Vec::new();
    let mut file: Option<String> = None;
    let mut in_class_lines = false;
    let mut in_method = false;
    walk(
        bytes,
        "Cobertura XML",
        "coverage",
        collector,
        |node, collector| match node {
            Node::Close(name, text) if name == "source" && sources.len() < 16 => {
                sources.push(text.trim().to_owned())
            }
            Node::Open(element) if element.name == "class" => {
                let name = element.get("filename");
                let joined = sources
                    .iter()
                    .map(|source| format!("{}/{name}", source.trim_end_matches('/')));
                let spellings: Vec<String> = joined.chain([name.to_owned()]).collect();
                file = collector.file(&spellings);
            }
            Node::Open(element) if element.name == "methods" => in_method = true,
            Node::Close(name, _) if name == "methods" => in_method = false,
            Node::Open(element) if element.name == "lines" => in_class_lines = !in_method,
            Node::Open(element) if element.name == "line" && in_class_lines => {
                if let (Some(file), Some(line)) = (&file, element.number("number")) {
                    collector.line(file, line.into(), hits(&element, "hits"));
                    if let Some((taken, all)) = conditions(element.get("condition-coverage")) {
                        collector.branches(file, line.into(), taken, all);
                    }
                }
            }
            _ => (),
        },
    )
}

/// `<package name><sourcefile name><line nr mi ci mb cb>`; the path is the package's joined with a source root.
pub(super) fn jacoco(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    const SOURCE_ROOTS: [&str; 3] = ["src/main/java", "src/main/kotlin", "src"];
    let mut package = String::new();
    let mut file: Option<String> = None;
    walk(
        bytes,
        "JaCoCo XML",
        "report",
        collector,
        |node, collector| match node {
            Node::Open(element) if element.name == "package" => element.get("name").clone_into(&mut package),
            Node::Open(element) if element.name == "sourcefile" => {
                let spelling = format!("{}/{package}/{}", SOURCE_ROOTS[0], element.get("name"));
                file = collector.file(&[spelling]);
            }
            Node::Open(element) if element.name == "line" => {
                if let (Some(file), Some(line)) = (&file, element.number("nr")) {
                    collector.line(file, line.into(), hits(&element, "ci"));
                    let (missed, covered) = (hits(&element, "mb"), hits(&element, "cb"));
                    collector.branches(file, line.into(), covered, missed.saturating_add(covered));
                }
            }
            _ => (),
        },
    )
}

/// `<file path><line num type="stmt|cond|method" count truecount falsecount>`.
pub(super) fn clover(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let mut file: Option<String> = None;
    walk(
        bytes,
        "Clover XML",
        "coverage",
        collector,
        |node, collector| match node {
            Node::Open(element) if element.name == "file" => {
                let spellings = [element.get("path").to_owned(), element.get("name").to_owned()];
                file = collector.file(&spellings);
            }
            Node::Open(element) if element.name == "line" => {
                if let (Some(file), Some(line)) = (&file, element.number("num")) {
                    let is_condition = element.get("type") == "cond";
                    let (yes, no) = (hits(&element, "truecount"), hits(&element, "falsecount"));
                    if is_condition {
                        collector.branches(file, line.into(), u64::from(yes > 0) + u64::from(no > 0), 2);
                    }
                    let count = if element.has("count") {
                        hits(&element, "count")
                    } else {
                        yes.saturating_add(no)
                    };
                    collector.line(file, line.into(), count);
                }
            }
            _ => (),
        },
    )
}

fn walk(
    bytes: &[u8],
    format: &'static str,
    root: &'static str,
    collector: &mut Collector<'_>,
    mut see: impl FnMut(Node, &mut Collector<'_>),
) -> Result<(), Broken> {
    let mut problems = Problems::default();
    let mut first: Option<String> = None;
    let limits = *collector.limits;
    xml::walk(bytes, format, &limits, &mut problems, |node| {
        if let (None, Node::Open(element)) = (&first, &node) {
            first = Some(element.name.clone());
        }
        see(node, collector);
    })?;
    for problem in problems.with(()).problems {
        collector.problems.add(problem);
    }
    match first {
        Some(name) if name == root => Ok(()),
        _ => Err(Broken::Malformed {
            format,
            detail: format!("its root is not <{root}>"),
        }),
    }
}

/// A count; what is no whole number is 0, what is beyond 64 bits is a lot.
fn hits(element: &Element, name: &str) -> u64 {
    let text = element.get(name).trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().unwrap_or(if digits { u64::MAX } else { 0 })
}

/// `50% (1/2)` → (1, 2).
fn conditions(text: &str) -> Option<(u64, u64)> {
    let (taken, all) = text.split_once('(')?.1.split_once(')')?.0.split_once('/')?;
    Some((taken.trim().parse().ok()?, all.trim().parse().ok()?))
}
