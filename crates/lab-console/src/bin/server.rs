//! `cargo server`: keeps a private server, a primary with replicas, or a cluster up. In a terminal, it opens a console on it.

use std::process::ExitCode;

use clap::Parser as _;
use lab_connection::raw_client::RawAddress;
use lab_console::{Console, modes};
use lab_server::foreground::{self, Arguments, Started};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(not(feature = "tls"))]
    if arguments.tls || arguments.mutual_tls {
        build_with_tls();
    }
    let console = modes::is_interactive().then_some(open as fn(&Started));
    let code = foreground::run_with(arguments, console);
    // The server may have died, or a signal come, while the console waited for a key.
    modes::restore();
    code
}

/// Returns when the person leaves the console.
fn open(started: &Started) {
    let Ok(address) = RawAddress::parse(&started.url) else { return };
    let console = Console {
        welcome: vec![
            format!("\nConsole on this private server at {}: {}.", address.shown(), started.program),
            "help explains it. exit or Ctrl-D ends the server and removes everything.".into(),
        ],
        address,
        cluster: started.cluster,
        private: true,
        prefix: String::new(),
        leaving: "end the server and remove everything",
        keys_are_kept: true,
    };
    // Everything ends with the server.
    let _ = console.run();
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
            .args(["run", "--release", "--package", "lab-console", "--"])
            .args(arguments)
            .exec();
    }
}
