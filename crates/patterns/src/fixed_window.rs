//! Fixed window: a counter that expires with its window.
//!
//! A window begins with the first request and forgets everything when it ends. So a caller can use the whole limit at the end
//! of one window, and again at the start of the next. In return, it stores only a number that you can read with GET. See
//! [`limit`](crate::limit) for the other limiters.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `rate_limit:api_key:minute` | String | the number of requests; expires when the window ends |
//! | `rate_limit:{rate_limit:api_key:minute}:day` | String | the same for the second limit |
//! | `rate_limit:{rate_limit:api_key:minute}:refund:ID` | String | that this refund was made; expires after 10 minutes |
//!
//! - **Promise**: a window never admits more than the quota, however many callers ask at once. Of several limits, all count a
//!   request or none does. A refused request changes nothing.
//! - **Cost**: one round trip; O(1) for each limit.
//! - **Memory**: one number for each caller and limit until the window ends, and one short key for each refund, for 10 minutes.
//! - **Faults**: if a key is evicted or a failover loses the last writes, those requests are forgotten, and a caller can have as
//!   many again. If the clock is set back, the window starts over at the next request and keeps its count; if it is set forward,
//!   windows end early. A request that is sent twice counts twice; a refund that is sent twice counts once.
//!
//! ```
//! use std::time::Duration;
//!
//! use patterns::fixed_window::FixedWindow;
//! use patterns::limit::{IfUnreachable, Limit};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let limits = [
//!     Limit::new("minute", 2, Duration::from_mins(1)),
//!     Limit::new("day", 1_000, Duration::from_hours(24)),
//! ];
//! let limiter = FixedWindow::new(connection, "", &limits, IfUnreachable::Admit { processes: 4 })?;
//!
//! assert!(limiter.admit("api_key").await?.admitted);
//! assert!(limiter.admit("api_key").await?.admitted);
//! let third = limiter.admit("api_key").await?;
//! assert!(!third.admitted);
//! let headers = third.headers();
//! assert_eq!(headers[0], ("ratelimit-policy", r#""minute";q=2;w=60, "day";q=1000;w=86400"#.to_owned()));
//! assert_eq!(headers[1], ("ratelimit", r#""minute";r=0;t=60, "day";r=998;t=86400"#.to_owned()));
//! assert_eq!(headers[2], ("retry-after", "60".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use crate::limit::{Algorithm, Limit, LimitState, Limiter};
use crate::script::{Script, by_operation};

const FILE: &str = include_str!("fixed_window.lua");

/// Admits or refuses a request under all its limits at once.
pub static DECIDE: Script = Script::new("fixed_window.lua: decide", FILE, &["decide"]);
/// Gives back what a request has taken, once.
pub static REFUND: Script = Script::new("fixed_window.lua: refund", FILE, &["refund"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&DECIDE, &REFUND])
}

/// Limits counted in fixed windows.
pub type FixedWindow<C> = Limiter<C, FixedWindowAlgorithm>;

/// What a [`FixedWindow`] does that other limiters do not.
#[derive(Clone, Copy, Debug)]
pub struct FixedWindowAlgorithm;

impl Algorithm for FixedWindowAlgorithm {
    const NUMBERS: usize = 2;

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
        // A window that ends later than possible, or never, starts over with the next request.
        let (count, reset_after) = (numbers[0], Duration::from_millis(numbers[1].min(limit.window_ms())));
        let remaining = u64::from(limit.quota()).saturating_sub(count);
        LimitState {
            // At most the quota, so it fits.
            remaining: u32::try_from(remaining).unwrap_or(0),
            reset_after,
            retry_after: (remaining < cost.into()).then_some(reset_after),
        }
    }

    fn refund_arguments(_: &Limit, cost: u32, state: &LimitState, age: [Duration; 2]) -> [u64; 3] {
        // The time left in the window then, minus the time since. Plus up to a millisecond, because PTTL returns whole ones.
        match state.reset_after.checked_sub(age[0]) {
            Some(left) => [cost.into(), u64::try_from(left.as_millis() + 1).unwrap_or(0), 0],
            None => [0, 0, 0],
        }
    }
}
