//! Ways to read a cached document.

use std::convert::Infallible;

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_runner::{AnyConnection, Approach, LessonError};
use patterns::cache::Cache;
use redis::{RedisError, RedisResult};
use serde_json::Value;

use super::failed;

/// How to read what is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheHit {
    /// GET, and the reply is only looked at: the baseline.
    Floor,
    /// GET, and its JSON is read.
    ByHand,
    /// [`Cache::get_or_load`], and nothing to load.
    Library,
}

impl CacheHit {
    /// All of them, the baseline first.
    pub const ALL: [Self; 3] = [Self::Floor, Self::ByHand, Self::Library];
}

/// Documents that are all cached.
#[derive(Clone, Debug)]
pub struct Documents {
    prefix: String,
    ids: Vec<String>,
    keys: Vec<String>,
    at_a_time: usize,
}

impl Documents {
    /// So many products behind a prefix, and how many are read at a time.
    pub fn of(documents: usize, at_a_time: usize, prefix: &str) -> Result<Self, LessonError> {
        let ids: Vec<String> = (0..documents).map(|number| format!("hit-{number}")).collect();
        let key = |id: &String| patterns::key::Key::new(prefix, "product", &[id]);
        let keys: Result<Vec<_>, _> = ids.iter().map(key).collect();
        let keys = keys.map_err(failed)?.iter().map(|key| key.as_str().to_owned()).collect();
        Ok(Self { prefix: prefix.to_owned(), ids, keys, at_a_time })
    }

    /// Every key that a run writes.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    fn cache<C: AnyConnection>(&self, connection: &C) -> Cache<C> {
        Cache::new(connection.clone(), &self.prefix, "product")
    }
}

impl Approach for CacheHit {
    type Input = Documents;
    /// How many documents were there.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Floor => "GET (the baseline)",
            Self::ByHand => "GET, read as JSON",
            Self::Library => "Cache::get_or_load",
        }
        .to_owned()
    }

    fn operations(self, documents: &Documents) -> u64 {
        documents.ids.len() as u64
    }

    async fn reset<C: AnyConnection>(self, documents: &Documents, connection: &mut C) -> RedisResult<()> {
        let cache = documents.cache(connection);
        let work = documents.ids.iter().map(|id| put(cache.clone(), id.clone()));
        let work: Vec<_> = work.collect();
        stream::iter(work).buffer_unordered(documents.at_a_time).try_collect().await
    }

    async fn run<C: AnyConnection>(self, documents: &Documents, connection: &mut C) -> RedisResult<usize> {
        let cache = documents.cache(connection);
        let work = documents
            .ids
            .iter()
            .zip(&documents.keys)
            .map(|(id, key)| self.read(cache.clone(), id.clone(), key.clone(), connection.clone()));
        let work: Vec<_> = work.collect();
        let found: Vec<bool> = stream::iter(work).buffer_unordered(documents.at_a_time).try_collect().await?;
        Ok(found.into_iter().filter(|found| *found).count())
    }
}

impl CacheHit {
    async fn read<C: AnyConnection>(
        self,
        cache: Cache<C>,
        id: String,
        key: String,
        mut connection: C,
    ) -> RedisResult<bool> {
        match self {
            Self::Floor => {
                let stored: Option<Vec<u8>> =
                    redis::cmd("GET").arg(&key).query_async(&mut connection).await?;
                Ok(stored.is_some())
            }
            Self::ByHand => {
                let stored: Option<Vec<u8>> =
                    redis::cmd("GET").arg(&key).query_async(&mut connection).await?;
                Ok(stored.is_some_and(|stored| serde_json::from_slice::<Value>(&stored).is_ok()))
            }
            Self::Library => {
                let nothing = async || Ok::<Option<Value>, Infallible>(None);
                cache.get_or_load(&[&id], nothing).await.map(|found| found.is_some()).map_err(other)
            }
        }
    }
}

async fn put<C: AnyConnection>(cache: Cache<C>, id: String) -> RedisResult<()> {
    let document = serde_json::json!({ "id": id, "name": "Coffee mug", "price_cents": 1999 });
    cache.put(&[&id], Some(&document)).await.map_err(other)
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> RedisError {
    std::io::Error::other(error).into()
}
