//! How do two servers share a long list, and how does the reader know that it is complete?
//!
//! `cargo bulk biglist`
//!
//! [`writer`] is Server A's part and [`reader`] Server B's; `roles` runs them as two commands. [`pair`] starts a primary and a
//! replica. The sections of the lesson are `list`, `replica`, [`parts`], and [`stream`].

mod list;
pub mod pair;
pub mod parts;
pub mod reader;
mod replica;
mod roles;
pub mod stream;
pub mod writer;

use std::sync::Arc;

use clap::{Args, Subcommand};
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::{Lesson, LessonContext, Outcome, source};

use self::pair::Pair;
use crate::keys::Keys;

/// The lesson.
pub static LESSON: Lesson = Lesson {
    name: "biglist",
    title: "Server A and Server B",
    question: "How do two servers share a long list, and how does the reader know that it is complete?",
    commands: &["LPUSH", "LRANGE", "LLEN", "XADD", "XREADGROUP", "XACK", "XPENDING"],
    needs: &[],
    sources: &[
        source!("src/biglist/list.rs"),
        source!("src/biglist/replica.rs"),
        source!("src/biglist/parts.rs"),
        source!("src/biglist/stream.rs"),
    ],
    rule: "The writer publishes how many elements there are, as its last write; the reader waits for that number.",
    takeaways: &[
        "Read a long list in chunks, counted from the end that does not move.",
        "A replica lags behind; WAIT on the connection that wrote says how many replicas have the writes.",
        "If several readers share the work, use a Stream with a consumer group.",
    ],
    quiz: &[24, 27, 49, 58, 60, 73, 112, 134],
    run: |ctx| Box::pin(run(ctx, Plan { count: USUAL_COUNT, pair: None, printed: false })),
};

/// How many numbers Server A inserts without `--count`.
const USUAL_COUNT: u64 = 10_000;
/// More do not fit into the memory of most machines.
const HIGHEST_COUNT: u64 = 1_000_000_000;

/// What the command line can set.
#[derive(Args, Clone, Debug)]
#[command(subcommand_value_name = "ROLE", subcommand_help_heading = "Roles")]
pub struct Options {
    /// How many numbers: 1 to N. Server B expects as many [default: 10000; for server-b, what Server A wrote]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=HIGHEST_COUNT))]
    pub count: Option<u64>,

    /// One of the two servers [default: both, on a private primary and its replica, with a lesson]
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// One of the two servers, so that they can be two processes, each with its own URL.
#[derive(Subcommand, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Insert 1 to N, newest first, and write that the list is complete
    ServerA,
    /// Wait for the list, read it, and check its length and order; a replica will do
    ServerB,
}

/// Opens the server and runs the command.
pub(crate) async fn command(args: &TargetArgs, options: Options, output: &OutputArgs) -> Result<(), Failure> {
    let Options { count, role } = options;
    if role.is_some() {
        output.report.refuse("A single role")?;
    }
    match role {
        Some(Role::ServerA) => roles::server_a(args, count.unwrap_or(USUAL_COUNT), output).await,
        Some(Role::ServerB) => roles::server_b(args, count, output).await,
        None => both(args, count.unwrap_or(USUAL_COUNT), output).await,
    }
}

/// Both roles, then the lesson: on a private primary and its replica, or on the one server that the flags name.
async fn both(args: &TargetArgs, count: u64, output: &OutputArgs) -> Result<(), Failure> {
    let pair = if Pair::is_wanted(args) { Some(Arc::new(Pair::start(args).await?)) } else { None };
    let a = match &pair {
        Some(pair) => pair.a.clone(),
        None => course::open(args).await?,
    };
    let b = pair.as_ref().map_or(&a, |pair| &pair.b);
    roles::both(&a, b, count, output).await?;
    let plan = Plan { count, pair: pair.clone(), printed: !output.json };
    course::run_with(&a, &LESSON, output, |ctx| Box::pin(run(ctx, plan))).await
}

/// What a run shows.
struct Plan {
    count: u64,
    /// A primary and a replica that run already; the primary is the lesson's server.
    pair: Option<Arc<Pair>>,
    /// Whether the lines of the two roles are on the screen already.
    printed: bool,
}

async fn run(ctx: &mut LessonContext, plan: Plan) -> Outcome {
    let Plan { count, pair, printed } = plan;
    let keys = Keys::new(ctx.prefix());
    let names = every_key(&keys);
    ctx.start_clean(&names).await?;
    let b: &Target = pair.as_ref().map_or(ctx.target(), |pair| &pair.b);
    let found = list::write_in_two_halves(ctx, &keys, b, count).await?;
    if !printed {
        ctx.say("As two commands, `cargo bulk biglist server-a` and `cargo bulk biglist server-b` print:");
        ctx.listing(roles::lines(count, &keys.biglist(), &found));
    }
    list::read_in_chunks(ctx, &keys, count).await?;
    list::read_while_it_grows(ctx, &keys).await?;
    replica::run(ctx, pair).await?;
    parts::run(ctx, &keys).await?;
    stream::run(ctx, &keys).await?;
    ctx.keys(names.into_iter().filter(|key| *key != keys.biglist_late()));
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
