//! How many operations at once keep a server busy, and what do they wait for?
//!
//! `cargo bulk concurrency`

use std::cmp::Ordering;
use std::time::Duration;

use clap::Args;
use lab_connection::connection::LimitedClusterConnection;
use lab_measure::concurrency::{LOOPS, Load, LoadStats, Stall, TimingPlan, measure};
use lab_runner::caveat::Caveat;
use lab_runner::environment::environment;
use lab_runner::measurement::{Measured, MeasuredRow};
use lab_runner::statistics::Summary;
use lab_runner::table::{Table, duration, percent, thousands};
use lab_runner::{Lesson, LessonContext, Outcome, source};
use redis::AsyncTypedCommands;

use crate::keys::Keys;

/// The lesson: the command in small sizes.
pub static LESSON: Lesson = Lesson {
    name: "concurrency",
    title: "Many operations in flight",
    question: "How many operations at once keep a server busy, and what do they wait for?",
    commands: &["GET", "SET"],
    needs: &[],
    sources: &[source!("src/concurrency.rs")],
    rule: "Keep enough operations in flight that the server never waits for you, and no more.",
    takeaways: &[
        "One connection carries thousands of operations: redis-rs sends them as they come and hands out the replies in order.",
        "A busy server gets no faster with more in flight: latency is operations in flight divided by operations a second.",
        "A closed loop measures what a server can do at most; an open loop measures what users feel. Say which one it was.",
    ],
    quiz: &[10, 53, 54, 55, 88, 90, 153, 157],
    run: |ctx| Box::pin(run(ctx, Options { seconds: 5, rate: 2_000 })),
};

/// Operations in flight, and over how many connections, the most important first.
const LOADS: [(usize, usize); 12] = [
    (1, 1),
    (1_000, 1),
    (5_000, 1),
    (5_000, 4),
    (5_000, 50),
    (100, 1),
    (10, 1),
    (1_000, 50),
    (1_000, 4),
    (100, 50),
    (100, 4),
    (10, 4),
];
/// On a slow network, this many of them.
const FEWEST_LOADS: usize = 5;
const MOST_IN_FLIGHT: usize = 5_000;
/// Keys that stay for you to look at.
const KEPT: usize = 10;
/// Operations in flight in the closed loop that meets a stall.
const FEW: usize = 10;
/// Rounds of each table.
const ROUNDS: u32 = 3;
/// The share of the time that goes into the table of [`LOADS`]. The two loops with a stall share the rest.
const TABLE_SHARE: f64 = 0.7;
const STALL: Duration = Duration::from_millis(100);

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

pub(crate) async fn run(ctx: &mut LessonContext, options: Options) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let every_key: Vec<String> = (0..MOST_IN_FLIGHT).map(|client| keys.concurrency(client)).collect();
    ctx.start_clean(&every_key).await?;
    let seconds = f64::from(options.seconds);

    one_client(ctx, &keys).await?;
    let turns = f64::from(ROUNDS) * LOADS.len() as f64;
    many_in_flight(ctx, turn(ctx, seconds * TABLE_SHARE / turns)).await?;
    let turns = f64::from(ROUNDS) * 2.0;
    stall_both_loops(ctx, turn(ctx, seconds * (1.0 - TABLE_SHARE) / turns), options.rate).await?;

    ctx.start_clean(&every_key[KEPT..]).await?;
    ctx.keys(every_key.into_iter().take(KEPT));
    Ok(())
}

/// How long a turn is: two round trips, at least.
fn turn(ctx: &LessonContext, seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds).max(2 * ctx.round_trip())
}

async fn one_client(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let (mut redis, key) = (ctx.redis(), keys.concurrency(0));

    ctx.step(
        "One client that waits for every reply uses a server badly. Most of the time, a command or a reply is on its way, and \
         the server has nothing to do. Here are two commands, one after the other.",
    )
    .await?;
    redis.set(&key, "first").await?;
    let value = redis.get(&key).await?;
    ctx.check("GET returns what SET wrote", value.as_deref() == Some("first"))
}

