use std::num::NonZeroU32;

use redis::aio::ConnectionLike;
use redis::{RedisError, Value};

use super::recorded_time::Scripts;
use super::{
    Admission, Counting, Limit, LimitError, RecordedTime, fixed_window, of_key, sliding_counter, sliding_log,
    token_bucket,
};
use crate::script;
use crate::store::StoreError;
use crate::{ApiKey, Keys};

/// How a limiter decides. What each lets through at worst stands in the table of the [module](super).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Algorithm {
    /// Counts in a window that begins with its first request, and forgets all of it at its end. So the last moment of one
    /// window and the first of the next can have the whole limit each.
    FixedWindow,
    /// Remembers the time of each admitted request until it is a window old: exact, for at most
    /// [`MOST_LOGGED`](super::MOST_LOGGED) requests.
    SlidingLog,
    /// Counts in windows of the wall clock, and adds of the window before as much as one that ends now would cover, as if
    /// its requests had been spread evenly. Where they were not, it lets in too many or too few: in a stretch of time that is
    /// the part d of a window, at most N (1 + d).
    SlidingCounter,
    /// A bucket from which each request takes a token, and which gets the limit's tokens in a window, one at a time.
    ///
    /// The time in which one comes is the window divided by the limit, rounded up to a whole microsecond: so where that is
    /// no whole number, the rate is lower than asked by less than one part in as many as it has microseconds.
    TokenBucket {
        /// How many tokens it holds when it is full. Zero refuses everything.
        burst: u32,
    },
}

/// Lets callers through as often as a limit allows, each caller for himself.
///
/// Each request is one step on one key, and one round trip; the server's clock counts. After a lost connection it is unknown
/// whether the request was counted: whoever asks again may count it twice, never let in one too many.
///
/// All clients that limit the same callers must use the same limit and algorithm.
#[derive(Clone, Debug)]
pub struct Limiter<C> {
    connection: C,
    keys: Keys,
    algorithm: Algorithm,
    limit: Limit,
    counting: Counting,
    time: Option<RecordedTime>,
}

impl<C: ConnectionLike + Clone> Limiter<C> {
    /// A limiter; an error if the algorithm cannot keep this limit.
    pub fn new(connection: C, keys: Keys, limit: Limit, algorithm: Algorithm) -> Result<Self, LimitError> {
        match algorithm {
            Algorithm::FixedWindow | Algorithm::SlidingCounter => {}
            Algorithm::SlidingLog => sliding_log::check(&limit)?,
            Algorithm::TokenBucket { burst } => token_bucket::check(&limit, burst)?,
        }
        Ok(Self { connection, keys, algorithm, limit, counting: Counting::Script, time: None })
    }

    /// How a fixed window counts; ask the server with [`Counting::of_server`]. The others have one way only.
    #[must_use]
    pub fn with_counting(mut self, counting: Counting) -> Self {
        self.counting = counting;
        self
    }

    /// The same limiter on recorded traffic: it decides as it would have decided then. For keys of its own, never for
    /// those of living callers.
    ///
    /// Keys still end by the server's clock, so the replay of one caller must take less time than a window, or less than a
    /// bucket of his takes to fill. A fixed window's keys last two days, so its replay may take that long.
    #[must_use]
    pub fn on_recorded_time(mut self, time: RecordedTime) -> Self {
        self.time = Some(time);
        self
    }

    /// The limit.
    #[must_use]
    pub fn limit(&self) -> &Limit {
        &self.limit
    }

    /// How it decides.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key of one caller.
    #[must_use]
    pub fn key_of(&self, caller: &ApiKey) -> String {
        let name_of = match self.algorithm {
            Algorithm::FixedWindow => Keys::rate_limit,
            Algorithm::SlidingLog => Keys::rate_limit_log,
            Algorithm::SlidingCounter => Keys::rate_limit_counter,
            Algorithm::TokenBucket { .. } => Keys::rate_limit_bucket,
        };
        name_of(&self.keys, caller, self.limit.window())
    }

    /// Lets one request of this caller through, or not. One round trip.
    pub async fn admit(&self, caller: &ApiKey) -> Result<Admission, StoreError> {
        self.admit_many(caller, NonZeroU32::MIN).await
    }

    /// Lets a request through that counts as several, as a whole or not at all. One round trip; none if it costs more than
    /// the whole limit.
    pub async fn admit_many(&self, caller: &ApiKey, cost: NonZeroU32) -> Result<Admission, StoreError> {
        if cost.get() > self.most_at_once() {
            return Ok(Admission::never());
        }
        let key = self.key_of(caller);
        let admission = match (self.algorithm, self.counting, &self.time) {
            (Algorithm::FixedWindow, Counting::Increx, None) => {
                let layout = self.keys.layout();
                fixed_window::by_increx(&self.connection, layout, &key, cost, &self.limit).await
            }
            _ => self.by_script(&key, caller, cost).await,
        };
        admission.map_err(|error| of_key(error, &key))?
    }

    async fn by_script(
        &self,
        key: &str,
        caller: &ApiKey,
        cost: NonZeroU32,
    ) -> Result<Result<Admission, StoreError>, RedisError> {
        let time = self.time.as_ref();
        let mut call = self.scripts().on(time).key(key);
        if self.algorithm == Algorithm::FixedWindow && time.is_some() {
            call.key(self.keys.rate_limit_recorded(caller, self.limit.window()));
        }
        for number in self.numbers(cost.get().into()) {
            call.arg(number);
        }
        if let Some(time) = time {
            call.arg(time.microseconds());
        }
        let reply: Value = script::run(&call, &self.connection).await?;
        Ok(Admission::of(reply))
    }

    fn scripts(&self) -> &'static Scripts {
        match self.algorithm {
            Algorithm::FixedWindow => &fixed_window::SCRIPTS,
            Algorithm::SlidingLog => &sliding_log::SCRIPTS,
            Algorithm::SlidingCounter => &sliding_counter::SCRIPTS,
            Algorithm::TokenBucket { .. } => &token_bucket::SCRIPTS,
        }
    }

    /// What a script is told of the request and the limit.
    fn numbers(&self, cost: u64) -> [u64; 3] {
        let (most, window) = (u64::from(self.limit.most()), self.limit.window());
        match self.algorithm {
            Algorithm::FixedWindow | Algorithm::SlidingCounter => [cost, most, window.milliseconds()],
            Algorithm::SlidingLog => [cost, most, window.microseconds()],
            Algorithm::TokenBucket { burst } => {
                let [interval, capacity] = token_bucket::times(&self.limit, burst);
                // It costs no more than the burst, so this is no more than the capacity.
                [cost * interval, interval, capacity]
            }
        }
    }

    fn most_at_once(&self) -> u32 {
        match self.algorithm {
            Algorithm::FixedWindow | Algorithm::SlidingLog | Algorithm::SlidingCounter => self.limit.most(),
            Algorithm::TokenBucket { burst } if self.limit.most() > 0 => burst,
            Algorithm::TokenBucket { .. } => 0,
        }
    }
}
