//! Reports in a real browser.

use lab_runner::report::Earlier;
use lab_server::Server;
use lab_testing::browser::Chromium;
use lab_testing::browser::report::{assert_program_reports, assert_readable};

use crate::bulk_on;

/// The others are lessons, and so they are in the tour, whose report has a test of its own.
#[test]
fn the_report_of_peers_is_readable() {
    let Some(chromium) = Chromium::start() else { return };
    let server = Server::start().unwrap();
    assert_program_reports(&chromium, &mut bulk_on(&server, &["peers", "--records", "200"]));
}

#[test]
fn a_report_of_two_runs_is_readable() {
    let Some(chromium) = Chromium::start() else { return };
    let server = Server::start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let [first, second] = ["first.html", "second.html"].map(|name| directory.path().join(name));
    for compare in [vec![], vec!["--compare".as_ref(), first.as_os_str()]] {
        let report = if compare.is_empty() { &first } else { &second };
        let mut insert = bulk_on(&server, &["insert", "--records", "50", "--rounds", "3", "--report"]);
        let output = insert.arg(report).args(compare).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_readable(&chromium.page(), report, &Earlier::read(report).unwrap().document);
    }
}
