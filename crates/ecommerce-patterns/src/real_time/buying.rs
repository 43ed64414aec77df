//! What a purchase costs, compared with the cheapest thing one can ask for.

use lab_runner::{Approach, Comparison, Outcome, Page, Wire};
use redis::{RedisError, RedisResult};
use storefront::flash_sale::{FlashSale, FlashSaleKeys, NewSale, Purchase};
use storefront::{Keys, Quantity};

use super::product;
use crate::at_once::at_once;
use crate::names::known;

/// How many operations are under way at a time, over one connection.
const AT_A_TIME: usize = 50;
const PURCHASES: usize = 500;

/// Ways to buy, and the floor below them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuyAtOnce {
    /// A plain INCR for each purchase: the floor. It decides nothing.
    Incr,
    /// HMGET, HGET, then HINCRBY twice: two steps, wrong in a rush.
    InTwoSteps,
    /// The storefront's script.
    Script,
}

impl BuyAtOnce {
    /// The floor first.
    pub const ALL: [Self; 3] = [Self::Incr, Self::InTwoSteps, Self::Script];
}

/// So many customers who buy one unit each, in a sale with enough for all.
#[derive(Clone, Debug)]
pub struct Purchases {
    keys: Keys,
    count: usize,
}

impl Purchases {
    /// `count` purchases in a sale under `keys`, which is opened anew for each run.
    #[must_use]
    pub fn new(keys: Keys, count: usize) -> Self {
        Self { keys, count }
    }
}

impl Approach for BuyAtOnce {
    type Subject = Purchases;
    /// How many have succeeded.
    type Observed = usize;

    fn label(self) -> String {
        match self {
            Self::Incr => "plain INCR",
            Self::InTwoSteps => "HGET, then HINCRBY: wrong in a rush",
            Self::Script => "one script: FlashSale::buy",
        }
        .to_owned()
    }

    fn operations(self, purchases: &Purchases) -> u64 {
        purchases.count as u64
    }

    async fn reset<C: Wire>(self, purchases: &Purchases, connection: &mut C) -> RedisResult<()> {
        let keys = purchases.keys.flash_sale();
        redis::cmd("UNLINK").arg(&keys.all()).exec_async(connection).await?;
        redis::cmd("UNLINK").arg(purchases.keys.stock(&product())).exec_async(connection).await?;
        let sales = FlashSale::new(connection.clone(), purchases.keys.clone());
        let now = sales.now().await.map_err(failed)?;
        let sale = NewSale {
            name: "Compared".into(),
            product: product(),
            starts: now,
            ends: now + 3_600_000,
            units: u32::MAX,
            cap: Quantity::MAX,
            places: 0,
        };
        sales.open(&sale).await.map_err(failed)
    }

    async fn run<C: Wire>(self, purchases: &Purchases, connection: &mut C) -> RedisResult<usize> {
        let Purchases { keys, count } = purchases;
        let bought = match self {
            Self::Incr => {
                at_once(AT_A_TIME, *count, |_| incr(keys.stock(&product()), connection.clone())).await?
            }
            Self::InTwoSteps => {
                at_once(AT_A_TIME, *count, |number| {
                    in_two_steps(keys.flash_sale(), number, connection.clone())
                })
                .await?
            }
            Self::Script => {
                let sales = FlashSale::new(connection.clone(), keys.clone());
                at_once(AT_A_TIME, *count, |number| by_script(sales.clone(), number)).await?
            }
        };
        Ok(bought.into_iter().filter(|bought| *bought).count())
    }
}

async fn incr<C: Wire>(counter: String, mut redis: C) -> RedisResult<bool> {
    let number: usize = redis::cmd("INCR").arg(counter).query_async(&mut redis).await?;
    Ok(number > 0)
}

async fn by_script<C: Wire>(sales: FlashSale<C>, number: usize) -> RedisResult<bool> {
    let (customer, order) = (known(&format!("user{number}")), known("order-1"));
    let purchase = sales.buy(&customer, Quantity::ONE, &order).await.map_err(failed)?;
    Ok(matches!(purchase, Purchase::Bought(_)))
}

/// The fewest commands that look and then write: both halves are a pipeline.
async fn in_two_steps<C: Wire>(keys: FlashSaleKeys, number: usize, mut redis: C) -> RedisResult<bool> {
    let customer = format!("user{number}");
    let mut look = redis::pipe();
    look.cmd("HGET").arg(&keys.sale).arg("left").cmd("HGET").arg(&keys.bought).arg(&customer);
    let (left, have): (u64, Option<u64>) = look.query_async(&mut redis).await?;
    if left < 1 || have.unwrap_or_default() >= u64::from(Quantity::MAX.get()) {
        return Ok(false);
    }
    let mut write = redis::pipe();
    write.cmd("HINCRBY").arg(&keys.sale).arg("left").arg(-1);
    write.cmd("HINCRBY").arg(&keys.bought).arg(&customer).arg(1);
    write.exec_async(&mut redis).await?;
    Ok(true)
}

fn failed(error: impl std::fmt::Display) -> RedisError {
    RedisError::from(std::io::Error::other(error.to_string()))
}

pub(super) async fn compare(page: &Page, keys: &Keys) -> Outcome {
    page.say(format!(
        "Does that cost much? {PURCHASES} purchases, {AT_A_TIME} at a time over one connection, in a sale with enough for all, so \
         that looking first does no damage. The floor is as many INCR: a round trip that decides nothing.",
    ));
    let purchases = Purchases::new(keys.clone(), PURCHASES);
    page.compare(Comparison {
        title: "Buying in a flash sale",
        approaches: &BuyAtOnce::ALL,
        subject: &purchases,
    })
    .await?;
    page.say(
        "The script is far from the floor: beside its one round trip the server runs five commands in Lua for each purchase. \
         On one machine round trips are nearly free, so there even two of them can be as fast; over a network each of them \
         costs more than the script. And only the script is right. At the doors of a sale, tens of thousands of purchases in \
         a second are more than most shops need.",
    );
    Ok(())
}
