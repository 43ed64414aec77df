//! How far behind is a replica, and what do you lose if you forget it?
//!
//! `cargo ops replication`

use std::time::{Duration, Instant};

use lab_connection::Transcript;
use lab_runner::table::{Table, bytes, duration, thousands};
use lab_runner::{Lesson, LessonContext, LessonError, Outcome, Retry, source};
use lab_server::{Choice, Error, Proxy, Server};
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, RedisResult};

use crate::private::{self, READY_TIMEOUT, caught_up, connect, number, set_config};

/// A copy that is a little late, and what that means.
pub static LESSON: Lesson = Lesson {
    name: "replication",
    title: "Replication",
    question: "How far behind is a replica, and what do you lose if you forget it?",
    commands: &["ROLE", "WAIT", "REPLICAOF", "CONFIG"],
    needs: &[],
    sources: &[source!("src/replication.rs")],
    rule: "An acknowledged write is on one server. Only the number that WAIT returns says on how many more.",
    takeaways: &[
        "Read your own write from the primary, or send WAIT right after the write and read its number.",
        "min-replicas-to-write does not prevent loss. It limits how long a cut-off primary accepts writes that may be lost.",
        "Size repl-backlog-size for the longest break you expect, or each break copies everything again.",
    ],
    quiz: &[24, 25, 27, 28, 128, 132, 150, 152],
    run: |ctx| Box::pin(run(ctx)),
};

/// How long the link holds what the primary sends.
const DELAY: Duration = Duration::from_millis(20);
/// Writes that are read back from the replica at once, and how many of them with WAIT, which takes two delays each.
const WRITES: usize = 50;
const WAITED_WRITES: usize = 10;
/// Values of 1 kB: all data, what a short break misses, and what a long one misses.
const DATA: usize = 2_000;
const SHORT_BREAK: usize = 20;
const LONG_BREAK: usize = 400;
/// Orders that WAIT confirms in the last step.
const CONFIRMED: usize = 20;
/// Between two orders of the client that writes until it is refused.
const PACE: Duration = Duration::from_millis(2);

type Shown = Transcript<MultiplexedConnection>;

/// A primary, and a replica that follows it through a proxy.
struct Pair {
    primary: Server,
    replica: Server,
    link: Proxy,
}

/// Connections to both. What they send is not shown.
struct Quiet {
    primary: MultiplexedConnection,
    replica: MultiplexedConnection,
}

async fn run(ctx: &mut LessonContext) -> Outcome {
    let choice = private::choice(ctx.target())?;
    ctx.step(
        "This lesson breaks links and changes settings, so it starts its own servers and sends nothing to yours: a primary, and a \
         replica that follows it through a proxy. The proxy can hold, delay, and cut what the primary sends. All are gone when the \
         lesson ends.",
    )
    .await?;
    ctx.function("start_pair");
    let started = choice.clone();
    let pair = private::blocking(move || start_pair(started)).await?;
    let mut quiet = Quiet { primary: connect(&pair.primary).await?, replica: connect(&pair.replica).await? };
    let mut primary = ctx.redis_of("primary", connect(&pair.primary).await?);
    let mut replica = ctx.redis_of("replica", connect(&pair.replica).await?);

    see_the_lag(ctx, &pair, &mut primary, &mut replica).await?;
    read_your_own_write(ctx, &pair, &mut quiet).await?;
    wait_for_nobody(ctx, &pair, &mut primary, &mut replica).await?;
    refuse_writes(ctx, &pair, &mut quiet, &mut primary).await?;
    resynchronize(ctx, &pair, &mut quiet).await?;
    promote_the_wrong_one(ctx, &pair, choice, &mut replica).await
}

fn start_pair(choice: Choice) -> Result<Pair, Error> {
    let builder = Server::builder()
        .choice(choice)
        .config("repl-backlog-size", "64kb")
        .config("repl-diskless-load", "swapdb")
        .config("rdbcompression", "no");
    let primary = builder.clone().start()?;
    let link = Proxy::in_front_of(&primary)?;
    let through_the_link = format!("127.0.0.1 {}", link.port());
    let replica = builder.replica_of(&primary).config("replicaof", through_the_link).start()?;
    Ok(Pair { primary, replica, link })
}

