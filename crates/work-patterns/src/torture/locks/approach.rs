//! Four locks: how each is taken and released.

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use lab_runner::labeled;
use patterns::lock::{Locks, Token};
use rand::RngExt as _;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use crate::locks::{DELETE_IF_EQUAL, set_nx};
use crate::torture::locks::records::connect;

/// How long a server of Redlock may take to answer: much less than the TTL, so that a dead one does not use it up.
const REDLOCK_ANSWER: Duration = Duration::from_millis(50);

static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(DELETE_IF_EQUAL));

labeled! {
    /// A kind of lock.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Approach {
        /// SET NX PX takes the lock. DEL releases it, even if another client holds it by then
        Naive => "naive",
        /// The same, and only the token releases
        Token => "token",
        /// A majority of five servers
        Redlock => "Redlock",
        /// `patterns::lock` and `patterns::fence`: the number goes with each write
        Fenced => "fenced",
    }
}

/// A lock that was taken.
#[derive(Clone, Debug)]
pub struct Held {
    name: String,
    token: Token,
    /// To send with each write, for a fenced lock.
    pub number: Option<u64>,
    /// By this process's clock, it is held until then.
    pub until: Instant,
}

/// Takes locks of one kind.
pub struct Locker {
    approach: Approach,
    owner: String,
    ttl: Duration,
    urls: Vec<String>,
    /// Redlock has one to each server. The others have one, to the primary.
    connections: Vec<Option<MultiplexedConnection>>,
    primary: usize,
}

impl Locker {
    /// Over these servers: five for Redlock; for the others the primary, and the replica that may take over.
    pub fn new(approach: Approach, urls: Vec<String>, owner: String, ttl: Duration) -> Self {
        let connections = urls.iter().map(|_| None).collect();
        Self { approach, owner, ttl, urls, connections, primary: 0 }
    }

    /// Tries once. `None` if another has it, or no server answers.
    pub async fn try_acquire(&mut self, name: &str) -> Option<Held> {
        let token = Token::random().ok()?;
        let asked = Instant::now();
        let held =
            |number, ttl| Held { name: name.to_owned(), token: token.clone(), number, until: asked + ttl };
        if self.approach == Approach::Redlock {
            return self.majority(name, &token).await.then(|| {
                // The clocks of five servers differ a little.
                let drift = self.ttl / 100 + Duration::from_millis(2);
                held(None, self.ttl.saturating_sub(drift))
            });
        }
        let mut connection = self.primary().await?;
        let acquired = match self.approach {
            Approach::Fenced => {
                let locks = Locks::new(connection, "", &self.owner).with_ttl(self.ttl);
                match locks.try_acquire(name, &token).await {
                    Ok(acquired) => Ok(Some(Some(acquired.number()))),
                    Err(patterns::lock::LockError::Store(error)) => Err(error.to_string()),
                    Err(_) => Ok(None),
                }
            }
            _ => set(&mut connection, name, self.value(&token), self.ttl)
                .await
                .map(|acquired| acquired.then_some(None))
                .map_err(|error| error.to_string()),
        };
        let Ok(acquired) = acquired else {
            self.fail_over();
            return None;
        };
        acquired.map(|number| held(number, self.ttl))
    }

    /// Releases it. An error does not matter: then it ends with its TTL.
    pub async fn release(&mut self, held: &Held) {
        if self.approach == Approach::Redlock {
            return self.release_everywhere(&held.name, &held.token).await;
        }
        let Some(mut connection) = self.primary().await else { return };
        let released = match self.approach {
            Approach::Naive => {
                redis::cmd("DEL").arg(lock_key(&held.name)).exec_async(&mut connection).await.is_ok()
            }
            Approach::Fenced => {
                let locks = Locks::new(connection, "", &self.owner);
                locks.release(&held.name, &held.token).await.is_ok()
            }
            _ => release(&mut connection, &held.name, &held.token).await.is_ok(),
        };
        if !released {
            self.fail_over();
        }
    }

    fn value<'a>(&self, token: &'a Token) -> &'a str {
        if self.approach == Approach::Naive { "locked" } else { token.as_str() }
    }

    async fn primary(&mut self) -> Option<MultiplexedConnection> {
        let url = self.urls.get(self.primary)?;
        let connection = self.connections.get_mut(self.primary)?;
        if connection.is_none() {
            let Ok(open) = connect(url).await else {
                self.fail_over();
                return None;
            };
            *connection = Some(open);
        }
        self.connections.get(self.primary)?.clone()
    }

    /// The other server may be the primary by now.
    fn fail_over(&mut self) {
        self.connections[self.primary] = None;
        self.primary = (self.primary + 1) % self.urls.len();
    }

    /// Redlock: asks all servers at once. What came too late, or was no majority, is released again.
    async fn majority(&mut self, name: &str, token: &Token) -> bool {
        let asked = Instant::now();
        let ttl = self.ttl;
        let asking = self.urls.iter().zip(&mut self.connections).map(|(url, connection)| async move {
            answer(url, connection, async |open| set(open, name, token.as_str(), ttl).await).await
        });
        let yes = join_all(asking).await.into_iter().filter(|answer| *answer == Some(true)).count();
        let in_time = asked.elapsed() < ttl / 2;
        let held = yes > self.urls.len() / 2 && in_time;
        if !held {
            self.release_everywhere(name, token).await;
            // Two that got half of the servers each must not try again at the same moment.
            tokio::time::sleep(Duration::from_millis(rand::rng().random_range(0..5))).await;
        }
        held
    }

    async fn release_everywhere(&mut self, name: &str, token: &Token) {
        let releasing = self.urls.iter().zip(&mut self.connections).map(|(url, connection)| async move {
            answer(url, connection, async |open| release(open, name, token).await).await
        });
        join_all(releasing).await;
    }
}

/// Asks one server of Redlock. After an error, the next call connects again.
async fn answer<T>(
    url: &str,
    connection: &mut Option<MultiplexedConnection>,
    ask: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
) -> Option<T> {
    let asking = async {
        let mut open = match connection.take() {
            Some(open) => open,
            None => connect(url).await?,
        };
        let reply = ask(&mut open).await?;
        *connection = Some(open);
        RedisResult::Ok(reply)
    };
    timeout(REDLOCK_ANSWER, asking).await.ok()?.ok()
}

async fn set(
    connection: &mut MultiplexedConnection,
    name: &str,
    value: &str,
    ttl: Duration,
) -> RedisResult<bool> {
    set_nx(connection, &lock_key(name), value, u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)).await
}

async fn release(connection: &mut MultiplexedConnection, name: &str, token: &Token) -> RedisResult<bool> {
    RELEASE.key(lock_key(name)).arg(token.as_str()).invoke_async(connection).await
}

fn lock_key(name: &str) -> String {
    format!("lock:{name}")
}
