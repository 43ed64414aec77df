//! A lock on one server, on a majority of five, and on one server with a number: what is left of each after a loss and a pause.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use lab_connection::{Target, own_keys};
use lab_runner::{BoxError, labeled};
use lab_server::Server;
use patterns::lock::{Locks, Token};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{RedisResult, Script};

use super::overtaken::{self, Way, read, write};
use super::{DELETE_IF_EQUAL, set_nx};

/// How many servers there are, and how many of them agree.
const SERVERS: usize = 5;
const MAJORITY: usize = SERVERS / 2 + 1;
/// A TTL that does not end during a test.
const LONG: Duration = Duration::from_mins(1);
/// How often each cost is measured.
const ROUNDS: usize = 5;

labeled! {
    /// How a lock is taken.
    pub enum Redlock {
        /// SET NX PX on one server.
        OneServer => "one server, token",
        /// SET NX PX on five, of which three must agree.
        FiveServers => "Redlock, five servers",
        /// The pattern on one server, with its number at the record.
        OneServerAndFence => "one server, number and fence",
    }
}

/// What a lock costs.
#[derive(Clone, Debug)]
pub struct Cost {
    /// How it is taken.
    pub label: &'static str,
    /// Requests to servers for taking and releasing it.
    pub requests: usize,
    /// The median time of both.
    pub each: Duration,
}

/// Five private servers that know nothing of each other.
pub struct FiveServers {
    servers: Vec<Server>,
    nodes: Vec<MultiplexedConnection>,
}

impl FiveServers {
    /// Starts them.
    pub async fn start() -> Result<Self, BoxError> {
        let start = || (0..SERVERS).map(|_| Server::start()).collect::<Result<Vec<_>, _>>();
        let servers = tokio::task::spawn_blocking(start).await??;
        let connections = servers.iter().map(connect);
        let nodes = try_join_all(connections.collect::<Vec<_>>()).await?;
        Ok(Self { servers, nodes })
    }

    /// Takes so many locks, then one server restarts without its data, and other clients try to take the same locks. Returns how
    /// many got one, while the first holder has it.
    pub async fn held_twice_after_a_loss(&mut self, way: Redlock, locks: usize) -> Result<usize, BoxError> {
        let names: Vec<String> = (0..locks).map(|lock| format!("loss-{lock}")).collect();
        for name in &names {
            self.take(way, name, "first", LONG).await?.ok_or("a free lock")?;
        }
        let first = &mut self.servers[0];
        first.kill();
        first.restart()?;
        self.nodes[0] = connect(first).await?;
        let mut twice = 0;
        for name in &names {
            twice += usize::from(self.take(way, name, "second", LONG).await?.is_some());
        }
        self.clear(&names).await?;
        Ok(twice)
    }

    /// [`overtaken::stale_writes`] with locks on these servers. The records are on the server of the lesson.
    pub async fn stale_writes(
        &self,
        way: Redlock,
        target: &Target,
        holders: usize,
        ttl: Duration,
    ) -> Result<usize, BoxError> {
        let names: Vec<String> = (0..holders).map(|holder| format!("stopped-{holder}")).collect();
        let record = if way == Redlock::OneServerAndFence { Way::LockAndFence } else { Way::LockAlone };
        let each = names.iter().map(|name| async move {
            let held = self.take_patiently(way, name, "first", ttl).await?;
            // The first holder is stopped here, for longer than its TTL.
            let next = self.take_patiently(way, name, "second", ttl).await?;
            write(record, target, name, next, "newer").await?;
            write(record, target, name, held, "older").await?;
            read(target, name).await.map(|value| value == "older")
        });
        let stale = try_join_all(each.collect::<Vec<_>>()).await?;
        self.clear(&names).await?;
        own_keys::unlink(&mut target.connection(), &overtaken::keys(target, holders)?).await?;
        Ok(stale.into_iter().filter(|stale| *stale).count())
    }

    /// Takes and releases locks one after the other, each way in turn, and checks that each was free and is gone.
    pub async fn costs(&self, locks: usize) -> Result<Vec<Cost>, BoxError> {
        let mut times = vec![Vec::new(); Redlock::ALL.len()];
        for _ in 0..ROUNDS {
            for (way, times) in Redlock::ALL.into_iter().zip(&mut times) {
                let begun = Instant::now();
                for _ in 0..locks {
                    self.take(way, "cost", "token", LONG).await?.ok_or("a free lock")?;
                    self.release(way, "cost", "token").await?;
                }
                times.push(begun.elapsed() / u32::try_from(locks)?);
            }
        }
        let costs = Redlock::ALL.into_iter().zip(times).map(|(way, mut times)| {
            times.sort();
            let requests = if way == Redlock::FiveServers { 2 * SERVERS } else { 2 };
            Cost { label: way.label(), requests, each: times[ROUNDS / 2] }
        });
        Ok(costs.collect())
    }

