//! What the limiters share: limits, decisions, header values, and what happens when Redis cannot be reached.
//!
//! How often may a caller do something? The naive ways fail:
//!
//! - `GET`, compare, `INCR`: every request that arrives before the first one has counted gets in. Check and count must be one
//!   step.
//! - `INCR`, then `EXPIRE` if it answered 1: a client that dies between the two leaves a counter that never expires, and a
//!   caller who is refused forever.
//! - windows by the clients' clocks: a client whose clock is an hour ahead starts the next window for all. Use the server's
//!   clock.
//!
//! Four limiters do it in one script and one round trip. With a limit of N in a window:
//!
//! | limiter | most in any window-long time | most at once | stores | cost of a request |
//! |---|---|---|---|---|
//! | [`FixedWindow`](crate::fixed_window::FixedWindow) | 2 N | 2 N, at the edge of two windows | a number | O(1) |
//! | [`SlidingLog`](crate::sliding_log::SlidingLog) | N | N | an entry for each request | a few LINDEX, each O(N) at worst |
//! | [`SlidingCounter`](crate::sliding_counter::SlidingCounter) | 2 N - 1 | N | three numbers | O(1) |
//! | [`TokenBucket`](crate::token_bucket::TokenBucket) of B | B + N - 1 | B | a number | O(1) |
//!
//! Take a fixed window where twice the limit at an edge does no harm, a token bucket for most else, and the log where the promise
//! is "never more than N in any minute".
//!
//! A [`Limiter`] has one limit or several, such as 10 a second and 1,000 a day. It decides them in one step: a request takes its
//! cost from all of them, or from none. The key of the first limit is the root, and the others are its companions, in one slot:
//!
//! | key | holds |
//! |---|---|
//! | `rate_limit:api_key:second` | what the first limit counts |
//! | `rate_limit:{rate_limit:api_key:second}:day` | what the second limit counts |
//! | `rate_limit:{rate_limit:api_key:second}:refund:ID` | that this refund was made; expires after [`REFUND_REMEMBERED`] |
//!
//! All clients that limit the same callers must use the same limits and the same limiter. When you change the window or the
//! limiter, give the limit another name.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::key::{Key, KeyError, check_id, escape};
use crate::script::{Reply, Script, StoreError, milliseconds, send};

/// The highest quota, and the highest burst.
pub const MAX_QUOTA: u32 = 1_000_000;

/// The longest window.
pub const MAX_WINDOW: Duration = Duration::from_hours(31 * 24);

/// The most limits that are decided in one step.
pub const MAX_LIMITS: usize = 8;

/// How long a refund is remembered, so that the same one again gives nothing back.
pub const REFUND_REMEMBERED: Duration = Duration::from_mins(10);

/// The `Retry-After` of a limiter that refuses because Redis cannot be reached.
pub const RETRY_UNREACHABLE: Duration = Duration::from_secs(1);

/// The most callers that one process counts while Redis cannot be reached. Further callers share one counter.
pub const MAX_LOCAL_CALLERS: usize = 10_000;

/// A quota in a window: `Limit::new("minute", 100, Duration::from_mins(1))`. [`Limiter::new`] checks it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limit {
    name: String,
    quota: u32,
    window: Duration,
    burst: u32,
}

impl Limit {
    /// A limit.
    ///
    /// - `name`: 1 to 512 bytes; a part of the key, and its name in the headers
    /// - `quota`: the most in a window, 0 to [`MAX_QUOTA`]; 0 refuses everything
    /// - `window`: 1 ms to [`MAX_WINDOW`], in whole milliseconds
    #[must_use]
    pub fn new(name: &str, quota: u32, window: Duration) -> Self {
        Self { name: name.to_owned(), quota, window, burst: quota }
    }

