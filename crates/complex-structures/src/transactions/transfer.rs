//! Ways to move money from one account to another.

use std::sync::LazyLock;

use lab_runner::source::Excerpt;
use lab_runner::{AnyConnection, Approach, LuaScript, Source, source};
use redis::aio::ConnectionLike;
use redis::{Pipeline, RedisResult, Script};

use crate::concurrent_clients::Attempts;
use crate::keys::Keys;

static SCRIPT_SOURCE: Source = source!("src/transactions/transfer.lua");
static LIBRARY_SOURCE: Source = source!("src/transactions/library.lua");
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(SCRIPT_SOURCE.text));

/// How to move money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// DECRBY and INCRBY, sent together; other commands may come between. Does not check that the money is there.
    Pipeline,
    /// DECRBY and INCRBY inside MULTI and EXEC. Does not check either, because reads inside it return only at its end.
    Multi,
    /// WATCH and GET, then MULTI and EXEC. Needs a connection of its own.
    Watch,
    /// A script, called with EVALSHA.
    Script,
    /// A function, called with FCALL.
    Function,
}

/// What became of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// The money was moved.
    Done,
    /// There was not enough, and nothing was written.
    NotEnough,
    /// Another client wrote the account after it was read, and nothing was written.
    Conflict,
}

impl Transfer {
    /// Those that a server can do. With `functions`, a library is loaded, which all users of the server see.
    pub fn all(functions: bool) -> Vec<Self> {
        let mut all = vec![Self::Pipeline, Self::Multi, Self::Watch, Self::Script];
        all.extend(functions.then_some(Self::Function));
        all
    }

    /// Moves `cents`; one attempt. Both keys share a slot.
    pub async fn once(
        self,
        redis: &mut impl ConnectionLike,
        from: &str,
        to: &str,
        cents: i64,
    ) -> RedisResult<Moved> {
        match self {
            Self::Pipeline => both(from, to, cents).exec_async(redis).await.map(|()| Moved::Done),
            Self::Multi => both(from, to, cents).atomic().exec_async(redis).await.map(|()| Moved::Done),
            Self::Watch => by_watch(redis, from, to, cents).await,
            Self::Script => by_script(redis, from, to, cents).await,
            Self::Function => by_function(redis, from, to, cents).await,
        }
    }

    /// Moves `cents` and tries again after each conflict. Returns the number of retries. Too little money is not an error and
    /// moves nothing.
    pub async fn with_retries(
        self,
        redis: &mut (impl ConnectionLike + Send),
        from: &str,
        to: &str,
        cents: i64,
    ) -> RedisResult<u64> {
        let mut attempts = Attempts::default();
        while self.once(redis, from, to, cents).await? == Moved::Conflict {
            attempts.pause().await?;
        }
        Ok(attempts.retries())
    }
}

fn both(from: &str, to: &str, cents: i64) -> Pipeline {
    let mut both = redis::pipe();
    both.decr(from, cents).ignore().incr(to, cents).ignore();
    both
}

pub(super) async fn by_watch(
    redis: &mut impl ConnectionLike,
    from: &str,
    to: &str,
    cents: i64,
) -> RedisResult<Moved> {
    let mut read = redis::pipe();
    read.cmd("WATCH").arg(from).ignore().get(from);
    let (balance,): (Option<i64>,) = read.query_async(redis).await?;
    if balance.unwrap_or_default() < cents {
        redis::cmd("UNWATCH").exec_async(redis).await?;
        return Ok(Moved::NotEnough);
    }
    let done: Option<()> = both(from, to, cents).atomic().query_async(redis).await?;
    Ok(done.map_or(Moved::Conflict, |()| Moved::Done))
}

pub(super) async fn by_script(
    redis: &mut impl ConnectionLike,
    from: &str,
    to: &str,
    cents: i64,
) -> RedisResult<Moved> {
    let done: bool = SCRIPT.key(from).key(to).arg(cents).invoke_async(redis).await?;
    Ok(if done { Moved::Done } else { Moved::NotEnough })
}

