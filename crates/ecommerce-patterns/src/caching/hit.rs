//! Ways to read a cached document.

use std::convert::Infallible;

use lab_runner::concurrent::concurrently;
use lab_runner::{AnyConnection, Approach, LessonError, into_redis_error, labeled};
use patterns::cache::Cache;
use patterns::key::Key;
use redis::{AsyncCommands, RedisResult};
use serde_json::{Value, json};

labeled! {
    /// How to read what is cached.
    pub enum CacheHit {
        /// Nobody reads the reply.
        Get => "GET (the baseline)",
        /// Cache-aside by hand.
        GetAndParse => "GET, parsed as JSON",
        /// Without anything to load.
        Pattern => "Cache::get_or_load",
    }
}

/// Documents that are all cached.
#[derive(Clone, Debug)]
pub struct Documents {
    prefix: String,
    keys: Vec<String>,
    at_a_time: usize,
}

impl Documents {
    /// This many products under a prefix, and how many are read at a time.
    pub fn of(documents: usize, at_a_time: usize, prefix: &str) -> Result<Self, LessonError> {
        let key = |number| Key::new(prefix, "product", &[&id(number)]).map(|key| key.as_str().to_owned());
        let keys = (0..documents).map(key).collect::<Result<_, _>>();
        let keys = keys.map_err(|error| LessonError::Check(error.to_string()))?;
        Ok(Self { prefix: prefix.to_owned(), keys, at_a_time })
    }

    /// Every key that a run writes.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    fn cache<C: AnyConnection>(&self, connection: &C) -> Cache<C> {
        Cache::new(connection.clone(), &self.prefix, "product")
    }
}

fn id(number: usize) -> String {
    format!("hit-{number}")
}

impl Approach for CacheHit {
    type Input = Documents;
    /// How many documents were found.
    type Output = usize;

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, documents: &Documents) -> u64 {
        documents.keys.len() as u64
    }

    async fn reset<C: AnyConnection>(self, documents: &Documents, connection: &mut C) -> RedisResult<()> {
        let cache = documents.cache(connection);
        let put = async |number: usize| {
            let document = json!({ "id": id(number), "name": "Coffee mug", "price_cents": 1999 });
            cache.put(&[&id(number)], Some(&document)).await.map_err(into_redis_error)
        };
        concurrently(documents.at_a_time, documents.keys.len(), put).await.map(drop)
    }

    async fn run<C: AnyConnection>(self, documents: &Documents, connection: &mut C) -> RedisResult<usize> {
        let (cache, redis) = (documents.cache(connection), &*connection);
        let read = async |number: usize| {
            if self == Self::Pattern {
                let nothing = async || Ok::<Option<Value>, Infallible>(None);
                let found = cache.get_or_load(&[&id(number)], nothing).await;
                return found.map(|found| found.is_some()).map_err(into_redis_error);
            }
            let stored: Option<Vec<u8>> = redis.clone().get(&documents.keys[number]).await?;
            Ok(stored.is_some_and(|json| self == Self::Get || serde_json::from_slice::<Value>(&json).is_ok()))
        };
        let found = concurrently(documents.at_a_time, documents.keys.len(), read).await?;
        Ok(found.into_iter().filter(|found| *found).count())
    }
}
