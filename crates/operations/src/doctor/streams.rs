//! The consumer groups of streams.

use std::collections::BTreeMap;

use redis::Value;

use super::asker::Asker;
use super::facts::{Missing, Reply, StreamGroup, shortened};

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
            asker.ask(&["SELECT", &stream.database], 2.0).await?;
            database = &stream.database;
        }
        for group in
            entries(asker, vec![b"XINFO", b"GROUPS", &stream.name]).await?.into_iter().take(MOST_GROUPS)
        {
            let name = group.get("name").cloned().unwrap_or_default();
            found.push(one(asker, stream, &group, &name).await?);
        }
    }
    Ok(found)
}

async fn one(
    asker: &mut Asker,
    stream: &Stream,
    group: &BTreeMap<String, String>,
    name: &str,
) -> Reply<StreamGroup> {
    let number =
        |entry: &BTreeMap<String, String>, field: &str| entry.get(field).and_then(|value| value.parse().ok());
    let consumers = entries(asker, vec![b"XINFO", b"CONSUMERS", &stream.name, name.as_bytes()]).await?;
    let oldest =
        asker.ask_all(&[vec![b"XPENDING", &stream.name, name.as_bytes(), b"-", b"+", PENDING]], MICROS).await;
    let oldest = oldest.into_iter().next().unwrap_or(Err(Missing::Unsupported))?;
    let oldest: Vec<(String, String, u64, u64)> = redis::from_redis_value(oldest).unwrap_or_default();
    Ok(StreamGroup {
        stream: shortened(&String::from_utf8_lossy(&stream.name), 60),
        group: shortened(name, 60),
        pending: number(group, "pending").unwrap_or(0),
        lag: number(group, "lag"),
        oldest_pending: oldest.iter().map(|(_, _, idle, _)| *idle).max(),
        most_deliveries: oldest.iter().map(|(_, _, _, deliveries)| *deliveries).max().unwrap_or(0),
        consumers: consumers
            .iter()
            .take(MOST_CONSUMERS)
            .map(|consumer| {
                let name = shortened(consumer.get("name").map(String::as_str).unwrap_or_default(), 60);
                (name, number(consumer, "pending").unwrap_or(0), number(consumer, "idle").unwrap_or(0))
            })
            .collect(),
    })
}

/// A reply that is a list of maps. Values that are no text are left out.
async fn entries(asker: &mut Asker, command: Vec<&[u8]>) -> Reply<Vec<BTreeMap<String, String>>> {
    let reply = asker.ask_all(&[command], MICROS).await.pop().unwrap_or(Err(Missing::Unsupported))?;
    let Value::Array(entries) = reply else { return Ok(Vec::new()) };
    Ok(entries.into_iter().map(fields).collect())
}

fn fields(entry: Value) -> BTreeMap<String, String> {
    let text = |value: Value| redis::from_redis_value::<String>(value).ok();
    match entry {
        Value::Map(pairs) => {
            pairs.into_iter().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
        }
        Value::Array(values) => {
            let mut values = values.into_iter();
            let mut fields = BTreeMap::new();
            while let (Some(name), Some(value)) = (values.next(), values.next()) {
                fields.extend(text(name).zip(text(value)));
            }
            fields
        }
        _ => BTreeMap::new(),
    }
}
