//! Sliding counter: two windows of the wall clock, the older one weighted.
//!
//! It counts the requests of this window in full, and those of the previous window by the part that a window ending now would
//! still cover, as if they were spread evenly. If they were not, it admits too many or too few: in a time that is the part d of
//! a window, at most N (1 + d). See [`limit`](crate::limit) for the other limiters.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `rate_limit:api_key:minute` | String | `1764410040000 12 7`: when this window began (ms), the count of the previous
//! window, its own count |
//! | `rate_limit:{rate_limit:api_key:minute}:day` | String | the same for the second limit |
//! | `rate_limit:{rate_limit:api_key:minute}:refund:ID` | String | that this refund was made; expires after 10 minutes |
//!
//! - **Promise**: never more than the quota at once, and less than twice the quota in any window-long time. Of several limits, all
//!   count a request or none does. A refused request changes nothing.
//! - **Cost**: one round trip; O(1) for each limit.
//! - **Memory**: three numbers for each caller and limit, for at most two windows, and one short key for each refund, for 10
//!   minutes.
//! - **Faults**: if a key is evicted or a failover loses the last writes, those requests are forgotten, and a caller can have as
//!   many again. If the clock is set back, everything counted so far counts as of now; if it is set forward, it is over. A request
//!   that is sent twice counts twice; a refund that is sent twice counts once.
//!
//! ```
//! use std::time::Duration;
//!
//! use patterns::limit::{IfUnreachable, Limit};
//! use patterns::sliding_counter::SlidingCounter;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let limits = [Limit::new("minute", 10, Duration::from_mins(1))];
//! let limiter = SlidingCounter::new(connection, "", &limits, IfUnreachable::Admit { processes: 4 })?;
//!
//! // A request that counts as eight, and then one that does not fit.
//! assert_eq!(limiter.admit_many("api_key", 8).await?.remaining, 2);
//! let refused = limiter.admit_many("api_key", 3).await?;
//! assert!(!refused.admitted && refused.retry_after.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use crate::limit::{Algorithm, Limit, LimitState, Limiter};
use crate::script::{Script, by_operation};

const FILE: &str = include_str!("sliding_counter.lua");

/// Admits or refuses a request under all its limits at once.
pub static DECIDE: Script = Script::new("sliding_counter.lua: decide", FILE, &["decide"]);
/// Gives back what a request has taken, once.
pub static REFUND: Script = Script::new("sliding_counter.lua: refund", FILE, &["refund"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&DECIDE, &REFUND])
}

/// Limits counted in two weighted windows.
pub type SlidingCounter<C> = Limiter<C, SlidingCounterAlgorithm>;

/// What a [`SlidingCounter`] does that other limiters do not.
#[derive(Clone, Copy, Debug)]
pub struct SlidingCounterAlgorithm;

impl Algorithm for SlidingCounterAlgorithm {
    const NUMBERS: usize = 3;

    fn decide() -> &'static Script {
        &DECIDE
    }

    fn refund() -> &'static Script {
        &REFUND
    }

    fn arguments(limit: &Limit, _cost: u32) -> [u64; 2] {
        [limit.quota().into(), limit.window_ms()]
    }

    fn state(limit: &Limit, cost: u32, numbers: &[u64]) -> LimitState {
        let [previous, current, elapsed] = [numbers[0], numbers[1], numbers[2]].map(u128::from);
        let (quota, cost, window) =
            (u128::from(limit.quota()), u128::from(cost), u128::from(limit.window_ms()));
        let left = window.saturating_sub(elapsed);
        // In requests times milliseconds, so that nothing is rounded before the end.
        let used = current * window + previous * left;
        let remaining = (quota * window).saturating_sub(used) / window;
        let reset = if current > 0 { left + window } else { left * previous.min(1) };
        // How long the weight of `count` requests takes to fall until this request fits into the quota.
        let fall = |count: u128, others: u128| {
            let spare = quota.saturating_sub(others + cost) * window;
            window.saturating_sub(spare / count.max(1))
        };
        let wait = if current + cost <= quota {
            fall(previous, current).saturating_sub(elapsed)
        } else {
            // Not in this window. In the next one, this is the previous window.
            left + fall(current, 0)
        };
        let time = |ms: u128| Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX));
        LimitState {
            // At most the quota, so it fits.
            remaining: u32::try_from(remaining).unwrap_or(0),
            reset_after: time(reset),
            retry_after: (remaining < cost).then(|| time(wait)),
        }
    }

    fn refund_arguments(limit: &Limit, cost: u32, state: &LimitState, age: [Duration; 2]) -> [u64; 3] {
        let cost = if age[1] < state.reset_after { cost } else { 0 };
        [cost.into(), u64::try_from(age[1].as_millis()).unwrap_or(u64::MAX), limit.window_ms()]
    }
}
