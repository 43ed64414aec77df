//! Ways to read a session.

use lab_runner::concurrent::concurrently;
use lab_runner::{AnyConnection, Approach, LessonError, into_redis_error, labeled};
use patterns::key::Key;
use patterns::sessions::Sessions;
use redis::{AsyncCommands, RedisResult};

labeled! {
    /// How to read a session.
    pub enum ReadSession {
        /// Of a String.
        Get => "GET (the baseline)",
        /// Does not let it slide.
        Hgetall => "HGETALL, no sliding",
        /// In one pipeline. Lets it slide without end.
        HgetallAndPexpire => "HGETALL and PEXPIRE",
        /// The pattern.
        Pattern => "Sessions::read",
    }
}

/// Guests whose sessions are read.
#[derive(Clone, Debug)]
pub struct Visitors {
    prefix: String,
    keys: Vec<String>,
    at_a_time: usize,
}

impl Visitors {
    /// This many sessions under a prefix, and how many of them are read at a time.
    pub fn of(sessions: usize, at_a_time: usize, prefix: &str) -> Result<Self, LessonError> {
        let key =
            |visitor| Key::new(prefix, "session", &[&token(visitor)]).map(|key| key.as_str().to_owned());
        let keys = (0..sessions).map(key).collect::<Result<_, _>>();
        let keys = keys.map_err(|error| LessonError::Check(error.to_string()))?;
        Ok(Self { prefix: prefix.to_owned(), keys, at_a_time })
    }

    /// Every key that a run writes.
    pub fn keys(&self) -> Vec<String> {
        self.keys.iter().flat_map(|key| [key.clone(), string(key)]).collect()
    }

    /// Lets all visitors do something, some at a time. Returns how many say that it was there.
    async fn each<C: AnyConnection, F: Future<Output = RedisResult<bool>> + Send>(
        &self,
        redis: &C,
        act: impl Fn(Visitor<C>) -> F + Send,
    ) -> RedisResult<usize> {
        let (keys, redis) = (self.keys.clone(), redis.clone());
        let sessions = Sessions::new(redis.clone(), &self.prefix);
        let each = move |number: usize| {
            let (redis, sessions, key) = (redis.clone(), sessions.clone(), keys[number].clone());
            act(Visitor { redis, sessions, key, token: token(number) })
        };
        let there = concurrently(self.at_a_time, self.keys.len(), each).await?;
        Ok(there.into_iter().filter(|there| *there).count())
    }
}

fn token(visitor: usize) -> String {
    format!("visitor_{visitor}")
}

/// The key of the String that is read instead of a session.
fn string(session: &str) -> String {
    format!("{session}:string")
}

/// One of them, with what it takes to read its session.
struct Visitor<C> {
    redis: C,
    sessions: Sessions<C>,
    key: String,
    token: String,
}

impl Approach for ReadSession {
    type Input = Visitors;
    /// How many sessions were found.
    type Output = usize;

    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, visitors: &Visitors) -> u64 {
        visitors.keys.len() as u64
    }

    async fn reset<C: AnyConnection>(self, visitors: &Visitors, connection: &mut C) -> RedisResult<()> {
        visitors.each(connection, move |visitor| self.begin(visitor)).await.map(drop)
    }

    async fn run<C: AnyConnection>(self, visitors: &Visitors, connection: &mut C) -> RedisResult<usize> {
        visitors.each(connection, move |visitor| self.read(visitor)).await
    }
}

impl ReadSession {
    async fn begin<C: AnyConnection>(self, visitor: Visitor<C>) -> RedisResult<bool> {
        let Visitor { mut redis, sessions, key, token } = visitor;
        if self == Self::Get {
            return redis.set(string(&key), "EUR").await;
        }
        // If it exists, this changes nothing.
        sessions.begin_as(&token, &[("currency", "EUR"), ("theme", "dark")]).await.map_err(into_redis_error)
    }

    async fn read<C: AnyConnection>(self, visitor: Visitor<C>) -> RedisResult<bool> {
        let Visitor { mut redis, sessions, key, token } = visitor;
        match self {
            Self::Get => redis.get(string(&key)).await.map(|value: Option<String>| value.is_some()),
            Self::Hgetall => redis.hgetall(&key).await.map(|fields: Fields| !fields.is_empty()),
            Self::HgetallAndPexpire => {
                let mut both = redis::pipe();
                both.hgetall(&key).pexpire(&key, 1_800_000);
                let (fields, slid): (Fields, bool) = both.query_async(&mut redis).await?;
                Ok(!fields.is_empty() && slid)
            }
            Self::Pattern => {
                sessions.read(&token).await.map(|session| session.is_some()).map_err(into_redis_error)
            }
        }
    }
}

type Fields = Vec<(String, String)>;
