//! Token bucket: a burst at once, then a steady rate.
//!
//! A bucket holds a number of tokens. Each request takes one, and they come back one at a time, as many as the quota in a
//! window. It is stored as a single time: when the bucket is full again (the generic cell rate algorithm, GCRA). See
//! [`limit`](crate::limit) for the other limiters.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `rate_limit:api_key:minute` | String | when the bucket is full again, in microseconds since 1970; expires then |
//! | `rate_limit:{rate_limit:api_key:minute}:day` | String | the same for the second limit |
//! | `rate_limit:{rate_limit:api_key:minute}:refund:ID` | String | that this refund was made; expires after 10 minutes |
//!
//! A token comes each window / quota, rounded up to a whole microsecond. So where that is no whole number, the rate is a little
//! lower than asked for.
//!
//! - **Promise**: never more than the burst at once, and never more than burst + quota - 1 in any window-long time. Of several
//!   limits, all count a request or none does. A refused request changes nothing.
//! - **Cost**: one round trip; O(1) for each limit.
//! - **Memory**: one number for each caller and limit until the bucket is full, and one short key for each refund, for 10 minutes.
//! - **Faults**: if a key is evicted or a failover loses the last writes, the bucket is full again or has those tokens back. If the
//!   clock is set back, the bucket is at most empty, so the next token comes within window / quota. If it is set forward, the bucket
//!   is full. A request that is sent twice counts twice; a refund that is sent twice counts once.
//!
//! ```
//! use std::time::Duration;
//!
//! use patterns::limit::{IfUnreachable, Limit};
//! use patterns::token_bucket::TokenBucket;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! // 100 an hour, but at most 3 at once.
//! let limits = [Limit::new("hour", 100, Duration::from_hours(1)).with_burst(3)];
//! let limiter = TokenBucket::new(connection, "", &limits, IfUnreachable::Refuse)?;
//!
//! let last = limiter.admit_many("api_key", 3).await?;
//! assert!(last.admitted);
//! assert!(limiter.admit("api_key").await?.retry_after <= Some(Duration::from_secs(36)));
//! // The work failed through no fault of the caller.
//! assert!(limiter.refund("api_key", &last, "request-7").await?);
//! assert!(limiter.admit("api_key").await?.admitted);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use crate::limit::{Algorithm, Limit, LimitError, LimitState, Limiter};
use crate::script::{Script, by_operation};

const FILE: &str = include_str!("token_bucket.lua");

/// Admits or refuses a request under all its limits at once.
pub static DECIDE: Script = Script::new("token_bucket.lua: decide", FILE, &["decide"]);
/// Gives back what a request has taken, once.
pub static REFUND: Script = Script::new("token_bucket.lua: refund", FILE, &["refund"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&DECIDE, &REFUND])
}

/// Limits kept as buckets of tokens.
pub type TokenBucket<C> = Limiter<C, TokenBucketAlgorithm>;

/// What a [`TokenBucket`] does that other limiters do not.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucketAlgorithm;

const YEAR_US: u64 = 365 * 24 * 60 * 60 * 1_000_000;

impl Algorithm for TokenBucketAlgorithm {
    const NUMBERS: usize = 1;

    fn decide() -> &'static Script {
        &DECIDE
    }

    fn refund() -> &'static Script {
        &REFUND
    }

    fn check(limit: &Limit) -> Result<(), LimitError> {
        if u64::from(limit.quota()) > 1_000 * limit.window_ms() {
            return Err(LimitError::TooFast { quota: limit.quota(), window: limit.window() });
        }
        if interval(limit) * u64::from(limit.burst()) > YEAR_US {
            return Err(LimitError::TooSlow { burst: limit.burst() });
        }
        Ok(())
    }

    fn arguments(limit: &Limit, cost: u32) -> [u64; 2] {
        // A cost that is too high is refused, and must not grow beyond 2^53, up to which Lua is exact.
        let cost = u64::from(cost.min(Self::max_cost(limit) + 1));
        [interval(limit) * cost, interval(limit) * u64::from(Self::max_cost(limit))]
    }

    fn state(limit: &Limit, cost: u32, numbers: &[u64]) -> LimitState {
        let [cost, empty] = Self::arguments(limit, cost);
        let wait = numbers[0];
        let remaining = empty.saturating_sub(wait) / interval(limit);
        let missing = (wait + cost).saturating_sub(empty);
        LimitState {
            // At most the burst, so it fits.
            remaining: u32::try_from(remaining).unwrap_or(0),
            reset_after: Duration::from_micros(wait),
            retry_after: (missing > 0).then(|| Duration::from_micros(missing)),
        }
    }

    fn max_cost(limit: &Limit) -> u32 {
        if limit.quota() == 0 { 0 } else { limit.burst() }
    }

    fn refund_arguments(limit: &Limit, cost: u32, state: &LimitState, age: [Duration; 2]) -> [u64; 3] {
        // Once the bucket would be full anyway, there is nothing to give back.
        let cost = if age[1] < state.reset_after { cost } else { 0 };
        [interval(limit) * u64::from(cost), 0, 0]
    }
}

/// The microseconds in which one token comes.
fn interval(limit: &Limit) -> u64 {
    // A quota of zero has no tokens; any interval will do.
    (1_000 * limit.window_ms()).div_ceil(u64::from(limit.quota().max(1)))
}
