//! Ways to move money from one account to another.

use std::sync::LazyLock;

use lab_runner::{AnyConnection, Approach};
use redis::aio::ConnectionLike;
use redis::{RedisResult, Script};

use super::accounts::Accounts;
use super::crowd::Tries;
use super::function::Library;

pub(super) const TRANSFER_SOURCE: &str = include_str!("scripts/transfer.lua");
pub(super) static TRANSFER: LazyLock<Script> = LazyLock::new(|| Script::new(TRANSFER_SOURCE));

/// How to move money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// DECRBY and INCRBY, sent together; others may come between. Does not look whether the money is there.
    Pipeline,
    /// DECRBY and INCRBY within MULTI and EXEC. Does not look either: the reads of a transaction answer at its end.
    Multi,
    /// WATCH and GET, then MULTI, EXEC. Needs a connection that nobody shares.
    Watch,
    /// A script, called by EVALSHA.
    Script,
    /// A function, called by FCALL.
    Function,
}

/// What became of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// The money was moved.
    Done,
    /// There was not enough; nothing was written.
    NotEnough,
    /// Somebody else wrote the account after it had been read; nothing was written.
    Disturbed,
}

impl Transfer {
    /// Those that a server can do. With `functions`, a library is loaded, which changes the server for all its users.
    #[must_use]
    pub fn all(functions: bool) -> Vec<Self> {
        let mut all = vec![Self::Pipeline, Self::Multi, Self::Watch, Self::Script];
        all.extend(functions.then_some(Self::Function));
        all
    }

    /// Moves `cents` once; one try. Both keys share a slot.
    pub async fn once(
        self,
        connection: &mut impl ConnectionLike,
        from: &str,
        to: &str,
        cents: i64,
    ) -> RedisResult<Moved> {
        match self {
            Self::Pipeline => {
                both(from, to, cents).exec_async(connection).await?;
                Ok(Moved::Done)
            }
            Self::Multi => {
                both(from, to, cents).atomic().exec_async(connection).await?;
                Ok(Moved::Done)
            }
            Self::Watch => {
                let mut look = redis::pipe();
                look.cmd("WATCH").arg(from).ignore().get(from);
                let (balance,): (Option<i64>,) = look.query_async(connection).await?;
                if balance.unwrap_or_default() < cents {
                    redis::cmd("UNWATCH").exec_async(connection).await?;
                    return Ok(Moved::NotEnough);
                }
                let done: Option<()> = both(from, to, cents).atomic().query_async(connection).await?;
                Ok(done.map_or(Moved::Disturbed, |()| Moved::Done))
            }
            Self::Script => {
                let done = TRANSFER.key(from).key(to).arg(cents).invoke_async(connection).await?;
                Ok(Moved::if_done(done))
            }
            Self::Function => Ok(Moved::if_done(Library::transfer(connection, from, to, cents).await?)),
        }
    }

    /// Moves `cents`, trying again as often as somebody else was faster, a thousand times at most. Returns how often
    /// it tried again; too little money is not an error, and moves nothing.
    pub async fn until_settled(
        self,
        connection: &mut (impl ConnectionLike + Send),
        from: &str,
        to: &str,
        cents: i64,
    ) -> RedisResult<u64> {
        let mut tries = Tries::default();
        while self.once(connection, from, to, cents).await? == Moved::Disturbed {
            tries.pause().await?;
        }
        Ok(tries.retries())
    }
}

impl Moved {
    fn if_done(done: bool) -> Self {
        if done { Self::Done } else { Self::NotEnough }
    }
}

/// The two writes of every transfer that is no script.
fn both(from: &str, to: &str, cents: i64) -> redis::Pipeline {
    let mut both = redis::pipe();
    both.cmd("DECRBY").arg(from).arg(cents).ignore();
    both.cmd("INCRBY").arg(to).arg(cents).ignore();
    both
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
        accounts.times() as u64
    }

    async fn reset<C: AnyConnection>(self, accounts: &Accounts, connection: &mut C) -> RedisResult<()> {
        match self {
            // So that no run pays for a server that forgot it.
            Self::Script => TRANSFER.load_async(connection).await.map(drop)?,
            Self::Function => Library::load(connection).await?,
            Self::Pipeline | Self::Multi | Self::Watch => {}
        }
        let mut opening = redis::pipe();
        opening.set(accounts.from(), accounts.all_cents()).ignore().set(accounts.to(), 0).ignore();
        opening.exec_async(connection).await
    }

    async fn run<C: AnyConnection>(self, accounts: &Accounts, connection: &mut C) -> RedisResult<(i64, i64)> {
        // Nobody else uses the connection of a comparison, so WATCH is safe on it.
        for _ in 0..accounts.times() {
            self.until_settled(connection, accounts.from(), accounts.to(), accounts.cents()).await?;
        }
        redis::cmd("MGET").arg(accounts.from()).arg(accounts.to()).query_async(connection).await
    }
}
