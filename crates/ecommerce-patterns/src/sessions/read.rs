//! Ways to read a session.

use lab_runner::{AnyConnection, Approach};
use patterns::script::StoreError;
use patterns::sessions::Sessions;
use redis::{AsyncCommands, RedisResult};

use crate::concurrent::concurrently;
use crate::failure::into_redis_error;

/// How to read a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadSession {
    /// GET of a String: the baseline.
    Get,
    /// HGETALL, which does not let it slide.
    Hgetall,
    /// HGETALL and PEXPIRE in one pipeline, which let it slide without end.
    HgetallAndPexpire,
    /// [`Sessions::read`].
    Pattern,
}

impl ReadSession {
    /// All of them, the baseline first.
    pub const ALL: [Self; 4] = [Self::Get, Self::Hgetall, Self::HgetallAndPexpire, Self::Pattern];
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
    pub fn of(sessions: usize, at_a_time: usize, prefix: &str) -> Result<Self, StoreError> {
        let key = |visitor| patterns::key::Key::new(prefix, "session", &[&token(visitor)]);
        let keys: Result<Vec<_>, _> = (0..sessions).map(key).collect();
        let keys = keys?.iter().map(|key| key.as_str().to_owned()).collect();
        Ok(Self { prefix: prefix.to_owned(), keys, at_a_time })
    }

    /// Every key that a run writes.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }
}

fn token(visitor: usize) -> String {
    format!("visitor_{visitor}")
}

impl Approach for ReadSession {
    type Input = Visitors;
    /// How many sessions were found.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Get => "GET (the baseline)",
            Self::Hgetall => "HGETALL, no sliding",
            Self::HgetallAndPexpire => "HGETALL and PEXPIRE",
            Self::Pattern => "Sessions::read",
        }
        .to_owned()
    }

    fn operations(self, visitors: &Visitors) -> u64 {
        visitors.keys.len() as u64
    }

    async fn reset<C: AnyConnection>(self, visitors: &Visitors, connection: &mut C) -> RedisResult<()> {
        let (keys, prefix, connection) = (visitors.keys.clone(), visitors.prefix.clone(), connection.clone());
        let begin = move |visitor: usize| {
            let (key, connection) = (keys[visitor].clone(), connection.clone());
            self.begin(visitor, key, Sessions::new(connection.clone(), &prefix), connection)
        };
        concurrently(visitors.at_a_time, visitors.keys.len(), begin).await?;
        Ok(())
    }

    async fn run<C: AnyConnection>(self, visitors: &Visitors, connection: &mut C) -> RedisResult<usize> {
        let (keys, connection) = (visitors.keys.clone(), connection.clone());
        let sessions = Sessions::new(connection.clone(), &visitors.prefix);
        let read = move |visitor: usize| {
            self.read(visitor, keys[visitor].clone(), sessions.clone(), connection.clone())
        };
        let found = concurrently(visitors.at_a_time, visitors.keys.len(), read).await?;
        Ok(found.into_iter().filter(|found| *found).count())
    }
}

impl ReadSession {
    async fn begin<C: AnyConnection>(
        self,
        visitor: usize,
        key: String,
        sessions: Sessions<C>,
        mut redis: C,
    ) -> RedisResult<()> {
        let () = redis.unlink(&key).await?;
        if self == Self::Get {
            return redis.set(&key, "EUR").await;
        }
        let fields = [("currency", "EUR"), ("theme", "dark")];
        sessions.begin_as(&token(visitor), &fields).await.map(drop).map_err(into_redis_error)
    }

    async fn read<C: AnyConnection>(
        self,
        visitor: usize,
        key: String,
        sessions: Sessions<C>,
        mut redis: C,
    ) -> RedisResult<bool> {
        match self {
            Self::Get => redis.get::<_, Option<String>>(&key).await.map(|value| value.is_some()),
            Self::Hgetall => {
                redis.hgetall::<_, Vec<(String, String)>>(&key).await.map(|fields| !fields.is_empty())
            }
            Self::HgetallAndPexpire => {
                let mut both = redis::pipe();
                both.hgetall(&key).pexpire(&key, 1_800_000);
                let (fields, slid): (Vec<(String, String)>, bool) = both.query_async(&mut redis).await?;
                Ok(!fields.is_empty() && slid)
            }
            Self::Pattern => sessions
                .read(&token(visitor))
                .await
                .map(|session| session.is_some())
                .map_err(into_redis_error),
        }
    }
}
