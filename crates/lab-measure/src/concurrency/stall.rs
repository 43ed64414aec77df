//! A stall that the lesson causes, only on a server that this run started.

use std::time::Duration;

use lab_connection::Target;
use lab_connection::address::PrivateServer;
use lab_connection::connection::unguarded;
use lab_server::Server;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

/// A stall of every node of a private server, over connections that are opened in advance.
#[derive(Clone)]
pub struct Stall {
    connections: Vec<MultiplexedConnection>,
    length: Duration,
}

impl Stall {
    /// A stall of whole milliseconds; `None` if the server is not private.
    pub async fn prepare(target: &Target, length: Duration) -> RedisResult<Option<Self>> {
        let nodes: Vec<&Server> = match target.private() {
            None => return Ok(None),
            Some(PrivateServer::Single(server)) => vec![server.as_ref()],
            Some(PrivateServer::Cluster(cluster)) => cluster.nodes().iter().collect(),
        };
        let mut connections = Vec::with_capacity(nodes.len());
        for node in nodes {
            connections.push(unguarded(&node.client()).await?);
        }
        Ok(Some(Self { connections, length }))
    }

    /// From now on, every node answers nobody for that long (CLIENT PAUSE).
    pub(super) async fn begin(&self) -> RedisResult<()> {
        let milliseconds = u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX);
        for connection in &self.connections {
            let mut pause = redis::cmd("CLIENT");
            pause.arg("PAUSE").arg(milliseconds).exec_async(&mut connection.clone()).await?;
        }
        Ok(())
    }
}
