//! Many clients are paid from one account, and an auditor checks that the money stays the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lab_connection::{Connection, Target};
use lab_runner::Approach;
use redis::RedisResult;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::CENTS;
use super::transfer::{Transfer, account};
use crate::concurrent_clients::{join_all, run_clients};
use crate::keys::Keys;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        naive.into_iter().chain(Transfer::all(functions).into_iter().map(Self::By)).collect()
    }

    /// Its row in the table.
    pub fn label(self) -> String {
        match self {
            Self::ReadWriteAtWorst => "MGET, MSET: all read, then all write".to_owned(),
            Self::ReadWrite => "MGET, MSET: as it happens".to_owned(),
            Self::By(transfer) => transfer.label(),
        }
    }

    /// Lets customers fetch money, `times` times each, while an auditor adds up all accounts in one step.
    pub async fn race(
        self,
        target: &Target,
        keys: &Keys,
        customers: usize,
        times: usize,
    ) -> RedisResult<Audit> {
        let accounts = accounts(keys, customers);
        let mut redis = target.connection();
        let before = open(&mut redis, &accounts, customers * times).await?;

        let ended = Arc::new(AtomicBool::new(false));
        let mut auditors = JoinSet::new();
        auditors.spawn(audit(target.dedicated().await?, accounts.clone(), before, Arc::clone(&ended)));
        let work = |customer: usize, redis, all| {
            let (own, shop) = (accounts[customer + 1].clone(), accounts[0].clone());
            Customer { payment: self, redis, own, shop, all }.fetch(times)
        };
        let retries = run_clients(target, customers, work).await?.into_iter().sum();
        ended.store(true, Ordering::Relaxed);
        let (audits, wrong) = join_all(auditors).await?.first().copied().unwrap_or_default();
        let made = sum(&mut redis, &accounts).await? - before;
        Ok(Audit { made, audits, wrong, retries })
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

/// How often it added up, and how often the sum was wrong.
async fn audit(
    mut redis: Connection,
    accounts: Vec<String>,
    right: i64,
    ended: Arc<AtomicBool>,
) -> RedisResult<(u64, u64)> {
    let (mut audits, mut wrong) = (0, 0);
    while !ended.load(Ordering::Relaxed) {
        wrong += u64::from(sum(&mut redis, &accounts).await? != right);
        audits += 1;
    }
    Ok((audits, wrong))
}

struct Customer {
    payment: Payment,
    redis: Connection,
    own: String,
    shop: String,
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
                    retries += transfer.with_retries(&mut self.redis, &self.shop, &self.own, CENTS).await?;
                }
            }
        }
        Ok(retries)
    }

    async fn read_then_write(&mut self) -> RedisResult<()> {
        let at_worst = self.payment == Payment::ReadWriteAtWorst;
        let (own, shop) = (&self.own, &self.shop);
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
