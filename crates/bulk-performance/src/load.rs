//! How are a hundred million records written? `cargo bulk load --records 1000000`
//!
//! [`plan`] is what to load, [`sources`] makes the commands, `encoding` finds the fastest ones that the server takes,
//! `past` remembers what was loaded, [`check`] reads everything back, [`report`] says how it went.

pub mod check;
mod encoding;
mod failures;
mod full_memory;
mod past;
mod patient;
pub mod plan;
pub mod report;
pub mod sources;
mod stream;

use clap::Args;
use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::course::{self, Showing};
use lab_runner::progress::Bar;

use self::full_memory::Evictions;
use self::past::Past;
pub use self::plan::{Kind, Plan, Writing};
pub use self::report::Report;

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
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
}

/// Keys and list elements are numbered; this many fit everywhere.
const MOST: u64 = 1_000_000_000_000;

/// Opens the server and runs the command.
pub(crate) async fn command(args: &TargetArgs, options: Options, showing: Showing) -> Result<(), Failure> {
    let plan = Plan::of(&options)?;
    let target = course::open(args).await?;
    let bar = Bar::new(plan.records, "records");
    let report = run(&target, &plan, &bar).await;
    bar.finish();
    report?.show(showing.json);
    Ok(())
}

/// Removes what an earlier load left, or goes on with it; then loads, and reads everything back.
pub async fn run(target: &Target, plan: &Plan, bar: &Bar) -> Result<Report, Failure> {
    let past = past::prepare(target, plan, bar).await?;
    let before = Evictions::count(target).await;
    let loaded = load_and_verify(target, plan, &past, bar).await;
    let evictions_matter = match &loaded {
        Ok(report) => report.verified.is_none(),
        Err(failure) => failure.class() == Class::CheckFailed,
    };
    if !evictions_matter {
        return loaded;
    }
    let Some(evicted) = Evictions::count(target).await.failure_since(&before, plan) else { return loaded };
    // The marker may have gone, too, and then the next load would be refused because of the keys of this one.
    target.mark_as_ours().await.map_err(|error| target.explain(&error))?;
    Err(evicted)
}

async fn load_and_verify(target: &Target, plan: &Plan, past: &Past, bar: &Bar) -> Result<Report, Failure> {
    let mut report = stream::records(target, plan, past, bar).await?;
    past.finish(target, plan).await?;
    if plan.verify {
        bar.begin(plan.records, "verified");
        report.verify(check::everything(target, plan, bar).await?, plan)?;
    }
    Ok(report)
}

/// Loads users, quietly and without reading them back: for comparisons, which do that themselves.
pub async fn users(target: &Target, plan: &Plan) -> Result<Report, Failure> {
    run(target, &Plan { verify: false, ..plan.clone() }, &Bar::hidden()).await
}
