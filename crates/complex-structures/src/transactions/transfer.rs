//! Ways to move money from one account to another.

use lab_runner::clients::pause_before_retry;
use lab_runner::{AnyConnection, Approach, Keys, ScriptFile, Source, labeled, lua, source};
use redis::aio::ConnectionLike;
use redis::{Pipeline, RedisResult};

pub(super) static SCRIPT: ScriptFile = lua!("src/transactions/transfer.lua");
/// The library with the function.
pub(super) static LIBRARY: Source = source!("src/transactions/library.lua");

labeled! {
    /// How to move money: DECRBY and INCRBY, sent together. The first two do not check that the money is there.
    pub enum Transfer {
        /// Other commands may come between.
        Pipeline => "pipeline: promises nothing",
        /// Reads inside it return only at its end.
        Multi => "MULTI, EXEC",
        /// Needs a connection of its own.
        Watch => "WATCH, MULTI, EXEC",
        /// In one step on the server.
        Script => "script: EVALSHA",
        /// The same, but the server has saved it.
        Function => "function: FCALL",
    }
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
    pub fn all(functions: bool) -> &'static [Self] {
        &[Self::Pipeline, Self::Multi, Self::Watch, Self::Script, Self::Function]
            [..if functions { 5 } else { 4 }]
    }

    /// One attempt.
    pub async fn once(self, redis: &mut impl ConnectionLike, order: &Order) -> RedisResult<Moved> {
        match self {
            Self::Pipeline => both(order).exec_async(redis).await.map(|()| Moved::Done),
            Self::Multi => both(order).atomic().exec_async(redis).await.map(|()| Moved::Done),
            Self::Watch => by_watch(redis, order).await,
            Self::Script => by_script(redis, order).await,
            Self::Function => by_function(redis, order).await,
        }
    }

    /// Tries again after each conflict. Returns the number of retries. Too little money is not an error and
    /// moves nothing.
    pub async fn with_retries(
        self,
        redis: &mut (impl ConnectionLike + Send),
        order: &Order,
    ) -> RedisResult<u64> {
        let mut retries = 0;
        while self.once(redis, order).await? == Moved::Conflict {
            retries += 1;
            pause_before_retry(retries).await?;
        }
        Ok(retries)
    }
}

fn both(Order { from, to, cents }: &Order) -> Pipeline {
    let mut both = redis::pipe();
    both.decr(from, *cents).ignore().incr(to, *cents).ignore();
    both
}

pub(super) async fn by_watch(redis: &mut impl ConnectionLike, order: &Order) -> RedisResult<Moved> {
    let mut read = redis::pipe();
    read.cmd("WATCH").arg(&order.from).ignore().get(&order.from);
    let (balance,): (Option<i64>,) = read.query_async(redis).await?;
    if balance.unwrap_or_default() < order.cents {
        redis::cmd("UNWATCH").exec_async(redis).await?;
        return Ok(Moved::NotEnough);
    }
    let done: Option<()> = both(order).atomic().query_async(redis).await?;
    Ok(done.map_or(Moved::Conflict, |()| Moved::Done))
}

pub(super) async fn by_script(redis: &mut impl ConnectionLike, order: &Order) -> RedisResult<Moved> {
    let Order { from, to, cents } = order;
    let done: bool = SCRIPT.key(from).key(to).arg(cents).invoke_async(redis).await?;
    Ok(if done { Moved::Done } else { Moved::NotEnough })
}

pub(super) async fn by_function(redis: &mut impl ConnectionLike, order: &Order) -> RedisResult<Moved> {
    let (mut fcall, Order { from, to, cents }) = (redis::cmd("FCALL"), order);
    fcall.arg("redislab_transfer").arg(2).arg(from).arg(to).arg(cents);
    let done: bool = fcall.query_async(redis).await?;
    Ok(if done { Moved::Done } else { Moved::NotEnough })
}

/// The library with the function. A library belongs to the whole server, not to one database, and all its users see it, so load
/// it only on a private server. On a cluster every primary gets it.
#[derive(Clone, Copy, Debug)]
pub struct Library;

impl Library {
    /// Loads it, and replaces one with the same name.
    pub async fn load(redis: &mut impl ConnectionLike) -> RedisResult<()> {
        redis::cmd("FUNCTION").arg("LOAD").arg("REPLACE").arg(LIBRARY.text).exec_async(redis).await
    }

    /// Deletes it; an error if it is not there.
    pub async fn delete(redis: &mut impl ConnectionLike) -> RedisResult<()> {
        redis::cmd("FUNCTION").arg("DELETE").arg("redislab_bank").exec_async(redis).await
    }
}

/// The key of an owner's account, in cents. All accounts share a hash tag, because one transaction or script uses two.
pub(super) fn account(keys: &Keys, owner: &str) -> String {
    keys.key(format!("{{bank}}:account:{owner}"))
}

/// What to move: cents from one account to another. Both keys share a slot.
#[derive(Clone, Debug)]
pub struct Order {
    /// The account that pays.
    pub from: String,
    /// The account that is paid.
    pub to: String,
    /// How much, in cents.
    pub cents: i64,
}

/// An order that is repeated. The account that pays starts with exactly enough.
#[derive(Clone, Debug)]
pub struct Transfers {
    order: Order,
    times: usize,
}

impl Transfers {
    /// Moves `cents` from Ada to Ben, `times` times.
    pub fn new(times: usize, cents: i64, keys: &Keys) -> Self {
        Self { order: Order { from: account(keys, "ada"), to: account(keys, "ben"), cents }, times }
    }
}

impl Approach for Transfer {
    type Input = Transfers;
    /// Both balances in cents.
    type Output = (i64, i64);

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, transfers: &Transfers) -> u64 {
        transfers.times as u64
    }

    async fn reset<C: AnyConnection>(self, transfers: &Transfers, redis: &mut C) -> RedisResult<()> {
        let all = i64::try_from(transfers.times).unwrap_or(i64::MAX).saturating_mul(transfers.order.cents);
        let Order { from, to, .. } = &transfers.order;
        redis::pipe().set(from, all).ignore().set(to, 0).ignore().exec_async(redis).await
    }

    async fn run<C: AnyConnection>(self, transfers: &Transfers, redis: &mut C) -> RedisResult<(i64, i64)> {
        // No other client uses the connection of a comparison, so WATCH is safe on it.
        for _ in 0..transfers.times {
            self.with_retries(redis, &transfers.order).await?;
        }
        redis::cmd("MGET").arg(&transfers.order.from).arg(&transfers.order.to).query_async(redis).await
    }
}