async fn many_in_flight(ctx: &LessonContext, turn: Duration) -> Outcome {
    ctx.step(
        "So keep more operations in flight. Many clients each do one SET and three GETs on a key of their own, again and again, \
         and check every reply. They share connections: redis-rs sends the commands of all clients as they come and hands out \
         the replies in order, so one socket carries thousands of operations.",
    )
    .await?;
    ctx.code(LOOPS.function("send_and_wait"));
    if ctx.target().is_cluster() {
        ctx.say(format!(
            "To a cluster, each connection lets {} of them in at a time. The others wait for their turn, and that counts.",
            LimitedClusterConnection::MAX_IN_FLIGHT
        ));
    }

    let mut loads = LOADS.to_vec();
    loads.truncate(ctx.fit("loads", LOADS.len(), FEWEST_LOADS, f64::from(ROUNDS) * 3.0));
    loads.sort_unstable();
    let guess = ctx
        .step(
            "This is a closed loop: each client sends the next operation when it has the reply to the last one. First there is one \
             client, at the end there are 5,000.",
        )
        .predict(
            "From the first row to the last, what grows more?",
            ["operations a second", "the time that each takes"],
        )
        .await?;
    ctx.announce("Up to 5,000 clients send SET and GET over up to 50 connections, to measure how many the server answers.");
    let closed = loads.iter().map(|&(in_flight, connections)| Load::Closed { in_flight, connections });
    let plan = TimingPlan { rounds: ROUNDS as usize, turn, stall: None };
    let measured = measure(ctx.target(), closed.collect(), plan).await?;
    let header = ["in flight", "sockets", "ops/s", "spread", "p50", "p99", "p99.9", "errors", "wrong"];
    let (mut table, mut all) =
        (Table::new("Operations in flight (closed loop)", &header), LoadStats::default());
    for ((in_flight, connections), (stats, rate)) in loads.iter().zip(&measured) {
        let load = [in_flight, connections].map(|number| thousands(*number as f64));
        let counts = [stats.errors, stats.wrong].map(|count| count.to_string());
        table = table.row(load.into_iter().chain(rate_and_latency(stats, rate)).chain(counts));
        all.add(stats);
    }
    let labels = || loads.iter().map(|(in_flight, connections)| format!("{in_flight} over {connections}"));
    ctx.table(with_rounds(table, labels(), &measured));
    guess.answer(what_grew_more(&measured))?;
    foot(ctx, labels(), &measured);
    let answered = thousands(all.answered as f64);
    let right = format!("all {answered} replies were right, with 5,000 operations in flight, too");
    ctx.check(all.claim(right), all.is_right())?;

    let rates = measured.iter().map(|(_, rate)| rate.median);
    let (alone, best) = (measured[0].1.median.max(1.0), rates.fold(0.0, f64::max));
    ctx.step(format!(
        "This project was asked for 'thousands of concurrent operations', without a number. Ours: 5,000 in flight over 1, 4 and \
         50 connections, errors {}. The best load did {:.0} times as much as one client.",
        all.errors,
        best / alone,
    ))
    .await?;
    ctx.say(
        "Once the server is always busy, more in flight does not make it faster. The operations only wait longer: latency is \
         operations in flight divided by operations a second (Little's law). Compare p50 at 1,000 and at 5,000. Whether more \
         connections help on this machine, the rows with the same number in flight tell.",
    );
    Ok(())
}

/// From the first load to the last: the rate, or the median latency.
fn what_grew_more(measured: &[(LoadStats, Summary)]) -> &'static str {
    let ends = [measured.first(), measured.last()];
    let [Some((first, first_rate)), Some((last, last_rate))] = ends else { return "operations a second" };
    let rates = last_rate.median / first_rate.median.max(1.0);
    let latencies = last.quantile(0.5).as_secs_f64() / first.quantile(0.5).as_secs_f64().max(1e-9);
    if rates > latencies { "operations a second" } else { "the time that each takes" }
}

