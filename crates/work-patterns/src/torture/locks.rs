//! Which lock keeps late writes out? `cargo work torture locks`
//!
//! Processes take locks, and change records that the locks protect. Some are stopped with SIGSTOP inside a critical section, for longer
//! than the TTL. Some are killed there. In the middle, the server that has the locks fails over to a replica that was behind.
//!
//! The records are on another server, to which nothing happens. Each write says which write it has read before. If two writes have read
//! the same one, then one of them wrote over what it had never seen: a stale write.
//!
//! In reading order: `approach`, the four locks; `holder`, what a process does; `course`, the run of one approach; `records`, where the
//! writes are and how they are counted.

mod approach;
mod course;
pub(super) mod holder;
mod records;

use clap::Args;
use lab_connection::failure::Class;
use lab_connection::{Failure, TargetArgs};
use lab_runner::Terminal;
use lab_runner::environment::machine;
use lab_runner::progress::Bar;
use lab_runner::report::{Kind, Report, ReportArgs, ReportFile, report_file};
use lab_runner::table::{Table, thousands};
use serde::Serialize;
use serde_json::{Value, json};

use self::approach::Approach;
use crate::torture::host::{choice, refuse_other_servers};

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Critical sections for each kind of lock
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub sections: u64,

    /// Processes that take locks
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=64))]
    pub holders: u32,

    /// Stop a holder this often, for longer than the TTL of its lock
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub stops: u32,

    /// Kill a holder this often
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub kills: u32,

    /// The same seed: the same order of stops and kills [default: chosen at random, and shown]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Print one JSON document instead of a table
    #[arg(long)]
    pub json: bool,

    /// Write the results to one HTML file, too: charts and data
    #[arg(long, value_name = "FILE.html", value_parser = report_file())]
    pub report: Option<ReportFile>,
}

/// How the figures came about.
const METHOD: &str = "Processes take locks and change records that the locks protect. Some are stopped with SIGSTOP inside a critical section, for \
                      longer than the TTL. Some are killed there. In the middle, the server that has the locks fails over to a replica \
                      that was behind.";
/// What the columns are.
const COLUMNS: &str = "Stale: a write over another one that it had not read. Refused: the record had seen a newer number, so the late write changed \
                       nothing. 'failovers': the replica that took over did not know the last locks; of the five servers of Redlock, one \
                       came back empty.";

/// What came of one kind of lock. Serialized, it is a part of the document.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which.
    pub approach: Approach,
    /// Writes that the records took.
    pub writes: u64,
    /// Those that overwrote what they had not read.
    pub stale_writes: u64,
    /// Writes that the records refused, because a newer holder had been there.
    pub refused: u64,
    /// Holders that were stopped in a critical section for longer than the TTL.
    pub stopped: u32,
    /// Holders that were killed in a critical section.
    pub killed: u32,
    /// Failovers, or for Redlock: nodes that lost their data.
    pub failovers: u32,
    /// Seconds.
    pub seconds: f64,
}

/// Compares the locks, each on private servers.
pub async fn command(args: &TargetArgs, options: &Options) -> Result<(), Failure> {
    refuse_other_servers(
        args,
        "It kills the server that has the locks, so it starts its own and touches no other.",
    )?;
    let choice = choice(args)?;
    let seed = options.seed.unwrap_or_else(rand::random);
    let bar = if options.json { Bar::hidden() } else { Bar::new(options.sections, "sections") };
    let mut rows = Vec::new();
    for approach in Approach::ALL {
        bar.begin(options.sections, approach.label());
        let row = course::run(approach, &choice, options, seed, &bar).await;
        rows.push(row.inspect_err(|_| bar.finish())?);
    }
    bar.finish();
    let document = json!({ "seed": seed, "sections": options.sections, "locks": rows });
    show(&rows, seed, &document, options);
    let fenced = rows.iter().filter(|row| row.approach == Approach::Fenced);
    let stale = fenced.map(|row| row.stale_writes).sum::<u64>();
    let written = write(&document, stale, seed, options);
    // Only the fence promises anything.
    if stale > 0 {
        let why = format!("The fenced lock let {stale} stale writes through.");
        return Err(Failure::new(Class::CheckFailed, format!("A promise broke (seed {seed})."), why));
    }
    written
}

fn show(rows: &[Row], seed: u64, document: &Value, options: &Options) {
    if options.json {
        Terminal.document(document);
        return;
    }
    let header = ["lock", "writes", "stale", "refused", "stopped", "killed", "failovers", "seconds"];
    let mut table = Table::new("", &header);
    for row in rows {
        table = table.row([
            row.approach.label().to_owned(),
            thousands(row.writes as f64),
            thousands(row.stale_writes as f64),
            thousands(row.refused as f64),
            row.stopped.to_string(),
            row.killed.to_string(),
            row.failovers.to_string(),
            format!("{:.1}", row.seconds),
        ]);
    }
    Terminal.line(&table.to_text(Terminal.text_width()));
    Terminal.line("");
    Terminal.paragraph(COLUMNS);
    Terminal.paragraph(&format!("To repeat it: --seed {seed}"));
}

/// Writes the report, if one is wanted.
fn write(document: &Value, stale: u64, seed: u64, options: &Options) -> Result<(), Failure> {
    let mut environment =
        vec![format!("seed {seed}"), format!("{} critical sections for each lock", options.sections)];
    environment.extend(machine());
    let args = ReportArgs { report: options.report.clone(), compare: None };
    let report = Report {
        kind: Kind::Locks,
        title: "Torture: locks whose holders are stopped and killed",
        question: "Which lock keeps late writes out?",
        method: &[METHOD, COLUMNS],
        checks: &[(stale == 0, format!("The lock with a fence let no stale write through: {stale}."))],
        environment: &environment,
        document,
        earlier: None,
    };
    args.finish(report, options.json)
}
