//! What a report promises: data that is equal to the document, a chart for each table of numbers, escaped texts, whole files.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs;
use std::process::Command;

use lab_report::file::LARGEST;
use lab_report::{Earlier, Kind, Report, ReportError, ReportFile};
use serde_json::{Value, json};

const HOSTILE: &str = "</script><script>alert(1)</script><!--<b onclick='x'>\"&\u{0}\u{1b}[2J 東京";

fn rounds(level: f64) -> Value {
    let samples: Vec<f64> = [0.98, 1.0, 1.01].iter().map(|factor| factor * level).collect();
    json!({ "median": level, "min": samples[0], "max": samples[2], "spread": 0.03, "samples": samples })
}

/// A lesson with one table of each kind, at this speed.
fn lesson(name: &str, text: &str, speed: f64) -> Value {
    let latency = json!([[0.0, 1e4], [0.5, 5e4], [0.9, 9e4], [0.99, 2e6]]);
    json!({
        "name": name, "title": text, "asks": text, "outcome": "passed", "page": [
            { "kind": "step" },
            { "kind": "say", "text": text },
            { "kind": "exchange", "shape": "command", "commands": ["GET x"], "replies": [text], "sent": 1, "micros": 9 },
            { "kind": "code", "name": text, "path": text, "line": 1, "text": text },
            { "kind": "facts", "title": format!("counts {text}"), "header": [text, "lost", text], "rows": [[text, "1,234", text]] },
            { "kind": "facts", "title": "only texts", "header": ["a", "b"], "rows": [[text, "yes"]] },
            { "kind": "facts", "title": "rates", "header": ["approach", "records/s"], "rows": [[text, "1"]],
              "measured": [{ "unit": "records/s", "less_is_better": false,
                             "rows": [{ "label": text, "rounds": rounds(speed), "latency": latency }] }] },
            { "kind": "check", "claim": text, "held": true },
            { "kind": "comparison", "title": text, "operations": 5, "rounds": 3, "commands": [text],
              "rows": [{ "label": text, "rate": rounds(speed * 2.0), "ratio": 1.0,
                         "traffic": { "round_trips": 1, "bytes_sent": 2, "bytes_received": 3 } }],
              "environment": [text], "caveats": [{ "caveat": "loopback", "advice": text }] },
            { "kind": "of another version" },
            { "kind": "summary", "name": name, "rule": text, "takeaways": [text], "source": [text], "quiz": [1] },
        ],
    })
}

fn run(lessons: &[Value]) -> Value {
    json!({ "server": {}, "address": HOSTILE, "environment": ["redis-rs", HOSTILE], "lessons": lessons,
            "error": { "what": HOSTILE, "why": HOSTILE } })
}

fn html_of(document: &Value, earlier: Option<&Earlier>) -> String {
    Report { earlier, ..Report::of_lessons(document) }.to_html()
}

/// Requires with Python's parser that every element is closed in order, that nothing is loaded, and that nothing runs.
fn assert_well_formed(html: &str) {
    const CHECK: &str = r##"
import sys
from html.parser import HTMLParser
VOID = {"meta", "br", "hr", "img", "input", "link"}
class Check(HTMLParser):
    open, scripts, figures = [], 0, 0
    def handle_starttag(self, tag, attributes):
        names = dict(attributes)
        assert not any(name.startswith("on") for name in names), (tag, attributes)
        assert not names.keys() & {"src", "srcset", "action"}, (tag, attributes)
        assert names.get("href", "#").startswith("#"), (tag, attributes)
        if tag == "script":
            assert names["type"] == "application/json", attributes
            self.scripts += 1
        if tag not in VOID:
            self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        pass
    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open, self.getpos())
        self.open.pop()
