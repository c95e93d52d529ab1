//! Checkstyle XML: Checkstyle, phpcs, ktlint and others.

use assay_core::evidence::Level;

use super::{Collector, Remark};
use crate::xml::{self, Node};
use crate::{Broken, Problems};

pub(super) fn read(bytes: &[u8], collector: &mut Collector<'_>) -> Result<(), Broken> {
    let mut problems = Problems::default();
    let mut file = String::new();
    let mut is_checkstyle = false;
    let limits = *collector.limits;
    xml::walk(bytes, "Checkstyle XML", &limits, &mut problems, |node| {
        let Node::Open(element) = node else { return };
        match element.name.as_str() {
            "checkstyle" => is_checkstyle = true,
            "file" => element.get("name").clone_into(&mut file),
            "error" if is_checkstyle => collector.add(&Remark {
                rule: element.get("source"),
                level: match element.get("severity") {
                    "error" => Some(Level::Error),
                    "info" | "ignore" => Some(Level::Note),
                    _ => Some(Level::Warning),
                },
                path: &file,
                line: element.number("line").map(u64::from),
                message: element.get("message"),
                help: None,
            }),
            _ => (),
        }
    })?;
    for problem in problems.with(()).problems {
        collector.problems.add(problem);
    }
    if is_checkstyle {
        return Ok(());
    }
    Err(Broken::Malformed {
        format: "Checkstyle XML",
        detail: "there is no <checkstyle> in it".into(),
    })
}
