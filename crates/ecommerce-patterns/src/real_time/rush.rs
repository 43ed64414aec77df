//! Many customers who click at the same moment, in two tabs each.

use std::collections::BTreeMap;
use std::sync::Arc;

use lab_connection::{Connection, Target};
use lab_runner::LessonError;
use patterns::flash_sale::{FlashSale, FlashSaleError, Plan, Purchase};
use redis::{AsyncTypedCommands, RedisError, RedisResult};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{PRODUCT, SALE, unexpected};

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
    /// The script of [`FlashSale::buy`].
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
    pub async fn crowd(self, target: &Target, prefix: &str) -> Result<RushOutcome, LessonError> {
        let mut redis = target.connection();
        let sales = FlashSale::new(redis.clone(), prefix);
        let [sale, bought, _] = sales.keys(SALE).map_err(unexpected)?;
        sales.close(SALE).await.map_err(unexpected)?;
        open(&sales, UNITS, 0).await?;

        let together = Arc::new(Barrier::new(2 * CUSTOMERS));
        let mut tabs = JoinSet::new();
        for tab in 0..2 * CUSTOMERS {
            let tab = Tab {
                customer: format!("user{}", tab / 2 + 1),
                order: format!("tab-{tab}"),
                sale: sale.clone(),
                bought: bought.clone(),
                sales: sales.clone(),
                redis: redis.clone(),
            };
            tabs.spawn(tab.buy(self, Arc::clone(&together)));
        }
        let mut told = 0;
        while let Some(bought) = tabs.join_next().await {
            let bought = bought.map_err(|stopped| RedisError::from(std::io::Error::other(stopped)))?;
            told += usize::from(bought?);
        }
        let bought = redis.hgetall(&bought).await?;
        let bought: BTreeMap<String, usize> = bought
            .into_iter()
            // The other fields are the receipts, `customer:order`.
            .filter(|(customer, _)| !customer.contains(':'))
            // The units, and behind a colon the number of orders.
            .map(|(customer, entry)| (customer, entry.split(':').next().unwrap_or_default().parse()))
            .map(|(customer, units)| (customer, units.unwrap_or_default()))
            .collect();
        let over_cap = bought.values().filter(|units| **units > 1).count();
        Ok(RushOutcome { told, sold: bought.values().sum(), over_cap })
    }
}

/// One tab of a customer's browser.
struct Tab {
    customer: String,
    order: String,
    sale: String,
    bought: String,
    sales: FlashSale<Connection>,
    redis: Connection,
}

impl Tab {
    /// Whether it was told that it has bought.
    async fn buy(self, rush: Rush, together: Arc<Barrier>) -> Result<bool, LessonError> {
        match rush {
            Rush::LookThenWrite => Ok(self.look_then_write(&together).await?),
            Rush::Script => {
                together.wait().await;
                match self.sales.buy(SALE, &self.customer, 1, &self.order).await {
                    Ok(Purchase::Bought(_)) => Ok(true),
                    Err(FlashSaleError::SoldOut { .. } | FlashSaleError::OverCap { .. }) => Ok(false),
                    Ok(other) => Err(unexpected(format!("{other:?}"))),
                    Err(error) => Err(unexpected(error)),
                }
            }
        }
    }

    async fn look_then_write(mut self, together: &Barrier) -> RedisResult<bool> {
        let left: Option<String> = self.redis.hget(&self.sale, "left").await?;
        let have: Option<String> = self.redis.hget(&self.bought, &self.customer).await?;
        together.wait().await;
        let left: i64 = left.and_then(|left| left.parse().ok()).unwrap_or_default();
        if left < 1 || have.is_some() {
            return Ok(false);
        }
        redis::cmd("HINCRBY").arg(&self.sale).arg("left").arg(-1).exec_async(&mut self.redis).await?;
        redis::cmd("HINCRBY")
            .arg(&self.bought)
            .arg(&self.customer)
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
    let (name, product) = ("Black Friday".to_owned(), PRODUCT.to_owned());
    let plan = Plan { name, product, starts: now, ends: now + LASTS, units, cap: 1, places };
    sales.open(SALE, &plan).await.map_err(unexpected)
}
