//! Limiters, and the bare counting that they are compared with.

use std::sync::LazyLock;
use std::time::Duration;

use lab_runner::{AnyConnection, Approach};
use patterns::fixed_window::FixedWindowAlgorithm;
use patterns::key::KeyError;
use patterns::limit::{Algorithm, IfUnreachable, Limit, Limiter};
use patterns::sliding_counter::SlidingCounterAlgorithm;
use patterns::sliding_log::SlidingLogAlgorithm;
use patterns::token_bucket::TokenBucketAlgorithm;
use redis::{AsyncCommands, RedisResult, Script};

use super::key_of;
use lab_runner::concurrent::concurrently;
use lab_runner::into_redis_error;

/// How many requests are sent at a time.
pub(super) const AT_A_TIME: usize = 50;
/// More than there will be, so that all are admitted.
const QUOTA: u32 = 10_000;
const DAY: Duration = Duration::from_hours(24);

static INCREMENT: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('INCR', KEYS[1])"));

/// How requests are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiting {
    /// INCR, which limits nobody: the baseline.
    Incr,
    /// INCR in a script: the price of any script.
    IncrInScript,
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
    /// All, the baseline first; INCREX where the server has it.
    #[must_use]
    pub fn all(increx: bool) -> Vec<Self> {
        [Self::Incr, Self::IncrInScript, Self::FixedWindow]
            .into_iter()
            .chain(increx.then_some(Self::Increx))
            .chain([Self::SlidingLog, Self::SlidingCounter, Self::TokenBucket])
            .collect()
    }

    /// Sends so many of the requests, and returns how many were admitted.
    async fn send<C: AnyConnection>(
        self,
        requests: &Requests,
        redis: &C,
        count: usize,
    ) -> RedisResult<usize> {
        match self {
            Self::Incr | Self::IncrInScript | Self::Increx => {
                let (keys, redis) = (requests.keys().map_err(into_redis_error)?, redis.clone());
                let count_one =
                    move |number: usize| self.count(redis.clone(), keys[number % keys.len()].clone());
                Ok(admitted(concurrently(AT_A_TIME, count, count_one).await?))
            }
            Self::FixedWindow => limited::<FixedWindowAlgorithm, C>(requests, redis, count).await,
            Self::SlidingLog => limited::<SlidingLogAlgorithm, C>(requests, redis, count).await,
            Self::SlidingCounter => limited::<SlidingCounterAlgorithm, C>(requests, redis, count).await,
            Self::TokenBucket => limited::<TokenBucketAlgorithm, C>(requests, redis, count).await,
        }
    }

    /// Lets the server learn the script before the time is taken. To peek writes nothing.
    async fn warm_up<C: AnyConnection>(self, requests: &Requests, mut redis: C) -> RedisResult<()> {
        match self {
            Self::Incr | Self::Increx => Ok(()),
            Self::IncrInScript => INCREMENT.key("").load_async(&mut redis).await.map(drop),
            Self::FixedWindow => peek::<FixedWindowAlgorithm, C>(requests, &redis).await,
            Self::SlidingLog => peek::<SlidingLogAlgorithm, C>(requests, &redis).await,
            Self::SlidingCounter => peek::<SlidingCounterAlgorithm, C>(requests, &redis).await,
            Self::TokenBucket => peek::<TokenBucketAlgorithm, C>(requests, &redis).await,
        }
    }

    async fn count<C: AnyConnection>(self, mut redis: C, key: String) -> RedisResult<bool> {
        if self == Self::Increx {
            let mut increx = redis::cmd("INCREX");
            increx.arg(key).arg("BYINT").arg(1).arg("UBOUND").arg(QUOTA);
            increx.arg("PX").arg(DAY.as_secs() * 1_000).arg("ENX");
            let [_, added]: [u32; 2] = increx.query_async(&mut redis).await?;
            return Ok(added == 1);
        }
        let count: u32 = match self {
            Self::IncrInScript => INCREMENT.key(key).invoke_async(&mut redis).await?,
            _ => redis.incr(key, 1).await?,
        };
        Ok(count <= QUOTA)
    }
}

async fn limited<A: Algorithm, C: AnyConnection>(
    requests: &Requests,
    redis: &C,
    count: usize,
) -> RedisResult<usize> {
    let limiter = limiter::<A, C>(requests, redis)?;
    let callers = requests.callers.clone();
    let admit_one = move |number: usize| admit(limiter.clone(), callers[number % callers.len()].clone());
    Ok(admitted(concurrently(AT_A_TIME, count, admit_one).await?))
}

async fn peek<A: Algorithm, C: AnyConnection>(requests: &Requests, redis: &C) -> RedisResult<()> {
    let limiter = limiter::<A, C>(requests, redis)?;
    limiter.peek("warm-up", 1).await.map(drop).map_err(into_redis_error)
}

fn limiter<A: Algorithm, C: AnyConnection>(requests: &Requests, redis: &C) -> RedisResult<Limiter<C, A>> {
    let limits = [Limit::new("day", QUOTA, DAY)];
    Limiter::new(redis.clone(), &requests.prefix, &limits, IfUnreachable::Refuse).map_err(into_redis_error)
}

async fn admit<A: Algorithm, C: AnyConnection>(limiter: Limiter<C, A>, caller: String) -> RedisResult<bool> {
    let decision = limiter.admit(&caller).await.map_err(into_redis_error)?;
    decision.unreachable.map_or(Ok(decision.admitted), Err)
}

fn admitted(admitted: Vec<bool>) -> usize {
    admitted.into_iter().filter(|admitted| *admitted).count()
}

/// Requests of several callers, one after the other.
#[derive(Clone, Debug)]
pub struct Requests {
    prefix: String,
    callers: Vec<String>,
    number: usize,
}

impl Requests {
    /// This many callers, at least one, and this many requests of all of them together.
    #[must_use]
    pub fn new(prefix: &str, callers: usize, requests: usize) -> Self {
        let callers = (0..callers.max(1)).map(|number| format!("caller-{number}")).collect();
        Self { prefix: prefix.to_owned(), callers, number: requests }
    }

    /// Every key that any of the approaches writes.
    pub fn keys(&self) -> Result<Vec<String>, KeyError> {
        self.callers.iter().map(|caller| key_of(&self.prefix, caller, "day")).collect()
    }
}

impl Approach for Limiting {
    type Input = Requests;
    /// How many requests were admitted.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Incr => "INCR (the baseline)",
            Self::IncrInScript => "INCR in a script",
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
        for key in requests.keys().map_err(into_redis_error)? {
            unlink.unlink(key).ignore();
        }
        let redis = connection.clone();
        let (unlinked, warmed_up) =
            tokio::join!(biased; unlink.exec_async(connection), self.warm_up(requests, redis));
        unlinked.and(warmed_up)
    }

    async fn run<C: AnyConnection>(self, requests: &Requests, connection: &mut C) -> RedisResult<usize> {
        self.send(requests, connection, requests.number).await
    }
}
