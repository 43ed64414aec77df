//! A primary that is replaced: as planned, and because it died.

use lab_runner::table::{Table, duration, thousands};
use lab_runner::{BoxError, LessonContext, Retry};
use tokio::time::Duration;

use super::group::{Group, PRIMARIES};
use super::traffic::{Clients, Counted, count_during, keys_in};
use crate::private::set_config;
use crate::sentinel::client::is_role;

/// Clients of the slots whose primary is replaced, and as many of other slots.
const CLIENTS: usize = 10;
/// Slots that stay with their first primary in this lesson.
const OF_NODE1: std::ops::RangeInclusive<u16> = 3_000..=5_000;
const OF_NODE2: std::ops::RangeInclusive<u16> = 6_000..=10_000;
const OF_NODE3: std::ops::RangeInclusive<u16> = 11_000..=15_000;
/// In milliseconds. The default is 15 seconds.
const NODE_TIMEOUT: usize = 500;
const IN_TIME: Duration = Duration::from_mins(1);

/// How long callers waited, and what became of their counts.
struct Switch {
    label: &'static str,
    /// The longest wait of a client whose primary was replaced.
    its_slots: Duration,
    /// The longest wait of a client of another primary.
    other_slots: Duration,
    counted: Counted,
}

pub(super) async fn compare(ctx: &LessonContext, group: &Group) -> Result<(), BoxError> {
    ctx.step(
        "A replica can take over as planned. CLUSTER FAILOVER makes the primary pause its clients, waits until the replica has \
         everything, and then the two change places. Here the replica of node2 does, while 20 clients count:",
    )
    .await?;
    ctx.function("take_over");
    ctx.announce("20 clients send INCR, half of them in node2's slots, and GET reads the counters. ROLE says when node2 is a replica.");
    let clients = clients(group, "planned", OF_NODE2).await?;
    let connection = group.new_connection().await?;
    let (seen, ()) = count_during(&connection, &clients, take_over(ctx, group)).await?;
    let planned = Switch::of("planned", &seen, group).await?;
    ctx.check("nothing was lost", planned.counted.lost == 0)?;

    ctx.step(format!(
        "Now node3 gets a kill -9. The others miss its pings for the node timeout. Then a majority of primaries must agree that it has \
         failed, and vote for its replica. So the timeout decides how long its slots are away. The default is 15 seconds; here it is \
         {NODE_TIMEOUT} ms:",
    ))
    .await?;
    ctx.function("die");
    ctx.announce(
        "CONFIG SET cluster-node-timeout on every node. 20 clients send INCR, half of them in node3's slots, and GET reads the counters.",
    );
    set_timeout(group).await?;
    let clients = self::clients(group, "killed", OF_NODE3).await?;
    let connection = group.new_connection().await?;
    let (seen, ()) = count_during(&connection, &clients, die(group)).await?;
    let killed = Switch::of("kill -9", &seen, group).await?;
    ctx.table(table(&[&planned, &killed]));
    ctx.say(
        "The callers saw no error, because this connection retries until its timeout. An INCR whose reply was lost in the kill is sent \
         again and may count twice. Replication is asynchronous, so an acknowledged INCR can be lost, too. By default, the others refuse \
         as well while a slot has no owner (cluster-require-full-coverage yes), so their clients wait, too.",
    );
    let owner: String =
        redis::cmd("CLUSTER").arg("NODES").query_async(&mut group.nodes[0].connection.clone()).await?;
    let replica = &group.nodes[2 + PRIMARIES].id;
    let is_primary = owner.lines().any(|line| line.starts_with(replica.as_str()) && line.contains("master"));
    ctx.check("the replica of node3 is a primary now", is_primary)?;
    ctx.check("no caller saw an error", planned.counted.errors + killed.counted.errors == 0)?;
    Ok(())
}

/// The keys of ten clients in these slots, and of ten in node1's.
async fn clients(
    group: &Group,
    name: &str,
    slots: std::ops::RangeInclusive<u16>,
) -> Result<Vec<String>, BoxError> {
    let mut keys = keys_in(group, slots, name, CLIENTS).await?;
    keys.extend(keys_in(group, OF_NODE1, name, CLIENTS).await?);
    Ok(keys)
}

/// The replica of node2 takes over. Ends when node2 is a replica, and its slots take a write again.
async fn take_over(ctx: &LessonContext, group: &Group) -> Result<(), BoxError> {
    let mut replica = group.node(ctx, 1 + PRIMARIES);
    redis::cmd("CLUSTER").arg("FAILOVER").exec_async(&mut replica).await?;
    let mut node2 = group.nodes[1].connection.clone();
    let mut retry = Retry::within(IN_TIME);
    loop {
        let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut node2).await?;
        if is_role(&role, "slave") {
            return write_in(group, OF_NODE2).await;
        }
        retry.again("the replica of node2 has taken over").await?;
    }
}

/// node3 is killed. Ends when its slots take a write again.
async fn die(group: &Group) -> Result<(), BoxError> {
    group
        .with(|cluster| {
            cluster.nodes_mut()[2].kill();
            Ok(())
        })
        .await?;
    write_in(group, OF_NODE3).await
}

/// Returns when a write to one of these slots was acknowledged.
async fn write_in(group: &Group, slots: std::ops::RangeInclusive<u16>) -> Result<(), BoxError> {
    let probe = keys_in(group, slots, "probe", 1).await?;
    redis::cmd("INCR").arg(&probe[0]).exec_async(&mut group.connection()).await?;
    Ok(())
}

async fn set_timeout(group: &Group) -> Result<(), BoxError> {
    for node in &group.nodes {
        set_config("cluster-node-timeout", NODE_TIMEOUT, &mut node.connection.clone()).await?;
    }
    Ok(())
}

impl Switch {
    async fn of(label: &'static str, clients: &Clients, group: &Group) -> Result<Self, BoxError> {
        Ok(Self {
            label,
            its_slots: clients.slowest_of(0..CLIENTS),
            other_slots: clients.slowest_of(CLIENTS..2 * CLIENTS),
            counted: clients.read_back(group).await?,
        })
    }
}

fn table(switches: &[&Switch]) -> Table {
    let header = ["switch", "its slots away", "others away", "counted", "lost", "doubled", "errors"];
    switches.iter().fold(Table::new("A primary is replaced", &header), |table, switch| {
        let Switch { label, its_slots, other_slots, counted } = switch;
        let numbers = [counted.acknowledged, counted.lost, counted.doubled, counted.errors];
        let numbers = numbers.map(|number| thousands(number as f64));
        let times = [duration(*its_slots), duration(*other_slots)];
        table.labeled(*label, times.into_iter().chain(numbers))
    })
}
