//! Renders a stored report.json again: `cargo run -p assay-report --example render -- report.json out/`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use assay_core::report::Report;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("give a report.json and a folder to write to".into());
    };
    let report: Report = serde_json::from_slice(&fs::read(from)?)?;
    fs::create_dir_all(&to)?;
    fs::write(to.join("report.html"), assay_report::html(&report)?)?;
    fs::write(to.join("report.md"), assay_report::markdown(&report)?)?;
    fs::write(to.join("junit.xml"), assay_report::junit(&report)?)?;
    fs::write(to.join("results.sarif"), assay_report::sarif(&report)?)?;
    Ok(())
}
