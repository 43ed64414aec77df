//! What a purchase costs, compared with the cheapest thing to ask for.

use lab_runner::{AnyConnection, Approach, Comparison, LessonContext, LessonError, Outcome};
use patterns::flash_sale::{FlashSale, MAX_CAP, Plan, Purchase};
use redis::{RedisError, RedisResult};

use super::{PRODUCT, SALE, unexpected};
use crate::concurrent::concurrently;

/// How many operations are under way at a time, over one connection.
const MAX_IN_FLIGHT: usize = 50;
const PURCHASES: usize = 500;

/// Ways to buy, and the floor below them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuyAtOnce {
    /// A plain INCR for each purchase: the floor. It decides nothing.
    Incr,
    /// HMGET, HGET, then HINCRBY twice: two steps, wrong in a rush.
    InTwoSteps,
    /// The script of [`FlashSale::buy`].
    Script,
}

impl BuyAtOnce {
    /// The floor first.
    pub const ALL: [Self; 3] = [Self::Incr, Self::InTwoSteps, Self::Script];
}

/// So many customers who buy one unit each, in a sale with enough for all.
#[derive(Clone, Debug)]
pub struct Purchases {
    prefix: String,
    count: usize,
}

impl Purchases {
    /// `count` purchases in a sale under `prefix`, which is opened again for each run.
    #[must_use]
    pub fn new(prefix: &str, count: usize) -> Self {
        Self { prefix: prefix.to_owned(), count }
    }

    /// The counter of the floor.
    fn counter(&self) -> String {
        format!("{}stock:{PRODUCT}", self.prefix)
    }
}

impl Approach for BuyAtOnce {
    type Input = Purchases;
    /// How many have succeeded.
    type Output = usize;

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

    async fn reset<C: AnyConnection>(self, purchases: &Purchases, connection: &mut C) -> RedisResult<()> {
        redis::cmd("UNLINK").arg(purchases.counter()).exec_async(connection).await?;
        let sales = FlashSale::new(connection.clone(), &purchases.prefix);
        sales.close(SALE).await.map_err(failed)?;
        let now = sales.now().await.map_err(failed)?;
        let plan = Plan {
            name: "Compared".into(),
            product: PRODUCT.into(),
            starts: now,
            ends: now + 3_600_000,
            units: u32::MAX,
            cap: MAX_CAP,
            places: 0,
        };
        sales.open(SALE, &plan).await.map_err(failed)
    }

    async fn run<C: AnyConnection>(self, purchases: &Purchases, connection: &mut C) -> RedisResult<usize> {
        let count = purchases.count;
        let sales = FlashSale::new(connection.clone(), &purchases.prefix);
        let [sale, bought, _] = sales.keys(SALE).map_err(failed)?;
        let bought = match self {
            Self::Incr => {
                concurrently(MAX_IN_FLIGHT, count, |_| incr(purchases.counter(), connection.clone())).await?
            }
            Self::InTwoSteps => {
                concurrently(MAX_IN_FLIGHT, count, |number| {
                    in_two_steps([&sale, &bought], number, connection.clone())
                })
                .await?
            }
            Self::Script => {
                concurrently(MAX_IN_FLIGHT, count, |number| by_script(sales.clone(), number)).await?
            }
        };
        Ok(bought.into_iter().filter(|bought| *bought).count())
    }
}

async fn incr<C: AnyConnection>(counter: String, mut redis: C) -> RedisResult<bool> {
    let number: usize = redis::cmd("INCR").arg(counter).query_async(&mut redis).await?;
    Ok(number > 0)
}

async fn by_script<C: AnyConnection>(sales: FlashSale<C>, number: usize) -> RedisResult<bool> {
    let purchase = sales.buy(SALE, &format!("user{number}"), 1, "order-1").await.map_err(failed)?;
    Ok(matches!(purchase, Purchase::Bought(_)))
}

/// The fewest commands that look and then write: both halves are a pipeline.
async fn in_two_steps<C: AnyConnection>(
    [sale, bought]: [&str; 2],
    number: usize,
    mut redis: C,
) -> RedisResult<bool> {
    let customer = format!("user{number}");
    let mut look = redis::pipe();
    look.cmd("HGET").arg(sale).arg("left").cmd("HGET").arg(bought).arg(&customer);
    let (left, have): (u64, Option<u64>) = look.query_async(&mut redis).await?;
    if left < 1 || have.unwrap_or_default() >= u64::from(MAX_CAP) {
        return Ok(false);
    }
    let mut write = redis::pipe();
    write.cmd("HINCRBY").arg(sale).arg("left").arg(-1);
    write.cmd("HINCRBY").arg(bought).arg(&customer).arg(1);
    write.exec_async(&mut redis).await?;
    Ok(true)
}

fn failed(error: impl std::fmt::Display) -> RedisError {
    RedisError::from(std::io::Error::other(error.to_string()))
}

/// The keys that the comparison leaves.
pub(super) fn keys_of(prefix: &str) -> Result<Vec<String>, LessonError> {
    let key = |name: &str, id: &str| patterns::key::Key::new(prefix, name, &[id]).map_err(unexpected);
    let sale = key("flash_sale", SALE)?;
    let counter = key("stock", PRODUCT)?;
    let companions = ["bought", "waitlist"].map(|name| sale.companion(name));
    Ok([vec![sale.as_str().to_owned(), counter.as_str().to_owned()], companions.to_vec()].concat())
}

pub(super) async fn compare(ctx: &LessonContext, prefix: &str) -> Outcome {
    ctx.step(format!(
        "Does that cost much? {PURCHASES} purchases, {MAX_IN_FLIGHT} at a time over one connection, in a sale with enough for all, so \
         that looking first does no damage. The floor is as many INCR: a round trip that decides nothing.",
    )).await?;
    let purchases = Purchases::new(prefix, PURCHASES);
    ctx.compare(Comparison {
        title: "Buying in a flash sale",
        approaches: &BuyAtOnce::ALL,
        input: &purchases,
    })
    .await?;
    ctx.step(
        "The script is far from the floor: in its one round trip, the server runs six commands in Lua for each purchase. On \
         one machine, round trips are nearly free, so even two of them can be as fast. Over a network, each of them costs more \
         than the script. And only the script is right. Tens of thousands of purchases a second are more than most shops need.",
    ).await?;
    Ok(())
}
