//! How do two servers share a long list, and how does the reader know that it is complete? `cargo bulk biglist`
//!
//! In reading order: [`writer`] is Server A's part and [`reader`] Server B's; `roles` are the two as commands.
//! [`pair`] starts a primary and a replica, [`replication`] asks both how far they are. The rest are the sections of the
//! lesson.

mod chunks;
mod complete;
pub mod pair;
pub mod parts;
pub mod reader;
mod replica;
pub mod replication;
mod roles;
pub mod stream;
pub mod writer;

use std::sync::Arc;

use clap::{Args, Subcommand};
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::{Lesson, LessonContext, Outcome};

use self::pair::Pair;
use crate::keys::Keys;

/// The lesson: the command in small sizes.
pub static LESSON: Lesson = Lesson {
    name: "biglist",
    title: "Server A and Server B",
    question: "How do two servers share a long list, and how does the reader know that it is complete?",
    commands: &["LPUSH", "LLEN", "LRANGE", "XADD", "XREADGROUP", "XACK", "XPENDING"],
    needs: &[],
    sources: &[lab_runner::source!("src/biglist.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx, Plan { count: USUAL_COUNT, pair: None, told: false })),
};

/// How many numbers Server A inserts unless told otherwise.
pub const USUAL_COUNT: u64 = 10_000;
/// More would not fit into the memory of most machines.
const HIGHEST_COUNT: u64 = 1_000_000_000;
/// How many numbers the sections use that write lists of their own, whatever the length of the big one.
const SAMPLE: u64 = 10_000;

/// What the command line can set.
#[derive(Args, Clone, Debug)]
#[command(subcommand_value_name = "ROLE", subcommand_help_heading = "Roles")]
pub struct Options {
    /// How many numbers: 1 to N. Server B expects as many [default: 10000; for server-b, what Server A said]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=HIGHEST_COUNT))]
    pub count: Option<u64>,

    /// One of the two servers [default: both, on a private primary and its replica, with a lesson]
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// One of the two servers, so that they can be two processes, each with a URL of its own.
#[derive(Subcommand, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Insert 1 to N, newest first, and say that the list is complete
    ServerA,
    /// Read the list and check its length and order; a replica will do
    ServerB,
}

/// Opens the server and runs the command.
pub(crate) async fn command(args: &TargetArgs, options: Options, output: OutputArgs) -> Result<(), Failure> {
    let Options { count, role } = options;
    match role {
        Some(Role::ServerA) => roles::server_a(args, count.unwrap_or(USUAL_COUNT), output).await,
        Some(Role::ServerB) => roles::server_b(args, count, output).await,
        None => both(args, count.unwrap_or(USUAL_COUNT), output).await,
    }
}

/// Both roles, then the lesson: on a private primary and its replica, or on the one server that was named.
async fn both(args: &TargetArgs, count: u64, output: OutputArgs) -> Result<(), Failure> {
    let pair = if Pair::is_wanted(args) { Some(Arc::new(Pair::start(args).await?)) } else { None };
    let a = match &pair {
        Some(pair) => pair.a.clone(),
        None => course::open(args).await?,
    };
    let b = pair.as_ref().map_or(&a, |pair| &pair.b);
    roles::both(&a, b, count, output).await?;
    // The pair stays until the page is closed, which still speaks to it.
    let plan = Plan { count, pair: pair.clone(), told: !output.json };
    course::run_with(&a, &LESSON, output, |ctx| Box::pin(run(ctx, plan))).await
}

/// What a page is to show.
struct Plan {
    count: u64,
    /// A primary and a replica that are there already; the primary is the page's server.
    pair: Option<Arc<Pair>>,
    /// Whether the two lines of the roles have been printed.
    told: bool,
}

async fn run(ctx: &mut LessonContext, plan: Plan) -> Outcome {
    let Plan { count, pair, told } = plan;
    let keys = Keys::new(ctx.prefix());
    ctx.start_clean(&every_key(&keys)).await?;
    let b: &Target = pair.as_ref().map_or(ctx.target(), |pair| &pair.b);
    complete::run(ctx, &keys, b, count, told).await?;
    replica::run(ctx, pair).await?;
    chunks::run(ctx, &keys, count).await?;
    parts::run(ctx, &keys, SAMPLE).await?;
    stream::run(ctx, &keys, SAMPLE).await?;
    ctx.keys(every_key(&keys).into_iter().filter(|key| *key != keys.biglist_late()));
    Ok(())
}

/// All keys that `biglist` writes.
fn every_key(keys: &Keys) -> Vec<String> {
    let single = [
        keys.biglist(),
        keys.biglist_count(),
        keys.biglist_late(),
        keys.biglist_growing(),
        keys.biglist_stream(),
    ];
    single.into_iter().chain((0..parts::PARTS).map(|part| keys.biglist_part(part))).collect()
}
