//! How does the loader compare with other tools? `cargo bulk peers`
//!
//! In reading order:
//!
//! 1. [`server_login`] and [`programs`]: how other programs reach the server, and where they are.
//! 2. [`fixtures`]: what is prepared once.
//! 3. [`lineup`]: which peers take part.
//! 4. [`peer`]: the ways to write. `benchmark` and `baseline` have a file each.
//! 5. [`rounds`]: gives the peers their turns, times them, and verifies what they wrote.
//! 6. `report`: the tables.

mod baseline;
mod benchmark;
mod command_stats;
pub mod fixtures;
pub mod lineup;
pub mod peer;
pub mod programs;
mod report;
pub mod rounds;
pub mod server_login;

use std::path::PathBuf;

use clap::Args;
use lab_connection::{Failure, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::{Lesson, LessonContext, Outcome};

use crate::peers::lineup::Lineup;
use crate::peers::server_login::ServerLogin;

/// Not part of the tour: it takes long, and needs other people's programs.
static PEERS: Lesson = Lesson {
    name: "peers",
    title: "The loader and its peers",
    question: "How does the loader compare with redis-cli --pipe, redis-benchmark, redis-rs, and redis-py?",
    commands: &[],
    needs: &[],
    sources: &[lab_runner::source!("src/peers.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx, Options { records: 1_000, rounds: 1, tools: None }, false)),
};

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Users that each peer writes; 100,000 is enough for a trial run
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub records: u64,

    /// How often each peer gets its turn; the table shows medians
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub rounds: u32,

    /// Look here first for redis-cli, redis-benchmark, and python3; then beside the server, then on PATH
    #[arg(long, value_name = "DIR")]
    pub tools: Option<PathBuf>,
}

/// Opens the server and runs the command.
pub(crate) async fn command(args: &TargetArgs, options: Options, output: &OutputArgs) -> Result<(), Failure> {
    let target = course::open(args).await?;
    course::run_with(&target, &PEERS, output, |ctx| Box::pin(run(ctx, options, args.askpass))).await
}

async fn run(ctx: &mut LessonContext, options: Options, askpass: bool) -> Outcome {
    ctx.step(
        "A figure such as '300,000 records/s' says little by itself: it depends on the machine, the server, and the \
         records. So everything here runs on the same server with the same records, in turn: the loader, the tools \
         that come with Redis, and two client libraries. What a peer wrote is read back and compared before its time \
         counts.",
    ).await?;
    let login = ServerLogin::of(ctx.target(), askpass);
    let lineup = Lineup::prepare(ctx.target(), options.records, options.tools.as_deref(), login).await?;
    let rows = rounds::run(&lineup, options.rounds).await?;
    report::write(ctx, &lineup, &rows, options.rounds)
}
