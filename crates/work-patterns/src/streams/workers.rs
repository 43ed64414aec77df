//! Crews of workers, some of which die.

use std::collections::BTreeSet;
use std::time::Duration;

use lab_connection::{Connection, Target, own_keys};
use lab_runner::{BoxError, labeled};
use patterns::script::StoreError;
use patterns::stream_worker::{Effect, Group, Message, StreamQueue};
use redis::aio::ConnectionLike;
use redis::{AsyncTypedCommands, FromRedisValue, RedisResult, Value};

/// How many messages each crew gets; fewer on a slow network.
pub const MESSAGES: usize = 40;
/// Every so many messages, one kills its worker.
pub(super) const DIES_AT: usize = 4;
/// How many messages a worker reads at a time.
const BATCH: usize = 4;
const GROUP: &str = "billing";

labeled! {
    /// How a crew reads and acknowledges.
    pub enum Crew {
        /// XREADGROUP with NOACK.
        NoAck => "XREADGROUP NOACK",
        /// XACK after the effect, and nobody claims.
        NoClaim => "XACK, nobody claims",
        /// XACK after the effect, and XAUTOCLAIM.
        Claim => "XACK, and XAUTOCLAIM",
        /// The pattern: claims, and the effect in the script that acknowledges.
        Pattern => "the pattern",
    }
}

/// What a crew left.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CrewResult {
    /// Workers that died.
    pub died: usize,
    /// Messages without an effect.
    pub lost: usize,
    /// Messages with more than one.
    pub doubled: usize,
}

/// Every key that a stream of the pattern has, for one group: the stream first, the effects last.
pub(super) fn keys<C: ConnectionLike + Clone>(queue: &StreamQueue<C>) -> Result<Vec<String>, StoreError> {
    let key = queue.key()?;
    let names = ["ids", "counts", "done:billing", "failures:billing", "dead:billing"];
    let mut keys = vec![key.as_str().to_owned()];
    keys.extend(names.map(|name| key.companion(name)));
    keys.push(queue.effect_key("effects")?);
    Ok(keys)
}

/// The effect of a message: it adds 1 to its own field.
pub(super) fn count(key: &str, id: &str) -> Effect {
    Effect::none().command("HINCRBY", key, &[id, "1"])
}

impl Crew {
    /// Its stream: the crews work side by side.
    pub(super) fn queue(self, target: &Target) -> StreamQueue<Connection> {
        let name = match self {
            Self::NoAck => "no-ack",
            Self::NoClaim => "no-claim",
            Self::Claim => "claim",
            Self::Pattern => "pattern",
        };
        StreamQueue::new(target.connection(), target.prefix(), name)
    }

    /// Publishes this many messages, and handles them until nothing more comes.
    pub async fn run(self, target: &Target, orders: usize) -> Result<CrewResult, BoxError> {
        let mut redis = target.connection();
        let queue = self.queue(target);
        let group = queue.group(GROUP).with_visibility(Duration::from_millis(10));
        let keys = keys(&queue)?;
        own_keys::unlink(&mut redis, &keys).await?;
        group.create().await?;
        for number in 0..orders {
            queue.publish(&format!("order-{number}"), b"1 apple").await?;
        }
        let effects = queue.effect_key("effects")?;
        let mut result = CrewResult::default();
        let mut deaths = BTreeSet::new();
        for life in 0..10 * orders {
            let consumer = format!("c{life}");
            let messages = self.next(&group, &redis, &consumer).await?;
            if messages.is_empty() {
                // What is pending can be claimed in a moment.
                let pending =
                    matches!(self, Self::Claim | Self::Pattern) && group.status().await?.pending > 0;
                if !pending {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            for message in &messages {
                let dies = dies_at(&message.id, &mut deaths);
                let lives = match self {
                    Self::Pattern => complete_with_the_effect(&group, message, &effects, dies).await?,
                    _ => handle_then_acknowledge(&redis, &queue, message, &effects, dies).await?,
                };
                if !lives {
                    result.died += 1;
                    break;
                }
            }
        }
        let counts = redis.hgetall(&effects).await?;
        result.lost = orders - counts.len();
        result.doubled = counts.values().filter(|count| *count != "1").count();
        own_keys::unlink(&mut redis, &keys).await?;
        Ok(result)
    }

    async fn next(
        self,
        group: &Group<Connection>,
        redis: &Connection,
        consumer: &str,
    ) -> Result<Vec<Message>, BoxError> {
        if self == Self::NoAck {
            let mut read = redis::cmd("XREADGROUP");
            read.arg("GROUP").arg(GROUP).arg(consumer).arg("COUNT").arg(BATCH).arg("NOACK");
            read.arg("STREAMS").arg(group.stream().key()?.as_str()).arg(">");
            return Ok(messages_of(read.query_async::<Value>(&mut redis.clone()).await?)?);
        }
        let mut messages = group.read(redis, consumer, BATCH, Duration::ZERO).await?;
        if messages.is_empty() && self != Self::NoClaim {
            messages = group.claim(consumer, "0-0", BATCH).await?.messages;
        }
        Ok(messages)
    }
}

/// Where this message kills its worker, if it does: before the effect or after it. It does so once.
fn dies_at(id: &str, deaths: &mut BTreeSet<String>) -> Option<Moment> {
    let number: usize = id.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    if number % DIES_AT != 1 || !deaths.insert(id.to_owned()) {
        return None;
    }
    Some(if number % (2 * DIES_AT) == 1 { Moment::Before } else { Moment::After })
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Moment {
    Before,
    After,
}

/// Whether the worker lives on.
async fn handle_then_acknowledge(
    redis: &Connection,
    queue: &StreamQueue<Connection>,
    message: &Message,
    effects: &str,
    dies: Option<Moment>,
) -> Result<bool, BoxError> {
    let mut redis = redis.clone();
    if dies == Some(Moment::Before) {
        return Ok(false);
    }
    redis.hincr(effects, &message.id, 1).await?;
    if dies == Some(Moment::After) {
        return Ok(false);
    }
    let stream = queue.key()?;
    redis::cmd("XACK").arg(stream.as_str()).arg(GROUP).arg(&message.entry).exec_async(&mut redis).await?;
    Ok(true)
}

/// The same with the pattern.
async fn complete_with_the_effect(
    group: &Group<Connection>,
    message: &Message,
    effects: &str,
    dies: Option<Moment>,
) -> Result<bool, BoxError> {
    if dies == Some(Moment::Before) {
        return Ok(false);
    }
    group.complete(message, &count(effects, &message.id)).await?;
    Ok(dies != Some(Moment::After))
}

/// The messages in the reply of XREADGROUP. Their counts are not known.
pub(super) fn messages_of(reply: Value) -> RedisResult<Vec<Message>> {
    let entries = match reply {
        Value::Nil => return Ok(Vec::new()),
        Value::Map(mut streams) => streams.pop().map_or(Value::Nil, |(_, entries)| entries),
        reply => {
            let mut streams = Vec::<Vec<Value>>::from_redis_value(reply)?;
            streams.pop().and_then(|mut stream| stream.pop()).unwrap_or(Value::Nil)
        }
    };
    let entries: Vec<(String, Vec<String>)> = FromRedisValue::from_redis_value(entries)?;
    let message = |(entry, fields): (String, Vec<String>)| {
        let id = fields.get(1).cloned().unwrap_or_default();
        Message { entry, id, payload: Vec::new(), failures: 0, workers_lost: 0 }
    };
    Ok(entries.into_iter().map(message).collect())
}
