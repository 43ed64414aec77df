//! Ways to push many items to a list.

use lab_runner::{AnyConnection, Approach};
use redis::{Pipeline, RedisResult};

use crate::keys::Keys;

/// How to push many items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushMany {
    /// LPUSH, wait for the answer, the next LPUSH.
    OneByOne,
    /// One LPUSH for each item, all sent before the first answer is awaited.
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
    key: String,
    items: Vec<String>,
}

impl Items {
    /// `item:1` to `item:count`; at least one.
    #[must_use]
    pub fn first(count: usize, keys: &Keys) -> Self {
        Self {
            key: keys.bulk_queue(),
            items: (1..=count.max(1)).map(|item| format!("item:{item}")).collect(),
        }
    }

    /// The list.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The items, in the order in which they are pushed.
    #[must_use]
    pub fn items(&self) -> &[String] {
        &self.items
    }
}

impl Approach for PushMany {
    type Input = Items;
    /// How long the list is afterwards, as the last LPUSH says.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::OneByOne => "LPUSH, one by one",
            Self::Pipeline => "pipeline of LPUSHes",
            Self::Variadic => "one LPUSH with all",
        }
        .to_owned()
    }

    fn operations(self, items: &Items) -> u64 {
        items.items.len() as u64
    }

    async fn reset<C: AnyConnection>(self, items: &Items, connection: &mut C) -> RedisResult<()> {
        redis::cmd("UNLINK").arg(&items.key).exec_async(connection).await
    }

    async fn run<C: AnyConnection>(self, items: &Items, connection: &mut C) -> RedisResult<usize> {
        match self {
            Self::OneByOne => {
                let mut length = 0;
                for item in &items.items {
                    length = redis::cmd("LPUSH").arg(&items.key).arg(item).query_async(connection).await?;
                }
                Ok(length)
            }
            Self::Pipeline => {
                let mut pipeline = Pipeline::with_capacity(items.items.len());
                for item in &items.items {
                    pipeline.cmd("LPUSH").arg(&items.key).arg(item);
                }
                let lengths: Vec<usize> = pipeline.query_async(connection).await?;
                Ok(lengths.last().copied().unwrap_or_default())
            }
            Self::Variadic => {
                redis::cmd("LPUSH").arg(&items.key).arg(&items.items).query_async(connection).await
            }
        }
    }
}
