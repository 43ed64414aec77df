//! `bulk-performance COMMAND`: loading, querying and storing a lot; `cargo bulk` runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    lab_runner::start::start(bulk_performance::run)
}
