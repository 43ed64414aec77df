//! Money that moves between accounts while a backup is made. The total never changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lab_runner::{BoxError, Retry};
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::task::JoinHandle;

use crate::private::READY_TIMEOUT;

/// Accounts, and what each has at first.
pub const ACCOUNTS: u16 = 100;
/// What an account has at first.
pub const BALANCE: i64 = 1_000;
/// What they have together, always.
pub const TOTAL: i64 = ACCOUNTS as i64 * BALANCE;

/// A client that moves money as fast as it can, until it gets the signal to stop or the server is gone.
pub struct Transfers {
    shared: Arc<Shared>,
    task: JoinHandle<RedisResult<()>>,
}

#[derive(Default)]
struct Shared {
    acknowledged: AtomicU64,
    stop: AtomicBool,
}

/// Opens the accounts.
pub async fn open_accounts(redis: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    for account in 0..ACCOUNTS {
        pipe.set(format!("account:{account}"), BALANCE);
    }
    pipe.set("transfers", 0).exec_async(redis).await
}

/// What all accounts have together, and how many transfers led there.
pub async fn audit(redis: &mut MultiplexedConnection) -> RedisResult<(i64, u64)> {
    let accounts: Vec<String> = (0..ACCOUNTS).map(|account| format!("account:{account}")).collect();
    let mut pipe = redis::pipe();
    pipe.cmd("MGET").arg(accounts).cmd("GET").arg("transfers");
    let (balances, transfers): (Vec<i64>, u64) = pipe.query_async(redis).await?;
    Ok((balances.iter().sum(), transfers))
}

impl Transfers {
    /// Starts the client.
    #[must_use]
    pub fn start(mut redis: MultiplexedConnection) -> Self {
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            for number in 0.. {
                if state.stop.load(Ordering::Relaxed) {
                    break;
                }
                transfer(&mut redis, number).await?;
                state.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { shared, task }
    }

    /// How many transfers the server has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until some more money has moved.
    pub async fn go_on(&self) -> Result<(), BoxError> {
        let (mut retry, before) = (Retry::within(READY_TIMEOUT), self.acknowledged());
        while self.acknowledged() < before + 20 {
            retry.again("some money has moved").await?;
        }
        Ok(())
    }

    /// Stops the client, and returns how many transfers the server has acknowledged.
    pub async fn stop(self) -> Result<u64, BoxError> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.task.await??;
        Ok(self.shared.acknowledged.load(Ordering::Relaxed))
    }
}

async fn transfer(redis: &mut MultiplexedConnection, number: u32) -> RedisResult<()> {
    let accounts = u32::from(ACCOUNTS);
    let (from, to) = (number % accounts, (number % accounts * 7 + 1) % accounts);
    let mut transfer = redis::pipe();
    transfer
        .atomic()
        .decr(format!("account:{from}"), 1)
        .incr(format!("account:{to}"), 1)
        .incr("transfers", 1);
    transfer.exec_async(redis).await
}
