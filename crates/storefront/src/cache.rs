//! Keeping what is expensive to compute: cache-aside with one loader at a time.
//!
//! Cache-aside is three lines: look into Redis; if it is not there, ask the database; store the answer with a TTL. In those
//! three lines are the faults that bring shops down, and this is what [`Cache`] does about them:
//!
//! - *Stampede.* When a hot entry expires, everybody misses at once and everybody asks the database. Here the script that
//!   looks also takes a lock with a token, so a miss learns in its one round trip whether it loads or waits. The others ask
//!   again after growing pauses, and for a bounded time. Should the loader die, its lock expires and somebody else loads.
//! - *A load that comes too late.* A row is read, then changed and its entry deleted, then the old row is stored, and stays.
//!   Here only the holder of the token may store, and [`Cache::invalidate`] takes the token away together with the entry.
//!   The same check stops a loader that was slower than its lock.
//! - *Everything expires at once*, because it was stored at once. TTLs vary at random, by a share that is bounded.
//! - *What does not exist* is asked for again and again, by crawlers above all. It is cached too, as `null`, for a shorter
//!   time.
//! - *Every refresh is felt.* With [`Cache::with_stale_for`] an entry is served for a while after its time, and one caller
//!   refreshes it.
//!
//! The stored value is the plain JSON of the document. When it becomes stale is no part of it: an entry lives for its time
//! and then for the stale time, so what has less than that left to live is stale.
//!
//! A value that is not the JSON of the type asked for (of an older release, of somebody else) counts as a miss, and the load
//! replaces it. When Redis cannot be reached the caller gets the error, and not the database its whole traffic at once.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use storefront::cache::Cache;
//! use storefront::{Keys, Layout};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let keys = Keys::new("", Layout::Standalone);
//! let cache = Cache::new(connection, keys, tokio::time::sleep);
//!
//! let mug = cache.keys().cached_product(&"123".parse()?);
//! let from_database = async || Ok::<_, Infallible>(Some("a mug".to_owned()));
//! assert_eq!(cache.get_or_load(&mug, from_database).await?.as_deref(), Some("a mug"));
//! assert_eq!(cache.get_or_load(&mug, from_database).await?.as_deref(), Some("a mug"));
//! assert_eq!((cache.statistics().loads, cache.statistics().hits), (1, 1));
//!
//! // The row has changed: after the write, delete.
//! cache.invalidate(&mug).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod load;
mod settings;
mod shared;
mod statistics;
mod text;
mod write;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::aio::ConnectionLike;

pub use error::CacheError;
pub use statistics::Statistics;
pub use text::{KeyText, KeyTextError};

use crate::Keys;
use settings::Settings;
use shared::Shared;

/// What waits for a time, such as `tokio::time::sleep`.
type Pause = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// The two keys of one cached document, in one slot.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct CacheKey {
    /// The document: a String of JSON.
    pub value: String,
    /// The token of whoever loads it: a String.
    pub load: String,
}

impl CacheKey {
    pub(crate) fn of(value: String) -> Self {
        Self { load: format!("{value}:load"), value }
    }
}

/// A cache of JSON documents. Clones share their [`Statistics`].
///
/// All clients of one shop must use the same [`Cache::with_stale_for`].
#[derive(Clone)]
pub struct Cache<C> {
    connection: C,
    keys: Keys,
    settings: Settings,
    pause: Pause,
    shared: Arc<Shared>,
}

impl<C: ConnectionLike + Clone> Cache<C> {
    /// A cache under `keys`. `pause` is how a caller who waits for another one's load lets time pass: the sleep of your
    /// runtime, `tokio::time::sleep`.
    pub fn new<P, F>(connection: C, keys: Keys, pause: P) -> Self
    where
        P: Fn(Duration) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let pause: Pause = Arc::new(move |time| Box::pin(pause(time)));
        Self { connection, keys, settings: Settings::default(), pause, shared: Arc::default() }
    }

    /// The names of the documents.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What has happened so far, in this cache and its clones.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared.counters.read()
    }
}
