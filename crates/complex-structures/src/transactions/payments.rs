//! Many clients are paid from one account, and an auditor checks that the money stays the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lab_connection::Connection;
use lab_runner::Keys;
use lab_runner::clients::run_clients;
use redis::RedisResult;
use tokio::sync::Barrier;

use super::CENTS;
use super::transfer::{Order, Transfer, account};

/// How a client moves money from the shop's account to its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payment {
    /// MGET and MSET of both; every client reads before any of them writes.
    ReadWriteAtWorst,
    /// MGET and MSET of both, in whatever order the clients come.
    ReadWrite,
    /// A transfer.
    By(Transfer),
}

/// What became of the money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Cents that are there now and were not before; negative if there are fewer.
    pub made: i64,
    /// How often the auditor added up all accounts.
    pub audits: u64,
    /// How often the sum was wrong.
    pub wrong: u64,
    /// How often a client had to try again.
    pub retries: u64,
}

/// The shop's account, and those of the customers.
pub(super) fn accounts(keys: &Keys, customers: usize) -> Vec<String> {
    let customers = (1..=customers).map(|customer| account(keys, &customer.to_string()));
    std::iter::once(account(keys, "shop")).chain(customers).collect()
}

impl Payment {
    /// All of them, the wrong ones first.
    pub fn all(functions: bool) -> Vec<Self> {
        let naive = [Self::ReadWriteAtWorst, Self::ReadWrite];
        naive.into_iter().chain(Transfer::all(functions).iter().copied().map(Self::By)).collect()
    }

    /// Its row in the table.
    pub fn label(self) -> String {
        match self {
            Self::ReadWriteAtWorst => "MGET, MSET: all read, then all write".to_owned(),
            Self::ReadWrite => "MGET, MSET: as it happens".to_owned(),
            Self::By(transfer) => transfer.label().to_owned(),
        }
    }

    /// Lets customers fetch money, `times` times each, while the last client adds up all accounts in one step.
    pub async fn race(self, clients: &[Connection], keys: &Keys, times: usize) -> RedisResult<Audit> {
        let Some((auditor, customers)) = clients.split_last() else { return Ok(Audit::default()) };
        let (mut redis, customers) = (auditor.clone(), customers.len());
        let accounts = accounts(keys, customers);
        let before = open(&mut redis, &accounts, customers * times).await?;

        let (all, paid) = (Arc::new(Barrier::new(customers)), Arc::new(AtomicUsize::new(0)));
        let work = |client: usize, redis| {
            let (accounts, all, paid) = (accounts.clone(), Arc::clone(&all), Arc::clone(&paid));
            async move {
                if client == customers {
                    return audit(redis, &accounts, before, || paid.load(Ordering::Relaxed) == customers)
                        .await;
                }
                let [from, to] = [0, client + 1].map(|index| accounts[index].clone());
                let order = Order { from, to, cents: CENTS };
                let retries = Customer { payment: self, redis, order, all }.fetch(times).await?;
                paid.fetch_add(1, Ordering::Relaxed);
                Ok(Audit { retries, ..Audit::default() })
            }
        };
        let mut audit = Audit::default();
        for Audit { audits, wrong, retries, .. } in run_clients(clients, work).await? {
            audit.audits += audits;
            audit.wrong += wrong;
            audit.retries += retries;
        }
        Ok(Audit { made: sum(&mut redis, &accounts).await? - before, ..audit })
    }
}

/// The shop starts with exactly enough for all payments, every customer with nothing. Returns the sum.
async fn open(redis: &mut Connection, accounts: &[String], payments: usize) -> RedisResult<i64> {
    let cents = i64::try_from(payments).unwrap_or(i64::MAX).saturating_mul(CENTS);
    let mut pipeline = redis::pipe();
    for (index, account) in accounts.iter().enumerate() {
        pipeline.set(account, if index == 0 { cents } else { 0 }).ignore();
    }
    pipeline.exec_async(redis).await?;
    Ok(cents)
}

/// All accounts in one command, so it sees one moment.
async fn sum(redis: &mut Connection, accounts: &[String]) -> RedisResult<i64> {
    let balances: Vec<i64> = redis::cmd("MGET").arg(accounts).query_async(redis).await?;
    Ok(balances.iter().sum())
}

async fn audit(
    mut redis: Connection,
    accounts: &[String],
    right: i64,
    is_over: impl Fn() -> bool,
) -> RedisResult<Audit> {
    let mut audit = Audit::default();
    while !is_over() {
        audit.wrong += u64::from(sum(&mut redis, accounts).await? != right);
        audit.audits += 1;
    }
    Ok(audit)
}

struct Customer {
    payment: Payment,
    redis: Connection,
    order: Order,
    all: Arc<Barrier>,
}

impl Customer {
    /// Returns how often it had to try again.
    async fn fetch(mut self, times: usize) -> RedisResult<u64> {
        let mut retries = 0;
        self.all.wait().await;
        for _ in 0..times {
            match self.payment {
                Payment::ReadWriteAtWorst | Payment::ReadWrite => self.read_then_write().await?,
                Payment::By(transfer) => {
                    retries += transfer.with_retries(&mut self.redis, &self.order).await?;
                }
            }
        }
        Ok(retries)
    }

    async fn read_then_write(&mut self) -> RedisResult<()> {
        let at_worst = self.payment == Payment::ReadWriteAtWorst;
        let (own, shop) = (&self.order.to, &self.order.from);
        let mget = redis::cmd("MGET").arg(own).arg(shop).take();
        let (own_cents, shop_cents): (i64, i64) = mget.query_async(&mut self.redis).await?;
        if at_worst {
            self.all.wait().await; // all have read, and no one has written
        }
        let mut mset = redis::cmd("MSET");
        mset.arg(own).arg(own_cents + CENTS).arg(shop).arg(shop_cents - CENTS);
        mset.exec_async(&mut self.redis).await?;
        if at_worst {
            self.all.wait().await;
        }
        Ok(())
    }
}
