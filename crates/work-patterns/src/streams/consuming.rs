//! Ways to handle messages of a stream, compared.

use std::time::Duration;

use lab_runner::concurrent::concurrently;
use lab_runner::{AnyConnection, Approach, into_redis_error, labeled};
use patterns::stream_worker::StreamQueue;
use redis::{AsyncTypedCommands, RedisResult};

use super::workers::{count, keys, messages_of};

/// How many messages a batch has.
const BATCH: usize = 50;
const GROUP: &str = "billing";

labeled! {
    /// How messages are published, read, counted, and acknowledged.
    pub enum Consuming {
        /// XADD, XREADGROUP, HINCRBY, XACK for each message: the baseline.
        OneByOne => "one by one (the baseline)",
        /// The same for 50 messages at a time.
        Batches => "batches of 50",
        /// The same with XACKDEL, which also deletes the entry, where the server has it.
        AckDel => "batches, XACKDEL",
        /// The pattern, 50 messages at a time.
        Pattern => "the pattern, batches",
    }
}

impl Consuming {
    /// All, the baseline first; XACKDEL where the server has it.
    #[must_use]
    pub fn all(ack_del: bool) -> Vec<Self> {
        Self::ALL.into_iter().filter(|consuming| ack_del || *consuming != Self::AckDel).collect()
    }
}

/// Messages to handle.
#[derive(Clone, Debug)]
pub struct Messages {
    prefix: String,
    count: usize,
}

impl Messages {
    /// This many under a prefix.
    #[must_use]
    pub fn new(prefix: &str, count: usize) -> Self {
        Self { prefix: prefix.to_owned(), count }
    }

    fn queue<C: AnyConnection>(&self, redis: &C) -> StreamQueue<C> {
        StreamQueue::new(redis.clone(), &self.prefix, "compared")
    }
}

impl Approach for Consuming {
    type Input = Messages;
    /// How many messages have exactly one effect.
    type Output = usize;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, input: &Messages) -> u64 {
        input.count as u64
    }

    async fn reset<C: AnyConnection>(self, input: &Messages, redis: &mut C) -> RedisResult<()> {
        let queue = input.queue(redis);
        redis.unlink(keys(&queue).map_err(into_redis_error)?).await?;
        queue.group(GROUP).create().await.map(drop).map_err(into_redis_error)
    }

    async fn run<C: AnyConnection>(self, input: &Messages, redis: &mut C) -> RedisResult<usize> {
        let (queue, group) = (input.queue(redis), input.queue(redis).group(GROUP));
        let effects = queue.effect_key("effects").map_err(into_redis_error)?;
        let key = queue.key().map_err(into_redis_error)?.as_str().to_owned();
        let batch = if self == Self::OneByOne { 1 } else { BATCH };
        for first in (0..input.count).step_by(batch) {
            let ids: Vec<String> =
                (first..(first + batch).min(input.count)).map(|number| format!("order-{number}")).collect();
            if self == Self::Pattern {
                let publish = |at: usize| {
                    let (queue, id) = (queue.clone(), ids[at].clone());
                    async move { queue.publish(&id, b"").await.map_err(into_redis_error) }
                };
                concurrently(BATCH, ids.len(), publish).await?;
                let messages =
                    group.read(redis, "c1", BATCH, Duration::ZERO).await.map_err(into_redis_error)?;
                let complete = |at: usize| {
                    let (group, message) = (group.clone(), messages[at].clone());
                    let effect = count(&effects, &message.id);
                    async move { group.complete(&message, &effect).await.map_err(into_redis_error) }
                };
                concurrently(BATCH, messages.len(), complete).await?;
            } else {
                self.plainly(redis, &key, &effects, &ids).await?;
            }
        }
        let counts = redis.hgetall(effects).await?;
        Ok(counts.values().filter(|count| *count == "1").count())
    }
}

impl Consuming {
    async fn plainly<C: AnyConnection>(
        self,
        redis: &mut C,
        key: &str,
        effects: &str,
        ids: &[String],
    ) -> RedisResult<()> {
        let mut add = redis::pipe();
        for id in ids {
            add.cmd("XADD").arg(key).arg("*").arg("id").arg(id).ignore();
        }
        add.exec_async(redis).await?;
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg("c1").arg("COUNT").arg(ids.len()).arg("STREAMS").arg(key).arg(">");
        let messages = messages_of(read.query_async(redis).await?)?;
        let entries: Vec<&str> = messages.iter().map(|message| message.entry.as_str()).collect();
        let mut count = redis::pipe();
        for message in &messages {
            count.cmd("HINCRBY").arg(effects).arg(&message.id).arg(1).ignore();
        }
        count.exec_async(redis).await?;
        let mut acknowledge = redis::cmd(if self == Self::AckDel { "XACKDEL" } else { "XACK" });
        acknowledge.arg(key).arg(GROUP);
        if self == Self::AckDel {
            acknowledge.arg("IDS").arg(entries.len());
        }
        acknowledge.arg(entries).exec_async(redis).await
    }
}
