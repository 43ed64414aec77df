//! One trial: writes, damage, recovery, and what is left.

use std::time::{Duration, Instant};

use lab_connection::Failure;
use lab_connection::connection::unguarded;
use lab_connection::failure::Class;
use lab_server::Choice;
use rand::RngExt as _;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};
use tokio::time::sleep;

use super::group::Group;
use super::writers::{Acknowledged, Writers};
use super::{DOWN_AFTER, Fault, Setting};
use crate::private::{self, connect};
use crate::sentinel::client::is_role;

/// Writes before the damage. The end is random, so that it meets every moment between two fsyncs.
const BEFORE: std::ops::Range<u64> = 1_200..2_200;
/// How long the link is cut before the kill.
const CUT: Duration = Duration::from_millis(500);
/// How long the primary hangs: until it was replaced, and at least this long.
const HANG: Duration = DOWN_AFTER.saturating_mul(4);
/// How far behind the replica is that is promoted too early.
const LAG: Duration = Duration::from_millis(50);
/// Whatever takes longer does not come. A Sentinel that finds its machine too busy does nothing for half a minute (TILT).
const TIMEOUT: Duration = Duration::from_mins(2);
/// Keys that are counted with one command.
const CHUNK: usize = 1_000;

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Writes that the client took for done.
    pub acknowledged: usize,
    /// How many of them are not on the primary at the end.
    pub lost: usize,
    /// The longest time without an acknowledged write.
    pub unavailable: Duration,
}

/// Runs one trial on its own servers.
pub async fn run(fault: Fault, setting: Setting, choice: Choice) -> Result<Trial, Failure> {
    let mut group = private::blocking(move || Group::start(fault, setting, choice)).await?;
    follow_through_the_link(&group, fault).await?;
    let started = Instant::now();
    let writers = Writers::start(&mut group, setting, fault == Fault::Hang);
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
        poll_until("the old primary becomes a replica", async || is_replica(old).await).await?;
    }
    let mut primary = writers.primary().await.map_err(|error| private::failure(&error))?;
    let acknowledged = writers.stop().await?;
    let kept = count(&acknowledged, &mut primary).await.map_err(|error| private::failure(&error))?;
    let unavailable = longest_gap(begun, &acknowledged);
    Ok(Trial { acknowledged: acknowledged.len(), lost: acknowledged.len() - kept, unavailable })
}

/// Leads the replica through the proxy, and waits until it and its own replica follow.
async fn follow_through_the_link(group: &Group, fault: Fault) -> Result<(), Failure> {
    let Some(link) = group.link() else { return Ok(()) };
    for (index, replica) in group.replicas().into_iter().enumerate() {
        let mut replica = connect(replica).await.map_err(|error| private::failure(&error))?;
        if index == 0 {
            follow(link.port(), &mut replica).await.map_err(|error| private::failure(&error))?;
        }
        poll_until("a replica follows its primary", async || {
            private::info(&mut replica, "replication", "master_link_status").await.is_ok_and(|it| it == "up")
        })
        .await?;
    }
    if fault == Fault::EarlyPromotion {
        link.set_delay(LAG);
    }
    Ok(())
}

async fn follow(port: u16, replica: &mut MultiplexedConnection) -> Result<(), RedisError> {
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec_async(replica).await
}

async fn damage(
    fault: Fault,
    setting: Setting,
    mut group: Group,
    writers: &Writers,
) -> Result<Group, Failure> {
    let failed = |error: lab_server::Error| private::failure(&error);
    match fault {
        Fault::Kill => kill(group).await,
        Fault::CutThenKill => {
            if let Some(link) = group.link() {
                link.set_dropping(true);
            }
            sleep(CUT).await;
            kill(group).await
        }
        Fault::Hang => {
            group.primary().pause().map_err(failed)?;
            let hung = Instant::now();
            sleep(HANG).await;
            poll_until("another primary takes writes", async || {
                writers.acknowledged_since(hung) >= setting.recovered()
            })
            .await?;
            group.primary().resume().map_err(failed)?;
            Ok(group)
        }
        Fault::EarlyPromotion => promote(group, writers).await.map_err(|error| private::failure(&error)),
        Fault::Restart | Fault::MachineCrash => {
            private::blocking(move || {
                let server = group.primary();
                server.kill();
                if fault == Fault::MachineCrash {
                    server.lose_page_cache()?;
                }
                server.restart()?;
                Ok::<_, lab_server::Error>(group)
            })
            .await
        }
    }
}

/// Kills the primary for good.
async fn kill(mut group: Group) -> Result<Group, Failure> {
    private::blocking(move || {
        group.primary().kill();
        Ok::<_, lab_server::Error>(group)
    })
    .await
}

/// Promotes the replica, moves the clients, and makes the old primary follow.
async fn promote(mut group: Group, writers: &Writers) -> Result<Group, RedisError> {
    let Some((chosen, port)) = group.replicas().first().map(|replica| (replica.client(), replica.port()))
    else {
        return Ok(group);
    };
    let mut replica = unguarded(&chosen).await?;
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec_async(&mut replica).await?;
    writers.move_to(chosen);
    follow(port, &mut connect(group.primary()).await?).await?;
    Ok(group)
}

async fn is_replica(server: &lab_server::Server) -> bool {
    let Ok(mut connection) = connect(server).await else { return false };
    let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await.unwrap_or_default();
    is_role(&role, "slave")
}

/// How many of these writes the server has.
async fn count(writes: &[Acknowledged], primary: &mut MultiplexedConnection) -> Result<usize, RedisError> {
    let mut kept = 0;
    for chunk in writes.chunks(CHUNK) {
        let keys: Vec<&str> = chunk.iter().map(|write| write.key.as_str()).collect();
        kept += redis::cmd("EXISTS").arg(keys).query_async::<usize>(primary).await?;
    }
    Ok(kept)
}

/// The longest time without a reply that counts, from the beginning of the damage on.
fn longest_gap(begun: Instant, acknowledged: &[Acknowledged]) -> Duration {
    let after = acknowledged.iter().map(|write| write.at).filter(|at| *at > begun);
    let moments: Vec<Instant> = std::iter::once(begun).chain(after).collect();
    moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

async fn poll_until(what: &str, mut held: impl AsyncFnMut() -> bool) -> Result<(), Failure> {
    let begun = Instant::now();
    while !held().await {
        if begun.elapsed() > TIMEOUT {
            let why = format!("It did not within {} s.", TIMEOUT.as_secs());
            return Err(Failure::new(Class::Timeout, format!("A drill waited until {what}."), why));
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
