//! Clients that write until they are stopped, and note what was acknowledged.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lab_connection::Failure;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, RedisResult, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Setting;
use super::group::Group;
use crate::private;
use crate::sentinel::client::{TIMEOUT, discover};

/// Clients that write at the same time.
const CLIENTS: u32 = 4;
/// Between two writes of a client.
const PACE: Duration = Duration::from_millis(1);

/// How a client finds the primary.
#[derive(Clone)]
enum Address {
    Sentinels(Vec<redis::Client>, String),
    /// Somebody tells all clients, which wait so long for a reply.
    ByHand(Arc<Mutex<redis::Client>>, Duration),
}

/// An acknowledged write.
#[derive(Clone)]
pub struct Acknowledged {
    /// Its key.
    pub key: String,
    /// When the client had the reply.
    pub at: Instant,
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
    /// Starts them. With `one_keeps_its_connection`, the first client does not
    /// look for the primary again after a timeout.
    pub fn start(group: &mut Group, setting: Setting, one_keeps_its_connection: bool) -> Self {
        let address = match group {
            Group::Watched(chain) => {
                let sentinels = chain.group.sentinels.iter().map(lab_server::Server::client).collect();
                Address::Sentinels(sentinels, chain.group.data.primary.password().to_owned())
            }
            other => {
                let client = Arc::new(Mutex::new(other.primary().client()));
                Address::ByHand(client, TIMEOUT + setting.confirmed_within())
            }
        };
        let log = Log::default();
        let stop = watch::Sender::new(false);
        let clients = (0..CLIENTS).map(|number| {
            let keeps_connection = one_keeps_its_connection && number == 0;
            let writer =
                Writer { number, address: address.clone(), log: Arc::clone(&log), setting, keeps_connection };
            tokio::spawn(writer.run(stop.subscribe()))
        });
        let clients = clients.collect();
        Self { address, log, stop, clients }
    }

    /// Tells the clients that this is the primary now.
    pub fn move_to(&self, client: redis::Client) {
        if let Address::ByHand(address, _) = &self.address {
            *locked(address) = client;
        }
    }

    /// A connection to the primary, as a client finds it.
    pub async fn primary(&self) -> RedisResult<MultiplexedConnection> {
        self.address.connect().await
    }

    /// How many writes were acknowledged since then.
    pub fn acknowledged_since(&self, moment: Instant) -> usize {
        locked(&self.log).iter().rev().take_while(|write| write.at > moment).count()
    }

    /// Stops the clients, and returns what was acknowledged, in the order of the replies.
    pub async fn stop(mut self) -> Result<Vec<Acknowledged>, Failure> {
        self.stop.send_replace(true);
        for client in self.clients.drain(..) {
            client.await.map_err(|error| private::failure(&error))?;
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
    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        match self {
            Self::Sentinels(sentinels, password) => discover(sentinels, password).await,
            Self::ByHand(client, timeout) => {
                let client = locked(client).clone();
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(TIMEOUT))
                    .set_response_timeout(Some(*timeout));
                client.get_multiplexed_async_connection_with_config(&config).await
            }
        }
    }
}

struct Writer {
    number: u32,
    address: Address,
    log: Log,
    setting: Setting,
    keeps_connection: bool,
}

impl Writer {
    async fn run(self, stop: watch::Receiver<bool>) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut connection = None;
        for write in 0_u64.. {
            pace.tick().await;
            if *stop.borrow() {
                return;
            }
            let mut current = match connection.take() {
                Some(current) => current,
                None => match self.address.connect().await {
                    Ok(new) => new,
                    Err(_) => continue,
                },
            };
            // Each write has its own key. One whose reply is lost is not sent again, and does not count.
            let key = format!("drill:{}:{write}", self.number);
            match self.write(&key, &mut current).await {
                Ok(acknowledged) => {
                    let at = Instant::now();
                    if acknowledged {
                        locked(&self.log).push(Acknowledged { key, at });
                    }
                    connection = Some(current);
                }
                Err(error) if self.keeps(&error) => connection = Some(current),
                Err(_) => {}
            }
        }
    }

    /// Whether the write is acknowledged: the server said OK and, with WAIT, a replica has it.
    async fn write(&self, key: &str, connection: &mut MultiplexedConnection) -> RedisResult<bool> {
        let mut pipeline = redis::pipe();
        pipeline.set(key, self.number).ignore();
        let Some(confirmation) = self.setting.confirmation() else {
            return pipeline.exec_async(connection).await.map(|()| true);
        };
        // Right behind the write, on the same connection.
        pipeline.add_command(confirmation);
        let (reply,): (Value,) = pipeline.query_async(connection).await?;
        let copies: u32 = match reply {
            // WAITAOF: on this server's disk, and on how many replicas' disks.
            Value::Array(counts) => redis::from_redis_value::<(u32, u32)>(Value::Array(counts))?.0,
            count => redis::from_redis_value(count)?,
        };
        Ok(copies > 0)
    }

    fn keeps(&self, error: &RedisError) -> bool {
        self.keeps_connection && (error.is_timeout() || error.code() == Some("NOREPLICAS"))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
