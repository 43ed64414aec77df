//! A busy sale: many clients change the same product at the same time, most of them its stock, one its price.

use std::sync::Arc;

use lab_connection::{Connection, Target};
use lab_runner::clients::{pause_before_retry, run_clients};
use redis::RedisResult;
use tokio::sync::Barrier;

use super::change_field::ChangeField;
use super::number::NumberField;
use super::shape::{Shape, from_json, to_json};
use crate::catalog::Product;

/// Clients, of whom the last changes the price and all others sell.
pub(super) const CLIENTS: usize = 9;
/// Changes that each client makes, if the network is fast.
pub(super) const CHANGES_EACH: usize = 25;

/// How the clients of a sale change the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sale {
    /// GET, change, SET. Every client has read before any of them writes: the worst case.
    RewriteWorstCase,
    /// WATCH, GET, change, and SET between MULTI and EXEC. Tried again if another client was faster.
    Watch,
    /// One command or script on the server.
    OnServer(ChangeField),
}

/// What was left of the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Changes that the clients believe were made.
    pub made: i64,
    /// Changes that show in the product afterward.
    pub kept: i64,
    /// How often a client had to try a change again.
    pub retries: u64,
}

impl Sale {
    /// Those that a server can do, the wrong one first.
    pub fn all(json_commands: bool) -> Vec<Self> {
        let right =
            ChangeField::all(json_commands).into_iter().filter(|change| *change != ChangeField::Rewrite);
        [Self::RewriteWorstCase, Self::Watch].into_iter().chain(right.map(Self::OnServer)).collect()
    }

    /// Its row in the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::RewriteWorstCase => ChangeField::Rewrite.label(),
            Self::Watch => "JSON string: WATCH",
            Self::OnServer(change) => change.label(),
        }
    }

    /// In which shape it wants the product.
    pub fn shape(self) -> Shape {
        match self {
            Self::RewriteWorstCase | Self::Watch => Shape::Text,
            Self::OnServer(change) => change.shape(),
        }
    }

    /// Stores the product at `key`, lets all clients change it at the same time, and counts what was kept.
    pub async fn hold(
        self,
        target: &Target,
        clients: &[Connection],
        key: &str,
        product: &Product,
        changes_each: usize,
    ) -> RedisResult<Kept> {
        let mut redis = target.connection();
        self.shape().store(&mut redis, key, product).await?;
        let barrier = Arc::new(Barrier::new(clients.len()));
        let work = |number: usize, connection| {
            let (field, delta) = if number + 1 == clients.len() {
                (NumberField::PriceCents, 1)
            } else {
                (NumberField::Stock, -1)
            };
            let (key, barrier) = (key.to_owned(), Arc::clone(&barrier));
            Client { sale: self, connection, key, field, delta, barrier }.change(changes_each)
        };
        let retries = run_clients(clients, work).await?.into_iter().sum();
        let after = self.shape().load(&mut redis, key).await?;
        let kept = (product.stock - after.stock) + (after.price_cents - product.price_cents);
        Ok(Kept { made: i64::try_from(clients.len() * changes_each).unwrap_or(i64::MAX), kept, retries })
    }
}

struct Client {
    sale: Sale,
    connection: Connection,
    key: String,
    field: NumberField,
    delta: i64,
    barrier: Arc<Barrier>,
}

impl Client {
    /// Returns how often a change had to be tried again.
    async fn change(mut self, times: usize) -> RedisResult<u64> {
        let mut retries = 0;
        self.barrier.wait().await;
        for _ in 0..times {
            match self.sale {
                Sale::RewriteWorstCase => self.rewrite_worst_case().await?,
                Sale::Watch => retries += self.watch().await?,
                Sale::OnServer(change) => {
                    change.add(&mut self.connection, &self.key, self.field, self.delta).await?;
                }
            }
        }
        Ok(retries)
    }

    async fn rewrite_worst_case(&mut self) -> RedisResult<()> {
        let changed = self.changed().await?;
        self.barrier.wait().await;
        redis::cmd("SET").arg(&self.key).arg(changed).exec_async(&mut self.connection).await?;
        self.barrier.wait().await;
        Ok(())
    }

    async fn watch(&mut self) -> RedisResult<u64> {
        let mut retries = 0;
        while !self.watch_once().await? {
            retries += 1;
            pause_before_retry(retries).await?;
        }
        Ok(retries)
    }

    /// False if another client wrote the document in between.
    async fn watch_once(&mut self) -> RedisResult<bool> {
        redis::cmd("WATCH").arg(&self.key).exec_async(&mut self.connection).await?;
        let changed = self.changed().await?;
        let mut transaction = redis::pipe();
        transaction.atomic().set(&self.key, changed).ignore();
        Ok(transaction.query_async::<Option<()>>(&mut self.connection).await?.is_some())
    }

    /// The document as it is now, with this client's change.
    async fn changed(&mut self) -> RedisResult<String> {
        let text: String = redis::cmd("GET").arg(&self.key).query_async(&mut self.connection).await?;
        let mut product = from_json(&text)?;
        *self.field.of(&mut product) += self.delta;
        to_json(&product)
    }
}
