//! Limiters, and the bare counting that they are compared with.

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_runner::{AnyConnection, Approach};
use patterns::fixed_window::FixedWindowAlgorithm;
use patterns::limit::{Algorithm, IfUnreachable, Limit, Limiter};
use patterns::script::StoreError;
use patterns::sliding_counter::SlidingCounterAlgorithm;
use patterns::sliding_log::SlidingLogAlgorithm;
use patterns::token_bucket::TokenBucketAlgorithm;
use redis::{RedisError, RedisResult, Script};

use super::key_of;

/// So many requests are under way at a time.
const AT_ONCE: usize = 50;
/// More than there will be, so that all are admitted.
const QUOTA: u32 = 10_000;
const DAY: Duration = Duration::from_hours(24);

static INCREMENT: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('INCR', KEYS[1])"));

/// How requests are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiting {
    /// INCR and nothing else: the floor. It limits nobody, and its counters have no end.
    Increment,
    /// The same in a script: what being a script costs by itself.
    IncrementInScript,
    /// A counter that ends with its window.
    FixedWindow,
    /// The same by a single command, where the server has it.
    Increx,
    /// The time of each request.
    SlidingLog,
    /// Two weighted windows.
    SlidingCounter,
    /// GCRA.
    TokenBucket,
}

impl Limiting {
    /// All, the floor first; that by INCREX where the server has it.
    #[must_use]
    pub fn all(increx: bool) -> Vec<Self> {
        [Self::Increment, Self::IncrementInScript, Self::FixedWindow]
            .into_iter()
            .chain(increx.then_some(Self::Increx))
            .chain([Self::SlidingLog, Self::SlidingCounter, Self::TokenBucket])
            .collect()
    }

    /// Sends these requests, each of one caller, and returns how many were admitted.
    async fn send<C: AnyConnection>(
        self,
        requests: &Requests,
        connection: &C,
        number: usize,
    ) -> RedisResult<usize> {
        match self {
            Self::Increment | Self::IncrementInScript | Self::Increx => {
                let keys = requests.keys();
                let all = (0..number).map(|number| self.count(connection, &keys[number % keys.len()]));
                admitted(all.collect()).await
            }
            Self::FixedWindow => limited::<FixedWindowAlgorithm, C>(requests, connection, number).await,
            Self::SlidingLog => limited::<SlidingLogAlgorithm, C>(requests, connection, number).await,
            Self::SlidingCounter => limited::<SlidingCounterAlgorithm, C>(requests, connection, number).await,
            Self::TokenBucket => limited::<TokenBucketAlgorithm, C>(requests, connection, number).await,
        }
    }

    async fn count<C: AnyConnection>(self, connection: &C, key: &str) -> RedisResult<bool> {
        let mut connection = connection.clone();
        if self == Self::Increx {
            let mut increx = redis::cmd("INCREX");
            increx.arg(key).arg("BYINT").arg(1).arg("UBOUND").arg(QUOTA);
            increx.arg("PX").arg(DAY.as_secs() * 1_000).arg("ENX");
            let [_, added]: [u32; 2] = increx.query_async(&mut connection).await?;
            return Ok(added == 1);
        }
        let count: u32 = match self {
            Self::IncrementInScript => INCREMENT.key(key).invoke_async(&mut connection).await?,
            _ => redis::cmd("INCR").arg(key).query_async(&mut connection).await?,
        };
        Ok(count <= QUOTA)
    }
}

async fn limited<A: Algorithm, C: AnyConnection>(
    requests: &Requests,
    connection: &C,
    number: usize,
) -> RedisResult<usize> {
    let limits = [Limit::new("day", QUOTA, DAY)];
    let limiter = Limiter::<C, A>::new(connection.clone(), &requests.prefix, &limits, IfUnreachable::Refuse)
        .map_err(std::io::Error::other)?;
    let callers = &requests.callers;
    let all = (0..number).map(|number| admit(&limiter, &callers[number % callers.len()]));
    admitted(all.collect()).await
}

/// Requests of some callers, in turn.
#[derive(Clone, Debug)]
pub struct Requests {
    prefix: String,
    callers: Vec<String>,
    number: usize,
}

impl Requests {
    /// So many callers, at least one, and so many requests of all of them together.
    #[must_use]
    pub fn new(prefix: &str, callers: usize, requests: usize) -> Self {
        let callers = (0..callers.max(1)).map(|number| format!("caller-{number}")).collect();
        Self { prefix: prefix.to_owned(), callers, number: requests }
    }

    /// Every key that any of the approaches writes.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.callers.iter().map(|caller| key_of(&self.prefix, caller, "day")).collect()
    }
}

impl Approach for Limiting {
    type Input = Requests;
    /// How many requests were admitted.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Increment => "INCR, no limit",
            Self::IncrementInScript => "the same in a script",
            Self::FixedWindow => "fixed window",
            Self::Increx => "fixed window by INCREX",
            Self::SlidingLog => "sliding log",
            Self::SlidingCounter => "sliding counter",
            Self::TokenBucket => "token bucket",
        }
        .to_owned()
    }

    fn operations(self, requests: &Requests) -> u64 {
        requests.number as u64
    }

    async fn reset<C: AnyConnection>(self, requests: &Requests, connection: &mut C) -> RedisResult<()> {
        let mut unlink = redis::pipe();
        for key in requests.keys() {
            unlink.cmd("UNLINK").arg(key).ignore();
        }
        unlink.exec_async(connection).await?;
        // The server learns the script before it counts.
        self.send(requests, connection, 1).await?;
        unlink.exec_async(connection).await
    }

    async fn run<C: AnyConnection>(self, requests: &Requests, connection: &mut C) -> RedisResult<usize> {
        self.send(requests, connection, requests.number).await
    }
}

async fn admit<C: AnyConnection, A: Algorithm>(limiter: &Limiter<C, A>, caller: &str) -> RedisResult<bool> {
    let decision = limiter.admit(caller).await.map_err(of_store)?;
    match decision.unreachable {
        Some(error) => Err(error),
        None => Ok(decision.admitted),
    }
}

/// How many of these requests are admitted.
async fn admitted(requests: Vec<impl Future<Output = RedisResult<bool>>>) -> RedisResult<usize> {
    let admitted: Vec<bool> = stream::iter(requests).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(admitted.into_iter().filter(|admitted| *admitted).count())
}

fn of_store(error: StoreError) -> RedisError {
    match error {
        StoreError::Redis(error) => error,
        other => std::io::Error::other(other).into(),
    }
}