    /// How many tokens a token bucket holds, 0 to [`MAX_QUOTA`]; the quota by default. The other limiters have no bursts.
    #[must_use]
    pub fn with_burst(self, burst: u32) -> Self {
        Self { burst, ..self }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The most in a window.
    #[must_use]
    pub fn quota(&self) -> u32 {
        self.quota
    }

    /// The window.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }

    /// How many tokens a token bucket holds.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// The window in milliseconds.
    #[must_use]
    pub fn window_ms(&self) -> u64 {
        milliseconds(self.window)
    }

    fn check(&self) -> Result<(), LimitError> {
        check_id(&self.name)?;
        if self.quota.max(self.burst) > MAX_QUOTA {
            return Err(LimitError::Quota { quota: self.quota.max(self.burst) });
        }
        let whole = self.window.subsec_nanos().is_multiple_of(1_000_000);
        if self.window.is_zero() || !whole || self.window > MAX_WINDOW {
            return Err(LimitError::Window { window: self.window });
        }
        Ok(())
    }
}

/// What a limiter does when Redis cannot be reached or cannot write (it is loading, failing over, or out of memory).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IfUnreachable {
    /// Closed: refuses every request. For limits that must never be exceeded, such as guesses at a code.
    Refuse,
    /// Open: each process counts on its own, in fixed windows, and admits its share of each quota: the quota divided by
    /// `processes`, rounded up. For services that must go on, such as an API.
    Admit {
        /// How many processes use this limiter; 0 counts as 1.
        processes: u32,
    },
}

/// What a limiter decides about a request.
#[must_use = "a request that was refused has to be turned away"]
#[derive(Clone, Debug)]
pub struct Decision {
    /// Whether the request is admitted. If not, no limit has counted it.
    pub admitted: bool,
    /// How much more would be admitted now: the lowest of all limits.
    pub remaining: u32,
    /// After how long a refused request of this cost would be admitted if no other request comes first, at least a millisecond.
    /// `None` if it was admitted, or if no wait helps because it costs more than a whole limit.
    pub retry_after: Option<Duration>,
    /// Each limit, in the order of the limiter. Empty if the limiter refuses because Redis cannot be reached.
    pub limits: Vec<LimitState>,
    /// Why Redis could not decide. Then [`IfUnreachable`] decided.
    pub unreachable: Option<RedisError>,
    policies: Arc<[Limit]>,
    cost: u32,
    asked: Instant,
    answered: Instant,
}

/// One limit after a decision.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LimitState {
    /// How much more this limit would admit now.
    pub remaining: u32,
    /// After how long the whole limit is available again if there are no more requests.
    pub reset_after: Duration,
    /// After how long this limit would admit a request that it refused; `None` as in [`Decision::retry_after`].
    pub retry_after: Option<Duration>,
}

impl Decision {
    /// The headers of the response, in lower case: `ratelimit-policy`, `ratelimit`, and for a refused request `retry-after`.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("ratelimit-policy", self.policy_header())];
        if !self.limits.is_empty() {
            headers.push(("ratelimit", self.rate_limit_header()));
        }
        headers.extend(self.retry_after_header().map(|seconds| ("retry-after", seconds)));
        headers
    }

    /// The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10): `"minute";q=100;w=60`. Seconds are rounded up.
    #[must_use]
    pub fn policy_header(&self) -> String {
        let policies = self.policies.iter();
        let items = policies.map(|limit| {
            format!("{};q={};w={}", header_string(&limit.name), limit.quota, whole_seconds(limit.window))
        });
        items.collect::<Vec<_>>().join(", ")
    }

    /// The value of `RateLimit`: `"minute";r=50;t=30`. Seconds are rounded up.
    #[must_use]
    pub fn rate_limit_header(&self) -> String {
        let limits = self.policies.iter().zip(&self.limits);
        let items = limits.map(|(limit, state)| {
            let (name, reset) = (header_string(&limit.name), whole_seconds(state.reset_after));
            format!("{name};r={};t={reset}", state.remaining)
        });
        items.collect::<Vec<_>>().join(", ")
    }

    /// The value of `Retry-After`, if waiting helps: seconds, rounded up.
    #[must_use]
    pub fn retry_after_header(&self) -> Option<String> {
        self.retry_after.map(|wait| whole_seconds(wait).to_string())
    }
}

