//! Clients that write until they are stopped, and note what was acknowledged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::Failure;
use lab_connection::connection::RESPONSE_TIMEOUT;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::group::Group;
use super::{Fault, Setting};
use crate::doctor::slot;
use crate::private::{self, connect_within};
use crate::sentinel::client::{TIMEOUT, discover};

/// How much the clients write.
#[derive(Clone, Copy)]
struct Workload {
    /// Clients that write at the same time.
    clients: u32,
    /// Between two writes of a client.
    pace: Duration,
    /// Of a value.
    bytes: usize,
    /// Whether every other key has a TTL, of an hour.
    with_ttl: bool,
    /// The first client does not look for the primary again after a timeout.
    one_keeps_its_connection: bool,
}

impl Workload {
    fn of(fault: Fault) -> Self {
        let usual = Self {
            clients: 4,
            pace: Duration::from_millis(1),
            bytes: 10,
            with_ttl: false,
            one_keeps_its_connection: fault == Fault::Hang,
        };
        match fault {
            Fault::ClusterFailover => Self { clients: 50, pace: Duration::from_millis(20), ..usual },
            Fault::MemoryFull => Self { bytes: 1_000, with_ttl: true, ..usual },
            _ => usual,
        }
    }
}

/// How a client finds the primary.
#[derive(Clone)]
enum Address {
    Sentinels(Vec<redis::Client>, String),
    /// Somebody tells all clients, which wait so long for a reply.
    ByHand(Arc<Mutex<redis::Client>>),
    /// A cluster client finds it, and follows.
    Cluster(Vec<String>),
}

/// A connection to the primary, or to a cluster.
pub enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Slots of the first of three primaries.
const FIRST_THIRD: std::ops::RangeInclusive<u16> = 0..=5_460;

/// An acknowledged write.
#[derive(Clone)]
pub struct Acknowledged {
    /// Its key.
    pub key: String,
    /// When the client had the reply.
    pub at: Instant,
    /// Whether the damage hurts it. In a cluster, it hurts only the slots of one primary.
    pub hurt: bool,
}

/// What the clients share.
type Log = Arc<Mutex<Vec<Acknowledged>>>;

/// The clients of one trial.
pub struct Writers {
    address: Address,
    log: Log,
    stop: watch::Sender<bool>,
    clients: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Starts them.
    pub fn start(group: &mut Group, fault: Fault, setting: Setting) -> Self {
        let address = match group {
            Group::Watched(chain) => {
                let sentinels = chain.group.sentinels.iter().map(lab_server::Server::client).collect();
                Address::Sentinels(sentinels, chain.group.data.primary.password().to_owned())
            }
            Group::Cluster(cluster) => Address::Cluster(cluster.urls()),
            other => Address::ByHand(Arc::new(Mutex::new(other.primary().client()))),
        };
        let log = Log::default();
        let stop = watch::Sender::new(false);
        let workload = Workload::of(fault);
        let clients = (0..workload.clients).map(|number| {
            let (address, log) = (address.clone(), Arc::clone(&log));
            let (keys, hurt) = address.keys_of(number);
            let writer = Writer { number, keys, hurt, address, log, setting, workload };
            tokio::spawn(writer.run(stop.subscribe()))
        });
        let clients = clients.collect();
        Self { address, log, stop, clients }
    }

    /// Tells the clients that this is the primary now.
    pub fn move_to(&self, client: redis::Client) {
        if let Address::ByHand(address) = &self.address {
            *locked(address) = client;
        }
    }

    /// A connection to the primary, as a client finds it, but one that waits longer.
    pub async fn primary(&self) -> RedisResult<Connection> {
        self.address.connect(RESPONSE_TIMEOUT).await
    }

    /// How many writes that the damage hurts were acknowledged since then.
    pub fn acknowledged_since(&self, moment: Instant) -> usize {
        let log = locked(&self.log);
        log.iter().rev().take_while(|write| write.at > moment).filter(|write| write.hurt).count()
    }

    /// Stops the clients, and returns what was acknowledged, in the order of the replies.
    pub async fn stop(mut self) -> Result<Vec<Acknowledged>, Failure> {
        self.stop.send_replace(true);
        for client in self.clients.drain(..) {
            client.await.map_err(private::failure)?;
        }
        let mut log = std::mem::take(&mut *locked(&self.log));
        log.sort_by_key(|write| write.at);
        Ok(log)
    }
}

/// A trial that fails must not leave clients behind.
impl Drop for Writers {
    fn drop(&mut self) {
        for client in &self.clients {
            client.abort();
        }
    }
}

