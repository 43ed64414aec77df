//! A connection to a server or a cluster that counts what it sends.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_connection::connection::LimitedClusterConnection;
use lab_server::{Cluster, Server};
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::{
    AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, RedisError, RedisFuture, RedisResult, Value,
};

use crate::TIMEOUT;
use crate::refusals::{RefusalWatch, Snapshot, error_in, is_refusal};
use crate::slots::{self, SlotMover};

/// How long a cluster client waits for a connection to one node.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to one server or to a cluster that counts the round trips of all its clones.
#[derive(Clone)]
pub struct TestConnection {
    to: To,
    round_trips: Arc<AtomicUsize>,
    slot_mover: Option<SlotMover>,
    twice: bool,
    refusals: Option<RefusalWatch>,
    /// Sends what the test itself sends.
    admin: Option<To>,
    refused: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum To {
    Server(MultiplexedConnection),
    Reconnecting(ConnectionManager),
    Cluster(LimitedClusterConnection),
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
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        Self::over(To::Server(connection.unwrap_or_else(|error| {
            panic!("expected a connection to {url}; found: {error}\n{}", crate::about_the_server())
        })))
    }

    /// A connection that reconnects after a cut. Commands that were under way end with an error.
    pub async fn reconnecting(url: &str) -> Self {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(TIMEOUT))
            .set_connection_timeout(Some(TIMEOUT))
            .set_max_delay(Duration::from_millis(5));
        let client = redis::Client::open(url).unwrap();
        Self::over(To::Reconnecting(ConnectionManager::new_with_config(client, config).await.unwrap()))
    }

    /// The shared cluster. With `LAB_SLOTS_MOVE=1`, it is [`moving_slots`](Self::moving_slots).
    pub async fn cluster() -> Self {
        if slots::move_in_all_tests() {
            Self::moving_slots().await
        } else {
            Self::to_cluster(crate::cluster()).await
        }
    }

    /// The shared cluster, but the slot of each of the first 60 commands moves just before the command is sent.
    pub async fn moving_slots() -> Self {
        Self { slot_mover: Some(SlotMover::default()), ..Self::to_cluster(crate::cluster()).await }
    }

    /// This cluster.
    pub async fn to_cluster(cluster: &Cluster) -> Self {
        Self::over_cluster(ClusterClientBuilder::new(cluster.urls())).await.unwrap()
    }

    /// This cluster as this user. An error if the user may not do what a client of a cluster needs.
    pub async fn to_cluster_as(cluster: &Cluster, user: &str, password: &str) -> RedisResult<Self> {
        let client = ClusterClientBuilder::new(cluster.urls());
        Self::over_cluster(client.username(user).password(password)).await
    }

    async fn over_cluster(client: ClusterClientBuilder) -> RedisResult<Self> {
        let client = client
            // By default, the first retry waits for more than a second. 2,000 short ones last a minute, and no slot stays half
            // moved for longer.
            .retries(2_000)
            .min_retry_wait(5)
            .retry_wait_formula(50, 1)
            .response_timeout(TIMEOUT)
            .connection_timeout(CONNECT_TIMEOUT)
            .build()
            .unwrap();
        let connection = client.get_async_connection().await?;
        Ok(Self::over(To::Cluster(LimitedClusterConnection::new(connection))))
    }

    fn over(to: To) -> Self {
        Self {
            to,
            round_trips: Arc::default(),
            slot_mover: None,
            twice: false,
            refusals: None,
            admin: None,
            refused: Arc::default(),
        }
    }

    /// The same connection, but it sends each command twice and returns the second reply, as a cluster client does when it
    /// loses the first.
    #[must_use]
    pub fn sending_twice(self) -> Self {
        Self { twice: true, ..self }
    }

    /// The same connection, but when the ACL refuses a script, it compares the script's keys before and after. `admin` is a
    /// connection to the same server. Nobody else may write to those keys meanwhile.
    #[must_use]
    pub fn watching_refusals(self, admin: &Self) -> Self {
        let To::Server(admin) = &admin.to else { panic!("the administrator is not connected to one server") };
        Self { refusals: Some(RefusalWatch::new(admin.clone())), ..self }
    }

    /// What refused scripts changed, as [`watching_refusals`](Self::watching_refusals) saw it.
    pub fn changes_by_refused_scripts(&self) -> Vec<String> {
        self.refusals.as_ref().map(RefusalWatch::changes).unwrap_or_default()
    }

    /// The same connection, but what the test itself sends, with [`send`](Self::send) and [`keys`](Self::keys), goes over `admin`.
    /// So this one can belong to a user who may do what a pattern needs, and no more.
    #[must_use]
    pub fn beside_admin(self, admin: &Self) -> Self {
        Self { admin: Some(admin.to.clone()), ..self }
    }

    /// The same connection, but it and `other` count round trips and refusals together.
    #[must_use]
    pub fn counting_with(self, other: &Self) -> Self {
        Self { round_trips: Arc::clone(&other.round_trips), refused: Arc::clone(&other.refused), ..self }
    }

    /// How many errors over this connection and its clones said that the user may not do something.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// What the test itself sends goes over this one: the administrator's, or the same connection.
    #[must_use]
    pub fn admin(&self) -> Self {
        self.admin.as_ref().map_or_else(|| self.clone(), |admin| Self::over(admin.clone()))
    }

    /// Whether it is connected to a cluster.
    pub fn is_cluster(&self) -> bool {
        matches!(self.to, To::Cluster(_))
    }

    /// How many round trips `work` makes over this connection and its clones. It leaves out those that only say that the server does
    /// not know a script: a server forgets scripts, and a slot can move to a server that has not seen them.
    pub async fn round_trips_of<T>(&self, work: impl Future<Output = T>) -> usize {
        let before = self.round_trips.load(Ordering::Relaxed);
        work.await;
        self.round_trips.load(Ordering::Relaxed) - before
    }

    /// Sends one command, such as `["SET", "user:1", "x"]`.
    pub async fn send<T: FromRedisValue>(&self, words: &[&str]) -> T {
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut self.admin()).await.unwrap()
    }

    /// All keys that match, sorted. On a cluster, it asks all nodes.
    pub async fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys = Vec::new();
        if self.is_cluster() {
            let nodes = crate::cluster().nodes();
            // Twice: one round would miss a slot that meanwhile moves to a node that was read already.
            for node in nodes.iter().chain(nodes) {
                let mut connection = node.client().get_multiplexed_async_connection().await.unwrap();
                keys.extend(scan(&mut connection, pattern).await);
            }
        } else {
            keys = scan(&mut self.admin(), pattern).await;
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

impl TestConnection {
    /// The keys of scripts before they run, if refusals are watched.
    async fn before<'a>(&self, commands: impl Iterator<Item = &'a Cmd>) -> Snapshot {
        let mut before = Snapshot::new();
        if let Some(refusals) = &self.refusals {
            for command in commands {
                before.extend(refusals.before(command).await);
            }
        }
        before
    }

    /// Counts the errors of what was sent together.
    async fn after(&self, before: Snapshot, errors: &[RedisError]) {
        // One round trip ended with them all.
        if errors.iter().any(|error| error.code() == Some("NOSCRIPT")) {
            self.round_trips.fetch_sub(1, Ordering::Relaxed);
        }
        let refused = errors.iter().filter(|error| is_refusal(error)).count();
        self.refused.fetch_add(refused, Ordering::Relaxed);
        if let Some(refusals) = &self.refusals {
            refusals.after(before, errors.first().cloned()).await;
        }
    }
}

