//! The records that the locks protect, and the count of stale writes.
//!
//! A record is a Hash. `last` is the section that wrote last. For each write, `w<section>` is the section that it had read: its base.

use std::collections::HashMap;

use patterns::fence::{Fence, FenceError};
use patterns::script::StoreError;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, RedisResult};

/// What a record has before the first write.
const NOTHING: &str = "0";

/// The records, on a server to which nothing happens.
#[derive(Clone)]
pub struct Records {
    connection: MultiplexedConnection,
    fence: Fence<MultiplexedConnection>,
}

impl Records {
    /// Over this connection.
    pub fn new(connection: MultiplexedConnection) -> Self {
        Self { fence: Fence::new(connection.clone(), ""), connection }
    }

    /// The section that wrote last. With a fencing number, older holders are refused from here on, so that nobody writes between this
    /// read and the write of a newer holder.
    pub async fn read(&self, record: &str, number: Option<u64>) -> Result<String, FenceError> {
        if let Some(number) = number {
            self.fence.write(record, number, &[]).await?;
        }
        let key = self.fence.key(record)?;
        let last: RedisResult<Option<String>> = self.connection.clone().hget(key.as_str(), "last").await;
        Ok(last.map_err(StoreError::from)?.unwrap_or_else(|| NOTHING.to_owned()))
    }

    /// Writes, after having read `base`.
    pub async fn write(
        &self,
        record: &str,
        number: Option<u64>,
        section: &str,
        base: &str,
    ) -> Result<(), FenceError> {
        let log = format!("w{section}");
        let fields = [("last", section), (log.as_str(), base)];
        if let Some(number) = number {
            return self.fence.write(record, number, &fields).await;
        }
        let key = self.fence.key(record)?;
        let written: RedisResult<()> = self.connection.clone().hset_multiple(key.as_str(), &fields).await;
        Ok(written.map_err(StoreError::from)?)
    }

    /// All writes of a record, and how many of them were stale.
    pub async fn count(&self, record: &str) -> Result<(u64, u64), StoreError> {
        let written: HashMap<String, String> = self.fence.read(record).await?.into_iter().collect();
        let mut writes = 0;
        let mut uses: HashMap<&str, u64> = HashMap::new();
        for (_, base) in written.iter().filter(|(field, _)| field.starts_with('w')) {
            writes += 1;
            *uses.entry(base).or_default() += 1;
        }
        Ok((writes, uses.values().map(|uses| uses - 1).sum()))
    }
}

/// A connection for [`Records`].
pub async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    lab_connection::connection::unguarded(&redis::Client::open(url)?).await
}