check = Check()
check.feed(sys.stdin.read())
check.close()
assert check.open == [] and check.scripts == 1, (check.open, check.scripts)
"##;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.html");
    fs::write(&file, html).unwrap();
    let mut python = Command::new("python3");
    let output = python.args(["-c", CHECK]).stdin(fs::File::open(&file).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn written(document: &Value) -> Earlier {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    ReportFile::at(&path).unwrap().write(&html_of(document, None)).unwrap();
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file is left: {left:?}");
    Earlier::read(&path).unwrap()
}

#[test]
fn the_embedded_data_is_the_document() {
    let document = run(&[lesson("insert", HOSTILE, 1_000.0)]);
    let earlier = written(&document);
    assert_eq!(earlier.document, document);
    assert_eq!(earlier.kind, Kind::Lessons);
    assert!(earlier.made.ends_with(" UTC"), "{}", earlier.made);
}

#[test]
fn hostile_texts_are_escaped_everywhere() {
    let document = run(&[lesson("insert", HOSTILE, 1_000.0), lesson("query", HOSTILE, 1.0)]);
    let earlier = written(&run(&[lesson("insert", HOSTILE, 100.0)]));
    for html in [html_of(&document, None), html_of(&document, Some(&earlier))] {
        assert_well_formed(&html);
        assert_eq!(html.matches("<script").count(), 1);
        assert!(!html.contains("<b onclick") && !html.contains("<!--"));
        assert!(html.contains("&lt;b onclick"), "the texts are there, escaped");
    }
}

#[test]
fn every_table_of_numbers_has_a_chart_that_says_what_it_shows() {
    let html = html_of(&run(&[lesson("insert", "plain", 1_000.0)]), None);
    assert_well_formed(&html);
    // Counts; rates as bars and as curves; the comparison. The table of texts has nothing to draw.
    assert_eq!(html.matches("<svg").count(), 4);
    assert_eq!(html.matches("<desc>").count(), 4);
    assert_eq!(html.matches("<table>").count(), 4);
    // Three rounds of each row.
    assert_eq!(html.matches("<circle class=\"f5\"").count(), 6);
}

#[test]
fn an_earlier_run_lies_below_and_changes_beyond_noise_are_named() {
    let earlier = written(&run(&[lesson("insert", "plain", 500.0)]));
    let document = run(&[lesson("insert", "plain", 1_000.0)]);
    let html = html_of(&document, Some(&earlier));
    assert!(html.contains("Of 2 rows, 2 got better, 0 got worse, 0 are within noise."), "{html}");
    assert!(html.contains("<path class=\"f6\"") && html.contains("500 before"));
    let same = html_of(&run(&[lesson("insert", "plain", 501.0)]), Some(&earlier));
    assert!(same.contains("Of 2 rows, 0 got better, 0 got worse, 2 are within noise."));
}

#[test]
fn a_document_that_is_too_large_loses_code_before_anything_else() {
    let mut large = lesson("insert", "plain", 1_000.0);
    large["page"][3]["text"] = json!("x".repeat(LARGEST));
    let html = html_of(&run(&[large.clone()]), None);
    assert!(
        html.len() <= LARGEST && html.contains("without the lines of source code; all figures"),
        "{}",
        html.len()
    );
    assert_well_formed(&html);
    large["page"][2]["replies"] = json!(["x".repeat(LARGEST)]);
    let html = html_of(&run(&[large.clone()]), None);
    assert!(html.len() <= LARGEST && html.contains("source code and the commands and replies; all figures"));
    large["page"][0] = json!({ "kind": "announcement", "text": "x".repeat(LARGEST) });
    let html = html_of(&run(&[large]), None);
    let without =
        "without the lines of source code, the commands and replies, and the explanations; all figures";
    assert!(html.len() <= LARGEST && html.contains(without), "{}", html.len());
}

#[test]
fn strange_figures_draw_something() {
    for speed in [0.0, -1.0, 1e-300, f64::MAX, 1e30] {
        assert_well_formed(&html_of(&run(&[lesson("insert", "plain", speed)]), None));
    }
    for document in [
        json!(null),
        json!([]),
        json!({ "lessons": 7 }),
        json!({ "lessons": [{ "page": [{ "kind": "facts" }] }] }),
    ] {
        assert_well_formed(&html_of(&document, None));
    }
}

#[test]
fn drills_and_tortures_have_their_charts() {
    let cell = json!({ "fault": "kill", "setting": "none", "trials": 3, "acknowledged": 1000, "lost": 12, "trials_with_loss": 2,
                       "unavailable_ms_p50": 1500, "unavailable_ms_p99": 90, "loses_nothing": false, "method": HOSTILE, "note": HOSTILE, "cure": HOSTILE });
    let drills =
        json!({ "server": "valkey", "trials": 3, "method": "m", "cells": [cell], "skipped": [HOSTILE] });
    let jobs = json!({ "jobs": 100, "completed": 99, "lost": 0, "recovery_ms_p50": null, "seconds": 1.5,
                       "peers": [{ "name": HOSTILE, "lost": 1 }], "speeds": [{ "name": HOSTILE, "enqueued_per_second": 1e4 }] });
    let locks = json!({ "locks": [{ "approach": "fenced", "writes": 100, "stale_writes": 0 }] });
    for (kind, document, charts) in
        [(Kind::Drills, drills, 2), (Kind::Torture, jobs, 4), (Kind::Locks, locks, 1)]
    {
        let report = Report {
            kind,
            title: HOSTILE,
            question: HOSTILE,
            method: &[HOSTILE],
            checks: &[(false, HOSTILE.to_owned())],
            environment: &[HOSTILE.to_owned()],
            document: &document,
            earlier: None,
        };
        let html = report.to_html();
        assert_well_formed(&html);
        assert_eq!(html.matches("<svg").count(), charts, "{kind:?}");
        assert_eq!(html.contains("How kill is tried:"), kind == Kind::Drills);
    }
}

#[test]
fn only_an_earlier_report_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("notes.html"), "<!DOCTYPE html><p>mine").unwrap();
    assert!(matches!(ReportFile::at(path("notes.html")), Err(ReportError::NotAReport)));
    assert_eq!(fs::read_to_string(path("notes.html")).unwrap(), "<!DOCTYPE html><p>mine");
    assert!(matches!(ReportFile::at(directory.path()), Err(ReportError::NoFile)));
    assert!(matches!(ReportFile::at(path("no/such.html")), Err(ReportError::NoDirectory(_))));
    assert!(Earlier::read(path("notes.html")).is_err() && Earlier::read(path("missing.html")).is_err());

    let file = ReportFile::at(path("report.html")).unwrap();
    assert!(!path("report.html").exists(), "the check leaves nothing behind");
    let html = html_of(&run(&[]), None);
    file.write(&html).unwrap();
    ReportFile::at(path("report.html")).unwrap().write(&html).unwrap();
    fs::write(path("report.html"), "something else, put there during the run").unwrap();
    assert!(matches!(file.write(&html), Err(ReportError::NotAReport)));

    let cut = &html[..html.len() / 2];
    fs::write(path("cut.html"), cut).unwrap();
    assert!(matches!(Earlier::read(path("cut.html")), Err(ReportError::NoData(_))));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_noticed_before_the_run() {
    // Every write to this device fails as on a full disk, but it takes no new files; a file of its own name is none of ours.
    assert!(matches!(ReportFile::at("/dev/full"), Err(ReportError::NotAReport)));
    assert!(matches!(ReportFile::at("/proc/report.html"), Err(ReportError::Io(_))));
}