impl ConnectionLike for TestConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            if let Some(slot_mover) = &self.slot_mover {
                slot_mover.before(cmd).await;
            }
            if self.twice {
                let _ = self.to.connection().req_packed_command(cmd).await?;
            }
            let before = self.before(std::iter::once(cmd)).await;
            let reply = self.to.connection().req_packed_command(cmd).await;
            slots::count_failed_scripts(&reply);
            self.after(before, error_in(&reply).as_slice()).await;
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
            if let (Some(slot_mover), Some(first)) = (&self.slot_mover, pipeline.cmd_iter().next()) {
                slot_mover.before(first).await;
            }
            if self.twice {
                let _ = self.to.connection().req_packed_commands(pipeline, offset, count).await?;
            }
            let before = self.before(pipeline.cmd_iter()).await;
            let replies = self.to.connection().req_packed_commands(pipeline, offset, count).await;
            let errors: Vec<RedisError> = match &replies {
                Ok(values) => values.iter().filter_map(|value| error_in(&Ok(value.clone()))).collect(),
                Err(error) => vec![error.clone()],
            };
            self.after(before, &errors).await;
            replies
        })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

impl To {
    fn connection(&mut self) -> &mut (dyn ConnectionLike + Send) {
        match self {
            Self::Server(connection) => connection,
            Self::Reconnecting(connection) => connection,
            Self::Cluster(connection) => connection,
        }
    }
}