async fn see_the_lag(ctx: &LessonContext, pair: &Pair, primary: &mut Shown, replica: &mut Shown) -> Outcome {
    ctx.step(
        "A primary answers first and sends the write to its replicas afterward. Here the link holds everything for a moment. ROLE still \
         says master and slave. On the primary, it shows how many bytes were written, and how many each replica has confirmed, once a \
         second. On the replica, it shows how many were applied. The lag is what was written minus what was applied:",
    )
    .await?;
    pair.link.set_dropping(true);
    primary.set("price:1", 1999).await?;
    let early = replica.get("price:1").await?;
    let written: (String, u64, redis::Value) = redis::cmd("ROLE").query_async(primary).await?;
    let applied: (String, String, u16, String, u64) = redis::cmd("ROLE").query_async(replica).await?;
    ctx.check("the primary said OK, and the replica does not have the price", early.is_none())?;
    ctx.check(format!("it is {} bytes behind", written.1.saturating_sub(applied.4)), applied.4 < written.1)?;

    ctx.step("The link lets go. WAIT returns how many replicas have everything that this connection wrote, here after at most 5,000 ms:").await?;
    pair.link.set_dropping(false);
    let copies: u32 = redis::cmd("WAIT").arg(1).arg(5_000).query_async(primary).await?;
    let late = replica.get("price:1").await?;
    ctx.check("WAIT said 1, and now the replica has it", copies == 1 && late.as_deref() == Some("1999"))
}

async fn read_your_own_write(ctx: &LessonContext, pair: &Pair, quiet: &mut Quiet) -> Outcome {
    ctx.step(format!(
        "A customer changes the address, and the next page reads it from a replica. With {} ms between the two servers, count how often \
         that page shows the old address. Then do the same with WAIT, which goes right after the write, in the same pipeline on the same \
         connection:",
        DELAY.as_millis()
    ))
    .await?;
    ctx.function("write_and_wait");
    ctx.announce(
        "SET and WAIT go to the private primary, GET to both. INFO asks whether the replica has caught up.",
    );
    pair.link.set_delay(DELAY);
    let mut rows = Vec::new();
    for (label, way, writes) in [
        ("write, read the replica", Way::Replica, WRITES),
        ("write, WAIT 1, read the replica", Way::WaitThenReplica, WAITED_WRITES),
        ("write, read the primary", Way::Primary, WRITES),
    ] {
        rows.push((label, writes, count_stale(way, writes, quiet).await?));
    }
    pair.link.set_delay(Duration::ZERO);
    let header = ["way", "writes", "old value read", "time for each"];
    ctx.table(rows.iter().fold(
        Table::new("Reading your own write", &header),
        |table, (label, writes, found)| {
            let each = found.took / u32::try_from(*writes).unwrap_or(u32::MAX);
            table.labeled(*label, [writes.to_string(), found.stale.to_string(), duration(each)])
        },
    ));
    let stale: Vec<usize> = rows.iter().map(|(_, _, found)| found.stale).collect();
    ctx.check(format!("without WAIT, the replica showed the old address {} times", stale[0]), stale[0] > 0)?;
    ctx.check("after WAIT said 1, never; from the primary, never", stale[1] == 0 && stale[2] == 0)
}

#[derive(Clone, Copy)]
enum Way {
    Replica,
    WaitThenReplica,
    Primary,
}

struct Stale {
    stale: usize,
    took: Duration,
}

