//! Who replaces a primary that is gone, and which acknowledged writes does that cost?
//!
//! `cargo ops sentinel`
//!
//! `client` finds the primary and writes through a failover; `majority` shows what two Sentinels cannot do.

pub mod client;
mod majority;

use std::time::{Duration, Instant};

use lab_runner::table::{Table, duration};
use lab_runner::{Lesson, LessonContext, LessonError, Outcome, Retry, source};
use lab_server::{Choice, Error, PRIMARY_NAME, Proxy, Sentinels, Server};
use redis::aio::MultiplexedConnection;
use redis::{AsyncTypedCommands, RedisResult};

use self::client::Client;
use self::majority::Attempt;
use crate::private::{self, READY_TIMEOUT, code, connect, info};
use crate::replication::follow;

/// Processes that replace a primary, and the writes that this costs.
pub static LESSON: Lesson = Lesson {
    name: "sentinel",
    title: "Sentinel",
    question: "Who replaces a primary that is gone, and which acknowledged writes does that cost?",
    commands: &["SENTINEL", "ROLE", "CONFIG"],
    needs: &[],
    sources: &[
        source!("src/sentinel.rs"),
        source!("src/sentinel/client.rs"),
        source!("src/sentinel/majority.rs"),
    ],
    rule: "Ask Sentinel for the primary each time you connect, and count on losing what no replica had.",
    takeaways: &[
        "A failover keeps what the promoted replica has. What the old primary acknowledged beyond that is deleted when it comes back.",
        "Set min-replicas-to-write, so that a primary that was replaced without knowing it refuses writes.",
        "Run three Sentinels on three machines: the quorum finds the primary down, but only a majority may replace it.",
    ],
    quiz: &[26, 29, 129, 156],
    run: |ctx| Box::pin(run(ctx)),
};

/// After this long without a reply, a Sentinel takes a server for down.
const DOWN_AFTER: Duration = Duration::from_millis(500);
/// Orders that both replicas have, that none has, and that follow the failover.
const COPIED: u32 = 200;
const CUT_OFF: u32 = 500;
const AFTERWARD: u32 = 200;
/// Orders that an old client writes to the old primary.
const STALE: u32 = 50;
const FIRST_STALE: u32 = 1_000_000;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let choice = private::choice(ctx.target())?;
    ctx.step(
        "This lesson stops primaries, so it starts its own servers and sends nothing to yours: a primary, two replicas, and three \
         Sentinels. Sentinels are processes that ask the primary every second whether it is there. They store no data. Their \
         configuration:",
    )
    .await?;
    ctx.listing(format!(
        "sentinel monitor {PRIMARY_NAME} 127.0.0.1 PORT 2\nsentinel down-after-milliseconds {PRIMARY_NAME} {}",
        DOWN_AFTER.as_millis()
    ));
    ctx.say(
        "The 2 is the quorum: so many Sentinels must agree that the primary is down. The replicas and the other Sentinels are in no \
         file. A Sentinel asks the primary for its replicas, and finds the others by what they publish there.",
    );
    // It takes some seconds, so it runs beside the rest.
    let two = private::blocking({
        let choice = choice.clone();
        move || majority::fail_over_with_two(choice, DOWN_AFTER)
    });
    let main = async {
        let group = private::blocking(move || start_group(choice)).await?;
        ask(ctx, &group).await?;
        fail_over(ctx, &group).await
    };
    // A task of its own, so it goes on while a step waits for Enter.
    let two = tokio::spawn(two);
    main.await?;
    let attempt = two.await.map_err(private::failure)??;
    two_are_not_enough(ctx, &attempt).await
}

fn start_group(choice: Choice) -> Result<Sentinels, Error> {
    let builder = Server::builder().choice(choice).config("repl-diskless-load", "swapdb");
    Sentinels::start_with(builder, 2, 3, 2, DOWN_AFTER)
}

async fn ask(ctx: &LessonContext, group: &Sentinels) -> Outcome {
    let mut sentinel = ctx.redis_of("sentinel", connect(&group.sentinels[0]).await?);
    ctx.step("A client is configured with the Sentinels and the name of the primary, never with its address. It asks any Sentinel:").await?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(PRIMARY_NAME);
    let (_host, port): (String, u16) = question.query_async(&mut sentinel).await?;
    let verdict: String =
        redis::cmd("SENTINEL").arg("CKQUORUM").arg(PRIMARY_NAME).query_async(&mut sentinel).await?;
    ctx.check_eq("that is the primary", &port, &group.data.primary.port())?;
    ctx.check(
        "CKQUORUM says that a failover is possible: ask it in your monitoring",
        verdict.starts_with("OK 3 "),
    )?;
    ctx.say(
        "A Sentinel can be behind, too. So the client asks them in turn, connects, and asks the server itself with ROLE. It does all of \
         this again after each error:",
    );
    ctx.function("discover");
    Ok(())
}

