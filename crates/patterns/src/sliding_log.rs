//! Sliding log: the time of each request, so that no window ever has too many.
//!
//! The naive log is a Sorted Set with the time as member: two requests at the same time collide and count as one. Here it is a
//! List. Each entry has a time and the total of all costs so far. So the script finds an entry by binary search, a request of
//! any cost is one entry, and no two entries can collide. See [`limit`](crate::limit) for the other limiters.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `rate_limit:api_key:minute` | List | `1764410051123456 57`: when a request came (microseconds), the total cost up to it |
//! | `rate_limit:{rate_limit:api_key:minute}:day` | List | the same for the second limit |
//! | `rate_limit:{rate_limit:api_key:minute}:refund:ID` | String | that this refund was made; expires after 10 minutes |
//!
//! - **Promise**: never more than the quota in any window-long time. Of several limits, all count a request or none does. A refused
//!   request changes nothing.
//! - **Cost**: one round trip. For each limit a few LINDEX near the ends of the List; at worst O(log N) of them, each O(N). A
//!   request removes at most 1,000 entries that are over.
//! - **Memory**: some 25 bytes for each request of the window, so for a quota of 1,000,000 some 25 MB for each caller. Everything
//!   expires a window after the last request. One short key for each refund, for 10 minutes.
//! - **Faults**: if a key is evicted or a failover loses the last writes, those requests are forgotten, and a caller can have as
//!   many again. If the clock is set back, everything in the window counts as of now; if it is set forward, it is over. A request
//!   that is sent twice counts twice; a refund that is sent twice counts once.
//!
//! ```
//! use std::time::Duration;
//!
//! use patterns::limit::{IfUnreachable, Limit};
//! use patterns::sliding_log::SlidingLog;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let limits =
//!     [Limit::new("second", 10, Duration::from_secs(1)), Limit::new("day", 12, Duration::from_hours(24))];
//! let limiter = SlidingLog::new(connection, "", &limits, IfUnreachable::Refuse)?;
//!
//! assert!(limiter.admit_many("ann@example.com", 10).await?.admitted);
//! // The second is used up. So the request is refused, and the day doesn't count it either.
//! assert!(!limiter.admit_many("ann@example.com", 10).await?.admitted);
//! assert_eq!(limiter.peek("ann@example.com", 1).await?.limits[1].remaining, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use crate::limit::{Algorithm, Limit, LimitState, Limiter};
use crate::script::{Script, by_operation};

const FILE: &str = include_str!("sliding_log.lua");

/// Admits or refuses a request under all its limits at once.
pub static DECIDE: Script = Script::new("sliding_log.lua: decide", FILE, &["search", "decide"]);
/// Gives back what a request has taken, once.
pub static REFUND: Script = Script::new("sliding_log.lua: refund", FILE, &["search", "refund"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&DECIDE, &REFUND])
}

/// Limits kept as logs of requests.
pub type SlidingLog<C> = Limiter<C, SlidingLogAlgorithm>;

/// What a [`SlidingLog`] does that other limiters do not.
#[derive(Clone, Copy, Debug)]
pub struct SlidingLogAlgorithm;

impl Algorithm for SlidingLogAlgorithm {
    const NUMBERS: usize = 3;

    fn decide() -> &'static Script {
        &DECIDE
    }

    fn refund() -> &'static Script {
        &REFUND
    }

    fn arguments(limit: &Limit, _cost: u32) -> [u64; 2] {
        [limit.quota().into(), 1_000 * limit.window_ms()]
    }

    fn state(limit: &Limit, cost: u32, numbers: &[u64]) -> LimitState {
        let remaining = u64::from(limit.quota()).saturating_sub(numbers[0]);
        LimitState {
            // At most the quota, so it fits.
            remaining: u32::try_from(remaining).unwrap_or(0),
            reset_after: Duration::from_micros(numbers[2]),
            retry_after: (remaining < cost.into()).then(|| Duration::from_micros(numbers[1])),
        }
    }

    fn refund_arguments(limit: &Limit, cost: u32, _: &LimitState, age: [Duration; 2]) -> [u64; 3] {
        let cost = if age[1] < limit.window() { cost } else { 0 };
        [cost.into(), 1_000 * limit.window_ms(), 0]
    }
}