/// Writes and reads back at once, and counts how often an older value came.
async fn count_stale(way: Way, writes: usize, quiet: &mut Quiet) -> Result<Stale, LessonError> {
    caught_up(&mut quiet.primary, &mut quiet.replica).await?;
    quiet.primary.set("address", "none").await?;
    let (mut stale, begun) = (0, Instant::now());
    for number in 0..writes {
        let address = format!("{number} Main Street");
        if matches!(way, Way::WaitThenReplica) {
            let copies = write_and_wait(&mut quiet.primary, &address).await?;
            if copies == 0 {
                return Err(LessonError::Check("the replica answers WAIT within five seconds".to_owned()));
            }
        } else {
            quiet.primary.set("address", &address).await?;
        }
        let read = match way {
            Way::Primary => quiet.primary.get("address").await?,
            Way::Replica | Way::WaitThenReplica => quiet.replica.get("address").await?,
        };
        stale += usize::from(read.as_ref() != Some(&address));
    }
    Ok(Stale { stale, took: begun.elapsed() })
}

async fn write_and_wait(primary: &mut MultiplexedConnection, address: &str) -> RedisResult<u32> {
    let mut pipeline = redis::pipe();
    pipeline.set("address", address).ignore();
    pipeline.cmd("WAIT").arg(1).arg(5_000);
    let (copies,): (u32,) = pipeline.query_async(primary).await?;
    Ok(copies)
}

async fn wait_for_nobody(
    ctx: &LessonContext,
    pair: &Pair,
    primary: &mut Shown,
    replica: &mut Shown,
) -> Outcome {
    let guess = ctx
        .step(
            "What does WAIT do when no replica answers? The cable is pulled, and both servers still believe they are connected. A client \
             writes three orders, and waits 100 ms for a replica:",
        )
        .predict("How many of the orders does the primary have afterward?", ["0", "1", "3"])
        .await?;
    pair.link.set_dropping(true);
    let mut pipeline = redis::pipe();
    pipeline.set("order:1", "paid").set("order:2", "paid").set("order:3", "paid");
    pipeline.cmd("WAIT").arg(1).arg(100);
    let replies: Vec<redis::Value> = pipeline.query_async(primary).await?;
    let mut count = redis::cmd("EXISTS");
    count.arg("order:1").arg("order:2").arg("order:3");
    let stored: u32 = count.query_async(primary).await?;
    let copied: u32 = count.query_async(replica).await?;
    guess.answer(stored)?;
    ctx.check("WAIT said 0, after 100 ms", replies.last() == Some(&redis::Value::Int(0)))?;
    ctx.check(
        "and undid nothing: the primary has all 3 orders, the replica none",
        (stored, copied) == (3, 0),
    )?;
    pair.link.set_dropping(false);
    ctx.say(
        "So 0 is not an error that the server handles for you. Your code decides: try again, tell the customer to wait, or accept the \
         risk. If you ignore the number, WAIT protects nothing.",
    );
    Ok(())
}

async fn refuse_writes(ctx: &LessonContext, pair: &Pair, quiet: &mut Quiet, primary: &mut Shown) -> Outcome {
    let guess = ctx
        .step(
            "A primary that is cut off from its replicas goes on acknowledging, and if it dies, all of that is gone. With \
             min-replicas-to-write 1, it refuses writes when no replica has reported within min-replicas-max-lag seconds. The cable is \
             pulled again, and a client writes an order every 2 ms until it is refused:",
        )
        .predict("If the primary dies then, are acknowledged orders lost?", ["yes", "no"])
        .await?;
    let mut settings = redis::cmd("CONFIG");
    settings.arg("SET").arg("min-replicas-to-write").arg(1).arg("min-replicas-max-lag").arg(1);
    settings.exec_async(primary).await?;
    ctx.function("write_until_refused");
    ctx.announce("RPUSH adds the orders, LLEN counts them on both servers, and INFO asks whether the replica has caught up.");
    caught_up(&mut quiet.primary, &mut quiet.replica).await?;
    pair.link.set_dropping(true);
    let begun = Instant::now();
    let (acknowledged, refusal) = write_until_refused(&mut quiet.primary).await?;
    let took = begun.elapsed();
    let stored = quiet.primary.llen("orders").await?;
    let copied = quiet.replica.llen("orders").await?;
    pair.link.set_dropping(false);
    ctx.listing(&refusal);
    ctx.table(
        Table::new(
            "After the cut",
            &["acknowledged", "on the replica", "would be lost", "first refusal after"],
        )
        .row([stored.to_string(), copied.to_string(), (stored - copied).to_string(), duration(took)]),
    );
    guess.answer(if stored > copied { "yes" } else { "no" })?;
    ctx.check(
        "every acknowledged order is on the primary, and none on the replica",
        stored == acknowledged && copied == 0,
    )?;
    ctx.say(
        "The loss is limited now, but it is not zero: a silent link is noticed after max-lag plus up to a second. (A link that is \
         closed, because the replica died, is noticed at once.) The default of min-replicas-to-write is 0: no limit at all.",
    );
    set_config("min-replicas-to-write", 0, &mut quiet.primary).await?;
    ctx.announce("CONFIG SET turns it off again.");
    caught_up(&mut quiet.primary, &mut quiet.replica).await
}

