//! A connection to a server or a cluster that counts what it sends.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_connection::connection::InTurn;
use lab_server::{Cluster, Server};
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, RedisFuture, Value};

use crate::TIMEOUT;
use crate::slots::{self, MoveSlotsBefore};

/// How long a cluster's client waits for one node.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Any kind of connection, with a count of the round trips made over it and its clones.
#[derive(Clone)]
pub struct TestConnection {
    to: To,
    round_trips: Arc<AtomicUsize>,
    move_slots: Option<MoveSlotsBefore>,
    twice: bool,
}

#[derive(Clone)]
enum To {
    Server(MultiplexedConnection),
    Reconnecting(ConnectionManager),
    Cluster(InTurn),
}

impl TestConnection {
    /// The shared server over RESP2.
    pub async fn server() -> Self {
        Self::to_server(crate::server()).await
    }

    /// The shared server over RESP3.
    pub async fn resp3() -> Self {
        Self::to_url(&format!("{}?protocol=resp3", crate::server().url())).await
    }

    /// This server over RESP2.
    pub async fn to_server(server: &Server) -> Self {
        Self::to_url(&server.url()).await
    }

    /// The server at this URL, which may name a user and a protocol.
    pub async fn to_url(url: &str) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(TIMEOUT))
            .set_connection_timeout(Some(TIMEOUT));
        let client = redis::Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        Self::over(To::Server(connection))
    }

    /// One that reconnects when it is lost; what was on its way then ends with an error.
    pub async fn reconnecting(url: &str) -> Self {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(TIMEOUT))
            .set_connection_timeout(Some(TIMEOUT))
            .set_max_delay(Duration::from_millis(5));
        let client = redis::Client::open(url).unwrap();
        Self::over(To::Reconnecting(ConnectionManager::new_with_config(client, config).await.unwrap()))
    }

    /// The shared cluster. With `LAB_SLOTS_MOVE=1`, the slots of its first commands move before they are sent.
    pub async fn cluster() -> Self {
        if slots::move_in_all_tests() {
            Self::moving_slots().await
        } else {
            Self::to_cluster(crate::cluster()).await
        }
    }

    /// The shared cluster; the slots of the first commands move before they are sent.
    pub async fn moving_slots() -> Self {
        Self { move_slots: Some(MoveSlotsBefore::default()), ..Self::to_cluster(crate::cluster()).await }
    }

    /// This cluster.
    pub async fn to_cluster(cluster: &Cluster) -> Self {
        Self::to_cluster_with_timeout(cluster, TIMEOUT).await
    }

    /// This cluster; a reply that takes longer than `timeout` counts as lost.
    pub async fn to_cluster_with_timeout(cluster: &Cluster, timeout: Duration) -> Self {
        let client = ClusterClientBuilder::new(cluster.urls())
            // By default, the first retry waits for more than a second. So many short ones are a minute: no slot is half moved
            // for longer.
            .retries(2_000)
            .min_retry_wait(5)
            .retry_wait_formula(50, 1)
            .response_timeout(timeout)
            .connection_timeout(CONNECT_TIMEOUT)
            .build()
            .unwrap();
        Self::over(To::Cluster(InTurn::new(client.get_async_connection().await.unwrap())))
    }

    fn over(to: To) -> Self {
        Self { to, round_trips: Arc::default(), move_slots: None, twice: false }
    }

    /// The same connection, but it sends each command twice and returns the second reply, as a cluster client does when the
    /// first is lost.
    #[must_use]
    pub fn sending_twice(self) -> Self {
        Self { twice: true, ..self }
    }

    /// Whether it leads to a cluster.
    pub fn is_cluster(&self) -> bool {
        matches!(self.to, To::Cluster(_))
    }

    /// The round trips that `work` makes over this connection and its clones.
    pub async fn round_trips_of<T>(&self, work: impl Future<Output = T>) -> usize {
        let before = self.round_trips.load(Ordering::Relaxed);
        work.await;
        self.round_trips.load(Ordering::Relaxed) - before
    }

    /// Sends one command as somebody else would, such as `["SET", "user:1", "x"]`.
    pub async fn send<T: FromRedisValue>(&self, words: &[&str]) -> T {
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut self.clone()).await.unwrap()
    }

    /// All keys that match, on all nodes, sorted.
    pub async fn keys(&self, pattern: &str) -> Vec<String> {
        let mut connection = self.clone();
        let mut keys = Vec::new();
        if self.is_cluster() {
            for node in crate::cluster().nodes() {
                let mut connection = node.client().get_multiplexed_async_connection().await.unwrap();
                keys.extend(scan(&mut connection, pattern).await);
            }
        } else {
            keys = scan(&mut connection, pattern).await;
        }
        keys.sort();
        keys.dedup();
        keys
    }
}

async fn scan(connection: &mut impl ConnectionLike, pattern: &str) -> Vec<String> {
    let (mut cursor, mut keys) = (0_u64, Vec::new());
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(1_000);
        let (next, found): (u64, Vec<String>) = scan.query_async(connection).await.unwrap();
        keys.extend(found);
        cursor = next;
        if cursor == 0 {
            return keys;
        }
    }
}

impl ConnectionLike for TestConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            if let Some(move_slots) = &self.move_slots {
                move_slots.before(cmd).await;
            }
            if self.twice {
                let _lost = send(&mut self.to, cmd).await?;
            }
            let reply = send(&mut self.to, cmd).await;
            slots::count_failed_scripts(&reply);
            reply
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            if let (Some(move_slots), Some(first)) = (&self.move_slots, pipeline.cmd_iter().next()) {
                move_slots.before(first).await;
            }
            if self.twice {
                let _lost = send_all(&mut self.to, pipeline, offset, count).await?;
            }
            send_all(&mut self.to, pipeline, offset, count).await
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

fn send<'a>(to: &'a mut To, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
    match to {
        To::Server(connection) => connection.req_packed_command(cmd),
        To::Reconnecting(connection) => connection.req_packed_command(cmd),
        To::Cluster(connection) => connection.req_packed_command(cmd),
    }
}

fn send_all<'a>(
    to: &'a mut To,
    pipeline: &'a Pipeline,
    offset: usize,
    count: usize,
) -> RedisFuture<'a, Vec<Value>> {
    match to {
        To::Server(connection) => connection.req_packed_commands(pipeline, offset, count),
        To::Reconnecting(connection) => connection.req_packed_commands(pipeline, offset, count),
        To::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
    }
}
