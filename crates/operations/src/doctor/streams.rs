//! The consumer groups of streams.

use std::collections::BTreeMap;

use redis::Value;

use super::asker::Asker;
use super::facts::{Reply, StreamGroup, shortened};

/// How many pending entries of a group are looked at.
const PENDING: &[u8] = b"10";
/// How many groups of a stream.
const MOST_GROUPS: usize = 20;
/// How many consumers of a group.
const MOST_CONSUMERS: usize = 100;
/// What one of these commands costs, in microseconds.
const MICROS: f64 = 20.0;

/// A stream, and the database it is in.
pub(crate) struct Stream {
    pub(crate) database: String,
    pub(crate) name: Vec<u8>,
}

/// The groups of these streams.
pub(crate) async fn groups(asker: &mut Asker, streams: &[Stream]) -> Reply<Vec<StreamGroup>> {
    let mut found = Vec::new();
    let mut database = "0";
    for stream in streams {
        if stream.database != database {
            asker.ask::<()>(&["SELECT", &stream.database], 2.0).await?;
            database = &stream.database;
        }
        let groups = entries(asker, vec![b"XINFO", b"GROUPS", &stream.name]).await?;
        for group in groups.iter().take(MOST_GROUPS) {
            found.push(one(asker, &stream.name, group).await?);
        }
    }
    Ok(found)
}

async fn one(asker: &mut Asker, stream: &[u8], group: &Entry) -> Reply<StreamGroup> {
    let number = |entry: &Entry, field: &str| entry.get(field).and_then(|value| value.parse().ok());
    let name = |entry: &Entry| entry.get("name").cloned().unwrap_or_default();
    let group_name = name(group);
    let consumers = entries(asker, vec![b"XINFO", b"CONSUMERS", stream, group_name.as_bytes()]).await?;
    let pending = vec![b"XPENDING", stream, group_name.as_bytes(), b"-", b"+", PENDING];
    let oldest: Value = asker.ask_bytes(pending, MICROS).await?;
    let oldest: Vec<(String, String, u64, u64)> = redis::from_redis_value(oldest).unwrap_or_default();
    Ok(StreamGroup {
        stream: shortened(&String::from_utf8_lossy(stream), 60),
        group: shortened(&group_name, 60),
        pending: number(group, "pending").unwrap_or(0),
        lag: number(group, "lag"),
        oldest_pending: oldest.iter().map(|(_, _, idle, _)| *idle).max(),
        most_deliveries: oldest.iter().map(|(_, _, _, deliveries)| *deliveries).max().unwrap_or(0),
        consumers: consumers
            .iter()
            .take(MOST_CONSUMERS)
            .map(|consumer| {
                let numbers = ["pending", "idle"].map(|field| number(consumer, field).unwrap_or(0));
                (shortened(&name(consumer), 60), numbers[0], numbers[1])
            })
            .collect(),
    })
}

/// The fields that are text or a number.
type Entry = BTreeMap<String, String>;

/// A reply that is a list of maps.
async fn entries(asker: &mut Asker, command: Vec<&[u8]>) -> Reply<Vec<Entry>> {
    let entries: Vec<BTreeMap<String, Value>> = asker.ask_bytes(command, MICROS).await?;
    let text = |(name, value)| Some((name, redis::from_redis_value(value).ok()?));
    Ok(entries.into_iter().map(|entry| entry.into_iter().filter_map(text).collect()).collect())
}
