//! What the approaches work on: records, keys, connections; and the removing of what a run wrote.

use std::sync::Arc;

use lab_connection::transcript::Listener;
use lab_connection::{Connection, Failure, Target, Transcript, own_keys};
use lab_runner::{AnyConnection, LessonError};
use redis::RedisResult;

use super::content;
use super::kind::Kind;
use crate::keys::Keys;
use crate::people::People;
use crate::stored::{self, Content, index_keys, remove_users};

/// Keys removed in one pipeline.
const BATCH: u64 = 1_000;

/// Records to be written, and the connections to write them over. Clones share the sockets.
#[derive(Clone)]
pub struct Input<C: AnyConnection = Connection> {
    /// The server, for approaches that bring connections of their own.
    pub target: Target,
    /// The names of the keys.
    pub keys: Keys,
    /// Where records come from.
    pub people: Arc<People>,
    /// What is written for each record.
    pub kind: Kind,
    /// How many records, numbered from 1.
    pub records: u64,
    /// The connection that all share.
    pub shared: C,
    /// Connections that belong to one worker each.
    pub pool: Vec<C>,
}

impl Input {
    /// Connects, opens a pool of `pool` connections, removes what an earlier run left and notes what this one is going
    /// to write. The note comes first, so that even a killed run is cleaned up by the next.
    pub async fn open(target: &Target, kind: Kind, records: u64, pool: usize) -> Result<Self, Failure> {
        let explain = |error| target.explain(&error);
        let mut connections = Vec::with_capacity(pool);
        for _ in 0..pool {
            connections.push(target.dedicated().await.map_err(explain)?);
        }
        let input = Self {
            target: target.clone(),
            keys: Keys::new(target.prefix()),
            people: Arc::new(People::new()),
            kind,
            records,
            shared: target.connection(),
            pool: connections,
        };
        input.claim().await.map_err(explain)?;
        Ok(input)
    }

    /// The same records over connections that tell `listener` what is said.
    #[must_use]
    pub fn traced(&self, listener: &Arc<dyn Listener>) -> Input<Transcript<Connection>> {
        let trace = |connection: &Connection| Transcript::new(connection.clone(), Arc::clone(listener));
        Input {
            target: self.target.clone(),
            keys: self.keys.clone(),
            people: Arc::clone(&self.people),
            kind: self.kind,
            records: self.records,
            shared: trace(&self.shared),
            pool: self.pool.iter().map(trace).collect(),
        }
    }

    /// Removes the records, so that an approach starts from nothing.
    pub async fn reset(&self) -> Result<(), LessonError> {
        Ok(self.remove(self.records).await?)
    }

    /// What the first `records` records look like when nothing is wrong.
    #[must_use]
    pub fn expected(&self, records: u64) -> Content {
        content::expected(self.kind, &self.people, &self.keys, records)
    }

    /// What was really written.
    pub async fn content(&self) -> RedisResult<Content> {
        content::found(self.kind, &self.keys, self.records, &mut self.shared.clone()).await
    }

    /// Removes what the last run noted, then notes this one.
    async fn claim(&self) -> RedisResult<()> {
        let mut connection = self.shared.clone();
        let noted = stored::noted(&self.keys, self.kind.name(), &mut connection).await?;
        self.remove(noted.max(self.records)).await?;
        stored::note(&self.keys, self.kind.name(), self.records, &mut connection).await
    }

    async fn remove(&self, records: u64) -> RedisResult<()> {
        let mut connection = self.shared.clone();
        match self.kind {
            Kind::Users => remove_users(&self.keys, records, &mut connection).await,
            Kind::Strings => self.remove_strings(records).await,
            Kind::List => own_keys::unlink(&mut connection, &[self.keys.biglist()]).await.map(|_removed| ()),
            Kind::Indexes => {
                own_keys::unlink(&mut connection, &index_keys(&self.keys)).await.map(|_removed| ())
            }
        }
    }

    async fn remove_strings(&self, records: u64) -> RedisResult<()> {
        let mut first = 1;
        while first <= records {
            let last = records.min(first + BATCH - 1);
            let mut pipeline = redis::pipe();
            for number in first..=last {
                pipeline.cmd("UNLINK").arg(self.keys.user_text(number));
            }
            pipeline.exec_async(&mut self.shared.clone()).await?;
            first = last + 1;
        }
        Ok(())
    }
}
