//! Finding and removing our own keys: SCAN and UNLINK, never KEYS or FLUSHDB.

use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, RedisResult, Value, from_redis_value};

use crate::connection::{Connection, LimitedClusterConnection};

/// How many keys one SCAN step looks at.
const SCAN_COUNT: usize = 1000;

/// Removes exactly these keys and returns how many there were. UNLINK frees large values in the background; a cluster
/// connection sends each node its share.
pub async fn unlink(connection: &mut Connection, keys: &[impl AsRef<[u8]>]) -> RedisResult<usize> {
    let mut removed = 0;
    for chunk in keys.chunks(SCAN_COUNT) {
        let mut command = redis::cmd("UNLINK");
        for key in chunk {
            command.arg(key.as_ref());
        }
        removed += command.query_async::<usize>(connection).await?;
    }
    Ok(removed)
}

/// Up to `limit` keys that match `pattern`, from every primary.
pub async fn matching(connection: &mut Connection, pattern: &str, limit: usize) -> RedisResult<Vec<Vec<u8>>> {
    let nodes = match connection {
        Connection::Cluster(cluster) => primaries(cluster).await?.into_iter().map(Some).collect(),
        _ => vec![None],
    };
    let mut found = Vec::new();
    for node in nodes {
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN_COUNT);
            let (next, keys): (u64, Vec<Vec<u8>>) =
                from_redis_value(send(connection, scan, node.clone()).await?)?;
            found.extend(keys);
            if found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
    }
    Ok(found)
}

async fn send(connection: &mut Connection, command: Cmd, node: Option<RoutingInfo>) -> RedisResult<Value> {
    match (connection, node) {
        (Connection::Cluster(cluster), Some(node)) => cluster.route_command(command, node).await,
        (connection, _) => command.query_async(connection).await,
    }
}

/// redis-rs sends SCAN to any one node; a cluster has to be walked node by node.
async fn primaries(cluster: &mut LimitedClusterConnection) -> RedisResult<Vec<RoutingInfo>> {
    type Node = (String, u16);
    let ranges: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query_async(cluster).await?;
    let mut nodes: Vec<Node> = Vec::new();
    for range in ranges {
        // Each range is: first slot, last slot, primary, replicas; a node is: host, port, id and more.
        let Some(Value::Array(primary)) = range.into_iter().nth(2) else {
            continue;
        };
        let mut fields = primary.into_iter();
        if let (Some(host), Some(port)) = (fields.next(), fields.next()) {
            nodes.push((from_redis_value(host)?, from_redis_value(port)?));
        }
    }
    nodes.sort_unstable();
    nodes.dedup();
    let route = |(host, port)| RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress { host, port });
    Ok(nodes.into_iter().map(route).collect())
}
