//! Many clients are paid from one account: does the money stay the same?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lab_connection::{Connection, Target};
use lab_runner::table::{Table, thousands};
use lab_runner::{Approach, LessonContext, Outcome};
use redis::RedisResult;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::CENTS;
use super::crowd::all_end;
use super::transfer::Transfer;
use crate::keys::Keys;

/// Clients that fetch money at the same time, and how often each of them does.
pub(super) const CUSTOMERS: usize = 16;
const TIMES_EACH: usize = 25;

/// How a client moves money from the shop's account into its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payment {
    /// MGET and MSET of both; every client has read before any of them writes.
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
    /// How often somebody added up all accounts meanwhile.
    pub audits: u64,
    /// How often the sum was wrong.
    pub wrong: u64,
    /// How often a client had to try again.
    pub retries: u64,
}

impl Payment {
    /// All of them, the wrong ones first.
    #[must_use]
    pub fn all(functions: bool) -> Vec<Self> {
        let naive = [Self::ReadWriteAtWorst, Self::ReadWrite];
        naive.into_iter().chain(Transfer::all(functions).into_iter().map(Self::By)).collect()
    }

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::ReadWriteAtWorst => "MGET, MSET: all read, then all write".to_owned(),
            Self::ReadWrite => "MGET, MSET: as it happens".to_owned(),
            Self::By(transfer) => transfer.label(),
        }
    }

    /// Lets `customers` clients, each on a connection of its own, fetch money `times_each` times, while an auditor adds
    /// up all accounts again and again, in one step.
    pub async fn crowd(
        self,
        target: &Target,
        keys: &Keys,
        customers: usize,
        times_each: usize,
    ) -> RedisResult<Audit> {
        let shop = keys.account("shop");
        let accounts: Vec<String> =
            (1..=customers).map(|customer| keys.account(&customer.to_string())).collect();
        let all: Vec<String> = accounts.iter().chain([&shop]).cloned().collect();
        let mut connection = target.connection();
        open(&mut connection, &accounts, &shop, times_each).await?;
        let before = sum(&mut connection, &all).await?;

        let ended = Arc::new(AtomicBool::new(false));
        let mut auditors = JoinSet::new();
        auditors.spawn(audit(target.dedicated().await?, all.clone(), before, Arc::clone(&ended)));
        let in_step = Arc::new(Barrier::new(customers));
        let mut crowd = JoinSet::new();
        for account in accounts {
            let connection = target.dedicated().await?;
            let (shop, in_step) = (shop.clone(), Arc::clone(&in_step));
            crowd.spawn(Customer { payment: self, connection, account, shop, in_step }.fetch(times_each));
        }
        let retries = all_end(crowd).await?.into_iter().sum();
        ended.store(true, Ordering::Relaxed);
        let (audits, wrong) = all_end(auditors).await?.first().copied().unwrap_or_default();
        let made = sum(&mut connection, &all).await? - before;
        Ok(Audit { made, audits, wrong, retries })
    }
}

/// The shop begins with exactly enough for all, every customer with nothing.
async fn open(
    connection: &mut Connection,
    accounts: &[String],
    shop: &str,
    times_each: usize,
) -> RedisResult<()> {
    let mut opening = redis::pipe();
    for account in accounts {
        opening.set(account, 0).ignore();
    }
    let payments = i64::try_from(accounts.len() * times_each).unwrap_or(i64::MAX);
    opening.set(shop, payments.saturating_mul(CENTS)).ignore().exec_async(connection).await
}

/// All accounts in one command, so that it sees one moment.
async fn sum(connection: &mut Connection, accounts: &[String]) -> RedisResult<i64> {
    let balances: Vec<i64> = redis::cmd("MGET").arg(accounts).query_async(connection).await?;
    Ok(balances.iter().sum())
}

/// How often it added up, and how often the sum was wrong.
async fn audit(
    mut connection: Connection,
    accounts: Vec<String>,
    right: i64,
    ended: Arc<AtomicBool>,
) -> RedisResult<(u64, u64)> {
    let (mut audits, mut wrong) = (0, 0);
    while !ended.load(Ordering::Relaxed) {
        wrong += u64::from(sum(&mut connection, &accounts).await? != right);
        audits += 1;
    }
    Ok((audits, wrong))
}

