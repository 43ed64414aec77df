//! The command line: clap derive, so the doc comments are the help. Each command's options stand in its own file.

use std::sync::Arc;

use clap::{Parser, Subcommand};
use lab_connection::TargetArgs;
use lab_runner::course::OutputArgs;
use lab_runner::report::{Earlier, ReportArgs, ReportFile, earlier_report, report_file};
use lab_runner::start::Cli;

use crate::{biglist, concurrency, insert, load, memory, peers, query};

/// Loading, querying, and storing a lot: approaches compared, memory measured.
///
/// Without a command, all lessons run, in small sizes. You can put the options of the server before or after the command.
#[derive(Parser, Debug)]
#[command(name = "bulk-performance", bin_name = "cargo bulk", version, disable_help_flag = true)]
pub struct Arguments {
    /// List the lessons and end
    #[arg(long)]
    pub list: bool,

    /// Print one JSON document instead of tables
    #[arg(long, global = true)]
    pub json: bool,

    /// Do not wait for Enter between lessons
    #[arg(long, global = true)]
    pub no_pause: bool,

    /// Write the results to one HTML file, too: charts, method, caveats, and data
    #[arg(long, global = true, value_name = "FILE.html", value_parser = report_file())]
    pub report: Option<ReportFile>,

    /// Compare with this earlier report, and say what changed beyond noise; with --report, the charts show both
    #[arg(long, global = true, value_name = "OLD.html", value_parser = earlier_report())]
    pub compare: Option<Arc<Earlier>>,

    /// Which server to use
    #[command(flatten)]
    pub target: TargetArgs,

    /// What to do [default: all]
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Every lesson, in small sizes
    All,
    /// Ways to write many records, compared
    Insert(insert::Options),
    /// Load up to hundreds of millions of records
    Load(load::LoadPlan),
    /// The loader beside other tools, in one run
    Peers(peers::Options),
    /// Ways to find and read records, compared
    Query(query::Options),
    /// Throughput and latency by operations in flight
    Concurrency(concurrency::Options),
    /// Bytes per record by encoding
    Memory(memory::Options),
    /// Server A writes a list, Server B reads it
    Biglist(biglist::Options),
}

impl Arguments {
    /// How to show what is found.
    pub fn output(&self) -> OutputArgs {
        let report = ReportArgs { report: self.report.clone(), compare: self.compare.clone() };
        OutputArgs { list: self.list, json: self.json, no_pause: self.no_pause, report }
    }
}

impl Cli for Arguments {
    fn json(&self) -> bool {
        self.json
    }
}
