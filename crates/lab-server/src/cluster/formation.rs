//! Joins started nodes into one cluster, and waits until it is one.

use std::time::{Duration, Instant};

use redis::{Connection, RedisResult};

use super::{Cluster, bootstrap};
use crate::readiness::{self, Observation};
use crate::replicated::wait_for_link;
use crate::{Error, Server};

/// In milliseconds. A node pings the nodes that it has not heard from for half of this time, so a low value spreads news fast.
pub(super) const NODE_TIMEOUT: &str = "500";
/// The pause between two introductions. A server forgets a handshake that takes longer than a second.
const INTRODUCTION_PAUSE: Duration = Duration::from_millis(1200);

/// Joins all nodes: the primaries take their slots, all nodes meet, and the replicas follow.
pub(super) fn join(cluster: &Cluster) -> Result<(), Error> {
    let mut connections = connect(cluster)?;
    for primary in &mut connections[..cluster.primaries] {
        wait_for("a primary to check the cluster's state", || has_checked_state(primary))?;
        bootstrap::take_over(primary)?;
    }
    // With gossip alone, it would take more than a second.
    for (at, connection) in connections.iter_mut().enumerate() {
        introduce(connection, &cluster.nodes[at + 1..])
            .map_err(Error::redis("introducing cluster nodes to each other"))?;
    }
    for (at, connection) in connections.iter_mut().enumerate() {
        wait_until_known(cluster, at, connection)?;
    }
    follow(cluster, &mut connections)
}

/// Waits until every node serves, and knows the primary of every slot and of every replica.
pub(super) fn wait_until_ok(cluster: &Cluster) -> Result<(), Error> {
    for connection in &mut connect(cluster)? {
        wait_for("the cluster to serve all slots", || state_is_ok(connection))?;
        let replicas = cluster.nodes.len() - cluster.primaries;
        wait_for("the nodes to know the primary of each replica", || knows_replicas(connection, replicas))?;
    }
    Ok(())
}

fn connect(cluster: &Cluster) -> Result<Vec<Connection>, Error> {
    let connect = |node: &Server| node.client().get_connection();
    cluster
        .nodes
        .iter()
        .map(connect)
        .collect::<Result<_, _>>()
        .map_err(Error::redis("connecting to a cluster node"))
}

/// Waits until a node knows all others. Until then, it is introduced to them again and again.
fn wait_until_known(cluster: &Cluster, at: usize, connection: &mut Connection) -> Result<(), Error> {
    let nodes = &cluster.nodes;
    let mut introduced = Instant::now();
    wait_for("the nodes of the cluster to know each other", || {
        let seen = knows_all(connection, nodes.len())?;
        if !seen.done && introduced.elapsed() > INTRODUCTION_PAUSE {
            introduced = Instant::now();
            introduce(connection, nodes[..at].iter().chain(&nodes[at + 1..]))?;
        }
        Ok(seen)
    })
}

fn introduce<'a>(
    connection: &mut Connection,
    others: impl IntoIterator<Item = &'a Server>,
) -> RedisResult<()> {
    for other in others {
        let mut command = redis::cmd("CLUSTER");
        command.arg("MEET").arg("127.0.0.1").arg(other.peer_port()).arg(other.bus_port());
        command.exec(connection)?;
    }
    Ok(())
}

/// Gives the replicas to their primaries, one to each in a round, because a primary that synchronizes two keeps one waiting.
fn follow(cluster: &Cluster, connections: &mut [Connection]) -> Result<(), Error> {
    let failed = || Error::redis("giving a cluster node its primary");
    let (primaries, replicas) = connections.split_at_mut(cluster.primaries);
    let id = |primary: &mut Connection| redis::cmd("CLUSTER").arg("MYID").query::<String>(primary);
    let ids = primaries.iter_mut().map(id).collect::<Result<Vec<_>, _>>().map_err(failed())?;
    for (round, servers) in replicas.chunks_mut(ids.len()).zip(cluster.replicas().chunks(ids.len())) {
        for (replica, id) in round.iter_mut().zip(&ids) {
            redis::cmd("CLUSTER").arg("REPLICATE").arg(id).exec(replica).map_err(failed())?;
        }
        servers.iter().try_for_each(wait_for_link)?;
    }
    Ok(())
}

fn state_is_ok(connection: &mut Connection) -> RedisResult<Observation> {
    let info: String = redis::cmd("CLUSTER").arg("INFO").query(connection)?;
    let ok = info.lines().any(|line| line.trim_end() == "cluster_state:ok");
    Ok(Observation { done: ok, last: info })
}

/// Whether a new primary has checked the state of its cluster. The state is ok, or, if the start was slow, the placeholder counts as
/// failed by now. The takeover repairs that too, but the node then waits a moment before it serves.
fn has_checked_state(connection: &mut Connection) -> RedisResult<Observation> {
    let seen = state_is_ok(connection)?;
    let failed = ["cluster_slots_pfail:", "cluster_slots_fail:"]
        .iter()
        .filter_map(|field| seen.last.lines().find_map(|line| line.strip_prefix(field)))
        .any(|slots| slots.trim_end() != "0");
    Ok(Observation { done: seen.done || failed, ..seen })
}

/// Whether a node has live links to all others and sees every slot served.
fn knows_all(connection: &mut Connection, nodes: usize) -> RedisResult<Observation> {
    let view: String = redis::cmd("CLUSTER").arg("NODES").query(connection)?;
    let all = view.lines().count() == nodes && view.lines().all(is_linked);
    let info: String = redis::cmd("CLUSTER").arg("INFO").query(connection)?;
    let served = info.lines().any(|line| line.trim_end() == "cluster_slots_ok:16384");
    Ok(Observation { done: all && served, last: view })
}

/// Of a line of `CLUSTER NODES`: id, address, flags, primary, ping, pong, epoch, link, slots.
fn is_linked(node: &str) -> bool {
    let fields: Vec<&str> = node.split(' ').collect();
    let [_, _, flags, _, _, _, _, link, ..] = fields[..] else { return false };
    link == "connected" && !flags.split(',').any(|flag| ["handshake", "fail", "fail?"].contains(&flag))
}

fn knows_replicas(connection: &mut Connection, replicas: usize) -> RedisResult<Observation> {
    let view: String = redis::cmd("CLUSTER").arg("NODES").query(connection)?;
    Ok(Observation {
        done: view.lines().filter(|line| line.contains("slave")).count() == replicas,
        last: view,
    })
}

fn wait_for(what: &str, observe: impl FnMut() -> RedisResult<Observation>) -> Result<(), Error> {
    readiness::wait_for(what, what, observe)
}