/// Makes a server the replica of the one on this port.
pub(crate) async fn follow(port: u16, replica: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec_async(replica).await
}

/// How many orders were acknowledged, and the error that ended it.
async fn write_until_refused(primary: &mut MultiplexedConnection) -> Result<(usize, String), LessonError> {
    let mut pace = tokio::time::interval(PACE);
    let begun = Instant::now();
    for acknowledged in 0.. {
        match primary.rpush("orders", acknowledged).await {
            Ok(_) if begun.elapsed() > READY_TIMEOUT => break,
            Ok(_) => pace.tick().await,
            Err(error) if error.code() == Some("NOREPLICAS") => {
                return Ok((acknowledged, private::server_error(&error)));
            }
            Err(error) => return Err(error.into()),
        };
    }
    Err(LessonError::Check("the primary refuses writes without a replica".to_owned()))
}

async fn resynchronize(ctx: &LessonContext, pair: &Pair, quiet: &mut Quiet) -> Outcome {
    ctx.step(format!(
        "A link that was cut comes back. The primary keeps its latest writes in a ring buffer, the backlog (repl-backlog-size: 1 MB by \
         default in Redis, 10 MB in Valkey, 64 kB here). If the replica's offset is still in it, the replica gets just the rest: a partial \
         resync. If not, it gets everything again: a full one. The servers hold {} values of 1 kB. INFO counts:",
        thousands(DATA as f64)
    ))
    .await?;
    ctx.function("cut_write_and_mend");
    ctx.announce("SET writes the values. INFO reads sync_full, sync_partial_ok, and the offsets. The proxy counts bytes.");
    write_values("value", DATA, &mut quiet.primary).await?;
    caught_up(&mut quiet.primary, &mut quiet.replica).await?;
    let short = cut_write_and_mend("short", SHORT_BREAK, pair, quiet).await?;
    let long = cut_write_and_mend("long", LONG_BREAK, pair, quiet).await?;
    let header = ["break", "written meanwhile", "partial resyncs", "full resyncs", "sent to the replica"];
    let row = |label: &str, values: usize, syncs: &Syncs| {
        let written = format!("{values} kB");
        [label.to_owned(), written, syncs.partial.to_string(), syncs.full.to_string(), bytes(syncs.sent)]
    };
    ctx.table(
        Table::new("Two breaks", &header)
            .row(row("short", SHORT_BREAK, &short))
            .row(row("long", LONG_BREAK, &long)),
    );
    ctx.check("the short break cost a partial resync", (short.partial, short.full) == (1, 0))?;
    ctx.check("the long one cost a full resync", (long.partial, long.full) == (0, 1))?;
    ctx.check("the full one sent all data again", long.sent > DATA * 1_000)?;
    ctx.announce("DBSIZE counts the keys on both.");
    let on_primary: usize = redis::cmd("DBSIZE").query_async(&mut quiet.primary).await?;
    let on_replica: usize = redis::cmd("DBSIZE").query_async(&mut quiet.replica).await?;
    ctx.check_eq("either way, the replica has as many keys as the primary", &on_replica, &on_primary)
}

/// What the primary counted during a break, and how many bytes it sent.
struct Syncs {
    partial: u64,
    full: u64,
    sent: usize,
}

