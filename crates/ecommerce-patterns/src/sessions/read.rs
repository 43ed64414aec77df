//! Ways to read a session.

use crate::names::known;
use futures_util::{StreamExt, TryStreamExt, stream};
use lab_runner::{Approach, Wire};
use redis::{RedisError, RedisResult};
use storefront::session::Sessions;
use storefront::{Keys, SessionId};

/// How to read a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadSession {
    /// GET of a String: the floor.
    Floor,
    /// HGETALL, which does not slide.
    Fields,
    /// HGETALL and PEXPIRE in one pipeline, which slide without end.
    FieldsAndExpire,
    /// [`Sessions::read`].
    Script,
}

impl ReadSession {
    /// All of them, the floor first.
    pub const ALL: [Self; 4] = [Self::Floor, Self::Fields, Self::FieldsAndExpire, Self::Script];
}

/// Sessions to read.
#[derive(Clone, Debug)]
pub struct Visitors {
    keys: Keys,
    ids: Vec<SessionId>,
    at_a_time: usize,
}

impl Visitors {
    /// So many sessions of guests, and how many are read at a time.
    #[must_use]
    pub fn of(sessions: usize, at_a_time: usize, keys: &Keys) -> Self {
        let ids = (0..sessions).map(|number| known(&format!("visitor_{number}"))).collect();
        Self { keys: keys.clone(), ids, at_a_time }
    }

    /// Every key that a run writes.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.ids.iter().map(|id| self.keys.session(id)).collect()
    }
}

impl Approach for ReadSession {
    type Subject = Visitors;
    /// How many sessions were found.
    type Observed = usize;

    fn label(self) -> String {
        match self {
            Self::Floor => "GET (the floor)",
            Self::Fields => "HGETALL, no sliding",
            Self::FieldsAndExpire => "HGETALL and PEXPIRE",
            Self::Script => "Sessions::read",
        }
        .to_owned()
    }

    fn operations(self, visitors: &Visitors) -> u64 {
        visitors.ids.len() as u64
    }

    async fn reset<C: Wire>(self, visitors: &Visitors, connection: &mut C) -> RedisResult<()> {
        let work =
            visitors.ids.iter().map(|id| self.begin(visitors.keys.clone(), id.clone(), connection.clone()));
        let work: Vec<_> = work.collect();
        stream::iter(work).buffer_unordered(visitors.at_a_time).try_collect().await
    }

    async fn run<C: Wire>(self, visitors: &Visitors, connection: &mut C) -> RedisResult<usize> {
        let sessions = Sessions::new(connection.clone(), visitors.keys.clone());
        let work = visitors.ids.iter().map(|id| self.read(sessions.clone(), id.clone(), connection.clone()));
        let work: Vec<_> = work.collect();
        let found: Vec<bool> = stream::iter(work).buffer_unordered(visitors.at_a_time).try_collect().await?;
        Ok(found.into_iter().filter(|found| *found).count())
    }
}

impl ReadSession {
    async fn begin<C: Wire>(self, keys: Keys, id: SessionId, mut connection: C) -> RedisResult<()> {
        let key = keys.session(&id);
        redis::cmd("UNLINK").arg(&key).exec_async(&mut connection).await?;
        if self == Self::Floor {
            return redis::cmd("SET").arg(&key).arg("EUR").exec_async(&mut connection).await;
        }
        let fields = [(known("currency"), "EUR"), (known("theme"), "dark")];
        Sessions::new(connection, keys).begin_as(&id, None, &fields).await.map_err(other)
    }

    async fn read<C: Wire>(
        self,
        sessions: Sessions<C>,
        id: SessionId,
        mut connection: C,
    ) -> RedisResult<bool> {
        let key = sessions.keys().session(&id);
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
            Self::Script => sessions.read(&id).await.map(|session| session.is_some()).map_err(other),
        }
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> RedisError {
    std::io::Error::other(error).into()
}
