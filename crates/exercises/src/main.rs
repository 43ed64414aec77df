//! `exercises [COMMAND]`; `cargo exercises` runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    lab_runner::start::start(exercises::cli::run)
}
