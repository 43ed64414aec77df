//! Ways to read a cached document.

use std::convert::Infallible;

use crate::names::known;
use futures_util::{StreamExt, TryStreamExt, stream};
use lab_runner::{Approach, Wire};
use redis::{RedisError, RedisResult};
use serde_json::Value;
use storefront::Keys;
use storefront::cache::{Cache, CacheKey};

/// How to read what is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheHit {
    /// GET, and the answer is only looked at: the floor.
    Floor,
    /// GET, and its JSON is read.
    ByHand,
    /// [`Cache::get_or_load`], and nothing to load.
    Library,
}

impl CacheHit {
    /// All of them, the floor first.
    pub const ALL: [Self; 3] = [Self::Floor, Self::ByHand, Self::Library];
}

/// Documents that are all cached.
#[derive(Clone, Debug)]
pub struct Documents {
    keys: Keys,
    cached: Vec<CacheKey>,
    at_a_time: usize,
}

impl Documents {
    /// So many products, and how many are read at a time.
    #[must_use]
    pub fn of(documents: usize, at_a_time: usize, keys: &Keys) -> Self {
        let cached =
            (0..documents).map(|number| keys.cached_product(&known(&format!("hit-{number}")))).collect();
        Self { keys: keys.clone(), cached, at_a_time }
    }

    /// Every key that a run writes.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.cached.iter().flat_map(|key| [key.value.clone(), key.load.clone()]).collect()
    }
}

impl Approach for CacheHit {
    type Subject = Documents;
    /// How many documents were there.
    type Observed = usize;

    fn label(self) -> String {
        match self {
            Self::Floor => "GET (the floor)",
            Self::ByHand => "GET, read as JSON",
            Self::Library => "Cache::get_or_load",
        }
        .to_owned()
    }

    fn operations(self, documents: &Documents) -> u64 {
        documents.cached.len() as u64
    }

    async fn reset<C: Wire>(self, documents: &Documents, connection: &mut C) -> RedisResult<()> {
        let cache = Cache::new(connection.clone(), documents.keys.clone(), tokio::time::sleep);
        let work = documents.cached.iter().map(|key| put(cache.clone(), key.clone()));
        let work: Vec<_> = work.collect();
        stream::iter(work).buffer_unordered(documents.at_a_time).try_collect().await
    }

    async fn run<C: Wire>(self, documents: &Documents, connection: &mut C) -> RedisResult<usize> {
        let cache = Cache::new(connection.clone(), documents.keys.clone(), tokio::time::sleep);
        let work =
            documents.cached.iter().map(|key| self.read(cache.clone(), key.clone(), connection.clone()));
        let work: Vec<_> = work.collect();
        let found: Vec<bool> = stream::iter(work).buffer_unordered(documents.at_a_time).try_collect().await?;
        Ok(found.into_iter().filter(|found| *found).count())
    }
}

impl CacheHit {
    async fn read<C: Wire>(self, cache: Cache<C>, key: CacheKey, mut connection: C) -> RedisResult<bool> {
        match self {
            Self::Floor => {
                let stored: Option<Vec<u8>> =
                    redis::cmd("GET").arg(&key.value).query_async(&mut connection).await?;
                Ok(stored.is_some())
            }
            Self::ByHand => {
                let stored: Option<Vec<u8>> =
                    redis::cmd("GET").arg(&key.value).query_async(&mut connection).await?;
                Ok(stored.is_some_and(|stored| serde_json::from_slice::<Value>(&stored).is_ok()))
            }
            Self::Library => {
                let nothing = async || Ok::<Option<Value>, Infallible>(None);
                cache.get_or_load(&key, nothing).await.map(|found| found.is_some()).map_err(other)
            }
        }
    }
}

async fn put<C: Wire>(cache: Cache<C>, key: CacheKey) -> RedisResult<()> {
    let document = serde_json::json!({ "id": key.value, "name": "Coffee mug", "price_cents": 1999 });
    cache.put(&key, Some(&document)).await.map_err(other)
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> RedisError {
    std::io::Error::other(error).into()
}
