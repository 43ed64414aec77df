//! Ways to move money from one account to another.

use std::sync::LazyLock;

use lab_runner::source::Excerpt;
use lab_runner::{AnyConnection, Approach, LuaScript, Source, source};
use redis::aio::ConnectionLike;
use redis::{Pipeline, RedisResult, Script};

use crate::concurrent_clients::pause_before_retry;
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
pub struct Orders {
    order: Order,
    times: usize,
}

impl Orders {
    /// Moves `cents` from Ada to Ben, `times` times.
    pub fn new(times: usize, cents: i64, keys: &Keys) -> Self {
        Self { order: Order { from: account(keys, "ada"), to: account(keys, "ben"), cents }, times }
    }
}

impl Approach for Transfer {
    type Input = Orders;
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

    fn operations(self, orders: &Orders) -> u64 {
        orders.times as u64
    }

    async fn reset<C: AnyConnection>(self, orders: &Orders, redis: &mut C) -> RedisResult<()> {
        let all = i64::try_from(orders.times).unwrap_or(i64::MAX).saturating_mul(orders.order.cents);
        let Order { from, to, .. } = &orders.order;
        redis::pipe().set(from, all).ignore().set(to, 0).ignore().exec_async(redis).await
    }

    async fn run<C: AnyConnection>(self, orders: &Orders, redis: &mut C) -> RedisResult<(i64, i64)> {
        // No other client uses the connection of a comparison, so WATCH is safe on it.
        for _ in 0..orders.times {
            self.with_retries(redis, &orders.order).await?;
        }
        redis::cmd("MGET").arg(&orders.order.from).arg(&orders.order.to).query_async(redis).await
    }
}
