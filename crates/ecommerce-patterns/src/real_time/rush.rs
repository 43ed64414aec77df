//! Many customers who click at the same moment, in two tabs each.

use std::collections::BTreeMap;
use std::sync::Arc;

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use redis::{AsyncTypedCommands, RedisError, RedisResult};
use storefront::flash_sale::{BuyError, FlashSale, NewSale, Purchase};
use storefront::{CustomerId, Keys, OrderId, Quantity};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{product, unexpected};
use crate::names::known;

/// Units of the sale. One customer gets one of them.
pub const UNITS: u32 = 10;
/// Customers, each with two tabs.
pub const CUSTOMERS: usize = 20;
/// How long the sale lasts, in milliseconds.
const LASTS: u64 = 3_600_000;

/// How a client buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rush {
    /// Reads what is left and what the customer has, decides, then writes; every client has read before any of them
    /// writes.
    LookThenWrite,
    /// The storefront's script.
    Script,
}

/// What a rush has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RushOutcome {
    /// Clients that were told that they have bought.
    pub told: usize,
    /// Units that somebody has.
    pub sold: usize,
    /// Customers with more units than one customer gets.
    pub over_cap: usize,
}

impl RushOutcome {
    /// Units sold that do not exist.
    #[must_use]
    pub fn oversold(self) -> usize {
        self.sold.saturating_sub(UNITS as usize)
    }
}

impl Rush {
    /// Both, the wrong one first.
    pub const ALL: [Self; 2] = [Self::LookThenWrite, Self::Script];

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::LookThenWrite => "HGET, then HINCRBY",
            Self::Script => "one script",
        }
    }

    /// Opens a sale of ten units, and lets twenty customers click in two tabs at the same moment.
    pub async fn crowd(self, target: &Target, keys: &Keys) -> Result<RushOutcome, LessonError> {
        let mut redis = target.connection();
        redis::cmd("UNLINK").arg(&keys.flash_sale().all()).exec_async(&mut redis).await?;
        open(&FlashSale::new(redis.clone(), keys.clone()), UNITS, 0).await?;

        let together = Arc::new(Barrier::new(2 * CUSTOMERS));
        let mut tabs = JoinSet::new();
        for tab in 0..2 * CUSTOMERS {
            let tab = Tab {
                customer: known(&format!("user{}", tab / 2 + 1)),
                order: known(&format!("tab-{tab}")),
                redis: redis.clone(),
                keys: keys.clone(),
            };
            tabs.spawn(tab.buy(self, Arc::clone(&together)));
        }
        let mut told = 0;
        while let Some(bought) = tabs.join_next().await {
            let bought = bought.map_err(|stopped| RedisError::from(std::io::Error::other(stopped)))?;
            told += usize::from(bought?);
        }
        let bought = redis.hgetall(&keys.flash_sale().bought).await?;
        let bought: BTreeMap<String, usize> = bought
            .into_iter()
            // The other fields are the purchases, `customer:order`.
            .filter(|(customer, _)| !customer.contains(':'))
            .map(|(customer, units)| (customer, units.parse().unwrap_or_default()))
            .collect();
        let over_cap = bought.values().filter(|units| **units > 1).count();
        Ok(RushOutcome { told, sold: bought.values().sum(), over_cap })
    }
}

/// One tab of a customer's browser.
struct Tab {
    customer: CustomerId,
    order: OrderId,
    redis: Connection,
    keys: Keys,
}

impl Tab {
    /// Whether it was told that it has bought.
    async fn buy(self, rush: Rush, together: Arc<Barrier>) -> Result<bool, LessonError> {
        match rush {
            Rush::LookThenWrite => Ok(self.look_then_write(&together).await?),
            Rush::Script => {
                together.wait().await;
                let sale = FlashSale::new(self.redis, self.keys);
                match sale.buy(&self.customer, Quantity::ONE, &self.order).await {
                    Ok(Purchase::Bought(_)) => Ok(true),
                    Err(BuyError::SoldOut { .. } | BuyError::OverCap { .. }) => Ok(false),
                    Ok(other) => Err(unexpected(format!("{other:?}"))),
                    Err(error) => Err(unexpected(error)),
                }
            }
        }
    }

    async fn look_then_write(mut self, together: &Barrier) -> RedisResult<bool> {
        let keys = self.keys.flash_sale();
        let left: Option<String> = self.redis.hget(&keys.sale, "left").await?;
        let have: Option<String> = self.redis.hget(&keys.bought, self.customer.as_str()).await?;
        together.wait().await;
        let left: i64 = left.and_then(|left| left.parse().ok()).unwrap_or_default();
        if left < 1 || have.is_some() {
            return Ok(false);
        }
        redis::cmd("HINCRBY").arg(&keys.sale).arg("left").arg(-1).exec_async(&mut self.redis).await?;
        redis::cmd("HINCRBY")
            .arg(&keys.bought)
            .arg(self.customer.as_str())
            .arg(1)
            .exec_async(&mut self.redis)
            .await?;
        Ok(true)
    }
}

/// Opens a sale in which one customer gets one unit.
pub(super) async fn open<C: redis::aio::ConnectionLike + Clone>(
    sales: &FlashSale<C>,
    units: u32,
    places: u32,
) -> Result<(), LessonError> {
    let now = sales.now().await.map_err(unexpected)?;
    let sale = NewSale {
        name: "Black Friday".into(),
        product: product(),
        starts: now,
        ends: now + LASTS,
        units,
        cap: Quantity::ONE,
        places,
    };
    sales.open(&sale).await.map_err(unexpected)
}
