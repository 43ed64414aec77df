//! Users: one Hash each, an index of all of them, and a counter for new numbers.

use std::sync::LazyLock;

use redis::Script;
use redis::aio::ConnectionLike;
use serde::Serialize;

use crate::script;
use crate::store::{Reply, StoreError, holds_store_error};
use crate::{Keys, Layout, PersonName, UserId};

static CREATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/types.lua"), include_str!("scripts/create_user.lua")))
});

/// How many users one round trip of [`Users::list`] reads.
const PAGE: usize = 500;

/// A user of the shop.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct User {
    /// The number.
    pub id: UserId,
    /// The Hash's field `firstname`.
    pub first_name: PersonName,
    /// The Hash's field `lastname`.
    pub last_name: PersonName,
}

/// A user who has no number yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewUser {
    /// The Hash's field `firstname`.
    pub first_name: PersonName,
    /// The Hash's field `lastname`.
    pub last_name: PersonName,
}

/// The users of a shop.
#[derive(Clone, Debug)]
pub struct Users<C> {
    connection: C,
    keys: Keys,
}

impl<C: ConnectionLike + Clone> Users<C> {
    /// The users under `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys }
    }

    /// Creates a user with the next free number, which nobody else gets. A number is skipped only if it was taken by
    /// [`Users::create_with_id`], or if we are cut off between the two steps.
    ///
    /// Two round trips, one more on a cluster; two (three) more for each number already taken.
    ///
    /// A cluster's connection sends a command again when its answer was lost. Should that happen here, the number seems to be
    /// taken: the user is then there twice, and the later number is the one returned.
    pub async fn create(&self, new: NewUser) -> Result<User, StoreError> {
        loop {
            let id: u64 = redis::cmd("INCR")
                .arg(self.keys.next_user_id())
                .query_async(&mut self.connection.clone())
                .await?;
            let id = UserId::new(id)
                .map_err(|_| StoreError::malformed(&self.keys.next_user_id(), &id.to_string()))?;
            match self.create_with_id(id, new.clone()).await {
                Ok(user) => return Ok(user),
                Err(CreateUserError::Taken(_)) => {}
                Err(CreateUserError::Store(error)) => return Err(error),
            }
        }
    }

    /// Creates a user with this number; never overwrites one. One round trip, two on a cluster.
    pub async fn create_with_id(&self, id: UserId, new: NewUser) -> Result<User, CreateUserError> {
        let mut connection = self.connection.clone();
        let mut call = CREATE.key(self.keys.user(id));
        match self.keys.layout() {
            Layout::Standalone => {
                call.key(self.keys.users());
            }
            // The index is in another slot. It comes first: a number in it without a Hash is passed over by `list`, a
            // Hash without its number would never be listed.
            Layout::Cluster => {
                let add = redis::cmd("ZADD").arg(self.keys.users()).arg(id.get()).arg(id.get()).to_owned();
                add.exec_async(&mut connection).await?;
            }
        }
        call.arg(id.get()).arg(new.first_name.as_str()).arg(new.last_name.as_str());
        let reply: Reply = script::run(&call, &connection).await?;
        match reply.outcome.as_str() {
            "CREATED" => Ok(User { id, first_name: new.first_name, last_name: new.last_name }),
            "TAKEN" => Err(CreateUserError::Taken(id)),
            _ => Err(reply.into_error().into()),
        }
    }

    /// The user with this number, `None` if there is none. One round trip.
    pub async fn get(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let fields = redis::cmd("HMGET").arg(self.keys.user(id)).arg("firstname").arg("lastname").to_owned();
        let fields = fields.query_async(&mut self.connection.clone()).await?;
        self.parse(id, fields)
    }

    /// All users by number, read in pages of 500: two round trips for each page. On a cluster the users of a page are
    /// asked for at once, each from its own node.
    pub async fn list(&self) -> Result<Vec<User>, StoreError> {
        let mut users = Vec::new();
        let mut after = 0;
        loop {
            let ids: Vec<u64> = redis::cmd("ZRANGE")
                .arg(self.keys.users())
                .arg(format!("({after}"))
                .arg("+inf")
                .arg("BYSCORE")
                .arg("LIMIT")
                .arg(0)
                .arg(PAGE)
                .query_async(&mut self.connection.clone())
                .await?;
            let Some(last) = ids.last() else { return Ok(users) };
            // A number under another score is somebody else's. The next page would begin in the wrong place, and there might
            // be no last one.
            let mut before = after;
            for id in &ids {
                if *id <= before {
                    return Err(StoreError::malformed(&self.keys.users(), &id.to_string()));
                }
                before = *id;
            }
            after = *last;
            let ids: Vec<UserId> = ids.into_iter().filter_map(|id| UserId::new(id).ok()).collect();
            let keys: Vec<String> = ids.iter().map(|id| self.keys.user(*id)).collect();
            let found = crate::fields::of_many(
                &self.connection,
                self.keys.layout(),
                &keys,
                ["firstname", "lastname"],
            )
            .await?;
            for (id, fields) in ids.into_iter().zip(found) {
                users.extend(self.parse(id, fields)?);
            }
        }
    }

    fn parse(&self, id: UserId, fields: [Option<Vec<u8>>; 2]) -> Result<Option<User>, StoreError> {
        let [first, last] = fields;
        if first.is_none() && last.is_none() {
            return Ok(None);
        }
        let key = self.keys.user(id);
        let first_name = crate::fields::parse(first, &key, "firstname")?;
        let last_name = crate::fields::parse(last, &key, "lastname")?;
        Ok(Some(User { id, first_name, last_name }))
    }
}

/// Why a user was not created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateUserError {
    /// There is a user with this number.
    #[error("there is already a user {0}")]
    Taken(UserId),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(CreateUserError);