/// A String of RFC 9651: printable ASCII. Everything else is percent-encoded.
fn header_string(name: &str) -> String {
    let mut text = String::from("\"");
    for byte in name.bytes() {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text + "\""
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// An algorithm for [`Limiter`]: its scripts, and the meaning of their numbers.
pub trait Algorithm: Copy + std::fmt::Debug + Send + Sync + 'static {
    /// How many numbers the script `decide` replies for each limit.
    const NUMBERS: usize;

    /// Decides about a request, and takes its cost.
    ///
    /// - KEYS: one for each limit
    /// - ARGV: cost, `take` or `peek`, then the [`arguments`](Self::arguments) of each limit
    /// - reply: `ADMITTED` or `REFUSED`, then [`NUMBERS`](Self::NUMBERS) for each limit; a negative one is read as `u64::MAX`
    fn decide() -> &'static Script;

    /// Gives back what a request took.
    ///
    /// - KEYS: the refund, then one for each limit
    /// - ARGV: ms for which the refund is remembered, then the [`refund_arguments`](Self::refund_arguments) of each limit
    /// - reply: `REFUNDED` or `ALREADY`
    fn refund() -> &'static Script;

    /// An error if the algorithm does not support this limit.
    fn check(_limit: &Limit) -> Result<(), LimitError> {
        Ok(())
    }

    /// What `decide` needs to know of a limit.
    fn arguments(limit: &Limit, cost: u32) -> [u64; 2];

    /// The state of a limit, from its numbers. `retry_after` is the wait if this limit refuses the cost, and `None` if it does
    /// not.
    fn state(limit: &Limit, cost: u32, numbers: &[u64]) -> LimitState;

    /// The highest cost that this limit ever admits.
    fn max_cost(limit: &Limit) -> u32 {
        limit.quota
    }

    /// The arguments of `refund` for one limit. The cost comes first, and is 0 if this limit no longer counts the request.
    /// `age` is the least and the most time since the request.
    fn refund_arguments(limit: &Limit, cost: u32, state: &LimitState, age: [Duration; 2]) -> [u64; 3];
}

/// Admits requests up to the limits, for each caller separately.
#[derive(Clone, Debug)]
pub struct Limiter<C, A> {
    connection: C,
    prefix: String,
    limits: Arc<[Limit]>,
    if_unreachable: IfUnreachable,
    local: Arc<Mutex<LocalWindows>>,
    algorithm: PhantomData<A>,
}

impl<C: ConnectionLike + Clone, A: Algorithm> Limiter<C, A> {
    /// A limiter with 1 to [`MAX_LIMITS`] limits of different names, and what it does if Redis cannot be reached. It notices
    /// that after the connection's response timeout, so set a short one.
    pub fn new(
        connection: C,
        prefix: &str,
        limits: &[Limit],
        if_unreachable: IfUnreachable,
    ) -> Result<Self, LimitError> {
        if limits.is_empty() || limits.len() > MAX_LIMITS {
            return Err(LimitError::Number { limits: limits.len() });
        }
        for (position, limit) in limits.iter().enumerate() {
            limit.check()?;
            A::check(limit)?;
            if limits[..position].iter().any(|other| other.name == limit.name) {
                return Err(LimitError::SameName { name: limit.name.clone() });
            }
        }
        let (prefix, limits) = (prefix.to_owned(), Arc::from(limits));
        let local = Arc::default();
        Ok(Self { connection, prefix, limits, if_unreachable, local, algorithm: PhantomData })
    }

    /// The limits.
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// Admits one request, or refuses it. One round trip.
    pub async fn admit(&self, caller: &str) -> Result<Decision, StoreError> {
        self.admit_many(caller, 1).await
    }

    /// Admits a request that counts as several, all or none. One round trip. A cost of 0 takes nothing.
    ///
    /// If the reply is lost, it is unknown whether the request was counted. A second call may count it twice, but never admits
    /// more than the limits allow.
    pub async fn admit_many(&self, caller: &str, cost: u32) -> Result<Decision, StoreError> {
        self.decide(caller, cost, if cost == 0 { "peek" } else { "take" }).await
    }

    /// The decision for a request of this cost, without taking anything. One round trip.
    pub async fn peek(&self, caller: &str, cost: u32) -> Result<Decision, StoreError> {
        self.decide(caller, cost, "peek").await
    }

    /// Gives back what an admitted request took, for example because the work failed through no fault of the caller. Pick an ID
    /// for each refund: within [`REFUND_REMEMBERED`], the same ID counts once. One round trip.
    ///
    /// Returns whether this call was the refund. A request is not given back if it was refused, if the limits no longer count it, if
    /// it was admitted without Redis, or if another limiter admitted it.
    pub async fn refund(&self, caller: &str, decision: &Decision, id: &str) -> Result<bool, StoreError> {
        check_id(id)?;
        let is_ours = decision.policies == self.limits && decision.unreachable.is_none();
        if !decision.admitted || decision.cost == 0 || !is_ours {
            return Ok(false);
        }
        let root = self.root(caller)?;
        let age = [decision.answered.elapsed(), decision.asked.elapsed()];
        let mut keys = vec![root.companion(&format!("refund:{}", escape(id)))];
        keys.extend(self.keys(caller)?);
        let mut call = A::refund().call(&keys).arg(milliseconds(REFUND_REMEMBERED));
        let mut counted = false;
        for (limit, state) in self.limits.iter().zip(&decision.limits) {
            let arguments = A::refund_arguments(limit, decision.cost, state, age);
            counted |= arguments[0] > 0;
            call = call.arg(&arguments[..]);
        }
        if !counted {
            return Ok(false);
        }
        call.run::<Reply>(&self.connection).await?.either("REFUNDED", "ALREADY")
    }

    /// Forgets everything that this caller has taken. One round trip.
    pub async fn reset(&self, caller: &str) -> Result<(), StoreError> {
        let keys = self.keys(caller)?;
        self.lock_local().callers.remove(caller);
        send(&self.connection, redis::cmd("UNLINK").arg(keys)).await
    }

    /// The keys of one caller, one for each limit.
    pub fn keys(&self, caller: &str) -> Result<Vec<String>, StoreError> {
        let root = self.root(caller)?;
        let others = self.limits[1..].iter().map(|limit| root.companion(&escape(&limit.name)));
        Ok(std::iter::once(root.as_str().to_owned()).chain(others).collect())
    }

    fn root(&self, caller: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "rate_limit", &[caller, &self.limits[0].name])?)
    }

    async fn decide(&self, caller: &str, cost: u32, mode: &str) -> Result<Decision, StoreError> {
        let keys = self.keys(caller)?;
        let mut call = A::decide().call(&keys).arg(cost).arg(mode);
        for limit in &*self.limits {
            call = call.arg(&A::arguments(limit, cost)[..]);
        }
        let asked = Instant::now();
        match call.run::<Reply>(&self.connection).await {
            Ok(reply) => self.read(reply, cost, asked),
            Err(StoreError::Redis(error)) if is_unreachable(&error) => {
                Ok(self.without_redis(caller, cost, mode == "take", asked, error))
            }
            Err(error) => Err(error),
        }
    }

    fn read(&self, mut reply: Reply, cost: u32, asked: Instant) -> Result<Decision, StoreError> {
        let admitted = reply.either("ADMITTED", "REFUSED")?;
        let mut states = Vec::with_capacity(self.limits.len());
        for limit in &*self.limits {
            let mut numbers = [0; 3];
            for number in &mut numbers[..A::NUMBERS] {
                *number = u64::try_from(reply.next::<i64>()?).unwrap_or(u64::MAX);
            }
            states.push(A::state(limit, cost, &numbers[..A::NUMBERS]));
        }
        let possible = self.limits.iter().all(|limit| cost <= A::max_cost(limit));
        Ok(self.decision(admitted, cost, possible, states, asked))
    }

    fn decision(
        &self,
        admitted: bool,
        cost: u32,
        possible: bool,
        mut limits: Vec<LimitState>,
        asked: Instant,
    ) -> Decision {
        for state in &mut limits {
            let wait = state.retry_after.filter(|_| !admitted && possible);
            // A wait of nothing would be a busy loop.
            state.retry_after = wait.map(|wait| wait.max(Duration::from_millis(1)));
        }
        Decision {
            admitted,
            remaining: limits.iter().map(|state| state.remaining).min().unwrap_or(0),
            retry_after: limits.iter().filter_map(|state| state.retry_after).max(),
            limits,
            unreachable: None,
            policies: Arc::clone(&self.limits),
            cost,
            asked,
            answered: Instant::now(),
        }
    }

    fn without_redis(
        &self,
        caller: &str,
        cost: u32,
        take: bool,
        asked: Instant,
        error: RedisError,
    ) -> Decision {
        let mut decision = match self.if_unreachable {
            IfUnreachable::Refuse => Decision {
                retry_after: Some(RETRY_UNREACHABLE),
                ..self.decision(false, cost, false, Vec::new(), asked)
            },
            IfUnreachable::Admit { processes } => {
                let limits: Vec<(u32, Duration)> = self
                    .limits
                    .iter()
                    .map(|limit| (limit.quota.div_ceil(processes.max(1)), limit.window))
                    .collect();
                let possible = limits.iter().all(|(quota, _)| cost <= *quota);
                let (admitted, states) = self.lock_local().decide(caller, cost, take, &limits);
                self.decision(admitted, cost, possible, states, asked)
            }
        };
        decision.unreachable = Some(error);
        decision
    }

    fn lock_local(&self) -> std::sync::MutexGuard<'_, LocalWindows> {
        // The counts are consistent after every statement, so a poisoned lock is fine.
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether Redis cannot be reached, or cannot write at the moment. Everything else, such as a missing permission or another
/// type of key, is an error that you have to fix.
fn is_unreachable(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    match error.kind() {
        ErrorKind::Io
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain) => true,
        _ => matches!(error.code(), Some("BUSY" | "MISCONF" | "NOREPLICAS" | "OOM")),
    }
}

