//! How are a hundred million records written? `cargo bulk load --records 1000000`

use clap::Args;
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::course::Showing;

/// What to load, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Records to write, numbered from 1.
    pub records: u64,
    /// The commands to write them with.
    pub writing: Writing,
}

/// The commands that a load sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writing {
    /// RESTORE of ready-made values where the server takes them, else HSET.
    #[default]
    Auto,
    /// HSET, whatever the server takes.
    Hset,
}

/// How a load went.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// Records acknowledged.
    pub records: u64,
    /// From the first byte sent to the last reply.
    pub seconds: f64,
    /// `records / seconds`.
    pub records_per_second: f64,
    /// Bytes of all commands.
    pub bytes_sent: u64,
    /// Times that nothing could be sent before something was received.
    pub round_trips: u64,
    /// Processor time of this process while loading.
    pub client_cpu_seconds: f64,
    /// How much of the time the server's main thread was busy, 0 to 1.
    pub server_cpu_share: Option<f64>,
    /// Which commands were sent: "RESTORE", "HSET", "SET", "MSET", "LPUSH".
    pub command: &'static str,
}

/// Removes what an earlier load left, then loads users.
pub async fn users(_target: &Target, _plan: &Plan) -> Result<Report, Failure> {
    Err(Failure::new(lab_connection::failure::Class::Other, "Not yet.", ""))
}

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {}

/// Opens the server and runs the command.
pub(crate) async fn command(_args: &TargetArgs, _options: Options, _showing: Showing) -> Result<(), Failure> {
    Ok(())
}
