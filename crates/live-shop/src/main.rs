//! The shop in the browser; `cargo shop` runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    lab_runner::start::start_service(live_shop::run)
}
