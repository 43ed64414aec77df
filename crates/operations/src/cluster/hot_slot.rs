//! A slot that gets most of the traffic.

use lab_connection::Connection;
use lab_runner::concurrent::concurrently;
use lab_runner::table::{Table, thousands};
use lab_runner::{BoxError, LessonContext, Need};
use redis::aio::ConnectionLike;
use redis::{RedisResult, Value};

use super::group::{Group, PRIMARIES};
use crate::private::{info, knows, set_config};

/// Clicks. Nine of ten go to the hot counter.
const CLICKS: usize = 2_000;
/// Other counters, which share the rest.
const PAGES: usize = 100;
/// Parts of the counter that is split.
const PARTS: usize = 16;
const HOT: &str = "sale:clicks";
const SLOT_STATS: Need = Need { command: "CLUSTER SLOT-STATS", available_in: "Valkey 8.0 and Redis 8.2" };

pub(super) async fn find(ctx: &LessonContext, group: &Group) -> Result<(), BoxError> {
    let stats = knows_slot_stats(group).await?;
    ctx.step(format!(
        "A cluster spreads slots, not traffic. Of {} clicks, nine of ten raise one counter, '{HOT}', and the rest raise {PAGES} others:",
        thousands(CLICKS as f64),
    ))
    .await?;
    ctx.function("click");
    let settings =
        if stats { " CONFIG SET cluster-slot-stats-enabled lets each node count by slot." } else { "" };
    ctx.announce(format!(
        "50 clients send INCR, and INFO commandstats on each primary says how many arrived.{settings}"
    ));
    let whole = clicks(group, 1).await?;
    ctx.table(table(&[("one counter", whole)]));
    ctx.check("the node of the hot slot gets at least nine of ten commands", percent(&whole) >= 90)?;
    name_the_slot(ctx, group, stats).await?;

    ctx.step(format!(
        "More nodes do not help: the slot stays whole. Split the counter into {PARTS} keys without a common tag. A click raises a random \
         one, and a reader adds them up:",
    ))
    .await?;
    ctx.announce("The same clients send INCR. Then GET reads the parts.");
    let parts = clicks(group, PARTS).await?;
    ctx.table(table(&[("one counter", whole), ("16 parts", parts)]));
    let sum = sum(group).await?;
    ctx.check("the busiest node gets less", percent(&parts) < percent(&whole))?;
    ctx.check_eq("the parts add up to the clicks", &sum, &(CLICKS - CLICKS / 10))?;
    Ok(())
}

/// Which slot it is, where the server counts by slot.
async fn name_the_slot(ctx: &LessonContext, group: &Group, stats: bool) -> Result<(), BoxError> {
    let slot: u16 = redis::cmd("CLUSTER")
        .arg("KEYSLOT")
        .arg(HOT)
        .query_async(&mut group.nodes[0].connection.clone())
        .await?;
    let owner = group.with(move |cluster| cluster.owner_of(slot)).await?;
    ctx.step(format!(
        "node{} is busy. Which of its slots is it? The node can say, if it counts by slot:",
        owner + 1
    ))
    .await?;
    if !stats {
        ctx.skip(SLOT_STATS);
        return Ok(());
    }
    ctx.function("busiest_slot");
    let (busiest, keys) = busiest_slot(&mut group.node(ctx, owner), slot).await?;
    ctx.check_eq("the busiest slot is that of the counter", &first_number(&busiest), &Some(i64::from(slot)))?;
    ctx.check("and the counter is in it", keys.iter().any(|key| key == HOT))?;
    Ok(())
}

/// The busiest slot by bytes received, and some keys of `slot`.
async fn busiest_slot(
    node: &mut (impl ConnectionLike + Send),
    slot: u16,
) -> RedisResult<(Value, Vec<String>)> {
    let mut stats = redis::cmd("CLUSTER");
    stats.arg("SLOT-STATS").arg("ORDERBY").arg("NETWORK-BYTES-IN").arg("LIMIT").arg(1).arg("DESC");
    let busiest = stats.query_async(node).await?;
    let mut keys = redis::cmd("CLUSTER");
    keys.arg("GETKEYSINSLOT").arg(slot).arg(3);
    Ok((busiest, keys.query_async(node).await?))
}

/// What each primary gets while 50 clients click. The hot counter has so many parts.
async fn clicks(group: &Group, parts: usize) -> Result<[usize; PRIMARIES], BoxError> {
    let before = incrs(group).await?;
    let connection = group.connection();
    concurrently(50, CLICKS, |number| click(connection.clone(), number, parts)).await?;
    let after = incrs(group).await?;
    Ok([0, 1, 2].map(|node| after[node] - before[node]))
}

/// Every tenth click is for one of the other counters.
async fn click(mut redis: Connection, number: usize, parts: usize) -> RedisResult<isize> {
    let key = match (number % 10, parts) {
        (0, _) => format!("page:{}:clicks", number / 10 % PAGES),
        (_, 1) => HOT.to_owned(),
        _ => part(rand::random_range(0..parts)),
    };
    redis::cmd("INCR").arg(key).query_async(&mut redis).await
}

fn part(number: usize) -> String {
    format!("{HOT}:{number}")
}

async fn sum(group: &Group) -> Result<usize, BoxError> {
    let mut pipeline = redis::pipe();
    for number in 0..PARTS {
        pipeline.get(part(number));
    }
    let parts: Vec<Option<usize>> = pipeline.query_async(&mut group.connection()).await?;
    Ok(parts.into_iter().flatten().sum())
}

/// The INCRs that each primary has executed.
async fn incrs(group: &Group) -> Result<[usize; PRIMARIES], BoxError> {
    let mut calls = [0; PRIMARIES];
    for (calls, node) in calls.iter_mut().zip(&group.nodes) {
        let incr = info(&mut node.connection.clone(), "commandstats", "cmdstat_incr").await?;
        let number = incr.strip_prefix("calls=").and_then(|rest| rest.split(',').next()?.parse().ok());
        *calls = number.unwrap_or(0);
    }
    Ok(calls)
}

/// Whether the nodes count by slot; if they can, they begin now.
async fn knows_slot_stats(group: &Group) -> Result<bool, BoxError> {
    let known = knows("cluster|slot-stats", &mut group.nodes[0].connection.clone()).await?;
    for node in group.nodes.iter().filter(|_| known) {
        // Newer Redis also counts memory, and that cannot be turned on at run time. So this names what to count.
        let mut node = node.connection.clone();
        if set_config("cluster-slot-stats-enabled", "yes", &mut node).await.is_err() {
            set_config("cluster-slot-stats-enabled", "cpu net", &mut node).await?;
        }
    }
    Ok(known)
}

fn table(rows: &[(&str, [usize; PRIMARIES])]) -> Table {
    let table = Table::new("INCRs by node", &["sale:clicks", "node1", "node2", "node3", "busiest"]);
    rows.iter().fold(table, |table, (label, calls)| {
        let by_node = calls.map(|calls| thousands(calls as f64));
        table.labeled(*label, by_node.into_iter().chain([format!("{}%", percent(calls))]))
    })
}

/// The share of the busiest node.
fn percent(calls: &[usize; PRIMARIES]) -> usize {
    let most = calls.iter().max().copied().unwrap_or(0);
    most * 100 / calls.iter().sum::<usize>().max(1)
}

/// The first number in a reply.
fn first_number(reply: &Value) -> Option<i64> {
    match reply {
        Value::Int(number) => Some(*number),
        Value::Array(items) => items.iter().find_map(first_number),
        _ => None,
    }
}
