//! Limiters, and the bare counting that they are compared with.

use std::sync::LazyLock;
use std::time::Duration;

use lab_runner::concurrent::concurrently;
use lab_runner::{AnyConnection, Approach, into_redis_error, labeled};
use patterns::fixed_window::FixedWindowAlgorithm;
use patterns::key::KeyError;
use patterns::limit::{Algorithm, IfUnreachable, Limit, Limiter};
use patterns::sliding_counter::SlidingCounterAlgorithm;
use patterns::sliding_log::SlidingLogAlgorithm;
use patterns::token_bucket::TokenBucketAlgorithm;
use redis::{AsyncCommands, RedisResult, Script};

use super::key_of;

/// How many requests are sent at a time.
pub(super) const AT_A_TIME: usize = 50;
/// More than there will be, so that all are admitted.
const QUOTA: u32 = 10_000;
const DAY: Duration = Duration::from_hours(24);

static INCREMENT: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('INCR', KEYS[1])"));

labeled! {
    /// How requests are limited.
    pub enum Limiting {
        /// Limits nobody.
        Incr => "INCR (the baseline)",
        /// The price of any script.
        IncrInScript => "INCR in a script",
        /// A counter that ends with its window.
        FixedWindow => "fixed window",
        /// The same by a single command, where the server has it.
        Increx => "fixed window by INCREX",
        /// The time of each request.
        SlidingLog => "sliding log",
        /// Two weighted windows.
        SlidingCounter => "sliding counter",
        /// GCRA.
        TokenBucket => "token bucket",
    }
}

impl Limiting {
    /// All, the baseline first; INCREX where the server has it.
    pub fn all(increx: bool) -> Vec<Self> {
        Self::ALL.into_iter().filter(|limiting| increx || *limiting != Self::Increx).collect()
    }

    async fn limit<A: Algorithm, C: AnyConnection>(
        self,
        requests: &Requests,
        redis: C,
    ) -> RedisResult<usize> {
        let limits = [Limit::new("day", QUOTA, DAY)];
        let limiter = Limiter::<C, A>::new(redis, &requests.prefix, &limits, IfUnreachable::Refuse);
        let (limiter, callers) = (limiter.map_err(into_redis_error)?, requests.callers(self));
        // The server learns the script, if it does not know it. To peek writes nothing.
        if requests.number == 0 {
            return limiter.peek("warm-up", 1).await.map(|_| 0).map_err(into_redis_error);
        }
        let admit = move |number: usize| admit(limiter.clone(), callers[number % callers.len()].clone());
        Ok(admitted(concurrently(AT_A_TIME, requests.number, admit).await?))
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
    callers: usize,
    number: usize,
}

impl Requests {
    /// This many callers, at least one, and this many requests of all of them together.
    pub fn new(prefix: &str, callers: usize, requests: usize) -> Self {
        Self { prefix: prefix.to_owned(), callers: callers.max(1), number: requests }
    }

    /// Each approach has callers of its own.
    fn callers(&self, limiting: Limiting) -> Vec<String> {
        (0..self.callers).map(|number| format!("caller-{limiting:?}-{number}")).collect()
    }

    fn keys_of(&self, limiting: Limiting) -> Result<Vec<String>, KeyError> {
        self.callers(limiting).iter().map(|caller| key_of(&self.prefix, caller, "day")).collect()
    }

    /// Every key that any of the approaches writes.
    pub fn keys(&self) -> Result<Vec<String>, KeyError> {
        Ok(Limiting::ALL
            .into_iter()
            .map(|limiting| self.keys_of(limiting))
            .collect::<Result<Vec<_>, _>>()?
            .concat())
    }
}

impl Approach for Limiting {
    type Input = Requests;
    /// How many requests were admitted.
    type Output = usize;

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, requests: &Requests) -> u64 {
        requests.number as u64
    }

    async fn reset<C: AnyConnection>(self, requests: &Requests, connection: &mut C) -> RedisResult<()> {
        let mut unlink = redis::pipe();
        for key in requests.keys_of(self).map_err(into_redis_error)? {
            unlink.unlink(key).ignore();
        }
        unlink.exec_async(connection).await?;
        if self == Self::IncrInScript {
            INCREMENT.load_async(connection).await?;
        }
        let none = Requests { number: 0, ..requests.clone() };
        self.run(&none, connection).await.map(drop)
    }

    async fn run<C: AnyConnection>(self, requests: &Requests, connection: &mut C) -> RedisResult<usize> {
        let redis = connection.clone();
        match self {
            Self::FixedWindow => self.limit::<FixedWindowAlgorithm, C>(requests, redis).await,
            Self::SlidingLog => self.limit::<SlidingLogAlgorithm, C>(requests, redis).await,
            Self::SlidingCounter => self.limit::<SlidingCounterAlgorithm, C>(requests, redis).await,
            Self::TokenBucket => self.limit::<TokenBucketAlgorithm, C>(requests, redis).await,
            Self::Incr | Self::IncrInScript | Self::Increx => {
                let keys = requests.keys_of(self).map_err(into_redis_error)?;
                let count = move |number: usize| self.count(redis.clone(), keys[number % keys.len()].clone());
                Ok(admitted(concurrently(AT_A_TIME, requests.number, count).await?))
            }
        }
    }
}
