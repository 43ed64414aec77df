//! How the server stores a small key, and the moment when it changes its mind.

use redis::aio::ConnectionLike;
use redis::{Cmd, RedisResult};

/// A key grows to this size at most; a server whose limit lies beyond it was configured so.
pub(crate) const LARGEST: usize = 2_000;

/// A key at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What was counted: fields, members, or bytes of a value.
    pub size: usize,
    /// As OBJECT ENCODING names it.
    pub encoding: String,
    /// As MEMORY USAGE with SAMPLES 0 counts them: key name, every element, and the server's overhead.
    pub bytes: usize,
}

/// Two looks at a key, one step apart, between which its encoding changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The last in the old encoding.
    pub before: Look,
    /// The first in the new one.
    pub after: Look,
}

impl Turn {
    /// Runs `write(from)`, `write(from + 1)` and so on, each of which makes the key one larger, and stops as soon as the
    /// encoding changes. `None` if it has not changed at `most`, or if it is a hash table from the beginning, which it
    /// then stays.
    pub async fn wait(
        connection: &mut impl ConnectionLike,
        key: &str,
        from: usize,
        most: usize,
        write: impl Fn(usize) -> Cmd,
    ) -> RedisResult<Option<Self>> {
        let mut before: Option<Look> = None;
        for size in from..=most {
            write(size).exec_async(connection).await?;
            let after = Look::at(connection, key, size).await?;
            match before {
                Some(before) if before.encoding != after.encoding => return Ok(Some(Self { before, after })),
                None if after.encoding == "hashtable" => return Ok(None),
                _ => before = Some(after),
            }
        }
        Ok(None)
    }
}

impl Look {
    /// Looks at a key of that size now.
    pub async fn at(connection: &mut impl ConnectionLike, key: &str, size: usize) -> RedisResult<Self> {
        let encoding = redis::cmd("OBJECT").arg("ENCODING").arg(key).query_async(connection).await?;
        let mut memory = redis::cmd("MEMORY");
        let bytes = memory.arg("USAGE").arg(key).arg("SAMPLES").arg(0).query_async(connection).await?;
        Ok(Self { size, encoding, bytes })
    }
}