/// Fixed windows in the memory of this process, by its monotonic clock.
#[derive(Debug, Default)]
struct LocalWindows {
    /// For each limit, when its window began, and its count.
    callers: HashMap<String, Vec<(Instant, u32)>>,
    last_cleared: Option<Instant>,
}

impl LocalWindows {
    fn decide(
        &mut self,
        caller: &str,
        cost: u32,
        take: bool,
        limits: &[(u32, Duration)],
    ) -> (bool, Vec<LimitState>) {
        let now = Instant::now();
        self.forget_idle_callers(now, limits);
        let is_full = self.callers.len() >= MAX_LOCAL_CALLERS && !self.callers.contains_key(caller);
        // No caller is called "".
        let caller = if is_full { "" } else { caller };
        let mut windows = self.callers.get(caller).cloned().unwrap_or_default();
        windows.resize(limits.len(), (now, 0));
        let (mut admitted, mut states) = (true, Vec::with_capacity(limits.len()));
        for ((began, count), (quota, window)) in windows.iter_mut().zip(limits) {
            if now.duration_since(*began) >= *window {
                (*began, *count) = (now, 0);
            }
            let left = window.saturating_sub(now.duration_since(*began));
            let reset_after = if *count == 0 { Duration::ZERO } else { left };
            let refused = count.saturating_add(cost) > *quota;
            admitted &= !refused;
            let retry_after = refused.then_some(reset_after);
            states.push(LimitState { remaining: quota.saturating_sub(*count), reset_after, retry_after });
        }
        if admitted && take {
            for ((window, state), (_, length)) in windows.iter_mut().zip(&mut states).zip(limits) {
                window.1 += cost;
                state.remaining -= cost;
                state.reset_after = length.saturating_sub(now.duration_since(window.0));
            }
            self.callers.insert(caller.to_owned(), windows);
        }
        (admitted, states)
    }

