//! Bad flags are usage errors, and are said before anything is started.

use lab_testing::server;

use crate::torture;

#[test]
fn bad_flags_are_usage_errors() {
    let cases: [&[&str]; 13] = [
        &["--jobs", "0"],
        &["--jobs", "-1"],
        &["--workers", "0"],
        &["--workers", "65"],
        &["--delayed", "101%"],
        &["--poison", "ten"],
        &["--fsync", "sometimes"],
        &["--seed", "x"],
        &["--queue", "celery"],
        &["--no-such-flag"],
        &["job-queue"],
        &["locks", "--holders", "1"],
        &["locks", "--sections", "0"],
    ];
    for arguments in cases {
        let output = torture(arguments).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn what_needs_private_servers_refuses_others() {
    for arguments in [["locks", "--url", &server().url()], ["--url", &server().url(), "--peers"]] {
        let output = torture(&arguments).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(!complaint.contains(server().password()), "{complaint}");
    }
}

#[test]
fn the_part_of_a_process_is_not_for_people() {
    let output = torture(&["child"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let help = torture(&["--help"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("child"));
}
