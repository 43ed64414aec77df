//! The lesson's cluster, and the ways to speak to it.

use std::sync::{Arc, Mutex, PoisonError};

use lab_connection::{Connection, Target, TargetArgs, Transcript};
use lab_runner::{BoxError, LessonContext};
use lab_server::{Choice, Cluster, Error};
use redis::RedisResult;
use redis::aio::MultiplexedConnection;

use crate::private::{self, connect};

/// Primaries, and as many replicas.
pub(super) const PRIMARIES: usize = 3;

/// A private cluster. It ends with this value.
pub(super) struct Group {
    /// Primaries in the order of their slots, then the replica of each.
    pub(super) nodes: Vec<Node>,
    /// The project's connection to the cluster. First closed, then the servers end.
    target: Target,
    cluster: Arc<Mutex<Cluster>>,
}

/// One node.
pub(super) struct Node {
    pub(super) id: String,
    pub(super) port: u16,
    pub(super) url: String,
    /// To this node alone: it follows no redirection.
    pub(super) connection: MultiplexedConnection,
}

impl Group {
    pub(super) async fn start_cluster(choice: Choice) -> Result<Self, BoxError> {
        let builder = Cluster::builder().choice(choice).primaries(PRIMARIES).replicas_each(1);
        let cluster = private::blocking(move || builder.start()).await?;
        let mut nodes = Vec::new();
        for server in cluster.nodes() {
            let mut connection = connect(server).await?;
            let id = redis::cmd("CLUSTER").arg("MYID").query_async(&mut connection).await?;
            nodes.push(Node { id, port: server.port(), url: server.url(), connection });
        }
        let args = TargetArgs { cluster: true, ..TargetArgs::at(nodes[0].url.clone()) };
        let target = args.open().await.map_err(lab_runner::LessonError::Failure)?;
        Ok(Self { nodes, target, cluster: Arc::new(Mutex::new(cluster)) })
    }

    /// A plain connection to the node of this index, shown as `node1> …`, or `replica1> …` from index 3 on.
    pub(super) fn node(&self, ctx: &LessonContext, index: usize) -> Transcript<MultiplexedConnection> {
        let name = match index.checked_sub(PRIMARIES) {
            None => format!("node{}", index + 1),
            Some(replica) => format!("replica{}", replica + 1),
        };
        ctx.redis_of(&name, self.nodes[index].connection.clone())
    }

    /// The project's connection to the cluster, which follows the slots.
    pub(super) fn connection(&self) -> Connection {
        self.target.connection()
    }

    /// The project's connection, opened for one caller.
    pub(super) async fn new_connection(&self) -> RedisResult<Connection> {
        self.target.dedicated().await
    }

    /// Does something with the servers that blocks.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Cluster) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, BoxError> {
        let cluster = Arc::clone(&self.cluster);
        Ok(private::blocking(move || work(&mut cluster.lock().unwrap_or_else(PoisonError::into_inner)))
            .await?)
    }

    /// The password of every node.
    pub(super) async fn password(&self) -> Result<String, BoxError> {
        self.with(|cluster| Ok(cluster.password().to_owned())).await
    }

    /// Ends the cluster, on another thread, because that waits for six processes.
    pub(super) async fn stop(self) -> Result<(), BoxError> {
        Ok(private::stop(self).await?)
    }
}
