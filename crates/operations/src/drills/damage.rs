//! Does the damage, and what an operator does right after it.

use std::time::{Duration, Instant};

use lab_connection::Failure;
use lab_server::{Error, Server};
use redis::RedisResult;
use tokio::time::sleep;

use super::group::Group;
use super::switch::{after_a_pause, by_failover, by_hand, has_role};
use super::wait::poll_until;
use super::writers::Writers;
use super::{DOWN_AFTER, Fault, Setting};
use crate::private::{self, connect, info_fields, set_config};

/// How long the link is cut before the kill.
const CUT: Duration = Duration::from_millis(500);
/// How long FAILOVER waits for the replica before it gives up.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the primary hangs: until it was replaced, and at least this long.
const HANG: Duration = DOWN_AFTER.saturating_mul(4);
/// How long the disk is full. A snapshot begins within a second and fails.
const DISK_FULL: Duration = Duration::from_secs(3);
/// How long the memory is full.
const MEMORY_FULL: Duration = Duration::from_secs(2);

/// Hurts the servers. When it returns, everything was done that brings writes back.
pub async fn damage(
    fault: Fault,
    setting: Setting,
    mut group: Group,
    writers: &Writers,
) -> Result<Group, Failure> {
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
            group.primary().pause().map_err(private::failure)?;
            let hung = Instant::now();
            sleep(HANG).await;
            poll_until("another primary takes writes", async || {
                writers.acknowledged_since(hung) >= setting.recovered()
            })
            .await?;
            group.primary().resume().map_err(private::failure)?;
            Ok(group)
        }
        Fault::EarlyPromotion => by_hand(group, writers).await,
        Fault::PlannedSwitch => match setting {
            Setting::Failover => by_failover(None, group, writers).await,
            Setting::FailoverTimeout => by_failover(Some(FAILOVER_TIMEOUT), group, writers).await,
            Setting::PauseFirst => after_a_pause(group, writers).await,
            _ => by_hand(group, writers).await,
        },
        Fault::ClusterFailover => fail_over(group).await,
        Fault::Restart | Fault::MachineCrash => {
            private::blocking(move || {
                let server = group.primary();
                server.kill();
                if fault == Fault::MachineCrash {
                    server.lose_page_cache()?;
                }
                server.restart()?;
                Ok::<_, Error>(group)
            })
            .await
        }
        Fault::DiskFull | Fault::DiskFullThenKill => fill_the_disk(group, fault).await,
        Fault::MemoryFull => fill_the_memory(group, setting, writers).await,
    }
}

/// Kills the primary for good.
async fn kill(mut group: Group) -> Result<Group, Failure> {
    private::on_another_thread(move || {
        group.primary().kill();
        group
    })
    .await
}

/// Kills a primary of the cluster. When its replica has taken over, the killed one starts again and becomes a replica, because WAIT
/// needs one.
async fn fail_over(group: Group) -> Result<Group, Failure> {
    let mut group = kill(group).await?;
    let replicas = group.replicas();
    poll_until("the replica takes over", async || match replicas.first() {
        Some(replica) => has_role(replica, "master").await,
        None => false,
    })
    .await?;
    private::blocking(move || {
        group.primary().restart()?;
        Ok::<_, Error>(group)
    })
    .await
}

/// Fills the disk, and frees it after a while. A server that has ended by then, or is killed, starts again.
async fn fill_the_disk(group: Group, fault: Fault) -> Result<Group, Failure> {
    let group = private::blocking(move || {
        group.disk().map_or(Ok(()), lab_server::Disk::fill)?;
        Ok::<_, Error>(group)
    });
    let mut group = group.await?;
    sleep(DISK_FULL).await;
    private::blocking(move || {
        if fault == Fault::DiskFullThenKill {
            group.primary().kill();
        }
        group.disk().map_or(Ok(()), lab_server::Disk::free)?;
        if !group.primary().is_running() {
            group.primary().restart()?;
        }
        Ok::<_, Error>(group)
    })
    .await
}

/// Gives a server less memory than it uses, and lifts the limit after a while. A smaller replica becomes the primary first.
async fn fill_the_memory(mut group: Group, setting: Setting, writers: &Writers) -> Result<Group, Failure> {
    if setting.has_a_smaller_replica() {
        if let Some(replica) = group.replicas().first() {
            leave_out(2, replica).await.map_err(private::failure)?;
        }
        group = after_a_pause(group, writers).await?;
    } else {
        leave_out(4, group.primary()).await.map_err(private::failure)?;
    }
    sleep(MEMORY_FULL).await;
    let replicas = group.replicas();
    let mut full = match replicas.first() {
        Some(replica) => connect(replica).await,
        None => connect(group.primary()).await,
    }
    .map_err(private::failure)?;
    set_config("maxmemory", 0, &mut full).await.map_err(private::failure)?;
    Ok(group)
}

/// Sets a limit below what the server uses. One of so many parts of its data is too much.
async fn leave_out(parts: u64, server: &Server) -> RedisResult<()> {
    let mut connection = connect(server).await?;
    let memory = info_fields("memory", &mut connection).await?;
    let bytes = |field: &str| memory.get(field).and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    let limit = bytes("used_memory") - bytes("used_memory_dataset") / parts;
    set_config("maxmemory", limit, &mut connection).await
}
