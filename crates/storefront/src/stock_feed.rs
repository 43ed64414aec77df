//! The stock of a product, live, to everyone who watches it.
//!
//! Pub/sub alone loses: what is published while a subscriber is away, he never hears of, and shows a stock that is not
//! there. And who first reads the level and then subscribes misses what happens in between. So every change has a number,
//! given by the script that makes and publishes it, and a subscriber
//!
//! 1. subscribes, and lets a [`StockView`] keep what comes ([`StockView::hear`]);
//! 2. then reads where things stand ([`StockFeed::snapshot`], [`StockView::read`]): what is older is dropped, what is newer
//!    follows;
//! 3. reads again whenever [`StockView::wants_snapshot`]: after a gap in the numbers, and after a lost connection
//!    ([`StockView::disconnected`]).
//!
//! A view never takes a step backwards: what arrives late, as it may from a node that a slot has just left, is dropped. And it does no input or output of its own: it fits any runtime.
//!
//! ```
//! use storefront::stock_feed::{Stock, StockUpdate, StockView};
//!
//! let mut view = StockView::new("PROD123".parse()?);
//! let update = |text: &str| StockUpdate::parse(text.as_bytes());
//! // Two changes come in before the level was read.
//! view.hear(&update(r#"{"sku":"PROD123","level":8,"version":3,"epoch":1}"#)?);
//! view.hear(&update(r#"{"sku":"PROD123","level":7,"version":4,"epoch":1}"#)?);
//! assert!(view.wants_snapshot() && view.level().is_none());
//! view.read(Stock { level: 8, version: 3, epoch: 1 });
//! assert_eq!(view.level(), Some(7));
//! // One is lost: the view keeps to what it knows, and wants to read again.
//! view.hear(&update(r#"{"sku":"PROD123","level":5,"version":6,"epoch":1}"#)?);
//! assert!(view.wants_snapshot());
//! view.read(Stock { level: 5, version: 6, epoch: 1 });
//! assert_eq!(view.level(), Some(5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod view;

use std::sync::LazyLock;

use redis::Script;
use redis::aio::ConnectionLike;
use serde::Deserialize;

pub use view::{Heard, StockView};

use crate::script;
use crate::store::Reply;
use crate::{Keys, Sku, StoreError};

static SET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("stock_feed/scripts/set.lua")));

/// How much there is of a product, and which change made it so.
///
/// States are ordered by `epoch`, then by `version`. The epoch is the microsecond at which the server began to count; it
/// is another one only after the key was lost or removed, and then the versions begin anew.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stock {
    /// Units.
    pub level: u32,
    /// 1 for the first change, and one more for each; 0 where nothing was ever set.
    pub version: u64,
    /// When this count of versions began, in microseconds of the Unix epoch; 0 where nothing was ever set.
    pub epoch: u64,
}

impl Stock {
    /// What the order of states goes by.
    #[must_use]
    pub fn moment(&self) -> (u64, u64) {
        (self.epoch, self.version)
    }
}

/// One change, as it was published on [`Keys::stock_updates`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct StockUpdate {
    /// The product.
    pub sku: Sku,
    /// Its units after the change.
    pub level: u32,
    /// The number of the change.
    pub version: u64,
    /// See [`Stock::epoch`].
    pub epoch: u64,
}

impl StockUpdate {
    /// Reads a message. The channel is open to whoever may publish, so a message can be anything.
    pub fn parse(message: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(message)
    }

    /// The state it leads to.
    #[must_use]
    pub fn stock(&self) -> Stock {
        Stock { level: self.level, version: self.version, epoch: self.epoch }
    }
}

/// The half that publishes, and the snapshots for the half that receives. Each method takes one round trip.
#[derive(Clone, Debug)]
pub struct StockFeed<C> {
    connection: C,
    keys: Keys,
}

impl<C: ConnectionLike + Clone> StockFeed<C> {
    /// The stock under `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys }
    }

    /// Sets the level of a product and publishes it, in one step: the numbers on the channel are in order. On a cluster a
    /// plain PUBLISH reaches the subscribers of every node. Setting a level again, after a lost answer, is one more
    /// change with the same level.
    pub async fn set(&self, sku: &Sku, level: u32) -> Result<Stock, StoreError> {
        let mut call = SET.key(self.keys.stock(sku));
        call.arg(level).arg(self.keys.stock_updates(sku)).arg(sku.as_str());
        let mut reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "SET" => Ok(Stock { level, version: reply.next()?, epoch: reply.next()? }),
            _ => Err(reply.into_error()),
        }
    }

    /// Where things stand; [`Stock::default`] if nothing was ever set. Ask the primary: a replica may be behind, and the
    /// view then wants another one.
    pub async fn snapshot(&self, sku: &Sku) -> Result<Stock, StoreError> {
        let key = self.keys.stock(sku);
        let mut read = redis::cmd("HMGET");
        read.arg(&key).arg(&["level", "version", "epoch"]);
        let [level, version, epoch]: [Option<Vec<u8>>; 3] =
            read.query_async(&mut self.connection.clone()).await?;
        if level.is_none() && version.is_none() && epoch.is_none() {
            return Ok(Stock::default());
        }
        Ok(Stock {
            level: crate::fields::parse(level, &key, "level")?,
            version: crate::fields::parse(version, &key, "version")?,
            epoch: crate::fields::parse(epoch, &key, "epoch")?,
        })
    }

    /// The name of the channel to subscribe to for this product.
    #[must_use]
    pub fn channel(&self, sku: &Sku) -> String {
        self.keys.stock_updates(sku)
    }
}
