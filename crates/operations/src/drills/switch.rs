//! Makes the replica the primary on purpose.

use std::time::{Duration, Instant};

use lab_connection::Failure;
use lab_connection::connection::unguarded;
use lab_server::Server;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use super::group::Group;
use super::wait::poll_until;
use super::writers::Writers;
use crate::private::{connect, failure, info_fields, number};
use crate::replication::follow;
use crate::sentinel::client::is_role;

/// In milliseconds. Longer than a switch takes.
const PAUSE: u32 = 30_000;
/// How long somebody watches a FAILOVER that does not go on.
const GIVE_UP: Duration = Duration::from_secs(30);

/// The naive way: promotes the replica, moves the clients, and makes the old primary follow.
pub async fn by_hand(mut group: Group, writers: &Writers) -> Result<Group, Failure> {
    let Some((chosen, port)) = chosen(&group) else { return Ok(group) };
    let mut replica = unguarded(&chosen).await.map_err(failure)?;
    promote(&mut replica).await.map_err(failure)?;
    writers.move_to(chosen);
    let mut primary = connect(group.primary()).await.map_err(failure)?;
    follow(port, &mut primary).await.map_err(failure)?;
    Ok(group)
}

/// The same, but first the primary stops taking writes, and the replica has all of them.
pub async fn after_a_pause(mut group: Group, writers: &Writers) -> Result<Group, Failure> {
    let Some((chosen, port)) = chosen(&group) else { return Ok(group) };
    let mut primary = connect(group.primary()).await.map_err(failure)?;
    let mut replica = unguarded(&chosen).await.map_err(failure)?;
    let mut pause = redis::cmd("CLIENT");
    pause.arg("PAUSE").arg(PAUSE).arg("WRITE").exec_async(&mut primary).await.map_err(failure)?;
    poll_until("the replica has what the primary has", async || {
        let written = number(&mut primary, "replication", "master_repl_offset").await;
        let applied = number(&mut replica, "replication", "slave_repl_offset").await;
        matches!((written, applied), (Ok(written), Ok(applied)) if written == applied)
    })
    .await?;
    promote(&mut replica).await.map_err(failure)?;
    writers.move_to(chosen);
    // Only a replica may answer the paused clients: it refuses their writes.
    follow(port, &mut primary).await.map_err(failure)?;
    redis::cmd("CLIENT").arg("UNPAUSE").exec_async(&mut primary).await.map_err(failure)?;
    Ok(group)
}

/// The server does it. After `timeout`, it gives up and goes on as before. Without one, somebody ends the attempt after [`GIVE_UP`]. Either
/// way, it is asked again.
pub async fn by_failover(
    timeout: Option<Duration>,
    mut group: Group,
    writers: &Writers,
) -> Result<Group, Failure> {
    let Some((chosen, port)) = chosen(&group) else { return Ok(group) };
    let mut primary = connect(group.primary()).await.map_err(failure)?;
    let mut failover = redis::cmd("FAILOVER");
    failover.arg("TO").arg("127.0.0.1").arg(port);
    if let Some(timeout) = timeout {
        failover.arg("TIMEOUT").arg(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    }
    let mut asked = Instant::now();
    // At first, the primary may not know yet that its replica has everything, and refuse. It is a replica as soon as it asks the other to take over, and a primary again if that refuses.
    poll_until("the old primary is a replica", async || {
        let info = info_fields("replication", &mut primary).await.unwrap_or_default();
        let field = |name: &str| info.get(name).map(String::as_str);
        match (field("role"), field("master_failover_state")) {
            (Some("slave"), Some("no-failover")) => true,
            (Some("master"), Some("no-failover")) => {
                let _refused = failover.exec_async(&mut primary).await;
                asked = Instant::now();
                false
            }
            (Some("master"), _) if timeout.is_none() && asked.elapsed() > GIVE_UP => {
                let _ended = redis::cmd("FAILOVER").arg("ABORT").exec_async(&mut primary).await;
                false
            }
            _ => false,
        }
    })
    .await?;
    writers.move_to(chosen);
    Ok(group)
}

fn chosen(group: &Group) -> Option<(redis::Client, u16)> {
    group.replicas().first().map(|replica| (replica.client(), replica.port()))
}

async fn promote(replica: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec_async(replica).await
}

/// Whether the server says that it is a `master` or a `slave`.
pub async fn has_role(server: &Server, role: &str) -> bool {
    let Ok(mut connection) = connect(server).await else { return false };
    let reply: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await.unwrap_or_default();
    is_role(&reply, role)
}
