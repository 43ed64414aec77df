//! A busy sale: many clients change the same product at the same time, most of them its stock, one its price.

use std::sync::Arc;

use lab_connection::{Connection, Target};
use lab_runner::{LessonError, Source, source};
use redis::RedisResult;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::change_field::ChangeField;
use super::number::NumberField;
use super::shape::{Shape, from_json, to_json};
use crate::catalog::Product;
use crate::clients::{Tries, join_all};

/// This file, whose functions the lesson shows.
pub(super) static SOURCE: Source = source!("src/json/sale.rs");

/// Clients that sell; one more changes the price.
const SELLERS: usize = 8;
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
    #[must_use]
    pub fn all(json_commands: bool) -> Vec<Self> {
        let right =
            ChangeField::all(json_commands).into_iter().filter(|change| *change != ChangeField::Rewrite);
        [Self::RewriteWorstCase, Self::Watch].into_iter().chain(right.map(Self::OnServer)).collect()
    }

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::RewriteWorstCase | Self::OnServer(ChangeField::Rewrite) => "JSON string: GET, SET",
            Self::Watch => "JSON string: WATCH",
            Self::OnServer(ChangeField::Script) => "JSON string: script",
            Self::OnServer(ChangeField::HashField) => "Hash: HINCRBY",
            Self::OnServer(ChangeField::JsonPath) => "JSON value: JSON.NUMINCRBY",
        }
    }

    /// In which shape it wants the product.
    #[must_use]
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
        key: &str,
        product: &Product,
        changes_each: usize,
    ) -> Result<Kept, LessonError> {
        let mut connection = target.connection();
        self.shape().store(&mut connection, key, product).await?;
        let barrier = Arc::new(Barrier::new(SELLERS + 1));
        let mut running = JoinSet::new();
        for number in 0..=SELLERS {
            let (field, delta) =
                if number == SELLERS { (NumberField::PriceCents, 1) } else { (NumberField::Stock, -1) };
            let (target, key, barrier) = (target.clone(), key.to_owned(), Arc::clone(&barrier));
            running.spawn(async move {
                let connection = target.dedicated().await?;
                let client = Client { sale: self, connection, key, field, delta, barrier };
                client.change(changes_each).await
            });
        }
        let retries = join_all(running).await?.into_iter().sum();
        let after = self.shape().load(&mut connection, key).await?;
        let kept = (product.stock - after.stock) + (after.price_cents - product.price_cents);
        Ok(Kept { made: i64::try_from((SELLERS + 1) * changes_each).unwrap_or(i64::MAX), kept, retries })
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
    async fn change(mut self, times: usize) -> Result<u64, LessonError> {
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

    async fn watch(&mut self) -> Result<u64, LessonError> {
        let mut tries = Tries::default();
        while !self.watch_once().await? {
            tries.pause().await?;
        }
        Ok(tries.retries())
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
