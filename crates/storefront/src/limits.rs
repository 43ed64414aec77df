//! How often may somebody do something? Four limiters, and a guard of logins.
//!
//! In reading order: [`Limit`] and [`Window`] (how much in how long), [`Limiter`] with its [`Algorithm`]s (`fixed_window`,
//! `sliding_log`, `sliding_counter`, `token_bucket`), [`LoginGuard`], and [`RecordedTime`] for trying a limit out.
//!
//! # The naive ways, and why they fail
//!
//! - `GET`, compare, `INCR`: all who ask before the first has counted are let in. Asking and counting must be one step.
//! - `INCR`, then `EXPIRE` if it answered 1: a client that dies between the two leaves a counter that never ends, and a
//!   caller who is refused for ever once it has reached the limit. The counter must get its TTL in the step that makes it.
//! - A window counted by the clients' clocks: whoever is an hour ahead begins everybody's next window. Time is the
//!   server's.
//!
//! Here each request is one script, or one `INCREX` where the server has it, on one key: one step, one round trip, and the
//! key ends by itself as soon as it says nothing any more. A refused request changes nothing and is not counted, so a
//! client that keeps knocking is let in as soon as one that waits, and costs no write.
//!
//! # Which one
//!
//! With a limit of N in a window:
//!
//! | algorithm | most in any window-long time | most at an edge, at once | keeps | cost of a request |
//! |---|---|---|---|---|
//! | [`FixedWindow`](Algorithm::FixedWindow) | 2 N | 2 N | a number | O(1) |
//! | [`SlidingLog`](Algorithm::SlidingLog) | N | N | a member for each request | O(log N) |
//! | [`SlidingCounter`](Algorithm::SlidingCounter) | 2 N - 1 | N (1 + d), d the part of a window that it takes | three numbers | O(1) |
//! | [`TokenBucket`](Algorithm::TokenBucket) of B | B + N - 1 | B | a number | O(1) |
//!
//! ```
//! use storefront::limits::{Algorithm, Limit, Limiter, Window};
//! use storefront::{Keys, Layout};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let keys = Keys::new("", Layout::Standalone);
//!
//! let limit = Limit::new(2, Window::minute())?;
//! let limiter = Limiter::new(connection, keys, limit, Algorithm::SlidingLog)?;
//! let caller = "api_key".parse()?;
//!
//! assert!(limiter.admit(&caller).await?.admitted);
//! assert!(limiter.admit(&caller).await?.admitted);
//! let third = limiter.admit(&caller).await?;
//! assert!(!third.admitted);
//! // For the header `Retry-After`.
//! assert!(third.retry_after.is_some_and(|wait| wait.as_secs() >= 55));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
mod fixed_window;
mod limit;
mod limiter;
mod login_guard;
mod recorded_time;
mod sliding_counter;
mod sliding_log;
mod token_bucket;

pub use admission::Admission;
pub use fixed_window::Counting;
pub use limit::{Limit, LimitError, MOST_PER_WINDOW, Window};
pub use limiter::{Algorithm, Limiter};
pub use login_guard::{Attempt, LoginGuard, LoginRules, RulesError};
pub use recorded_time::RecordedTime;
pub use sliding_log::MOST_LOGGED;

use redis::RedisError;

use crate::store::StoreError;

/// A command met a key of another type: said of the key, where Redis says it of the script.
fn of_key(error: RedisError, key: &str) -> StoreError {
    // That of a pipeline keeps the server's errors one level down.
    let server_errors = error.clone().into_server_errors().unwrap_or_default();
    if server_errors.iter().any(|(_, error)| error.code() == "WRONGTYPE") {
        StoreError::wrong_type(key)
    } else {
        error.into()
    }
}
