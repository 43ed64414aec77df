//! A shop in the browser.

pub mod buyers;
pub mod faults;
pub mod link;
pub mod wire;

use clap::Parser;
use lab_connection::{Failure, TargetArgs};
use lab_runner::start::Cli;

/// A shop in the browser, on Redis: every click shows the commands that it sends.
#[derive(Parser, Debug)]
#[command(name = "live-shop", version, disable_help_flag = true)]
pub struct Arguments {
    /// Where browsers reach the shop; anything but loopback is open to the network
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: std::net::SocketAddr,

    /// Which server to use
    #[command(flatten)]
    pub target: TargetArgs,
}

impl Cli for Arguments {
    fn json(&self) -> bool {
        false
    }
}

/// Runs the shop until Ctrl-C.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let _ = arguments;
    Ok(())
}