async fn fail_over(ctx: &LessonContext, group: &Sentinels) -> Outcome {
    let primary = &group.data.primary;
    let guess = ctx
        .step(format!(
            "Now a failover under writes. A client writes {COPIED} orders, and WAIT says that both replicas have them. Then the link \
             between the primary and its replicas breaks, and nobody notices. The primary acknowledges {CUT_OFF} more. Then its machine \
             hangs, and a replica is promoted."
        ))
        .predict(format!("How many of the {CUT_OFF} orders does the new primary have?"), ["none", "some", "all"])
        .await?;
    ctx.function("write_through_a_failover");
    ctx.announce(
        "The client sends SENTINEL GET-MASTER-ADDR-BY-NAME, ROLE, SET, and WAIT. REPLICAOF leads the replicas through a proxy, which \
         then stops forwarding. EXISTS counts the orders afterward.",
    );
    let link = Proxy::in_front_of(primary).map_err(private::failure)?;
    let mut written = write_through_a_failover(group, &link).await?;

    let mut new = written.client.connection().await?;
    let mut table =
        Table::new("After the failover", &["orders", "acknowledged", "on the new primary", "lost"]);
    let mut lost = Vec::new();
    for (label, orders) in PARTS.into_iter().zip(&written.parts) {
        let kept = client::count(orders, &mut new).await?;
        lost.push(orders.len() - kept);
        table = table.labeled(label, [orders.len(), kept, orders.len() - kept]);
    }
    ctx.table(table);
    guess.answer(match lost[1] {
        0 => "all",
        lost if lost == CUT_OFF as usize => "none",
        _ => "some",
    })?;
    ctx.say(format!("For {}, no write was possible.", duration(written.unavailable)));
    ctx.check_eq("WAIT said 0 for one order after the cut", &written.wait_said, &0)?;
    ctx.check_eq(
        "all that was acknowledged after the cut is lost, and nothing else",
        &lost,
        &vec![0, CUT_OFF as usize, 1, 0],
    )?;
    ctx.say(
        "For one of the lost orders the client had sent WAIT, which said 0. This client knew that no replica had the order, and could \
         hold back its 'thank you'. The others could not know.",
    );
    come_back(ctx, group, &mut written, &mut new).await
}

/// What a client wrote, and what it wrote it with.
struct Written {
    /// Orders that were acknowledged, see [`PARTS`].
    parts: [Vec<u32>; 4],
    /// How many replicas had the third part.
    wait_said: u32,
    /// From the moment when the primary hung to the first order on the new one.
    unavailable: Duration,
    client: Client,
    /// Its connection to the old primary.
    old: MultiplexedConnection,
}

/// When the client wrote.
const PARTS: [&str; 4] =
    ["before the cut, WAIT said 2", "after the cut", "after the cut, WAIT said 0", "after the failover"];

async fn write_through_a_failover(group: &Sentinels, link: &Proxy) -> Result<Written, LessonError> {
    for replica in &group.data.replicas {
        let mut replica = connect(replica).await?;
        follow(link.port(), &mut replica).await?;
    }
    let mut client = Client::new(group);
    let mut old = client.connection().await?;
    let copied = client.write(COPIED).await?;
    wait_for_copies(2, &mut old).await?;

    link.set_dropping(true);
    let cut_off = client.write(CUT_OFF).await?;
    let (with_wait, wait_said) = client.write_and_wait(&mut old).await?;
    group.data.primary.pause().map_err(private::failure)?;

    let begun = Instant::now();
    let first = client.write(1).await?;
    let unavailable = begun.elapsed();
    let rest = client.write(AFTERWARD - 1).await?;
    let parts = [copied, cut_off, with_wait, [first, rest].concat()];
    Ok(Written { parts, wait_said, unavailable, client, old })
}

/// Waits until so many replicas have what this connection wrote.
async fn wait_for_copies(replicas: u32, connection: &mut MultiplexedConnection) -> Outcome {
    let mut retry = Retry::within(READY_TIMEOUT);
    while redis::cmd("WAIT").arg(replicas).arg(100).query_async::<u32>(connection).await? < replicas {
        retry.again("the replicas have every order").await?;
    }
    Ok(())
}

