//! What a purchase costs.

use lab_runner::{AnyConnection, Approach};
use patterns::flash_sale::{FlashSale, MAX_CAP, Plan, Purchase};
use redis::RedisResult;

use super::{PRODUCT, SALE};
use crate::concurrent::concurrently;
use crate::failed;

/// Purchases in flight over one connection.
pub(super) const IN_FLIGHT: usize = 50;
/// In milliseconds since 1970: the year 2100. So the comparison needs no clock.
const ENDS: u64 = 4_102_444_800_000;

/// Ways to buy one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuyOne {
    /// The baseline: INCR. It decides nothing.
    Incr,
    /// HGET twice, then HINCRBY twice: wrong if many buy at once.
    ReadThenWrite,
    /// The script of [`FlashSale::buy`].
    Script,
}

impl BuyOne {
    /// All of them, the baseline first.
    pub const ALL: [Self; 3] = [Self::Incr, Self::ReadThenWrite, Self::Script];
}

/// Customers who buy one unit each, in a sale with enough for all.
#[derive(Clone, Debug)]
pub struct Purchases {
    prefix: String,
    count: usize,
}

impl Purchases {
    /// `count` purchases, whose keys have `bench:` behind `prefix`.
    #[must_use]
    pub fn new(prefix: &str, count: usize) -> Self {
        Self { prefix: format!("{prefix}bench:"), count }
    }

    /// Every key that is written.
    pub fn keys(&self) -> RedisResult<Vec<String>> {
        let sale = patterns::key::Key::new(&self.prefix, "flash_sale", &[SALE]).map_err(failed)?;
        let companions = ["bought", "waitlist"].map(|name| sale.companion(name));
        Ok([vec![self.counter(), sale.as_str().to_owned()], companions.to_vec()].concat())
    }

    fn counter(&self) -> String {
        format!("{}purchases", self.prefix)
    }
}

impl Approach for BuyOne {
    type Input = Purchases;
    /// How many purchases succeeded.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Incr => "INCR (baseline)",
            Self::ReadThenWrite => "HGET, then HINCRBY (wrong)",
            Self::Script => "script: buy",
        }
        .to_owned()
    }

    fn operations(self, purchases: &Purchases) -> u64 {
        purchases.count as u64
    }

    async fn reset<C: AnyConnection>(self, purchases: &Purchases, connection: &mut C) -> RedisResult<()> {
        redis::cmd("UNLINK").arg(purchases.keys()?).exec_async(connection).await?;
        let (name, product) = ("Compared".to_owned(), PRODUCT.to_owned());
        let plan = Plan { name, product, starts: 0, ends: ENDS, units: u32::MAX, cap: MAX_CAP, places: 0 };
        FlashSale::new(connection.clone(), &purchases.prefix).open(SALE, &plan).await.map_err(failed)
    }

    async fn run<C: AnyConnection>(self, purchases: &Purchases, connection: &mut C) -> RedisResult<usize> {
        let sales = FlashSale::new(connection.clone(), &purchases.prefix);
        let keys = sales.keys(SALE).map_err(failed)?;
        let buy = async |number| {
            let (customer, mut redis) = (format!("user{number}"), connection.clone());
            match self {
                Self::Incr => {
                    redis::cmd("INCR").arg(purchases.counter()).exec_async(&mut redis).await.map(|()| true)
                }
                Self::ReadThenWrite => read_then_write(&keys, &customer, &mut redis).await,
                Self::Script => {
                    let purchase = sales.buy(SALE, &customer, 1, "order-1").await.map_err(failed)?;
                    Ok(matches!(purchase, Purchase::Bought(_)))
                }
            }
        };
        let bought = concurrently(IN_FLIGHT, purchases.count, buy).await?;
        Ok(bought.into_iter().filter(|bought| *bought).count())
    }
}

/// In two round trips, which is as few as it takes.
async fn read_then_write<C: AnyConnection>(
    [sale, bought, _]: &[String; 3],
    customer: &str,
    redis: &mut C,
) -> RedisResult<bool> {
    let mut read = redis::pipe();
    let (left, has): (u64, Option<u64>) =
        read.hget(sale, "left").hget(bought, customer).query_async(redis).await?;
    if left < 1 || has.unwrap_or_default() >= u64::from(MAX_CAP) {
        return Ok(false);
    }
    let mut write = redis::pipe();
    write.hincr(sale, "left", -1).hincr(bought, customer, 1).exec_async(redis).await?;
    Ok(true)
}