    /// The number of the holder, or zero if there is none; `None` if the lock is taken.
    async fn take(
        &self,
        way: Redlock,
        name: &str,
        token: &str,
        ttl: Duration,
    ) -> Result<Option<u64>, BoxError> {
        let one = self.nodes[0].clone();
        let ttl_ms = u64::try_from(ttl.as_millis())?;
        match way {
            Redlock::OneServer => {
                let is_free = set_nx(&mut one.clone(), name, token, ttl_ms).await?;
                Ok(is_free.then_some(0))
            }
            Redlock::FiveServers => Ok(by_majority(&self.nodes, name, token, ttl).await?.then_some(0)),
            Redlock::OneServerAndFence => {
                let locks = Locks::new(one, "", token).with_ttl(ttl);
                match locks.try_acquire(name, &parse(token)?).await {
                    Ok(held) => Ok(Some(held.number())),
                    Err(patterns::lock::LockError::Held { .. }) => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    async fn take_patiently(
        &self,
        way: Redlock,
        name: &str,
        token: &str,
        ttl: Duration,
    ) -> Result<u64, BoxError> {
        let begun = Instant::now();
        loop {
            if let Some(number) = self.take(way, name, token, ttl).await? {
                return Ok(number);
            } else if begun.elapsed() > Duration::from_secs(10) {
                return Err("the lock of the first holder ends with its TTL".into());
            }
            tokio::time::sleep(ttl / 4).await;
        }
    }

    async fn release(&self, way: Redlock, name: &str, token: &str) -> Result<(), BoxError> {
        let released = match way {
            Redlock::OneServer => release_everywhere(&self.nodes[..1], name, token).await == 1,
            Redlock::FiveServers => release_everywhere(&self.nodes, name, token).await == SERVERS,
            Redlock::OneServerAndFence => {
                Locks::new(self.nodes[0].clone(), "", token).release(name, &parse(token)?).await?
            }
        };
        if released { Ok(()) } else { Err("a lock that is released once".into()) }
    }

    /// Removes the locks from all servers.
    async fn clear(&self, names: &[String]) -> Result<(), BoxError> {
        for node in &self.nodes {
            let locks = Locks::new(node.clone(), "", "");
            let mut unlink = redis::cmd("UNLINK");
            unlink.arg(names);
            for name in names {
                unlink.arg(&locks.keys(name)?);
            }
            unlink.exec_async(&mut node.clone()).await?;
        }
        Ok(())
    }
}

/// Redlock: three of five must agree, and before the first of them could have expired.
async fn by_majority(
    nodes: &[impl ConnectionLike + Clone],
    name: &str,
    token: &str,
    ttl: Duration,
) -> RedisResult<bool> {
    let begun = Instant::now();
    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    let takes = nodes.iter().map(async |node| set_nx(&mut node.clone(), name, token, ttl_ms).await);
    let replies = join_all(takes.collect::<Vec<_>>()).await;
    let agree = replies.into_iter().filter(|reply| matches!(reply, Ok(true))).count();
    if agree >= MAJORITY && begun.elapsed() < ttl {
        return Ok(true);
    }
    release_everywhere(nodes, name, token).await;
    Ok(false)
}

/// On how many servers the token was deleted. A server that cannot be reached keeps it until its TTL ends.
async fn release_everywhere(nodes: &[impl ConnectionLike + Clone], name: &str, token: &str) -> usize {
    let script = Script::new(DELETE_IF_EQUAL);
    let releases = nodes.iter().map(async |node| {
        let mut node = node.clone();
        script.key(name).arg(token).invoke_async::<usize>(&mut node).await.unwrap_or(0)
    });
    join_all(releases.collect::<Vec<_>>()).await.into_iter().sum()
}

async fn connect(server: &Server) -> RedisResult<MultiplexedConnection> {
    server.client().get_multiplexed_async_connection().await
}

fn parse(token: &str) -> Result<Token, BoxError> {
    Ok(Token::parse(token).ok_or("a token of letters")?)
}