async fn come_back(
    ctx: &LessonContext,
    group: &Sentinels,
    written: &mut Written,
    new: &mut MultiplexedConnection,
) -> Outcome {
    let primary = &group.data.primary;
    ctx.step(format!(
        "The machine of the old primary goes on. Nobody has told the old primary that it was replaced, nor the client that has kept its \
         connection. That client writes {STALE} more orders:"
    ))
    .await?;
    ctx.function("write_to_the_old_primary");
    ctx.announce("SET writes the orders.");
    primary.resume().map_err(private::failure)?;
    let stale = write_to_the_old_primary(&mut written.old).await?;
    ctx.check_eq("the old primary acknowledged them all", &stale.len(), &(STALE as usize))?;
    ctx.say("With min-replicas-to-write, it refuses, because no replica has reported to it for a second:");
    let mut old = ctx.redis_of("old", connect(primary).await?);
    let mut settings = redis::cmd("CONFIG");
    settings.arg("SET").arg("min-replicas-to-write").arg(1).arg("min-replicas-max-lag").arg(1);
    settings.exec_async(&mut old).await?;
    let refused = old.set("order:late", "paid").await;
    ctx.check_eq(
        "the write is refused, and the client can look for the new primary",
        &code(&refused),
        &Some("NOREPLICAS"),
    )?;

    let guess = ctx
        .step(
            "The Sentinels see that the old primary is back, and make it a replica of the new one. By default, they watch it for eight \
             seconds first. You need not wait so long: SENTINEL DEBUG lets one of them look five times a second.",
        )
        .predict(
            "What happens to the orders that only the old primary has?",
            ["they are copied", "they stay there", "they are deleted"],
        )
        .await?;
    let mut sentinel = ctx.redis_of("sentinel", connect(&group.sentinels[0]).await?);
    let mut hurry = redis::cmd("SENTINEL");
    hurry.arg("DEBUG").arg("info-period").arg(200).arg("publish-period").arg(200);
    hurry.exec_async(&mut sentinel).await?;
    let mut quiet = wait_until_it_follows(primary).await?;
    let mut old = ctx.redis_of("old", connect(primary).await?);
    let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut old).await?;
    ctx.announce("INFO asks until the old primary is a replica, and EXISTS counts the orders on both.");
    ctx.check("the old primary is a replica now", client::is_role(&role, "slave"))?;
    let lost = &written.parts[1];
    let left = client::count(lost, &mut quiet).await? + client::count(&stale, &mut quiet).await?;
    let deleted = lost.len() + stale.len();
    let copied = client::count(lost, new).await? + client::count(&stale, new).await?;
    guess.answer(match (left, copied) {
        (0, 0) => "they are deleted",
        (_, 0) => "they stay there",
        _ => "they are copied",
    })?;
    ctx.check(format!("to become one, it deleted the {deleted} orders that only it had"), left == 0)?;
    ctx.say("They are nowhere now, except in an append-only file or a backup of that machine from before it came back.");
    Ok(())
}

/// Connects anew for each question: a Sentinel that makes a server a replica closes the connections of its clients.
async fn wait_until_it_follows(server: &Server) -> Result<MultiplexedConnection, LessonError> {
    let mut retry = Retry::within(READY_TIMEOUT);
    loop {
        if let Ok(mut connection) = connect(server).await
            && info(&mut connection, "replication", "master_link_status").await.is_ok_and(|link| link == "up")
        {
            return Ok(connection);
        }
        retry.again("the old primary becomes a replica").await?;
    }
}

async fn write_to_the_old_primary(old: &mut MultiplexedConnection) -> RedisResult<Vec<u32>> {
    let mut acknowledged = Vec::new();
    for order in FIRST_STALE..FIRST_STALE + STALE {
        old.set(client::key(order), "paid").await?;
        acknowledged.push(order);
    }
    Ok(acknowledged)
}

async fn two_are_not_enough(ctx: &LessonContext, attempt: &Attempt) -> Outcome {
    ctx.step(
        "Meanwhile, another group ran: a primary, a replica, and two Sentinels with a quorum of 1. The machine with the primary and one \
         of the Sentinels died. The other Sentinel and the replica are still there.",
    )
    .await?;
    ctx.function("lose_one_machine");
    let guess = ctx.predict("Does the Sentinel promote the replica?", ["yes", "no"]).await?;
    ctx.announce("SENTINEL SET, SENTINEL CKQUORUM, PSUBSCRIBE, and ROLE went to the other group.");
    ctx.listing(attempt.events.join("\n"));
    guess.answer(if attempt.role == "slave" { "no" } else { "yes" })?;
    let heard = |event: &str| attempt.events.iter().any(|line| line.starts_with(event));
    ctx.check("its own vote was enough for the quorum: the primary is down (+odown)", heard("+odown"))?;
    ctx.check("it was not elected, because 1 of 2 is no majority", heard("-failover-abort-not-elected"))?;
    ctx.check_eq(
        "so the replica is still a replica, and the shop is closed",
        &attempt.role.as_str(),
        &"slave",
    )?;
    ctx.say(format!("To SENTINEL CKQUORUM, it answers: {}", attempt.verdict));
    ctx.say(
        "That is why there are three. If 1 of 2 were enough, a broken link between two sites would give each site its own primary. So put three Sentinels on three \
         machines, and not on the two that they watch. The third machine needs no data, only a Sentinel.",
    );
    Ok(())
}
