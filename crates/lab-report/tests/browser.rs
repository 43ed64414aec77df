//! Reports of runs that were kept, in a real browser: they are readable, and one of them is the picture of the README.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs;
use std::path::{Path, PathBuf};

use lab_report::{Earlier, Kind, Report, ReportFile};
use lab_testing::browser::picture::{FONT, Picture};
use lab_testing::browser::report::assert_readable;
use lab_testing::browser::{Chromium, View};
use serde_json::Value;
use tempfile::TempDir;

/// What a run has printed with `--json`.
fn run(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn written(report: Report<'_>) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    ReportFile::at(&path).unwrap().write(&report.to_html()).unwrap();
    (directory, path)
}

#[test]
fn the_picture_of_the_report_is_what_a_browser_shows() {
    let Some(chromium) = Chromium::with_font(Some(FONT)) else { return };
    let (_directory, report) = written(Report::of_lessons(&run("insert.json")));
    let picture = Picture {
        path: concat!(env!("CARGO_MANIFEST_DIR"), "/pictures/report").into(),
        view: View { width: 900, height: 640, scale: 1.5, ..View::default() },
        command: "UPDATE=1 cargo test -p lab-report --test browser picture",
    };
    let page = chromium.page();
    page.show(picture.view);
    page.go_to_file(&report);
    page.value("document.querySelector('figure').closest('article').scrollIntoView()");
    picture.assert_true(&page);
}

#[test]
fn two_runs_in_one_report_are_readable() {
    let Some(chromium) = Chromium::start() else { return };
    let now = run("insert.json");
    let mut before = now.clone();
    before["environment"] = serde_json::json!(["another machine"]);
    let (_directory, path) = written(Report::of_lessons(&before));
    let earlier = Earlier::read(path).unwrap();
    let (_directory, report) = written(Report { earlier: Some(&earlier), ..Report::of_lessons(&now) });
    assert_readable(&chromium.page(), &report, &now);
}

/// With all faults and settings, in four heat maps.
#[test]
fn all_drills_in_one_report_are_readable() {
    let Some(chromium) = Chromium::start() else { return };
    let document = run("drills.json");
    let (_directory, report) =
        written(Report { kind: Kind::Drills, title: "Drills", ..Report::of_lessons(&document) });
    assert_readable(&chromium.page(), &report, &document);
}