impl Address {
    /// A connection on which a reply may take this long.
    async fn connect(&self, timeout: Duration) -> RedisResult<Connection> {
        match self {
            Self::Sentinels(sentinels, password) => {
                let mut primary = discover(sentinels, password).await?;
                primary.set_response_timeout(timeout);
                Ok(Connection::One(primary))
            }
            Self::ByHand(client) => {
                let client = locked(client).clone();
                connect_within(TIMEOUT, timeout, &client).await.map(Connection::One)
            }
            Self::Cluster(urls) => {
                let builder = ClusterClient::builder(urls.iter().map(String::as_str))
                    .connection_timeout(TIMEOUT)
                    .response_timeout(timeout)
                    .overall_response_timeout(Some(2 * timeout))
                    // In milliseconds.
                    .min_retry_wait(10)
                    .max_retry_wait(100);
                builder.build()?.get_async_connection().await.map(Connection::Cluster)
            }
        }
    }

    /// What the keys of a client begin with, and whether the damage hurts them. In a cluster, it hurts every third client. A client
    /// that waits for a dead primary writes nothing elsewhere, so each has one slot.
    fn keys_of(&self, client: u32) -> (String, bool) {
        if !matches!(self, Self::Cluster(_)) {
            return (format!("drill:{client}"), true);
        }
        let hurt = client.is_multiple_of(3);
        let mut tags = (0..).map(|tag| format!("drill:{{{client}.{tag}}}"));
        let fitting = tags.find(|tag: &String| FIRST_THIRD.contains(&slot(tag.as_bytes())) == hurt);
        (fitting.unwrap_or_default(), hurt)
    }
}

impl Connection {
    fn inner(&mut self) -> &mut dyn ConnectionLike {
        match self {
            Self::One(connection) => connection,
            Self::Cluster(connection) => connection,
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.inner().req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.inner().req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        0
    }
}

struct Writer {
    number: u32,
    /// What its keys begin with.
    keys: String,
    /// Whether the damage hurts them.
    hurt: bool,
    address: Address,
    log: Log,
    setting: Setting,
    workload: Workload,
}

impl Writer {
    async fn run(self, stop: watch::Receiver<bool>) {
        let mut pace = tokio::time::interval(self.workload.pace);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut connection = None;
        let timeout = self.timeout();
        for write in 0_u64.. {
            pace.tick().await;
            if *stop.borrow() {
                return;
            }
            let mut current = match connection.take() {
                Some(current) => current,
                None => match self.address.connect(timeout).await {
                    Ok(new) => new,
                    Err(_) => continue,
                },
            };
            // Each write has its own key. One whose reply is lost is not sent again, and does not count.
            let key = format!("{}:{write}", self.keys);
            let expires = self.workload.with_ttl && write % 2 == 0;
            match self.write(&key, expires, &mut current).await {
                Ok(acknowledged) => {
                    let at = Instant::now();
                    if acknowledged {
                        locked(&self.log).push(Acknowledged { key, at, hurt: self.hurt });
                    }
                    connection = Some(current);
                }
                Err(error) if self.keeps(&error) => connection = Some(current),
                Err(_) => {}
            }
        }
    }

    /// Whether the write is acknowledged: the server said OK and, with WAIT, a replica has it.
    async fn write(&self, key: &str, expires: bool, connection: &mut Connection) -> RedisResult<bool> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("SET").arg(key).arg("x".repeat(self.workload.bytes));
        if expires {
            pipeline.arg("EX").arg(3_600);
        }
        pipeline.ignore();
        let Some(confirmation) = self.setting.confirmation() else {
            return pipeline.exec_async(connection).await.map(|()| true);
        };
        // Right behind the write, on the same connection. A cluster client sends the pipeline to the primary of the key.
        pipeline.add_command(confirmation);
        let (reply,): (Value,) = pipeline.query_async(connection).await?;
        match reply {
            // WAITAOF: on this server's disk, and on how many replicas' disks.
            Value::Array(counts) => {
                let (here, replicas): (u32, u32) = redis::from_redis_value(Value::Array(counts))?;
                Ok(here > 0 && (replicas > 0 || self.setting == Setting::WaitAof))
            }
            count => Ok(redis::from_redis_value::<u32>(count)? > 0),
        }
    }

    /// How long a reply may take. A Sentinel's client looks for another primary after half a second, unless it waits for a disk.
    fn timeout(&self) -> Duration {
        match self.address {
            Address::Sentinels(..) if !self.setting.waits_for_a_disk() => TIMEOUT,
            _ => TIMEOUT + self.setting.confirmed_within(),
        }
    }

    /// Whether the client writes on over the same connection. That of a cluster repairs itself.
    fn keeps(&self, error: &RedisError) -> bool {
        let refused = matches!(error.code(), Some("OOM" | "MISCONF"));
        let insists = self.workload.one_keeps_its_connection && self.number == 0;
        refused
            || matches!(self.address, Address::Cluster(_))
            || insists && (error.is_timeout() || error.code() == Some("NOREPLICAS"))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
