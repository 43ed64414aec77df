//! Bad flags are usage errors, and are said before anything is started.

use lab_testing::server;
use work_patterns::torture::Share;

use crate::torture;

#[test]
fn bad_flags_are_usage_errors() {
    for arguments in [
        "--jobs 0",
        "--jobs -1",
        "--workers 0",
        "--workers 65",
        "--delayed 101%",
        "--poison ten",
        "--fsync sometimes",
        "--seed x",
        "--queue celery",
        "--no-such-flag",
        "job-queue",
        "locks --holders 1",
        "locks --sections 0",
    ] {
        assert_usage_error(arguments);
    }
}

/// Returns what the program says.
fn assert_usage_error(arguments: &str) -> String {
    let output = torture(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments}: {complaint}");
    complaint
}

#[test]
fn a_share_is_a_percentage_with_or_without_its_sign() {
    let share = |text: &str| text.parse().map(Share::get);
    assert_eq!(share("10%"), Ok(0.1));
    assert_eq!(share("0.5"), Ok(0.005));
    for bad in ["", "%", "-1%", "101%", "ten", "NaN", "inf"] {
        assert!(share(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_needs_private_servers_refuses_others() {
    let url = server().url();
    for arguments in [format!("locks --url {url}"), format!("--url {url} --peers")] {
        let complaint = assert_usage_error(&arguments);
        assert!(!complaint.contains(server().password()), "{complaint}");
    }
}

#[test]
fn the_part_of_a_process_is_not_for_people() {
    assert_usage_error("child");
    let help = torture("--help").output().unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("child"));
}