    /// Forgets callers whose windows are over, at most once a second, because it goes through all callers.
    fn forget_idle_callers(&mut self, now: Instant, limits: &[(u32, Duration)]) {
        let recently = |at: Instant| now.duration_since(at) < Duration::from_secs(1);
        if self.callers.len() < MAX_LOCAL_CALLERS || self.last_cleared.is_some_and(recently) {
            return;
        }
        self.last_cleared = Some(now);
        self.callers.retain(|_, windows| {
            windows.iter().zip(limits).any(|((began, _), (_, window))| now.duration_since(*began) < *window)
        });
    }
}

/// Why there is no such limiter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// The name of a limit is empty or too long.
    #[error(transparent)]
    Name(#[from] KeyError),
    /// No limit, or too many.
    #[error("a limiter has 1 to {MAX_LIMITS} limits, not {limits}")]
    Number {
        /// How many were given.
        limits: usize,
    },
    /// Two limits share a name, and so would share a key.
    #[error("two limits are called {name:?}")]
    SameName {
        /// The name.
        name: String,
    },
    /// Too high a quota or burst.
    #[error("a quota of {quota} is too high: the maximum is {MAX_QUOTA}")]
    Quota {
        /// What was given.
        quota: u32,
    },
    /// The window is not in whole milliseconds, or it is too long.
    #[error("a window lasts 1 ms to 31 days, in whole milliseconds, not {window:?}")]
    Window {
        /// What was given.
        window: Duration,
    },
    /// A token bucket that would get more than one token each microsecond.
    #[error("{quota} tokens in {window:?} are more than one each microsecond")]
    TooFast {
        /// What was given.
        quota: u32,
        /// What was given.
        window: Duration,
    },
    /// A token bucket that would take more than a year to fill.
    #[error("a bucket of {burst} tokens would take more than a year to fill")]
    TooSlow {
        /// What was given.
        burst: u32,
    },
}
