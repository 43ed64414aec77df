//! Slots that move while clients count.

use std::time::Instant;

use lab_runner::table::{Table, duration, thousands};
use lab_runner::{BoxError, LessonContext};
use redis::cluster::ClusterClient;
use tokio::time::Duration;

use super::group::Group;
use super::traffic::{Counted, count_during, keys_in};

/// Clients that count at the same time, each its own key in a slot that moves.
const CLIENTS: usize = 50;

/// One move, under the clients of one kind.
pub(super) struct Run {
    pub(super) label: &'static str,
    pub(super) counted: Counted,
    pub(super) took: Duration,
}

pub(super) async fn compare(ctx: &LessonContext, group: &Group, moved: u16) -> Result<Run, BoxError> {
    let slots = thousands(f64::from(moved));
    ctx.step(format!(
        "What do callers notice when {slots} slots move? {CLIENTS} clients raise {CLIENTS} counters in them, every 2 ms, while the \
         slots move from node1 to node2. Afterward every counter is compared with the replies that its client got.",
    ))
    .await?;
    ctx.function("move_under_clients");
    ctx.announce(format!(
        "CLUSTER KEYSLOT finds keys in these slots. {CLIENTS} clients send INCR, and GET reads the counters. For each slot: CLUSTER SETSLOT \
         IMPORTING and MIGRATING, CLUSTER GETKEYSINSLOT, MIGRATE, and CLUSTER SETSLOT NODE.",
    ));
    let urls: Vec<&str> = group.nodes.iter().map(|node| node.url.as_str()).collect();
    let plain = ClusterClient::new(urls)?.get_async_connection().await?;
    let plain = move_under_clients(group, "redis-rs as it is", &plain, "plain", moved, [0, 1]).await?;
    let ours = group.new_connection().await?;
    let ours = move_under_clients(group, "this project's", &ours, "ours", moved, [1, 0]).await?;
    ctx.table(table("Slot by slot, under 50 clients", &[&plain, &ours]));
    if let Some(error) = &plain.counted.error {
        ctx.say(format!("One of the errors that a caller saw: {error}"));
    }
    ctx.say(
        "Both use redis-rs. As it is, it often gets through with 50 callers. With hundreds it can stall when slots move, and it waits \
         for more than a second before its first retry. This project lets fewer requests in at once and retries sooner: see 'Slots \
         that move' in ARCHITECTURE.md. Test your client the same way.",
    );
    ctx.check(
        "with this project's connection: nothing lost, nothing doubled, no error that a caller sees",
        (ours.counted.lost, ours.counted.doubled, ours.counted.errors) == (0, 0, 0),
    )?;
    ctx.check("each of its clients counted", ours.counted.acknowledged >= CLIENTS as u64)?;
    Ok(ours)
}

/// Clients count in the slots while those move.
pub(super) async fn move_under_clients<C>(
    group: &Group,
    label: &'static str,
    connection: &C,
    name: &str,
    moved: u16,
    [from, to]: [usize; 2],
) -> Result<Run, BoxError>
where
    C: redis::aio::ConnectionLike + Clone + Send + Sync + 'static,
{
    let keys = keys_in(group, 0..=moved - 1, name, CLIENTS).await?;
    let begun = Instant::now();
    let moving = group.with(move |cluster| cluster.move_slots(0..=moved - 1, from, to));
    let work = async {
        moving.await?;
        Ok(begun.elapsed())
    };
    let (clients, took) = count_during(connection, &keys, work).await?;
    Ok(Run { label, counted: clients.read_back(group).await?, took })
}

pub(super) fn table(title: &str, runs: &[&Run]) -> Table {
    let header = ["clients", "counted", "lost", "doubled", "errors", "slowest", "move"];
    runs.iter().fold(Table::new(title, &header), |table, run| {
        let Run { label, counted, took } = run;
        let numbers = [counted.acknowledged, counted.lost, counted.doubled, counted.errors];
        let numbers = numbers.map(|number| thousands(number as f64));
        let times = [duration(counted.slowest), duration(*took)];
        table.labeled(*label, numbers.into_iter().chain(times))
    })
}