struct Customer {
    payment: Payment,
    connection: Connection,
    account: String,
    shop: String,
    in_step: Arc<Barrier>,
}

impl Customer {
    /// Returns how often it had to try again.
    async fn fetch(mut self, times: usize) -> RedisResult<u64> {
        let mut retries = 0;
        self.in_step.wait().await;
        for _ in 0..times {
            match self.payment {
                Payment::ReadWriteAtWorst => {
                    let seen = self.read().await?;
                    self.in_step.wait().await;
                    self.write(seen).await?;
                    self.in_step.wait().await;
                }
                Payment::ReadWrite => {
                    let seen = self.read().await?;
                    self.write(seen).await?;
                }
                Payment::By(transfer) => {
                    let (from, to) = (&self.shop, &self.account);
                    retries += transfer.until_settled(&mut self.connection, from, to, CENTS).await?;
                }
            }
        }
        Ok(retries)
    }

    async fn read(&mut self) -> RedisResult<(i64, i64)> {
        redis::cmd("MGET").arg(&self.account).arg(&self.shop).query_async(&mut self.connection).await
    }

    async fn write(&mut self, (own, shop): (i64, i64)) -> RedisResult<()> {
        redis::cmd("MSET")
            .arg(&self.account)
            .arg(own + CENTS)
            .arg(&self.shop)
            .arg(shop - CENTS)
            .exec_async(&mut self.connection)
            .await
    }
}

pub(super) async fn race(ctx: &LessonContext, keys: &Keys, functions: bool) -> Outcome {
    ctx.step(format!(
        "Now with a crowd: {CUSTOMERS} customers, each on a connection of its own, fetch 100 euros from the shop's account, \
         {TIMES_EACH} times. Whatever happens, the sum of all accounts must stay the same. An auditor adds them up all the \
         while, with one MGET. First the naive way, which reads both balances and writes both: for the worst case every \
         customer reads before any of them writes; then as it happens.",
    )).await?;
    let header = ["approach", "euros too many", "audits", "wrong", "tried again"];
    let mut table = Table::new("The sum of all accounts", &header);
    let mut seen = Vec::new();
    for payment in Payment::all(functions) {
        let audit = payment.crowd(ctx.target(), keys, CUSTOMERS, TIMES_EACH).await?;
        let euros = thousands((audit.made / 100) as f64);
        let numbers = [audit.audits, audit.wrong, audit.retries].map(|number| thousands(number as f64));
        table = table.row([payment.label(), euros].into_iter().chain(numbers));
        seen.push((payment, audit));
    }
    ctx.table(table);

    let made_at_worst = (CUSTOMERS - 1) * TIMES_EACH * 100;
    let worst = seen.iter().find(|(payment, _)| *payment == Payment::ReadWriteAtWorst);
    ctx.check(
        format!(
            "at worst the shop pays once for {CUSTOMERS} customers: {} euros from nothing",
            thousands(made_at_worst as f64)
        ),
        worst.is_some_and(|(_, audit)| usize::try_from(audit.made) == Ok(made_at_worst * 100)),
    )?;
    let mut transfers = seen.iter().filter(|(payment, _)| matches!(payment, Payment::By(_)));
    ctx.check(
        "with every other way there is not a cent too much or too little",
        transfers.all(|(_, audit)| audit.made == 0),
    )?;
    let mut steps = seen
        .iter()
        .filter(|(payment, _)| matches!(payment, Payment::By(transfer) if *transfer != Transfer::Pipeline));
    ctx.check(
        "and where it is one step, no audit ever saw a wrong sum",
        steps.all(|(_, audit)| audit.wrong == 0),
    )?;
    ctx.step(
        "Everybody changes the shop's account, so WATCH has to try again and again; script and function never do. \
         The pipeline lost nothing, because DECRBY and INCRBY are each one step. Its two commands are so short that \
         they nearly always arrive together, and then no auditor comes between. But nothing promises it: you have seen \
         a pipeline stopped half-way.",
    ).await?;
    Ok(())
}
