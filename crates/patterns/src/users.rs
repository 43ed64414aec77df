//! Users: a Hash for each user, and a complete list of all users.
//!
//! The naive way takes a number with INCR, writes the user, and adds the number to a list. If the client stops in between, the
//! user is not on the list. If the client library sends a step again after a lost reply, there are two users. Here the list
//! comes first, and a step that is sent twice is recognized.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `user:1` | Hash | `firstname`, `lastname` |
//! | `user:{user:1}:creator` | String | the request that created the user, for ten minutes |
//! | `users` | Sorted Set | the IDs of all users, with score 0 |
//! | `users:{users}:last` | String | the last number given out |
//!
//! - **Promise**: a user is never overwritten. Each number is given to one user. Each user is on the list.
//! - **Cost**: [`Users::get`] takes one round trip, [`Users::create_with_id`] two, and [`Users::create`] three.
//! - **Memory**: the users, and about 100 bytes for ten minutes after each is created.
//! - **Faults**: if `user:1` is evicted, that user is gone. You can repeat [`Users::create_with_id`] at any time: the same user
//!   again is not an error. [`Users::create`] is recognized if the client library sends a step twice. If you repeat it
//!   yourself, you get another user, so pick the ID if you need retries. If a client stops in between, its number is skipped.
//!   If `creator` is lost, a step that is sent twice makes a second user. If `users` is evicted or a failover loses the last
//!   writes, a user may be missing from the list: create the same user with the same ID again to repair that. If
//!   `users:{users}:last` is lost, numbers continue after the users on the list. Use `noeviction`.
//!
//! ```
//! use patterns::users::Users;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let users = Users::new(connection, "");
//! users.create_with_id("ann@example.com", "Ann", "Lee").await?;
//! let parker = users.create("Parker", "Perry").await?;
//! assert_eq!(parker.id, "1");
//! assert_eq!(users.get("1").await?, Some(parker));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::{Key, KeyError};
use crate::script::{Reply, Script, StoreError, by_operation, join_all, milliseconds, quote, send};

/// How long a step may be sent again.
const RETRY_WINDOW: Duration = Duration::from_mins(10);
/// How many users one step of [`Users::list`] reads.
const PAGE: usize = 500;

const FILE: &str = include_str!("users.lua");

/// Finds the next number that no user has.
pub static NEXT: Script = Script::new("users.lua: next", FILE, &["next"]);
/// Writes a user who does not exist yet.
pub static CREATE: Script = Script::new("users.lua: create", FILE, &["create"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&NEXT, &CREATE])
}

/// A user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// The ID: a number, an email address, or any other text.
    pub id: String,
    /// The Hash's field `firstname`.
    pub first_name: String,
    /// The Hash's field `lastname`.
    pub last_name: String,
}

/// All users under a prefix.
#[derive(Clone, Debug)]
pub struct Users<C> {
    connection: C,
    prefix: String,
}

impl<C: ConnectionLike + Clone> Users<C> {
    /// The users under a prefix.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned() }
    }

    /// Creates a user with the next number. Three round trips, and three more each time that another client is faster.
    pub async fn create(&self, first_name: &str, last_name: &str) -> Result<User, StoreError> {
        let request = random_id();
        let list = self.list_key()?;
        let keys = [list.as_str().to_owned(), list.companion("last")];
        loop {
            let mut reply: Reply = NEXT.call(&keys).run(&self.connection).await?;
            reply.must_be("NEXT")?;
            let id: String = reply.next()?;
            if self.write(&id, first_name, last_name, &request, false).await? {
                return Ok(User { id, first_name: first_name.to_owned(), last_name: last_name.to_owned() });
            }
        }
    }

    /// Creates a user with an ID that you pick. The same ID with the same names again is not an error. Two round trips.
    pub async fn create_with_id(
        &self,
        id: &str,
        first_name: &str,
        last_name: &str,
    ) -> Result<User, CreateError> {
        if self.write(id, first_name, last_name, &random_id(), true).await? {
            Ok(User { id: id.to_owned(), first_name: first_name.to_owned(), last_name: last_name.to_owned() })
        } else {
            Err(CreateError::Taken(id.to_owned()))
        }
    }

    /// The list comes first: an ID on it without a user is skipped, but a user who is not on it would never be found.
    async fn write(
        &self,
        id: &str,
        first_name: &str,
        last_name: &str,
        request: &str,
        same_will_do: bool,
    ) -> Result<bool, StoreError> {
        let user = self.key(id)?;
        let list = self.list_key()?;
        let _: i64 = send(&self.connection, redis::cmd("ZADD").arg(list.as_str()).arg(0).arg(id)).await?;
        let call = CREATE.call(&[user.as_str().to_owned(), user.companion("creator")]);
        let call = call.arg(request).arg(first_name).arg(last_name).arg(milliseconds(RETRY_WINDOW));
        call.arg(u8::from(same_will_do)).run::<Reply>(&self.connection).await?.either("CREATED", "TAKEN")
    }

    /// The user with this ID, `None` if there is none. One round trip.
    pub async fn get(&self, id: &str) -> Result<Option<User>, StoreError> {
        let key = self.key(id)?;
        let mut read = redis::cmd("HMGET");
        read.arg(key.as_str()).arg("firstname").arg("lastname");
        match send(&self.connection, &read).await? {
            (None, None) => Ok(None),
            (Some(first_name), Some(last_name)) => {
                Ok(Some(User { id: id.to_owned(), first_name, last_name }))
            }
            _ => Err(StoreError::Malformed(quote(&format!("{} lacks a name", key.as_str())))),
        }
    }

    /// All users: numbers first, in their order, then the others by text. It reads 500 at a time, all at once.
    pub async fn list(&self) -> Result<Vec<User>, StoreError> {
        let list = self.list_key()?;
        let (mut users, mut after) = (Vec::new(), "-".to_owned());
        loop {
            let mut page = redis::cmd("ZRANGE");
            page.arg(list.as_str()).arg(&after).arg("+").arg("BYLEX").arg("LIMIT").arg(0).arg(PAGE);
            let ids: Vec<String> = send(&self.connection, &page).await?;
            let Some(end) = ids.last() else { break };
            after = format!("({end}");
            for user in join_all(ids.iter().map(|id| self.get(id))).await {
                users.extend(user?);
            }
        }
        users.sort_by_cached_key(|user| {
            let number: Option<u64> =
                user.id.parse().ok().filter(|number: &u64| number.to_string() == user.id);
            (number.is_none(), number, user.id.clone())
        });
        Ok(users)
    }

    /// The key of one user.
    pub fn key(&self, id: &str) -> Result<Key, KeyError> {
        Key::new(&self.prefix, "user", &[id])
    }

    /// The key of the list of all users.
    pub fn list_key(&self) -> Result<Key, KeyError> {
        Key::new(&self.prefix, "users", &[])
    }
}

/// 64 random bits, from the seed that the standard library gives every `HashMap`.
fn random_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Why a user was not created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// There is another user with this ID.
    #[error("there is already a user {}", quote(.0))]
    Taken(String),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
