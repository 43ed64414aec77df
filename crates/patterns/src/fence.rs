//! Fence: a record that refuses the writes of a holder that was overtaken.
//!
//! The naive way is to take a lock, and then to write. But the holder can stop in between: for a garbage collection, a page
//! fault, SIGSTOP. Its lock expires, another client takes it and writes, and then the first one wakes up and writes over that.
//! No lock can prevent this, because the late write does not ask the lock. So the record itself has to refuse. Each holder of a
//! lock or a term gets a number that is higher than all before it, and sends it with every write. The record remembers the
//! highest number, and refuses older ones.
//!
//! Here the record is a Hash in Redis. Where your data is elsewhere, do the same there: in SQL, `UPDATE ... SET ..., fence = 34
//! WHERE id = 7 AND fence <= 34`. In a script of your own, put the section `admit` of `fence.lua` before the writes.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `fenced:report` | Hash | the fields, and in `:fence` the highest number that ever wrote |
//!
//! - **Promise**: after a write with a number, no write with an older number changes the record. The check and the write are
//!   one step.
//! - **Cost**: one round trip and two commands for each write.
//! - **Memory**: about 20 bytes more than the record itself. A record has no TTL.
//! - **Faults**: a write that is sent twice has no further effect. If the key is lost, the number is lost with the fields, and
//!   the next write is accepted, whatever its number. A failover may lose the last writes together with their numbers: then a
//!   holder from before may write once more, until a newer one does. Clocks don't matter here.
//!
//! ```
//! use patterns::fence::{Fence, FenceError};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let records = Fence::new(connection, "");
//! records.write("report", 33, &[("total", "100")]).await?;
//! records.write("report", 34, &[("total", "250")]).await?;
//! // The holder of number 33 was stopped. Now it goes on.
//! let late = records.write("report", 33, &[("total", "101")]).await;
//! assert!(matches!(late, Err(FenceError::Stale { sent: 33, seen: 34 })));
//! assert_eq!(records.read("report").await?["total"], "250");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;

use redis::aio::ConnectionLike;

use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, send};

/// The most fields of one write.
pub const MAX_FIELDS: usize = 100;
/// The highest number: what Lua keeps exact.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;

/// The field that holds the number.
const NUMBER: &str = ":fence";

const FILE: &str = include_str!("fence.lua");

/// Writes fields, unless a newer holder has written.
pub static WRITE: Script = Script::new("fence.lua: write", FILE, &["admit", "write"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&WRITE])
}

/// The fenced records under a prefix.
#[derive(Clone, Debug)]
pub struct Fence<C> {
    connection: C,
    prefix: String,
}

impl<C: ConnectionLike + Clone> Fence<C> {
    /// Records over this connection.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned() }
    }

    /// Writes 0 to [`MAX_FIELDS`] fields with the number of the lock or the term under which you work: up to [`MAX_NUMBER`].
    /// Without fields, it only announces the number, so that older holders are refused from now on. A field has 1 to 512 bytes
    /// and does not begin with a colon. One round trip.
    pub async fn write(&self, record: &str, number: u64, fields: &[(&str, &str)]) -> Result<(), FenceError> {
        if fields.len() > MAX_FIELDS {
            return Err(FenceError::TooManyFields { fields: fields.len() });
        }
        if number > MAX_NUMBER {
            return Err(FenceError::Number { number });
        }
        for (field, _) in fields {
            check_id(field).map_err(StoreError::from)?;
            if field.starts_with(':') {
                return Err(FenceError::Field);
            }
        }
        let key = self.key(record)?;
        let mut reply: Reply =
            WRITE.call(&[key.as_str()]).arg(number).arg(fields).run(&self.connection).await?;
        match reply.outcome.as_str() {
            "WRITTEN" => Ok(()),
            "STALE" => Err(FenceError::Stale { sent: number, seen: reply.next()? }),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// The fields of a record; none if it does not exist. One round trip.
    pub async fn read(&self, record: &str) -> Result<BTreeMap<String, String>, StoreError> {
        let mut fields: BTreeMap<String, String> =
            send(&self.connection, redis::cmd("HGETALL").arg(self.key(record)?.as_str())).await?;
        fields.remove(NUMBER);
        Ok(fields)
    }

    /// The key of a record.
    pub fn key(&self, record: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "fenced", &[record])?)
    }
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FenceError {
    /// A newer holder has written. Stop: you no longer hold what you had.
    #[error("a newer holder has written with the number {seen}, and yours is {sent}")]
    Stale {
        /// The number of this write.
        sent: u64,
        /// The highest number that has written.
        seen: u64,
    },
    /// More than [`MAX_FIELDS`] fields.
    #[error("a write has at most {MAX_FIELDS} fields, not {fields}")]
    TooManyFields {
        /// How many there were.
        fields: usize,
    },
    /// A number above [`MAX_NUMBER`].
    #[error("a fencing number is at most {MAX_NUMBER}, not {number}")]
    Number {
        /// What was given.
        number: u64,
    },
    /// A field that begins with a colon.
    #[error("a field does not begin with a colon")]
    Field,
    /// Redis, or the data in it. After a connection error, call again with the same number.
    #[error(transparent)]
    Store(#[from] StoreError),
}
