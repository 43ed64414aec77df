//! Ways to read a session.

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_runner::{AnyConnection, Approach, LessonError};
use patterns::key::Key;
use patterns::sessions::Sessions;
use redis::{RedisError, RedisResult};

use super::failed;

/// How to read a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadSession {
    /// GET of a String: the baseline.
    Floor,
    /// HGETALL, which does not slide.
    Fields,
    /// HGETALL and PEXPIRE in one pipeline, which slide without end.
    FieldsAndExpire,
    /// [`Sessions::read`].
    Library,
}

impl ReadSession {
    /// All of them, the baseline first.
    pub const ALL: [Self; 4] = [Self::Floor, Self::Fields, Self::FieldsAndExpire, Self::Library];
}

/// Sessions to read.
#[derive(Clone, Debug)]
pub struct Visitors {
    prefix: String,
    tokens: Vec<String>,
    keys: Vec<String>,
    at_a_time: usize,
}

impl Visitors {
    /// So many sessions of guests behind a prefix, and how many are read at a time.
    pub fn of(sessions: usize, at_a_time: usize, prefix: &str) -> Result<Self, LessonError> {
        let tokens: Vec<String> = (0..sessions).map(|number| format!("visitor_{number}")).collect();
        let keys: Result<Vec<Key>, _> =
            tokens.iter().map(|token| Key::new(prefix, "session", &[token])).collect();
        let keys = keys.map_err(failed)?.iter().map(|key| key.as_str().to_owned()).collect();
        Ok(Self { prefix: prefix.to_owned(), tokens, keys, at_a_time })
    }

    /// Every key that a run writes.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// A session, and its key.
    fn each(&self) -> impl Iterator<Item = (String, String)> {
        self.tokens.iter().cloned().zip(self.keys.iter().cloned())
    }
}

impl Approach for ReadSession {
    type Input = Visitors;
    /// How many sessions were found.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Floor => "GET (the baseline)",
            Self::Fields => "HGETALL, no sliding",
            Self::FieldsAndExpire => "HGETALL and PEXPIRE",
            Self::Library => "Sessions::read",
        }
        .to_owned()
    }

    fn operations(self, visitors: &Visitors) -> u64 {
        visitors.tokens.len() as u64
    }

    async fn reset<C: AnyConnection>(self, visitors: &Visitors, connection: &mut C) -> RedisResult<()> {
        let sessions = Sessions::new(connection.clone(), &visitors.prefix);
        let work =
            visitors.each().map(|(token, key)| self.begin(sessions.clone(), token, key, connection.clone()));
        let work: Vec<_> = work.collect();
        stream::iter(work).buffer_unordered(visitors.at_a_time).try_collect().await
    }

    async fn run<C: AnyConnection>(self, visitors: &Visitors, connection: &mut C) -> RedisResult<usize> {
        let sessions = Sessions::new(connection.clone(), &visitors.prefix);
        let work =
            visitors.each().map(|(token, key)| self.read(sessions.clone(), token, key, connection.clone()));
        let work: Vec<_> = work.collect();
        let found: Vec<bool> = stream::iter(work).buffer_unordered(visitors.at_a_time).try_collect().await?;
        Ok(found.into_iter().filter(|found| *found).count())
    }
}

impl ReadSession {
    async fn begin<C: AnyConnection>(
        self,
        sessions: Sessions<C>,
        token: String,
        key: String,
        mut connection: C,
    ) -> RedisResult<()> {
        redis::cmd("UNLINK").arg(&key).exec_async(&mut connection).await?;
        if self == Self::Floor {
            return redis::cmd("SET").arg(&key).arg("EUR").exec_async(&mut connection).await;
        }
        let fields = [("currency", "EUR"), ("theme", "dark")];
        sessions.begin_as(&token, &fields).await.map_err(other)?;
        Ok(())
    }

    async fn read<C: AnyConnection>(
        self,
        sessions: Sessions<C>,
        token: String,
        key: String,
        mut connection: C,
    ) -> RedisResult<bool> {
        match self {
            Self::Floor => {
                let value: Option<String> = redis::cmd("GET").arg(&key).query_async(&mut connection).await?;
                Ok(value.is_some())
            }
            Self::Fields => {
                let fields: Vec<(String, String)> =
                    redis::cmd("HGETALL").arg(&key).query_async(&mut connection).await?;
                Ok(!fields.is_empty())
            }
            Self::FieldsAndExpire => {
                let mut both = redis::pipe();
                both.cmd("HGETALL").arg(&key).cmd("PEXPIRE").arg(&key).arg(1_800_000);
                let (fields, slid): (Vec<(String, String)>, bool) = both.query_async(&mut connection).await?;
                Ok(!fields.is_empty() && slid)
            }
            Self::Library => sessions.read(&token).await.map(|session| session.is_some()).map_err(other),
        }
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> RedisError {
    std::io::Error::other(error).into()
}
