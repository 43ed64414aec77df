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
}

fn token(visitor: usize) -> String {
    format!("visitor_{visitor}")
}

/// The key of the String that is read instead of a session.
fn string(session: &str) -> String {
    format!("{session}:string")
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
        let (redis, sessions) = (&*connection, Sessions::new(connection.clone(), &visitors.prefix));
        let begin = async |number: usize| -> RedisResult<()> {
            if self == Self::Get {
                return redis.clone().set(string(&visitors.keys[number]), "EUR").await;
            }
            // If it exists, this changes nothing.
            let fields = [("currency", "EUR"), ("theme", "dark")];
            sessions.begin_as(&token(number), &fields).await.map(drop).map_err(into_redis_error)
        };
        concurrently(visitors.at_a_time, visitors.keys.len(), begin).await.map(drop)
    }

    async fn run<C: AnyConnection>(self, visitors: &Visitors, connection: &mut C) -> RedisResult<usize> {
        let (redis, sessions) = (&*connection, Sessions::new(connection.clone(), &visitors.prefix));
        let read = async |number: usize| -> RedisResult<bool> {
            let (mut redis, key) = (redis.clone(), &visitors.keys[number]);
            match self {
                Self::Get => redis.get(string(key)).await.map(|value: Option<String>| value.is_some()),
                Self::Hgetall => redis.hgetall(key).await.map(|fields: Fields| !fields.is_empty()),
                Self::HgetallAndPexpire => {
                    let mut both = redis::pipe();
                    both.hgetall(key).pexpire(key, 1_800_000);
                    let (fields, slid): (Fields, bool) = both.query_async(&mut redis).await?;
                    Ok(!fields.is_empty() && slid)
                }
                Self::Pattern => {
                    let session = sessions.read(&token(number)).await.map_err(into_redis_error)?;
                    Ok(session.is_some())
                }
            }
        };
        let found = concurrently(visitors.at_a_time, visitors.keys.len(), read).await?;
        Ok(found.into_iter().filter(|found| *found).count())
    }
}

type Fields = Vec<(String, String)>;
