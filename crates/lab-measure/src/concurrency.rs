//! Many operations in flight: loops of clients that check every reply, timed in interleaved rounds on a thread of their own. The
//! lesson `concurrency` runs them.

mod loops;
mod stats;

use std::time::Duration;

use futures_util::future::try_join_all;
use lab_connection::address::PrivateServer;
use lab_connection::connection::unguarded;
use lab_connection::{Connection, Target};
use lab_runner::harness::{self, Rounds, Rows};
use lab_runner::statistics::Summary;
use lab_runner::{LessonError, activity, into_redis_error};
use lab_server::Server;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;

pub use self::loops::SOURCE as LOOPS;
use self::loops::{closed_loop, open_loop};
pub use self::stats::LoadStats;
use crate::Timed;
use crate::keys::Keys;

/// A load on the server, over connections that the operations share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Clients that send the next operation when they have the reply to the last one.
    Closed {
        /// Clients; each has one operation in flight.
        in_flight: usize,
        /// At least one.
        connections: usize,
    },
    /// Operations that begin at a fixed rate, whether or not earlier ones were answered.
    Open {
        /// Operations a second, at least one.
        rate: u32,
        /// At least one.
        connections: usize,
    },
}

/// How long to measure.
#[derive(Clone)]
pub struct TimingPlan {
    /// Rounds in which every load has a turn.
    pub rounds: usize,
    /// How long a turn is. Each client does at least one operation.
    pub turn: Duration,
    /// The server stands still when a third of each turn is over.
    pub stall: Option<Stall>,
}

/// Runs the loads and checks every reply. Returns what was counted, and the operations a second of the rounds.
pub fn measure(
    target: &Target,
    loads: Vec<Load>,
    plan: TimingPlan,
) -> Timed<'static, Result<Vec<(LoadStats, Summary)>, LessonError>> {
    let target = target.clone();
    Box::pin(async move {
        // On one thread, the commands of all clients that are ready go out with one system call, and nobody wakes another
        // thread. For so little work, that would be the larger part of the cost. A connection belongs to the runtime in
        // which it was opened, so the load opens its own.
        let running = spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(into_redis_error)?;
            runtime.block_on(measure_on_this_thread(&target, loads, plan))
        });
        running.await.map_err(into_redis_error)?
    })
}

async fn measure_on_this_thread(
    target: &Target,
    loads: Vec<Load>,
    plan: TimingPlan,
) -> Result<Vec<(LoadStats, Summary)>, LessonError> {
    let most = loads.iter().map(|load| load.connections()).max().unwrap_or(1);
    let connections = try_join_all((0..most).map(|_| target.dedicated())).await?;
    let stats = vec![LoadStats::default(); loads.len()];
    let rounds = Rounds { rounds: plan.rounds, budget: Duration::MAX, repeat_budget: plan.turn * 4 };
    let mut running = RunningLoads { loads, keys: Keys::new(target.prefix()), connections, plan, stats };
    let rates = harness::measure(&mut running, rounds).await?;
    Ok(running.stats.into_iter().zip(rates.iter().map(|rates| Summary::of(rates))).collect())
}

/// The loads as rows. A sample is operations a second.
struct RunningLoads {
    loads: Vec<Load>,
    keys: Keys,
    connections: Vec<Connection>,
    plan: TimingPlan,
    stats: Vec<LoadStats>,
}

impl Rows for RunningLoads {
    type Sample = f64;

    fn count(&self) -> usize {
        self.loads.len()
    }

    async fn measure(&mut self, row: usize) -> Result<Option<f64>, LessonError> {
        let (load, turn, stall) = (self.loads[row], self.plan.turn, self.plan.stall.as_ref());
        activity::set(load.describe());
        let connections = &self.connections[..load.connections()];
        let stats = match load {
            Load::Closed { in_flight, .. } => {
                closed_loop(in_flight, connections, &self.keys, turn, stall).await?
            }
            Load::Open { rate, .. } => open_loop(rate, connections, &self.keys, turn, stall).await?,
        };
        let rate = stats.rate();
        self.stats[row].add(&stats);
        Ok(Some(rate))
    }

    fn figure(&self, _: usize, rate: &f64) -> f64 {
        *rate
    }
}

impl Load {
    fn connections(self) -> usize {
        let (Self::Closed { connections, .. } | Self::Open { connections, .. }) = self;
        connections.max(1)
    }

    fn describe(self) -> String {
        match self {
            Self::Closed { in_flight, connections } => {
                format!("{in_flight} in flight, {connections} connections")
            }
            Self::Open { rate, .. } => format!("{rate} operations a second"),
        }
    }
}

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

    /// From now on, no node answers a client for that long (CLIENT PAUSE).
    async fn begin(&self) -> RedisResult<()> {
        let milliseconds = u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX);
        for connection in &self.connections {
            let mut pause = redis::cmd("CLIENT");
            pause.arg("PAUSE").arg(milliseconds).exec_async(&mut connection.clone()).await?;
        }
        Ok(())
    }
}
