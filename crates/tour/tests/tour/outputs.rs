//! Outputs that are closed or full.

use crate::support;

#[test]
fn a_closed_standard_error_does_not_hide_the_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = support::anywhere();
    let status = command.args(["-p", "1"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(3));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure_and_a_full_disk_is_one() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let enough = support::anywhere().arg("--list").stdout(writer).status().unwrap();
    assert_eq!(enough.code(), Some(0));
    if let Ok(full) = std::fs::File::options().write(true).open("/dev/full") {
        let output = support::anywhere().arg("--list").stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be written"));
    }
}
