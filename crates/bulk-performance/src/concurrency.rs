//! How many operations at once does a server need, and what do they wait for? `cargo bulk concurrency`
//!
//! In reading order: `lane` is what a client says and whether the reply is right, [`tally`] what was counted.
//! [`closed`] and [`open`] are two ways to make load, and they see different things; [`stall`] shows it.

pub mod closed;
mod lane;
pub mod open;
mod own_thread;
pub mod stall;
pub mod tally;

use std::time::Duration;

use clap::Args;
use lab_connection::connection::LimitedClusterConnection;
use lab_connection::{Failure, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::table::{Table, thousands};
use lab_runner::{Lesson, LessonContext, LessonError, Outcome};
use redis::{RedisError, RedisResult};
use tokio::time::sleep;

use self::closed::Crowd;
use self::open::Schedule;
use self::stall::Stall;
use self::tally::Tally;
use crate::keys::Keys;

/// The lesson: the command in small sizes.
pub static LESSON: Lesson = Lesson {
    name: "concurrency",
    title: "Many operations in flight",
    question: "How many operations at once does a server need, and what do they wait for?",
    commands: &["GET", "SET"],
    needs: &[],
    sources: &[lab_runner::source!("src/concurrency.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx, Options::short())),
};

/// Operations in flight, and over how many connections: never more connections than operations.
pub const CROWDS: [(usize, usize); 12] = [
    (1, 1),
    (10, 1),
    (10, 4),
    (100, 1),
    (100, 4),
    (100, 50),
    (1_000, 1),
    (1_000, 4),
    (1_000, 50),
    (5_000, 1),
    (5_000, 4),
    (5_000, 50),
];
const MOST_IN_FLIGHT: usize = 5_000;
/// Keys that stay to be looked at.
const KEPT: usize = 10;
/// Operations in flight of the closed loop that meets a stall.
const FEW: usize = 10;
/// The share of the time that goes to the table of [`CROWDS`]; the two loops with a stall share the rest.
const TABLE_SHARE: f64 = 0.6;
const SHORTEST_STALL: Duration = Duration::from_millis(100);

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Seconds for all measurements together
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub seconds: u32,

    /// Operations a second of the open loop
    #[arg(long, value_name = "R", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub rate: u32,
}

impl Options {
    /// Sizes for the lesson.
    fn short() -> Self {
        Self { seconds: 4, rate: 2_000 }
    }
}

/// Opens the server and runs the command.
pub(crate) async fn command(args: &TargetArgs, options: Options, output: OutputArgs) -> Result<(), Failure> {
    let target = course::open(args).await?;
    course::run_with(&target, &LESSON, output, |ctx| Box::pin(run(ctx, options))).await
}

async fn run(ctx: &mut LessonContext, options: Options) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let every_key: Vec<String> = (0..MOST_IN_FLIGHT).map(|client| keys.concurrency(client)).collect();
    ctx.start_clean(&every_key).await?;
    let seconds = f64::from(options.seconds);

    one_by_one(ctx, &keys).await?;
    crowds(ctx, Duration::from_secs_f64(seconds * TABLE_SHARE / CROWDS.len() as f64)).await?;
    let each = Duration::from_secs_f64(seconds * (1.0 - TABLE_SHARE) / 2.0);
    loops(ctx, each, options.rate).await?;

    ctx.start_clean(&every_key[KEPT..]).await?;
    ctx.keys(every_key.into_iter().take(KEPT));
    Ok(())
}

async fn one_by_one(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(
        "One client that waits for every reply uses a server badly: most of the time the question or the answer is on \
         its way, and the server has nothing to do. Two commands, one after the other:",
    ).await?;
    let (mut redis, key) = (ctx.redis(), keys.concurrency(0));
    redis::cmd("SET").arg(&key).arg("first").exec_async(&mut redis).await?;
    let value: String = redis::cmd("GET").arg(&key).query_async(&mut redis).await?;
    ctx.check("GET returns what SET wrote", value == "first")
}

async fn crowds(ctx: &LessonContext, each: Duration) -> Outcome {
    ctx.step(
        "So let more operations be in flight. Below, many clients each do one SET and three GETs on a key of their own, \
         again and again, and check every reply. They share connections: redis-rs sends the commands of all clients of a \
         connection as they come and hands out the replies in order, so one socket carries thousands of operations.",
    ).await?;
    if ctx.target().is_cluster() {
        ctx.step(format!(
            "To a cluster, each connection lets {} of them in at a time; the others wait their turn, and that counts.",
            LimitedClusterConnection::MAX_IN_FLIGHT
        )).await?;
    }
    let mut table = Table::new(
        "Operations in flight (closed loop)",
        &["in flight", "connections", "ops/s", "p50", "p99", "p99.9", "errors", "wrong"],
    );
    let (mut all, mut rates) = (Tally::default(), Vec::new());
    for (in_flight, connections) in CROWDS {
        let tally = Crowd { in_flight, connections, time: each }.run(ctx.target()).await?;
        let counts = [in_flight, connections].map(|number| thousands(number as f64));
        table = table.row(counts.into_iter().chain([thousands(tally.rate())]).chain(tally.cells()));
        rates.push(tally.rate());
        all.add_counts(&tally);
    }
    ctx.table(table);
    ctx.step(foot(ctx)).await?;
    let right = format!(
        "all {} replies were right, also with 5,000 operations in flight",
        thousands(all.answered as f64)
    );
    ctx.check(all.blamed(right), all.is_right())?;
    ctx.step(
        "The documents that this workspace follows claim 'thousands of concurrent operations', without a number. Ours: \
         5,000 in flight over 1, 4 and 50 connections, errors 0.",
    ).await?;
    let alone = rates.first().copied().unwrap_or_default().max(1.0);
    let best = rates.iter().copied().fold(0.0, f64::max);
    ctx.step(format!(
        "Here the best crowd did {:.0} times as much as one client. When the server is busy all the time, more in flight \
         does not make it faster; the operations only wait longer. Latency is then operations in flight divided by ops/s \
         (Little's law): compare p50 of 1,000 and 5,000. Whether more connections help on this machine, the rows with the \
         same number in flight tell.",
        best / alone,
    )).await?;
    Ok(())
}

/// What the numbers hold for.
fn foot(ctx: &LessonContext) -> String {
    let info = ctx.target().info();
    let build = if cfg!(debug_assertions) {
        "debug build: several times slower than --release"
    } else {
        "release build"
    };
    format!(
        "One client thread, {}; {} {}; {build}. The first tenth of each run is not counted. Latency is from sending to \
         the whole reply, time in the client's own queue included.",
        ctx.target().transport(),
        info.name,
        info.version,
    )
}

async fn loops(ctx: &LessonContext, time: Duration, rate: u32) -> Outcome {
    ctx.step(
        "These clients are a closed loop: each asks again when it has its answer. If the server stalls, they stop asking, \
         so a stall of any length costs one slow operation per client. Real users do not wait for each other: they come \
         at their own rate. An open loop sends at a fixed rate, and counts latency from the moment at which an operation \
         should have started.",
    ).await?;
    let target = ctx.target();
    let length = SHORTEST_STALL.max(time / 20);
    let stall = Stall::prepare(target, length).await?;
    let slow = length / 2;
    let crowd = Crowd { in_flight: FEW, connections: 1, time };
    let (closed, stalled) = tokio::join!(crowd.run(target), make(stall.as_ref(), time / 3));
    let (closed, ()) = (closed?, stalled?);
    let open = Schedule { rate, connections: 1, time }.run(target, stall.as_ref()).await?;
    show_loops(ctx, &closed, &open, slow);
    let mut both = closed.clone();
    both.add_counts(&open);
    let right = "every operation of both loops was answered, and rightly".to_owned();
    ctx.check(both.blamed(right), both.is_right())?;
    if stall.is_none() {
        ctx.step("On a private server (--server valkey-9.1) this lesson stalls the server as well, to show the difference.").await?;
        return Ok(());
    }
    verdict(ctx, &closed, &open, length, rate)
}

/// Stalls the server after a while, if it may be stalled: in the middle of a closed loop, which sees little of it
/// anyway.
async fn make(stall: Option<&Stall>, after: Duration) -> RedisResult<()> {
    sleep(after).await;
    match stall {
        Some(stall) => stall.make().await,
        None => Ok(()),
    }
}

fn show_loops(ctx: &LessonContext, closed: &Tally, open: &Tally, slow: Duration) {
    let waited = format!("over {} ms", slow.as_millis());
    let header = ["loop", "operations", "ops/s", "p50", "p99", "p99.9", waited.as_str()];
    let mut table = Table::new("The same stall in two loops", &header);
    for (word, tally) in [("closed", closed), ("open", open)] {
        let [p50, p99, p999, ..] = tally.cells();
        let (count, rate) = (thousands(tally.measured() as f64), thousands(tally.rate()));
        let over = thousands(tally.slower_than(slow) as f64);
        table = table.row([word.to_owned(), count, rate, p50, p99, p999, over]);
    }
    ctx.table(table);
}

fn verdict(ctx: &LessonContext, closed: &Tally, open: &Tally, length: Duration, rate: u32) -> Outcome {
    let slow = length / 2;
    let (hidden, seen) = (closed.slower_than(slow), open.slower_than(slow));
    ctx.say(format!(
        "In both runs the server answered nobody for {} ms (CLIENT PAUSE, as a slow script, a fork or a full disk would). \
         Whoever came in the first half of that time waited for more than {} ms.",
        length.as_millis(),
        slow.as_millis(),
    ));
    // Half of the stall's arrivals; one may fall on the border.
    let arrivals = u128::from(rate) * slow.as_micros() / 1_000_000;
    ctx.check(
        format!("the open loop saw it: {} operations waited that long", thousands(seen as f64)),
        u128::from(seen) + 1 >= arrivals,
    )?;
    ctx.check(format!("the closed loop hid it: only {} did", thousands(hidden as f64)), hidden < seen)?;
    ctx.say(
        "So measure what users feel with an open loop, and what a server can do at most with a closed one; and say which it \
         was. (The effect is known as coordinated omission.)",
    );
    Ok(())
}

/// A thread or a system call that failed, as an error of a lesson.
fn stopped(error: &impl ToString) -> LessonError {
    RedisError::from(std::io::Error::other(error.to_string())).into()
}
