//! Ways to take and release a lock on one server.

use std::sync::LazyLock;
use std::time::Duration;

use lab_runner::{AnyConnection, Approach, into_redis_error, labeled};
use patterns::key::{Key, KeyError};
use patterns::lock::{ACQUIRE, Locks, RELEASE, Token};
use redis::{RedisResult, Script};

use super::{DELETE_IF_EQUAL, key_of, set_nx};

const TTL: Duration = Duration::from_mins(1);

static RELEASE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(DELETE_IF_EQUAL));

labeled! {
    /// How a lock is taken and released.
    pub enum TakeAndRelease {
        /// SET NX PX, and DEL: the wrong way, as a baseline.
        SetAndDel => "SET NX PX, DEL (wrong)",
        /// SET NX PX, and a script that compares the token.
        SetAndScript => "SET NX PX, token script",
        /// SET NX PX, and DELIFEQ.
        SetAndDelifeq => "SET NX PX, DELIFEQ",
        /// SET NX PX, and DELEX with IFEQ.
        SetAndDelex => "SET NX PX, DELEX IFEQ",
        /// [`Locks`]: two scripts, with a number.
        Pattern => "Locks, with a number",
    }
}

impl TakeAndRelease {
    /// All that this server can do, the baseline first.
    #[must_use]
    pub fn all(delifeq: bool, delex: bool) -> Vec<Self> {
        let can = |way: &Self| match way {
            Self::SetAndDelifeq => delifeq,
            Self::SetAndDelex => delex,
            _ => true,
        };
        Self::ALL.into_iter().filter(can).collect()
    }

    /// Whether the lock was free, and was released by its holder.
    async fn once<C: AnyConnection>(self, names: &Names, name: &str, mut redis: C) -> RedisResult<bool> {
        let token = Token::random().map_err(|error| into_redis_error(Box::new(error)))?;
        if self == Self::Pattern {
            let locks = Locks::new(redis, &names.prefix, "worker-1").with_ttl(TTL);
            locks.try_acquire(name, &token).await.map_err(into_redis_error)?;
            return locks.release(name, &token).await.map_err(into_redis_error);
        }
        let key = key_of(&names.prefix, name).map_err(into_redis_error)?;
        let was_free = set_nx(&mut redis, &key, token.as_str(), 60_000).await?;
        let released: usize = match self {
            Self::SetAndScript => {
                RELEASE_SCRIPT.key(&key).arg(token.as_str()).invoke_async(&mut redis).await?
            }
            Self::SetAndDelifeq => {
                redis::cmd("DELIFEQ").arg(&key).arg(token.as_str()).query_async(&mut redis).await?
            }
            Self::SetAndDelex => {
                let mut delex = redis::cmd("DELEX");
                delex.arg(&key).arg("IFEQ").arg(token.as_str()).query_async(&mut redis).await?
            }
            _ => redis::cmd("DEL").arg(&key).query_async(&mut redis).await?,
        };
        Ok(was_free && released == 1)
    }
}

/// The locks that are taken, one after the other.
#[derive(Clone, Debug)]
pub struct Names {
    prefix: String,
    names: Vec<String>,
}

impl Names {
    /// So many locks under a prefix.
    #[must_use]
    pub fn new(prefix: &str, count: usize) -> Self {
        Self { prefix: prefix.to_owned(), names: (0..count).map(|lock| format!("compared-{lock}")).collect() }
    }

    /// Every key that a run writes: the pattern leaves its numbers.
    pub fn keys(&self) -> Result<Vec<String>, KeyError> {
        let key = |name: &String| Key::new(&self.prefix, "lock", &[name]);
        let locks = self.names.iter().map(|name| Ok(key(name)?.as_str().to_owned()));
        let numbers = self.names.iter().map(|name| Ok(key(name)?.companion("number")));
        locks.chain(numbers).collect()
    }
}

impl Approach for TakeAndRelease {
    type Input = Names;
    /// How many locks were taken and released.
    type Output = usize;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, input: &Self::Input) -> u64 {
        input.names.len() as u64
    }

    async fn reset<C: AnyConnection>(self, _: &Self::Input, connection: &mut C) -> RedisResult<()> {
        match self {
            Self::SetAndScript => RELEASE_SCRIPT.prepare_invoke().load_async(connection).await.map(drop),
            Self::Pattern => {
                for script in [&ACQUIRE, &RELEASE] {
                    redis::cmd("SCRIPT").arg("LOAD").arg(script.source()).exec_async(connection).await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn run<C: AnyConnection>(self, input: &Self::Input, connection: &mut C) -> RedisResult<usize> {
        let mut done = 0;
        for name in &input.names {
            done += usize::from(self.once(input, name, connection.clone()).await?);
        }
        Ok(done)
    }
}
