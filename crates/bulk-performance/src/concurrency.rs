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
use lab_connection::connection::InTurn;
use lab_connection::{Failure, TargetArgs};
use lab_runner::course::{self, Showing};
use lab_runner::table::{Facts, thousands};
use lab_runner::{Lesson, LessonError, Outcome, Page};
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
    asks: "How many operations at once does a server need, and what do they wait for?",
    teaches: &["GET", "SET"],
    needs: &[],
    teach: |page| Box::pin(teach(page, Options::short())),
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
pub(crate) async fn command(args: &TargetArgs, options: Options, showing: Showing) -> Result<(), Failure> {
    let target = course::open(args).await?;
    course::teach_with(&target, &LESSON, showing, |page| Box::pin(teach(page, options))).await
}

async fn teach(page: &mut Page, options: Options) -> Outcome {
    let keys = Keys::new(page.prefix());
    let every_key: Vec<String> = (0..MOST_IN_FLIGHT).map(|client| keys.concurrency(client)).collect();
    page.start_clean(&every_key).await?;
    let seconds = f64::from(options.seconds);

    one_by_one(page, &keys).await?;
    crowds(page, Duration::from_secs_f64(seconds * TABLE_SHARE / CROWDS.len() as f64)).await?;
    let each = Duration::from_secs_f64(seconds * (1.0 - TABLE_SHARE) / 2.0);
    loops(page, each, options.rate).await?;

    page.start_clean(&every_key[KEPT..]).await?;
    page.keys(every_key.into_iter().take(KEPT));
    Ok(())
}

async fn one_by_one(page: &Page, keys: &Keys) -> Outcome {
    page.say(
        "One client that waits for every reply uses a server badly: most of the time the question or the answer is on \
         its way, and the server has nothing to do. Two commands, one after the other:",
    );
    let (mut redis, key) = (page.redis(), keys.concurrency(0));
    redis::cmd("SET").arg(&key).arg("first").exec_async(&mut redis).await?;
    let value: String = redis::cmd("GET").arg(&key).query_async(&mut redis).await?;
    page.check("GET returns what SET wrote", value == "first")
}

async fn crowds(page: &Page, each: Duration) -> Outcome {
    page.say(
        "So let more operations be in flight. Below, many clients each do one SET and three GETs on a key of their own, \
         again and again, and check every reply. They share connections: redis-rs sends the commands of all clients of a \
         connection as they come and hands out the replies in order, so one socket carries thousands of operations.",
    );
    if page.target().is_cluster() {
        page.say(format!(
            "To a cluster, each connection lets {} of them in at a time; the others wait their turn, and that counts.",
            InTurn::AT_A_TIME
        ));
    }
    let mut facts = Facts::new(
        "Operations in flight (closed loop)",
        &["in flight", "connections", "ops/s", "p50", "p99", "p99.9", "errors", "wrong"],
    );
    let (mut all, mut rates) = (Tally::default(), Vec::new());
    for (in_flight, connections) in CROWDS {
        let tally = Crowd { in_flight, connections, time: each }.run(page.target()).await?;
        let counts = [in_flight, connections].map(|number| thousands(number as f64));
        facts = facts.row(counts.into_iter().chain([thousands(tally.rate())]).chain(tally.cells()));
        rates.push(tally.rate());
        all.add_counts(&tally);
    }
    page.facts(facts);
    page.say(foot(page));
    let right = format!(
        "all {} replies were right, also with 5,000 operations in flight",
        thousands(all.answered as f64)
    );
    page.check(all.blamed(right), all.is_right())?;
    page.say(
        "The documents that this workspace follows claim 'thousands of concurrent operations', without a number. Ours: \
         5,000 in flight over 1, 4 and 50 connections, errors 0.",
    );
    let alone = rates.first().copied().unwrap_or_default().max(1.0);
    let best = rates.iter().copied().fold(0.0, f64::max);
    page.say(format!(
        "Here the best crowd did {:.0} times as much as one client. When the server is busy all the time, more in flight \
         does not make it faster; the operations only wait longer. Latency is then operations in flight divided by ops/s \
         (Little's law): compare p50 of 1,000 and 5,000. Whether more connections help on this machine, the rows with the \
         same number in flight tell.",
        best / alone,
    ));
    Ok(())
}