async fn stall_both_loops(ctx: &LessonContext, turn: Duration, rate: u32) -> Outcome {
    ctx.step(
        "In a closed loop, each client waits for its reply before it sends the next operation. Real users do not wait for each \
         other. An open loop sends at a fixed rate, and counts latency from the moment at which an operation should have begun.",
    )
    .await?;
    ctx.code(LOOPS.function("operate"));

    let target = ctx.target();
    // The stall begins after a third of a turn and must end before the turn does.
    let turn = if target.private().is_some() { turn.max(STALL * 2) } else { turn };
    let stall = Stall::prepare(target, STALL).await?;
    let slow = STALL / 2;
    let guess = ctx
        .step(format!(
            "Here are both loops: {FEW} clients, and {rate} operations a second. On a private server, each loop meets the same \
             stalls of {} ms.",
            STALL.as_millis()
        ))
        .predict(
            format!("In which loop do more operations take over {} ms?", slow.as_millis()),
            ["the closed one", "the open one", "in both alike"],
        )
        .await?;
    ctx.announce(format!(
        "{FEW} clients send SET and GET in a closed loop, then {rate} operations a second begin in an open loop. CLIENT PAUSE \
         stalls the server, if it is private, to show which loop sees it.",
    ));
    let loads = vec![Load::Closed { in_flight: FEW, connections: 1 }, Load::Open { rate, connections: 1 }];
    let is_private = stall.is_some();
    let measured = measure(target, loads, TimingPlan { rounds: ROUNDS as usize, turn, stall }).await?;
    let waited = format!("over {} ms", slow.as_millis());
    let header = ["loop", "operations", "ops/s", "spread", "p50", "p99", "p99.9", waited.as_str()];
    let mut table = Table::new("The same stall in two loops", &header);
    for (name, (stats, rate)) in ["closed", "open"].into_iter().zip(&measured) {
        let row = [name.to_owned(), thousands(stats.measured() as f64)].into_iter();
        let row = row.chain(rate_and_latency(stats, rate));
        table = table.row(row.chain([thousands(stats.slower_than(slow) as f64)]));
    }
    let labels = || ["closed", "open"].map(str::to_owned).into_iter();
    ctx.table(with_rounds(table, labels(), &measured));
    foot(ctx, labels(), &measured);
    let [(closed, _), (open, _)] = &measured[..] else { return Ok(()) };
    let (hidden, seen) = (closed.slower_than(slow), open.slower_than(slow));
    guess.answer(match hidden.cmp(&seen) {
        Ordering::Greater => "the closed one",
        Ordering::Less => "the open one",
        Ordering::Equal => "in both alike",
    })?;
    let mut both = closed.clone();
    both.add(open);
    let right = "every operation of both loops was answered, and rightly".to_owned();
    ctx.check(both.claim(right), both.is_right())?;
    if !is_private {
        ctx.say("On a private server (--server valkey-9.1), this lesson also stalls the server, to show the difference.");
        return Ok(());
    }
    ctx.say(format!(
        "While the server stalls, the clients of a closed loop stop sending. So a stall of any length costs one slow operation per \
         client. In each turn, the server did not answer for {} ms (CLIENT PAUSE), as with a slow script, a fork, or a full disk. What \
         arrived in the first half of that time waited for more than {} ms.",
        STALL.as_millis(),
        slow.as_millis(),
    ));
    // In each round, half of the stall's arrivals, and one may be on the border.
    let arrivals = u128::from(rate) * slow.as_micros() / 1_000_000;
    let at_least = u128::from(ROUNDS) * arrivals.saturating_sub(1);
    ctx.check(
        format!("the open loop saw it: {} operations waited that long", thousands(seen as f64)),
        u128::from(seen) >= at_least,
    )?;
    ctx.check(format!("the closed loop hid it: only {} did", thousands(hidden as f64)), hidden < seen)?;
    ctx.say("The effect is known as coordinated omission.");
    Ok(())
}

/// Operations a second, their spread, p50, p99, and p99.9, as cells of a table.
fn rate_and_latency(stats: &LoadStats, rate: &Summary) -> [String; 5] {
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| duration(stats.quantile(share)));
    [thousands(rate.median), percent(rate.spread), p50, p99, p999]
}

/// The table with the rates of its rounds, and the latency curves.
fn with_rounds(
    table: Table,
    labels: impl Iterator<Item = String>,
    measured: &[(LoadStats, Summary)],
) -> Table {
    let rows = labels.zip(measured).map(|(label, (stats, rate))| {
        let row = MeasuredRow { label, rounds: rate.clone(), latency: Vec::new() };
        row.with_latency(stats.measured(), |share| {
            u64::try_from(stats.quantile(share).as_nanos()).unwrap_or(u64::MAX)
        })
    });
    let rows = rows.collect();
    table.with_rounds(Measured { unit: "operations/s".into(), less_is_better: false, rows })
}

/// What the numbers hold for, and which row is noisy.
fn foot(ctx: &LessonContext, labels: impl Iterator<Item = String>, measured: &[(LoadStats, Summary)]) {
    ctx.say(format!(
        "One client thread; {ROUNDS} interleaved rounds; median. The first tenth of each turn of a closed loop is not counted. \
         Latency is from sending to the whole reply, with the time in the client's own queue. {}.",
        environment(ctx.target()).join(", "),
    ));
    let rates: Vec<(String, Summary)> = labels.zip(measured.iter().map(|(_, rate)| rate.clone())).collect();
    let caveats = Caveat::about(&rates, false);
    if let Some(noisy) = caveats.iter().find(|caveat| matches!(caveat, Caveat::Noisy { .. })) {
        ctx.say(noisy.advice());
    }
}
