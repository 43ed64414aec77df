//! A stall that the lesson makes: only on a server that was started for it.

use std::time::Duration;

use lab_connection::Target;
use lab_connection::address::PrivateServer;
use lab_server::Server;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// Connections to every node of a private server, made before they are needed.
pub struct Stall(Vec<MultiplexedConnection>);

impl Stall {
    /// None when the server is somebody else's.
    pub async fn prepare(target: &Target) -> RedisResult<Option<Self>> {
        let nodes: Vec<&Server> = match target.private() {
            None => return Ok(None),
            Some(PrivateServer::Single(server)) => vec![server.as_ref()],
            Some(PrivateServer::Cluster(cluster)) => cluster.nodes().iter().collect(),
        };
        let mut connections = Vec::with_capacity(nodes.len());
        for node in nodes {
            connections.push(node.client().get_multiplexed_async_connection().await?);
        }
        Ok(Some(Self(connections)))
    }

    /// From now on every node answers nobody for `length` (CLIENT PAUSE), whole milliseconds.
    pub async fn make(&self, length: Duration) -> RedisResult<()> {
        let milliseconds = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        for connection in &self.0 {
            let mut pause = redis::cmd("CLIENT");
            pause.arg("PAUSE").arg(milliseconds).exec_async(&mut connection.clone()).await?;
        }
        Ok(())
    }
}
