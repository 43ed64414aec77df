//! What the approaches work on: records, keys, connections; and how to remove what a run wrote.

use std::ops::RangeInclusive;
use std::sync::Arc;

use futures_util::future::try_join_all;
use lab_connection::transcript::Listener;
use lab_connection::{Connection, Target, Transcript, own_keys};
use lab_runner::{ScriptFile, lua};
use redis::{Cmd, Pipeline, RedisResult};

use super::kind::Kind;
use crate::keys::Keys;
use crate::people::People;
use crate::stored::{self, batches, index_keys, remove_users};

/// A script that writes many users.
pub static INSERT_USERS: ScriptFile = lua!("src/insert/insert_users.lua");
/// Keys removed in one pipeline.
const BATCH: u64 = 1_000;

/// Records to write, and the connections to write them over. Clones share the sockets.
#[derive(Clone)]
pub struct Input<C = Connection> {
    /// The names of the keys.
    pub keys: Keys,
    /// Where records come from.
    pub people: Arc<People>,
    /// What is written for each record.
    pub kind: Kind,
    /// How many records, numbered from 1.
    pub records: u64,
    /// The connection that all share.
    pub redis: C,
    /// Connections that belong to one worker each.
    pub pool: Vec<C>,
}

impl<C> Input<C> {
    /// The commands that write one record.
    pub fn commands(&self, number: u64) -> Vec<Cmd> {
        self.kind.commands(&self.keys, &self.people, number)
    }

    /// Commands that write many records with many values each.
    pub fn commands_of_many(&self, numbers: RangeInclusive<u64>) -> Pipeline {
        self.kind.commands_of_many(&self.keys, &self.people, numbers)
    }
}

impl<C: Clone> Input<C> {
    /// The same records over this connection, without a pool.
    pub fn with<D>(&self, redis: D) -> Input<D> {
        let (keys, people) = (self.keys.clone(), Arc::clone(&self.people));
        Input { keys, people, kind: self.kind, records: self.records, redis, pool: Vec::new() }
    }
}

impl Input {
    /// The same records over connections that report what they send to `listener`.
    pub fn traced(&self, listener: &Arc<dyn Listener>) -> Input<Transcript<Connection>> {
        let trace = |connection: &Connection| Transcript::new(connection.clone(), Arc::clone(listener));
        Input { pool: self.pool.iter().map(trace).collect(), ..self.with(trace(&self.redis)) }
    }

    /// Opens a pool of `pool` connections, removes what an earlier run left, loads the script, and notes what this one is about to write. The note
    /// comes first, so that the next run cleans up even after a run that was killed.
    pub async fn open(target: &Target, kind: Kind, records: u64, pool: usize) -> RedisResult<Self> {
        let (keys, people) = (Keys::new(target.prefix()), Arc::new(People::new()));
        let mut input = Self { keys, people, kind, records, redis: target.connection(), pool: Vec::new() };
        input.pool = try_join_all((0..pool).map(|_| target.dedicated())).await?;
        let noted = stored::noted(&input.keys, kind.name(), &mut input.redis).await?;
        input.remove(noted.max(records)).await?;
        INSERT_USERS.load_async(&mut input.redis).await?;
        stored::note(&input.keys, kind.name(), records, &mut input.redis).await?;
        Ok(input)
    }

    /// Untimed: removes the records, so that an approach starts from nothing.
    pub async fn reset(&self) -> RedisResult<()> {
        self.remove(self.records).await
    }

    async fn remove(&self, records: u64) -> RedisResult<()> {
        let mut redis = self.redis.clone();
        match self.kind {
            Kind::Users => remove_users(&self.keys, records, &mut redis).await?,
            Kind::List => {
                own_keys::unlink(&mut redis, &[self.keys.biglist()]).await?;
            }
            Kind::Indexes => {
                own_keys::unlink(&mut redis, &index_keys(&self.keys)).await?;
            }
            Kind::Strings => {
                for numbers in batches(records, BATCH) {
                    let names: Vec<String> = numbers.map(|number| self.keys.user_text(number)).collect();
                    own_keys::unlink(&mut redis, &names).await?;
                }
            }
        }
        Ok(())
    }
}
