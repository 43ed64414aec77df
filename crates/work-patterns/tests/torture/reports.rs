//! Reports in a real browser.

use lab_testing::browser::Chromium;
use lab_testing::browser::report::assert_program_reports;

use crate::torture;

#[test]
fn reports_of_tortures_are_readable() {
    let Some(chromium) = Chromium::start() else { return };
    for arguments in [
        "--jobs 500 --workers 2 --kill-workers 2 --kill-server 1",
        "locks --sections 100 --holders 3 --stops 1 --kills 1",
    ] {
        assert_program_reports(&chromium, &mut torture(arguments));
    }
}
