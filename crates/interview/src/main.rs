//! The quiz; `cargo interview` runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    lab_runner::start::start(interview::run)
}
