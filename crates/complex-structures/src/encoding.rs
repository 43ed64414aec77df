//! How the server stores a small key, and the size at which it stores it differently.

use lab_runner::table::{Table, thousands};
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisResult, Value, from_redis_value_ref};

/// A key grows up to this size. A server whose limit is higher was configured so.
pub(crate) const LARGEST: usize = 2_000;
/// Sizes in one pipeline, because a round trip for each size would take long on a slow network.
const BATCH: usize = 64;

/// A key at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The number of fields or members, or the length of a value in bytes.
    pub size: usize,
    /// As OBJECT ENCODING names it.
    pub encoding: String,
    /// As MEMORY USAGE with SAMPLES 0 counts: the key's name, every element, and the server's overhead.
    pub bytes: usize,
}

/// The two sizes between which the encoding of a key changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodingChange {
    /// The last sample in the old encoding.
    pub before: Sample,
    /// The first one in the new encoding.
    pub after: Sample,
}

impl EncodingChange {
    /// Runs `grow(1)`, `grow(2)`, and so on, each of which makes the key one larger, until the encoding changes. `None` if it
    /// does not change up to `largest`, or if the key is a hash table from the start.
    pub async fn find(
        mut redis: impl ConnectionLike,
        key: &str,
        largest: usize,
        grow: impl Fn(usize) -> Cmd,
    ) -> RedisResult<Option<Self>> {
        let mut before: Option<Sample> = None;
        for first in (1..=largest).step_by(BATCH) {
            let sizes: Vec<usize> = (first..=largest).take(BATCH).collect();
            let replies: Vec<Value> = grow_and_look(key, &sizes, &grow).query_async(&mut redis).await?;
            let (replies, _) = replies.as_chunks::<2>();
            for (&size, [encoding, bytes]) in sizes.iter().zip(replies) {
                let (encoding, bytes) = (from_redis_value_ref(encoding)?, from_redis_value_ref(bytes)?);
                let after = Sample { size, encoding, bytes };
                match before {
                    Some(before) if before.encoding != after.encoding => {
                        return Ok(Some(Self { before, after }));
                    }
                    None if after.encoding == "hashtable" => return Ok(None),
                    _ => before = Some(after),
                }
            }
        }
        Ok(None)
    }

    /// A table of changes, each with the name of what grows.
    pub(crate) fn table(changes: &[(&str, &Option<Self>)]) -> Table {
        let mut table = Table::new("When the encoding changes", &["what grows", "size", "encoding", "bytes"]);
        for (what, change) in changes {
            for sample in change.iter().flat_map(|change| [&change.before, &change.after]) {
                let (size, bytes) = (sample.size.to_string(), thousands(sample.bytes as f64));
                table = table.row([*what, &size, &sample.encoding, &bytes]);
            }
        }
        table
    }
}

/// The bytes of a key, every element counted.
pub(crate) async fn memory_usage(redis: &mut impl ConnectionLike, key: &str) -> RedisResult<usize> {
    redis::cmd("MEMORY").arg(&["USAGE", key, "SAMPLES", "0"]).query_async(redis).await
}

/// Grows the key, one size after the other, and looks at it after each.
fn grow_and_look(key: &str, sizes: &[usize], grow: impl Fn(usize) -> Cmd) -> Pipeline {
    let mut pipeline = redis::pipe();
    for &size in sizes {
        pipeline.add_command(grow(size)).ignore();
        pipeline.object_encoding(key);
        pipeline.cmd("MEMORY").arg(&["USAGE", key, "SAMPLES", "0"]);
    }
    pipeline
}
