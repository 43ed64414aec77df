//! How the server stores a small key, and the moment when it changes its mind.

use std::ops::RangeInclusive;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisResult, Value, from_redis_value};

/// A key grows to this size at most; a server whose limit lies beyond it was configured so.
pub(crate) const LARGEST: usize = 2_000;
/// On a server far away, a round trip for each step would take long.
const STEPS_AT_ONCE: usize = 64;

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
pub struct RunLock {
    /// The last in the old encoding.
    pub before: Look,
    /// The first in the new one.
    pub after: Look,
}

impl RunLock {
    /// Runs `write(from)`, `write(from + 1)` and so on, each of which makes the key one larger, and looks after each; some
    /// steps beyond the moment when the encoding changes, it stops. `None` if it has not changed at `most`, or if it is a
    /// hash table from the beginning, which it then stays.
    pub async fn wait(
        connection: &mut impl ConnectionLike,
        key: &str,
        from: usize,
        most: usize,
        write: impl Fn(usize) -> Cmd,
    ) -> RedisResult<Option<Self>> {
        let mut before: Option<Look> = None;
        let mut first = from;
        while first <= most {
            let last = most.min(first + STEPS_AT_ONCE - 1);
            for after in look_at_each(connection, key, first..=last, &write).await? {
                match before {
                    Some(before) if before.encoding != after.encoding => {
                        return Ok(Some(Self { before, after }));
                    }
                    None if after.encoding == "hashtable" => return Ok(None),
                    _ => before = Some(after),
                }
            }
            first = last + 1;
        }
        Ok(None)
    }
}

/// Makes the key one larger, looks at it, and so on, all in one round trip.
async fn look_at_each(
    connection: &mut impl ConnectionLike,
    key: &str,
    sizes: RangeInclusive<usize>,
    write: impl Fn(usize) -> Cmd,
) -> RedisResult<Vec<Look>> {
    let mut steps = Pipeline::new();
    for size in sizes.clone() {
        steps.add_command(write(size)).ignore();
        steps.cmd("OBJECT").arg("ENCODING").arg(key);
        steps.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0);
    }
    let mut replies = steps.query_async::<Vec<Value>>(connection).await?.into_iter();
    let mut looks = Vec::new();
    for size in sizes {
        if let (Some(encoding), Some(bytes)) = (replies.next(), replies.next()) {
            looks.push(Look { size, encoding: from_redis_value(encoding)?, bytes: from_redis_value(bytes)? });
        }
    }
    Ok(looks)
}
