//! What to load, and how.

use std::time::Duration;

use clap::{Args, ValueEnum};
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

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
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
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,

    /// Go on with a load that was interrupted
    #[arg(long)]
    pub resume: bool,

    /// Do not read everything back at the end
    #[arg(long)]
    pub no_verify: bool,

    /// How long a server may be away before the load gives up
    #[arg(long, alias = "patience", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub retry: u64,
}

/// Keys and list elements are numbered; this many fit everywhere.
const MOST: u64 = 1_000_000_000_000;

/// What to load, and how.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// Records to write, numbered from 1.
    pub records: u64,
    /// What a record is.
    pub kind: Kind,
    /// Write the indexes of the users too.
    pub indexes: bool,
    /// The commands to write users with.
    pub writing: Writing,
    /// Connections to a single server.
    pub connections: usize,
    /// Go on with a load that was interrupted.
    pub resume: bool,
    /// Read everything back at the end.
    pub verify: bool,
    /// How long a server may be away.
    pub retry: Duration,
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
    /// What the command line asks for.
    pub fn of(options: &Options) -> Result<Self, Failure> {
        if options.indexes && options.kind != Kind::Users {
            return Err(Failure::new(
                Class::Usage,
                format!("--indexes does not go with --kind {}.", options.kind.name()),
                "Only users have cities, departments and salaries.",
            )
            .try_next("leave --indexes out, or load --kind users"));
        }
        Ok(Self {
            records: options.records,
            kind: options.kind,
            indexes: options.indexes,
            writing: options.writing,
            connections: options.connections.into(),
            resume: options.resume,
            verify: !options.no_verify,
            retry: Duration::from_secs(options.retry),
        })
    }
}