pub(super) async fn by_function(
    redis: &mut impl ConnectionLike,
    from: &str,
    to: &str,
    cents: i64,
) -> RedisResult<Moved> {
    let mut fcall = redis::cmd("FCALL");
    fcall.arg("redislab_transfer").arg(2).arg(from).arg(to).arg(cents);
    let done: bool = fcall.query_async(redis).await?;
    Ok(if done { Moved::Done } else { Moved::NotEnough })
}

/// The script, as the lesson shows it.
pub(super) fn transfer_script() -> LuaScript<'static> {
    let Source { path, text } = SCRIPT_SOURCE;
    LuaScript { name: "transfer.lua", path, line: 1, text, source: text, hash: SCRIPT.get_hash() }
}

/// The library with the function. A library belongs to the whole server, not to one database, and all its users see it, so load
/// it only on a private server. On a cluster every primary gets it.
#[derive(Clone, Copy, Debug)]
pub struct Library;

impl Library {
    /// Loads it, and replaces one with the same name.
    pub async fn load(redis: &mut impl ConnectionLike) -> RedisResult<()> {
        redis::cmd("FUNCTION").arg("LOAD").arg("REPLACE").arg(LIBRARY_SOURCE.text).exec_async(redis).await
    }

    /// Deletes it; an error if it is not there.
    pub async fn delete(redis: &mut impl ConnectionLike) -> RedisResult<()> {
        redis::cmd("FUNCTION").arg("DELETE").arg("redislab_bank").exec_async(redis).await
    }

    pub(super) fn excerpt() -> Excerpt {
        let Source { path, text } = LIBRARY_SOURCE;
        Excerpt { path: path.to_owned(), line: 1, text: text.trim_end().to_owned() }
    }
}

/// The key of an owner's account, in cents. All accounts share a hash tag, because one transaction or script uses two.
pub(super) fn account(keys: &Keys, owner: &str) -> String {
    keys.key(format!("{{bank}}:account:{owner}"))
}

/// Two accounts, and how often the same amount is moved from one to the other. The first starts with exactly enough.
#[derive(Clone, Debug)]
pub struct Accounts {
    from: String,
    to: String,
    times: usize,
    cents: i64,
}

impl Accounts {
    /// Moves `cents` from Ada to Ben, `times` times.
    pub fn new(times: usize, cents: i64, keys: &Keys) -> Self {
        Self { from: account(keys, "ada"), to: account(keys, "ben"), times, cents }
    }
}

impl Approach for Transfer {
    type Input = Accounts;
    /// Both balances in cents.
    type Output = (i64, i64);

    fn label(self) -> String {
        match self {
            Self::Pipeline => "pipeline: promises nothing",
            Self::Multi => "MULTI, EXEC",
            Self::Watch => "WATCH, MULTI, EXEC",
            Self::Script => "script: EVALSHA",
            Self::Function => "function: FCALL",
        }
        .to_owned()
    }

    fn operations(self, accounts: &Accounts) -> u64 {
        accounts.times as u64
    }

    async fn reset<C: AnyConnection>(self, accounts: &Accounts, redis: &mut C) -> RedisResult<()> {
        match self {
            // So that no run pays for loading it.
            Self::Script => SCRIPT.load_async(redis).await.map(drop)?,
            Self::Function => Library::load(redis).await?,
            Self::Pipeline | Self::Multi | Self::Watch => {}
        }
        let all = i64::try_from(accounts.times).unwrap_or(i64::MAX).saturating_mul(accounts.cents);
        redis::pipe().set(&accounts.from, all).ignore().set(&accounts.to, 0).ignore().exec_async(redis).await
    }

    async fn run<C: AnyConnection>(self, accounts: &Accounts, redis: &mut C) -> RedisResult<(i64, i64)> {
        let Accounts { from, to, times, cents } = accounts;
        // No other client uses the connection of a comparison, so WATCH is safe on it.
        for _ in 0..*times {
            self.with_retries(redis, from, to, *cents).await?;
        }
        redis::cmd("MGET").arg(from).arg(to).query_async(redis).await
    }
}
