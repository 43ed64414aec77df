//! Limiters, and the bare counting that they are compared with.

use std::sync::LazyLock;

use crate::names::known;
use futures_util::{StreamExt, TryStreamExt, stream};
use lab_runner::{Approach, Wire};
use redis::{RedisError, RedisResult, Script};
use storefront::limits::{Algorithm, Counting, Limit, Limiter, Window};
use storefront::{ApiKey, Keys, StoreError};

/// So many requests are under way at a time.
const AT_ONCE: usize = 50;
/// More than there will be, so that all are admitted.
const MOST: u32 = 10_000;

static INCREMENT: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('INCR', KEYS[1])"));

/// How requests are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiting {
    /// INCR and nothing else: the floor. It limits nobody, and its counters have no end.
    Increment,
    /// The same in a script: what being a script costs by itself.
    IncrementInScript,
    /// A counter that ends with its window.
    FixedWindow(Counting),
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
    pub fn all(counting: Counting) -> Vec<Self> {
        let increx = (counting == Counting::Increx).then_some(Self::FixedWindow(Counting::Increx));
        [Self::Increment, Self::IncrementInScript, Self::FixedWindow(Counting::Script)]
            .into_iter()
            .chain(increx)
            .chain([Self::SlidingLog, Self::SlidingCounter, Self::TokenBucket])
            .collect()
    }

    async fn count<C: Wire>(self, connection: &C, key: &str) -> RedisResult<bool> {
        let mut connection = connection.clone();
        let count: u32 = match self {
            Self::IncrementInScript => INCREMENT.key(key).invoke_async(&mut connection).await?,
            _ => redis::cmd("INCR").arg(key).query_async(&mut connection).await?,
        };
        Ok(count <= MOST)
    }

    /// Its limiter; none limits what is only counted.
    fn limiter<C: Wire>(self, requests: &Requests, connection: &C) -> RedisResult<Option<Limiter<C>>> {
        let (algorithm, counting) = match self {
            Self::Increment | Self::IncrementInScript => return Ok(None),
            Self::FixedWindow(counting) => (Algorithm::FixedWindow, counting),
            Self::SlidingLog => (Algorithm::SlidingLog, Counting::Script),
            Self::SlidingCounter => (Algorithm::SlidingCounter, Counting::Script),
            Self::TokenBucket => (Algorithm::TokenBucket { burst: MOST }, Counting::Script),
        };
        let limit = Limit::new(MOST, Window::day()).map_err(std::io::Error::other)?;
        let limiter = Limiter::new(connection.clone(), requests.keys.clone(), limit, algorithm)
            .map_err(std::io::Error::other)?;
        Ok(Some(limiter.with_counting(counting)))
    }
}

/// Requests of some callers, in turn.
#[derive(Clone, Debug)]
pub struct Requests {
    keys: Keys,
    callers: Vec<ApiKey>,
    number: usize,
}

impl Requests {
    /// So many callers, at least one, and so many requests of all of them together.
    #[must_use]
    pub fn new(keys: &Keys, callers: usize, requests: usize) -> Self {
        let callers = (0..callers.max(1)).map(|number| known(&format!("caller-{number}"))).collect();
        Self { keys: keys.clone(), callers, number: requests }
    }

    /// Every key that any of the approaches writes.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let (keys, day) = (&self.keys, &Window::day());
        let of = |caller| {
            [
                keys.rate_limit(caller, day),
                keys.rate_limit_log(caller, day),
                keys.rate_limit_counter(caller, day),
                keys.rate_limit_bucket(caller, day),
            ]
        };
        self.callers.iter().flat_map(of).collect()
    }
}

impl Approach for Limiting {
    type Subject = Requests;
    /// How many requests were admitted.
    type Observed = usize;

    fn label(self) -> String {
        match self {
            Self::Increment => "INCR, no limit",
            Self::IncrementInScript => "the same in a script",
            Self::FixedWindow(Counting::Script) => "fixed window",
            Self::FixedWindow(Counting::Increx) => "fixed window by INCREX",
            Self::SlidingLog => "sliding log",
            Self::SlidingCounter => "sliding counter",
            Self::TokenBucket => "token bucket",
        }
        .to_owned()
    }

    fn operations(self, requests: &Requests) -> u64 {
        requests.number as u64
    }

    async fn reset<C: Wire>(self, requests: &Requests, connection: &mut C) -> RedisResult<()> {
        // The server learns the script before it counts.
        match self.limiter(requests, connection)? {
            Some(limiter) => admit(&limiter, &requests.callers[0]).await?,
            None => self.count(connection, &requests.keys()[0]).await?,
        };
        let mut unlink = redis::pipe();
        for key in requests.keys() {
            unlink.cmd("UNLINK").arg(key).ignore();
        }
        unlink.exec_async(connection).await
    }

    async fn run<C: Wire>(self, requests: &Requests, connection: &mut C) -> RedisResult<usize> {
        let Some(limiter) = self.limiter(requests, connection)? else {
            let keys: Vec<String> = requests
                .callers
                .iter()
                .map(|caller| requests.keys.rate_limit(caller, &Window::day()))
                .collect();
            let all = (0..requests.number).map(|number| self.count(connection, &keys[number % keys.len()]));
            return admitted(all.collect()).await;
        };
        let callers = &requests.callers;
        let all = (0..requests.number).map(|number| admit(&limiter, &callers[number % callers.len()]));
        admitted(all.collect()).await
    }
}

async fn admit<C: Wire>(limiter: &Limiter<C>, caller: &ApiKey) -> RedisResult<bool> {
    match limiter.admit(caller).await {
        Ok(admission) => Ok(admission.admitted),
        Err(error) => Err(of_store(error)),
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
