//! What to load, and how.

use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{ArgAction, Args, ValueEnum};
use lab_connection::Failure;
use lab_connection::failure::Class;
pub use lab_measure::load::Kind;

/// The commands that a load of users sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Writing {
    /// RESTORE of ready-made values where the server takes them, else HSET
    #[default]
    Auto,
    /// HSET, whatever the server takes
    Hset,
}

/// What to load, and how: what the command line can set.
#[derive(Args, Clone, Debug)]
pub struct LoadPlan {
    /// How many records
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=MOST))]
    pub records: u64,

    /// What a record is
    #[arg(long, value_enum, default_value_t)]
    pub kind: Kind,

    /// Write the indexes of the users too: by city, by department, by salary
    #[arg(long)]
    pub indexes: bool,

    /// The commands to write users with
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub writing: Writing,

    /// Connections to a single server; a cluster gets one for each node
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..=64))]
    pub connections: usize,

    /// Resume a load that was interrupted
    #[arg(long)]
    pub resume: bool,

    /// Do not read everything back at the end
    #[arg(long = "no-verify", action = ArgAction::SetFalse)]
    pub verify: bool,

    /// How long a server may be away before the load gives up
    #[arg(long, alias = "patience", value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub retry: Duration,
}

/// Keys and list elements are numbered; this many fit everywhere.
const MOST: u64 = 1_000_000_000_000;

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "it is not in 1..=86400".to_owned())
}

impl Default for LoadPlan {
    fn default() -> Self {
        Self {
            records: 1_000_000,
            kind: Kind::Users,
            indexes: false,
            writing: Writing::Auto,
            connections: 1,
            resume: false,
            verify: true,
            retry: Duration::from_mins(1),
        }
    }
}

impl LoadPlan {
    /// Refuses options that do not go together.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if !self.indexes || self.kind == Kind::Users {
            return Ok(());
        }
        Err(Failure::new(
            Class::Usage,
            format!("--indexes does not go with --kind {}.", self.kind.name()),
            "Only users have cities, departments and salaries.",
        )
        .try_next("leave --indexes out, or load --kind users"))
    }
}
