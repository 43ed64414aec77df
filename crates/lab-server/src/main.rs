//! Keeps a private server, a primary with replicas or a cluster up in the foreground, until Ctrl-C.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    lab_server::foreground::run(lab_server::foreground::Arguments::parse())
}
