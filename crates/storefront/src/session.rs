//! Sessions of customers and guests.
//!
//! A session is a Hash that expires by itself. It *slides*: every read lets it live on for the idle time, up to an age at
//! which it ends whatever happens. In reading order: [`id`] (where ids come from), [`fields`](FieldName) (what a session
//! holds), `begin`, `read`, `update`, [`login`] (the id is replaced, the guest's cart moves), `end` (one, or everywhere).
//!
//! What the obvious way does wrong, and what is done here instead:
//!
//! - *The client chooses the id*, or keeps the one it had before the login. Whoever planted that id in a victim's browser
//!   is then logged in too (session fixation). Here an id is always ours, 128 bits of the system's secure generator, and a
//!   login replaces it: the old one is dead in the same step.
//! - *`HSET`, then `EXPIRE`.* A crash between them leaves a session that never ends. Here one script does both.
//! - *`HSET` to update.* If the session has just expired, that makes a new one, without owner and without TTL. Here an
//!   update looks first, in the same script.
//! - *Log out everywhere by `SCAN`*, or by a Set of ids that only grows. Here each user has an index by expiry, which each
//!   write prunes, and which a session enters before it can be used.
//!
//! # The index, and a read that costs one round trip
//!
//! A session and its user's index are in different slots of a cluster, and a read knows only the session's id. So the index
//! knows a time up to which a session *may* live, two idle times ahead, and the session remembers that promise. A read
//! slides the session only as far as it was promised; about once in an idle time it has to renew the promise first, in the
//! index, and makes two more round trips. So the index never forgets a session that is alive, and keeps one that is not for
//! at most two idle times.
//!
//! 'Log out everywhere' takes all sessions out of the index, in one step, and then ends them. From that step on none of
//! them can be renewed or replaced, so none escapes; what a crash leaves unfinished is listed under
//! [`Keys::ending_sessions`] for the next call, and can slide no further than it was promised.
//!
//! ```
//! use storefront::session::Sessions;
//! use storefront::{Cart, Keys, Layout, Product, Quantity, Representation};
//! # use storefront::{Catalogue, NewUser, Users};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let keys = Keys::new("", Layout::Standalone);
//! # let parker = NewUser { first_name: "Parker".parse()?, last_name: "Perry".parse()? };
//! # let parker = Users::new(connection.clone(), keys.clone()).create(parker).await?.id;
//! # let mug = Product { sku: "sku123".parse()?, name: "Coffee mug".parse()?, price: "19.99".parse()? };
//! # Catalogue::new(connection.clone(), keys.clone()).put(&mug).await?;
//! let cart = Cart::new(connection.clone(), keys.clone(), Representation::Hash);
//! let sessions = Sessions::new(connection, keys);
//!
//! let guest = sessions.begin(None, &[("currency".parse()?, "EUR")]).await?;
//! cart.add(&guest.clone().into(), &mug.sku, Quantity::ONE, None).await?;
//!
//! let login = sessions.login(&cart, &guest, parker).await?;
//! assert_eq!(login.cart.moved.len(), 1);
//! assert_eq!(login.session.fields["currency"], "EUR");
//! assert!(sessions.read(&guest).await?.is_none(), "the guest's id is dead");
//!
//! assert_eq!(sessions.log_out_everywhere(parker).await?, 1);
//! assert!(sessions.read(&login.session.id).await?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod begin;
mod end;
mod error;
mod fields;
pub mod id;
pub mod login;
mod read;
mod scripts;
mod update;

use std::time::Duration;

use redis::ScriptInvocation;
use redis::aio::ConnectionLike;

pub use error::{BeginError, LoginError, RotateError, UpdateError};
pub use fields::{FieldName, FieldNameError};
pub use login::LoggedIn;
pub use read::Session;

use crate::script;
use crate::span::milliseconds;
use crate::store::{Reply, StoreError};
use crate::{ItemExpiry, Keys, Layout};

/// The most fields of a session.
pub const MOST_FIELDS: usize = 32;
/// The longest value of a field, in bytes.
pub const LONGEST_VALUE: usize = 1024;
/// The most sessions a user has at a time.
pub const MOST_SESSIONS: usize = 100;
/// How long a session lives without being read, unless [`Sessions::with_idle_time`] says otherwise.
pub const DEFAULT_IDLE_TIME: Duration = Duration::from_mins(30);
/// After what time a session ends in any case, unless [`Sessions::with_highest_age`] says otherwise.
pub const DEFAULT_HIGHEST_AGE: Duration = Duration::from_hours(12);

/// How long the outcome of a login is remembered under the old id, for a client that has to ask again.
const REMEMBERED: Duration = Duration::from_mins(5);
/// How long a prepared session waits for its login on a cluster.
const PREPARED: Duration = Duration::from_mins(1);
/// How far the clocks of a cluster's nodes may be apart.
const SKEW: Duration = Duration::from_secs(1);

/// The sessions of a shop. All clients of one shop must use the same idle time.
///
/// The round trips that each method states are those of a server that knows its scripts.
#[derive(Clone, Debug)]
pub struct Sessions<C> {
    connection: C,
    keys: Keys,
    idle: Duration,
    highest_age: Duration,
    field_expiry: ItemExpiry,
}

impl<C: ConnectionLike + Clone> Sessions<C> {
    /// The sessions under `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self {
            connection,
            keys,
            idle: DEFAULT_IDLE_TIME,
            highest_age: DEFAULT_HIGHEST_AGE,
            field_expiry: ItemExpiry::DeadlineSet,
        }
    }

    /// How long a session lives without being read: a millisecond to a year; other values become the nearest of these.
    #[must_use]
    pub fn with_idle_time(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// After what time a session ends however busy it is, and its user has to log in again: a millisecond to a year; other
    /// values become the nearest of these.
    #[must_use]
    pub fn with_highest_age(mut self, age: Duration) -> Self {
        self.highest_age = age;
        self
    }

    /// Lets the server free short-lived fields by itself, where it can; ask it with [`ItemExpiry::of_server`]. Answers are
    /// the same in any case: the deadline stands beside the field, and is compared with the server's clock.
    #[must_use]
    pub fn with_field_expiry(mut self, expiry: ItemExpiry) -> Self {
        self.field_expiry = expiry;
        self
    }

    /// The names these sessions have.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    async fn run(&self, key: &str, call: &ScriptInvocation<'_>) -> Result<Reply, StoreError> {
        script::run(call, &self.connection).await.map_err(|error| error::of_redis(error, key))
    }

    fn skew_ms(&self) -> u64 {
        match self.keys.layout() {
            Layout::Standalone => 0,
            Layout::Cluster => milliseconds(SKEW),
        }
    }
}
