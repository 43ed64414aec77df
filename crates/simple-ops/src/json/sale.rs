//! A busy sale: many change the same product at the same time, some its stock, one its price.

use std::sync::Arc;

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::RedisResult;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::change_field::ChangeField;
use super::number::NumberField;
use super::shape::{Shape, from_json, to_json};
use crate::catalogue::Product;
use crate::clients::{Tries, join_all};

/// Clients that sell; one more changes the price.
const SELLERS: usize = 8;
/// Changes that each client makes.
const CHANGES_EACH: usize = 25;

/// How the clients of a sale change the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sale {
    /// GET, change, SET; every client has read before any of them writes.
    RewriteAtWorst,
    /// WATCH, GET, change, and SET within MULTI and EXEC; again if somebody was faster.
    Watch,
    /// One command or script on the server.
    OnServer(ChangeField),
}

/// What was left of the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Changes that the clients were told had been made.
    pub made: i64,
    /// Changes that can be seen in the product afterwards.
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
        [Self::RewriteAtWorst, Self::Watch].into_iter().chain(right.map(Self::OnServer)).collect()
    }

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::RewriteAtWorst | Self::OnServer(ChangeField::Rewrite) => "JSON string: GET, SET",
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
            Self::RewriteAtWorst | Self::Watch => Shape::Text,
            Self::OnServer(change) => change.shape(),
        }
    }

    /// Stores the product at `key`, lets all clients change it at the same time, and counts what was kept.
    pub async fn hold(self, target: &Target, key: &str, product: &Product) -> Result<Kept, LessonError> {
        let mut connection = target.connection();
        self.shape().store(&mut connection, key, product).await?;
        let in_step = Arc::new(Barrier::new(SELLERS + 1));
        let mut running = JoinSet::new();
        for number in 0..=SELLERS {
            let (field, delta) =
                if number == SELLERS { (NumberField::PriceCents, 1) } else { (NumberField::Stock, -1) };
            let connection = target.dedicated().await?;
            let in_step = Arc::clone(&in_step);
            running.spawn(
                Client { sale: self, connection, key: key.to_owned(), field, delta, in_step }.change(),
            );
        }
        let retries = join_all(running).await?.into_iter().sum();
        let after = self.shape().load(&mut connection, key).await?;
        let kept = (product.stock - after.stock) + (after.price_cents - product.price_cents);
        Ok(Kept { made: i64::try_from((SELLERS + 1) * CHANGES_EACH).unwrap_or(i64::MAX), kept, retries })
    }
}

struct Client {
    sale: Sale,
    connection: Connection,
    key: String,
    field: NumberField,
    delta: i64,
    in_step: Arc<Barrier>,
}

impl Client {
    /// Returns how often a change had to be tried again.
    async fn change(mut self) -> Result<u64, LessonError> {
        let mut retries = 0;
        self.in_step.wait().await;
        for _ in 0..CHANGES_EACH {
            match self.sale {
                Sale::RewriteAtWorst => self.rewrite_at_worst().await?,
                Sale::Watch => retries += self.watch().await?,
                Sale::OnServer(change) => {
                    change.add(&mut self.connection, &self.key, self.field, self.delta).await?;
                }
            }
        }
        Ok(retries)
    }

    async fn rewrite_at_worst(&mut self) -> RedisResult<()> {
        let changed = self.changed().await?;
        self.in_step.wait().await;
        redis::cmd("SET").arg(&self.key).arg(changed).exec_async(&mut self.connection).await?;
        self.in_step.wait().await;
        Ok(())
    }

    async fn watch(&mut self) -> Result<u64, LessonError> {
        let mut tries = Tries::default();
        while !self.watch_once().await? {
            tries.pause().await?;
        }
        Ok(tries.retries())
    }

    /// True if the change was made, false if somebody else wrote the document in between.
    async fn watch_once(&mut self) -> RedisResult<bool> {
        redis::cmd("WATCH").arg(&self.key).exec_async(&mut self.connection).await?;
        let changed = self.changed().await?;
        let mut transaction = redis::pipe();
        transaction.atomic().set(&self.key, changed).ignore();
        Ok(transaction.query_async::<Option<()>>(&mut self.connection).await?.is_some())
    }

    /// The document as it should become, judging by how it looks now.
    async fn changed(&mut self) -> RedisResult<String> {
        let text: String = redis::cmd("GET").arg(&self.key).query_async(&mut self.connection).await?;
        let mut product = from_json(&text)?;
        *self.field.of(&mut product) += self.delta;
        to_json(&product)
    }
}