async fn cut_write_and_mend(
    name: &str,
    values: usize,
    pair: &Pair,
    quiet: &mut Quiet,
) -> Result<Syncs, LessonError> {
    let before = Syncs::of(&pair.link, &mut quiet.primary).await?;
    // The replica connects again at once, and the proxy holds what it says.
    pair.link.set_dropping(true);
    pair.link.cut_all();
    let mut retry = Retry::within(READY_TIMEOUT);
    while number(&mut quiet.primary, "replication", "connected_slaves").await? > 0 {
        retry.again("the primary notices that the link is cut").await?;
    }
    write_values(name, values, &mut quiet.primary).await?;
    pair.link.set_dropping(false);
    caught_up(&mut quiet.primary, &mut quiet.replica).await?;
    let after = Syncs::of(&pair.link, &mut quiet.primary).await?;
    Ok(Syncs {
        partial: after.partial - before.partial,
        full: after.full - before.full,
        sent: after.sent - before.sent,
    })
}

impl Syncs {
    async fn of(link: &Proxy, primary: &mut MultiplexedConnection) -> Result<Self, LessonError> {
        let partial = number(primary, "stats", "sync_partial_ok").await?;
        let full = number(primary, "stats", "sync_full").await?;
        Ok(Self { partial, full, sent: usize::try_from(link.bytes_from_server()).unwrap_or(usize::MAX) })
    }
}

async fn write_values(name: &str, values: usize, primary: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut pipeline = redis::pipe();
    for number in 0..values {
        pipeline.set(format!("{name}:{number}"), "x".repeat(1_000)).ignore();
    }
    pipeline.exec_async(primary).await
}

async fn promote_the_wrong_one(
    ctx: &LessonContext,
    pair: &Pair,
    choice: Choice,
    replica: &mut Shown,
) -> Outcome {
    ctx.step(
        "Last, what WAIT does not promise. A second replica joins, close to the primary. Then the link of the first one is cut. WAIT 1 \
         counts any replica:",
    )
    .await?;
    let builder = Server::builder().choice(choice).replica_of(&pair.primary);
    let near = private::blocking(move || builder.start()).await?;
    pair.link.set_dropping(true);
    ctx.function("write_confirmed_orders");
    ctx.announce("RPUSH adds each order, and WAIT 1 confirms it.");
    let confirmed = write_confirmed_orders(&mut connect(&pair.primary).await?).await?;
    ctx.check_eq("WAIT said 1 for every order", &confirmed, &CONFIRMED)?;

    let guess = ctx
        .step("The primary dies, and somebody in a hurry promotes the replica whose link was cut:")
        .predict("How many of the confirmed orders does it have?", ["none", "some", "all"])
        .await?;
    pair.primary.pause().map_err(private::failure)?;
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec_async(replica).await?;
    let kept = replica.llen("confirmed").await?;
    let mut other = ctx.redis_of("near", connect(&near).await?);
    let on_the_other = other.llen("confirmed").await?;
    guess.answer(match kept {
        0 => "none",
        CONFIRMED => "all",
        _ => "some",
    })?;
    ctx.check(format!("it has {kept} of {CONFIRMED} confirmed orders"), kept == 0)?;
    ctx.check_eq("the other replica has all of them", &on_the_other, &CONFIRMED)?;
    pair.primary.resume().map_err(private::failure)?;
    ctx.say(
        "WAIT promises that some replica has the write. The failover must then choose that replica: promote the one with the highest \
         offset, as Sentinel and Cluster try to. WAIT for all replicas makes the choice irrelevant, and then each slow replica slows you.",
    );
    Ok(())
}

/// How many orders WAIT confirmed.
async fn write_confirmed_orders(primary: &mut MultiplexedConnection) -> RedisResult<usize> {
    let mut confirmed = 0;
    for order in 0..CONFIRMED {
        let mut pipeline = redis::pipe();
        pipeline.rpush("confirmed", order).ignore();
        pipeline.cmd("WAIT").arg(1).arg(5_000);
        let (copies,): (u32,) = pipeline.query_async(primary).await?;
        confirmed += usize::from(copies > 0);
    }
    Ok(confirmed)
}
