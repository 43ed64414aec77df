//! One trial: writes, damage, recovery, and what is left.

use std::time::{Duration, Instant};

use lab_connection::Failure;
use lab_server::Choice;
use rand::RngExt as _;
use redis::RedisError;
use tokio::time::sleep;

use super::damage::damage;
use super::group::Group;
use super::switch::has_role;
use super::wait::{poll_until, poll_within};
use super::writers::{Acknowledged, Connection, Writers};
use super::{Fault, Setting};
use crate::private::{self, connect};
use crate::replication::follow;

/// Writes before the damage. The end is random, so that it meets every moment between two fsyncs.
const BEFORE: std::ops::Range<u64> = 1_200..2_200;
/// How far behind the replica is that is promoted by hand.
const LAG: Duration = Duration::from_millis(50);
/// If the replicas do not follow by then, a Sentinel on a busy machine has taken the primary for down before the fault.
const SETUP_TIMEOUT: Duration = Duration::from_secs(20);
/// Keys that are counted with one command.
const CHUNK: usize = 1_000;

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Writes that the client took for done.
    pub acknowledged: usize,
    /// How many of them are not on the primary at the end.
    pub lost: usize,
    /// The longest time without an acknowledged write; in a cluster, in the slots of the dead primary.
    pub unavailable: Duration,
    /// The same in the other slots of a cluster.
    pub unavailable_elsewhere: Option<Duration>,
}

/// Runs one trial on its own servers.
pub async fn run(fault: Fault, setting: Setting, choice: Choice) -> Result<Trial, Failure> {
    let mut group = private::blocking(move || Group::start(fault, setting, choice)).await?;
    follow_through_the_link(&group, fault).await?;
    let started = Instant::now();
    let writers = Writers::start(&mut group, fault, setting);
    poll_until("the first writes are acknowledged", async || writers.acknowledged_since(started) > 0).await?;
    let before = Duration::from_millis(rand::rng().random_range(BEFORE));
    sleep(before).await;

    let begun = Instant::now();
    let mut group = damage(fault, setting, group, &writers).await?;
    let damaged = Instant::now();
    poll_until("writes are acknowledged again", async || {
        writers.acknowledged_since(damaged) >= setting.recovered()
    })
    .await?;
    if fault == Fault::Hang {
        // What it acknowledges until then counts.
        let old = &*group.primary();
        poll_until("the old primary becomes a replica", async || has_role(old, "slave").await).await?;
    }
    let mut primary = None;
    poll_until("the primary answers", async || {
        primary = writers.primary().await.ok();
        primary.is_some()
    })
    .await?;
    let acknowledged = writers.stop().await?;
    let kept = match &mut primary {
        Some(primary) => count(&acknowledged, primary).await.map_err(private::failure)?,
        None => 0,
    };
    let of_cluster = fault == Fault::ClusterFailover;
    Ok(Trial {
        acknowledged: acknowledged.len(),
        lost: acknowledged.len() - kept,
        unavailable: longest_gap(begun, &acknowledged, true),
        unavailable_elsewhere: of_cluster.then(|| longest_gap(begun, &acknowledged, false)),
    })
}

/// Leads the replica through the proxy, and waits until it and its own replica follow.
async fn follow_through_the_link(group: &Group, fault: Fault) -> Result<(), Failure> {
    let Some(link) = group.link() else { return Ok(()) };
    for (index, replica) in group.replicas().into_iter().enumerate() {
        let mut replica = connect(replica).await.map_err(private::failure)?;
        if index == 0 {
            follow(link.port(), &mut replica).await.map_err(private::failure)?;
        }
        poll_within(SETUP_TIMEOUT, "a replica follows its primary", async || {
            private::info(&mut replica, "replication", "master_link_status").await.is_ok_and(|it| it == "up")
        })
        .await?;
    }
    if matches!(fault, Fault::EarlyPromotion | Fault::PlannedSwitch) {
        link.set_delay(LAG);
    }
    Ok(())
}

/// How many of these writes the servers have.
async fn count(writes: &[Acknowledged], primary: &mut Connection) -> Result<usize, RedisError> {
    let mut kept = 0;
    for chunk in writes.chunks(CHUNK) {
        let keys: Vec<&str> = chunk.iter().map(|write| write.key.as_str()).collect();
        kept += redis::cmd("EXISTS").arg(keys).query_async::<usize>(primary).await?;
    }
    Ok(kept)
}

/// The longest time without a reply that counts, from the beginning of the damage on, among the writes that the damage hurts or among
/// the others.
fn longest_gap(begun: Instant, acknowledged: &[Acknowledged], hurt: bool) -> Duration {
    let of_these = acknowledged.iter().filter(|write| write.hurt == hurt);
    let after = of_these.map(|write| write.at).filter(|at| *at > begun);
    let moments: Vec<Instant> = std::iter::once(begun).chain(after).collect();
    moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}
