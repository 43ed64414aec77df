//! What every report of `--report` promises to readers, checked in the page.

use std::fs;
use std::path::Path;
use std::process::Command;

use lab_report::file::LARGEST;
use serde_json::Value;

use super::{Chromium, Page, View};

/// A phone, a screen, and the printed width of A4 paper (210 mm less two margins of 15 mm).
const VIEWS: [View; 5] = [
    View { width: 390, height: 844, dark: false, print: false, scale: 1.0 },
    View { width: 390, height: 844, dark: true, print: false, scale: 1.0 },
    View { width: 1440, height: 900, dark: false, print: false, scale: 1.0 },
    View { width: 1440, height: 900, dark: true, print: false, scale: 1.0 },
    // Paper is white, whatever the reader prefers on the screen.
    View { width: 680, height: 1000, dark: true, print: true, scale: 1.0 },
];
/// Says what is wrong with the page at its present width and colors.
const CHECK: &str = include_str!("report.js");

/// Requires of a report that it is at most 1 MB, needs no network and runs no script, has the JSON that `--json` printed (less what a report of 1 MB has no room for), and a chart for each
/// table of numbers; and that on a phone, on a screen, in dark, and on paper, nothing is cut off, no two labels overlap, and texts and lines stand
/// out from what is behind them.
pub fn assert_readable(page: &Page<'_>, report: &Path, printed: &Value) {
    let name = report.display();
    let size = fs::metadata(report).unwrap().len();
    assert!(size <= LARGEST as u64, "{name} has {size} bytes");
    let mut wrong = Vec::new();
    for view in VIEWS {
        page.show(view);
        page.go_to_file(report);
        assert_eq!(page.requests().len(), 1, "{name} asks for more than itself: {:?}", page.requests());
        assert!(page.errors().is_empty(), "{name}: {:?}", page.errors());
        let found = page.value(CHECK);
        wrong.extend(found.as_array().unwrap().iter().map(|what| format!("{view:?}: {what}")));
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
    let scripts = "[...document.scripts].filter(script => script.type !== 'application/json').length";
    assert_eq!(page.value(scripts), 0, "{name} has a script");
    let data = page.value("document.getElementById('data').textContent");
    let data: Value = serde_json::from_str(data.as_str().unwrap()).unwrap();
    assert!(
        data == *printed || is_shortened(&data, printed),
        "the data of {name} is not what --json printed"
    );
    assert!(page.print().starts_with(b"%PDF"), "{name} cannot be printed");
}

/// Whether this is the document of a run that is too large for a report: without lines of source code, without commands and replies, and
/// without explanations.
fn is_shortened(data: &Value, printed: &Value) -> bool {
    let mut printed = printed.clone();
    for kinds in [&["code", "listing"][..], &["exchange"], &["say", "announcement"]] {
        let lessons = printed["lessons"].as_array_mut().into_iter().flatten();
        for page in lessons.filter_map(|lesson| lesson["page"].as_array_mut()) {
            page.retain(|block| !kinds.iter().any(|kind| block["kind"] == *kind));
        }
        if *data == printed {
            return true;
        }
    }
    false
}

/// Runs a program with `--json` and `--report`, and requires that its report is [readable](assert_readable).
pub fn assert_program_reports(chromium: &Chromium, program: &mut Command) {
    let directory = tempfile::tempdir().unwrap();
    let report = directory.path().join("report.html");
    let output = program.args(["--json", "--report"]).arg(&report).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = serde_json::from_slice(&output.stdout).unwrap();
    assert_readable(&chromium.page(), &report, &printed);
}
