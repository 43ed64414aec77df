//! Keeps a private server, a primary with replicas or a cluster up in the foreground, until Ctrl-C.

use std::process::ExitCode;

use clap::Parser as _;
use lab_server::foreground::{Arguments, run};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(not(feature = "tls"))]
    if arguments.tls || arguments.mutual_tls {
        build_with_tls();
    }
    run(arguments)
}

/// Runs the same command in a program that cargo builds with TLS. `cargo server` leaves TLS out, so that it starts at once. Returns
/// only if this program was not started by cargo, or cargo cannot be started.
#[cfg(not(feature = "tls"))]
fn build_with_tls() {
    use std::env;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    if let Some(cargo) = env::var_os("CARGO") {
        let arguments = env::args_os().skip(1);
        let _ = Command::new(cargo)
            .args(["run", "--release", "--package", "lab-server", "--"])
            .args(arguments)
            .exec();
    }
}
