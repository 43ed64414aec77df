//! Ways to push many items to a list.

use lab_runner::{AnyConnection, Approach};
use redis::{AsyncTypedCommands, RedisResult};

use crate::keys::Keys;

/// How to push many items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushMany {
    /// One LPUSH per item, each after the reply to the last.
    OneByOne,
    /// One LPUSH per item, all sent before the first reply is read.
    Pipeline,
    /// One LPUSH with all items.
    Variadic,
}

impl PushMany {
    /// All of them, the reference first.
    pub const ALL: [Self; 3] = [Self::OneByOne, Self::Pipeline, Self::Variadic];
}

/// Items, and the list they go to.
#[derive(Clone, Debug)]
pub struct Items {
    /// The list.
    pub key: String,
    /// The items, in the order in which they are pushed.
    pub items: Vec<String>,
}

impl Items {
    /// `item:1` to `item:count`.
    pub fn new(count: usize, keys: &Keys) -> Self {
        Self { key: keys.key("queue:bulk"), items: (1..=count).map(|item| format!("item:{item}")).collect() }
    }
}

impl Approach for PushMany {
    type Input = Items;
    /// The length of the list afterward, as the last LPUSH returns it.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::OneByOne => "LPUSH, one by one",
            Self::Pipeline => "pipeline of LPUSHes",
            Self::Variadic => "one LPUSH with all",
        }
        .to_owned()
    }

    fn operations(self, input: &Items) -> u64 {
        input.items.len() as u64
    }

    async fn reset<C: AnyConnection>(self, input: &Items, redis: &mut C) -> RedisResult<()> {
        redis.unlink(&input.key).await.map(drop)
    }

    async fn run<C: AnyConnection>(self, items: &Items, redis: &mut C) -> RedisResult<usize> {
        self.push_all(redis, items).await
    }
}

impl PushMany {
    async fn push_all<C: AnyConnection>(self, redis: &mut C, all: &Items) -> RedisResult<usize> {
        let Items { key, items } = all;
        match self {
            Self::OneByOne => {
                let mut length = 0;
                for item in items {
                    length = redis.lpush(key, item).await?;
                }
                Ok(length)
            }
            Self::Pipeline => {
                let mut pipeline = redis::pipe();
                for item in items {
                    pipeline.lpush(key, item);
                }
                let lengths: Vec<usize> = pipeline.query_async(redis).await?;
                Ok(lengths.last().copied().unwrap_or_default())
            }
            Self::Variadic => redis.lpush(key, items).await,
        }
    }
}