/// What the numbers hold for.
fn foot(page: &Page) -> String {
    let info = page.target().info();
    let build = if cfg!(debug_assertions) {
        "debug build: several times slower than --release"
    } else {
        "release build"
    };
    format!(
        "One client thread, {}; {} {}; {build}. The first tenth of each run is not counted. Latency is from sending to \
         the whole reply, time in the client's own queue included.",
        page.target().transport(),
        info.name,
        info.version,
    )
}

async fn loops(page: &Page, time: Duration, rate: u32) -> Outcome {
    page.say(
        "These clients are a closed loop: each asks again when it has its answer. If the server stalls, they stop asking, \
         so a stall of any length costs one slow operation per client. Real users do not wait for each other: they come \
         at their own rate. An open loop sends at a fixed rate, and counts latency from the moment at which an operation \
         should have started.",
    );
    let target = page.target();
    let length = SHORTEST_STALL.max(time / 20);
    let stall = Stall::prepare(target, length).await?;
    let slow = length / 2;
    let crowd = Crowd { in_flight: FEW, connections: 1, time };
    let (closed, stalled) = tokio::join!(crowd.run(target), make(stall.as_ref(), time / 3));
    let (closed, ()) = (closed?, stalled?);
    let open = Schedule { rate, connections: 1, time }.run(target, stall.as_ref()).await?;
    show_loops(page, &closed, &open, slow);
    let mut both = closed.clone();
    both.add_counts(&open);
    let right = "every operation of both loops was answered, and rightly".to_owned();
    page.check(both.blamed(right), both.is_right())?;
    if stall.is_none() {
        page.say("On a private server (--server valkey-9.1) this lesson stalls the server as well, to show the difference.");
        return Ok(());
    }
    verdict(page, &closed, &open, length, rate)
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

fn show_loops(page: &Page, closed: &Tally, open: &Tally, slow: Duration) {
    let waited = format!("over {} ms", slow.as_millis());
    let header = ["loop", "operations", "ops/s", "p50", "p99", "p99.9", waited.as_str()];
    let mut facts = Facts::new("The same stall in two loops", &header);
    for (word, tally) in [("closed", closed), ("open", open)] {
        let [p50, p99, p999, ..] = tally.cells();
        let (count, rate) = (thousands(tally.measured() as f64), thousands(tally.rate()));
        let over = thousands(tally.slower_than(slow) as f64);
        facts = facts.row([word.to_owned(), count, rate, p50, p99, p999, over]);
    }
    page.facts(facts);
}

fn verdict(page: &Page, closed: &Tally, open: &Tally, length: Duration, rate: u32) -> Outcome {
    let slow = length / 2;
    let (hidden, seen) = (closed.slower_than(slow), open.slower_than(slow));
    page.say(format!(
        "In both runs the server answered nobody for {} ms (CLIENT PAUSE, as a slow script, a fork or a full disk would). \
         Whoever came in the first half of that time waited for more than {} ms.",
        length.as_millis(),
        slow.as_millis(),
    ));
    // Half of the stall's arrivals; one may fall on the border.
    let arrivals = u128::from(rate) * slow.as_micros() / 1_000_000;
    page.check(
        format!("the open loop saw it: {} operations waited that long", thousands(seen as f64)),
        u128::from(seen) + 1 >= arrivals,
    )?;
    page.check(format!("the closed loop hid it: only {} did", thousands(hidden as f64)), hidden < seen)?;
    page.say(
        "So measure what users feel with an open loop, and what a server can do at most with a closed one; and say which it \
         was. (The effect is known as coordinated omission.)",
    );
    Ok(())
}

/// A thread or a system call that failed, as an error of a lesson.
fn stopped(error: &impl ToString) -> LessonError {
    RedisError::from(std::io::Error::other(error.to_string())).into()
}
