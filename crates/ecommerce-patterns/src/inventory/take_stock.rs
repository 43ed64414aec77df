//! Ways to take units out of a stock, for comparison.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use lab_runner::{AnyConnection, Approach};
use patterns::inventory::Inventory;
use redis::RedisResult;

use super::as_redis;

/// How many requests are under way at a time.
pub const MAX_IN_FLIGHT: usize = 50;

/// How a unit is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeStock {
    /// INCR of a counter: the floor, one plain round trip.
    Incr,
    /// DECR without a look: goes below zero.
    Decr,
    /// GET, compare, DECR: oversells.
    GetThenDecr,
    /// [`Inventory::reserve`].
    Reserve,
    /// [`Inventory::reserve`] and [`Inventory::confirm`].
    ReserveAndConfirm,
}

impl TakeStock {
    /// All of them, the floor first.
    pub const ALL: [Self; 5] =
        [Self::Incr, Self::Decr, Self::GetThenDecr, Self::Reserve, Self::ReserveAndConfirm];
}

/// A stock, and how much is taken of it.
#[derive(Clone, Debug)]
pub struct Stock {
    units: u32,
    prefix: String,
}

impl Stock {
    /// So many units, all of which are taken.
    #[must_use]
    pub fn new(units: u32, prefix: &str) -> Self {
        Self { units, prefix: prefix.to_owned() }
    }
}

/// What is taken.
pub(super) const PRODUCT: &str = "BULK";

impl Approach for TakeStock {
    type Input = Stock;
    /// The units taken.
    type Output = usize;

    fn label(self) -> String {
        match self {
            Self::Incr => "INCR (the floor)",
            Self::Decr => "DECR, no look",
            Self::GetThenDecr => "GET, compare, DECR",
            Self::Reserve => "reserve",
            Self::ReserveAndConfirm => "reserve, confirm",
        }
        .to_owned()
    }

    fn operations(self, stock: &Stock) -> u64 {
        u64::from(stock.units)
    }

    async fn reset<C: AnyConnection>(self, stock: &Stock, connection: &mut C) -> RedisResult<()> {
        let inventory = Inventory::new(connection.clone(), &stock.prefix);
        for key in inventory.keys(PRODUCT).map_err(|error| as_redis(&error))? {
            redis::cmd("UNLINK").arg(key).exec_async(connection).await?;
        }
        inventory.set_up(PRODUCT, stock.units.into(), None).await.map_err(|error| as_redis(&error))?;
        // The server learns the scripts; there is no stock of this product.
        drop(inventory.reserve("NOTHING", "nobody", 1, Duration::from_mins(1)).await);
        drop(inventory.confirm("NOTHING", "nobody").await);
        Ok(())
    }

    async fn run<C: AnyConnection>(self, stock: &Stock, connection: &mut C) -> RedisResult<usize> {
        let client = Client { connection: connection.clone(), stock: Arc::new(stock.clone()) };
        // Each request owns what it needs: futures that borrow could not move between threads, as `Approach` wants.
        let requests = stream::iter(0..stock.units).map(move |number| self.take(client.clone(), number));
        let taken: Vec<bool> = requests.buffer_unordered(MAX_IN_FLIGHT).try_collect().await?;
        Ok(taken.into_iter().filter(|taken| *taken).count())
    }
}

#[derive(Clone)]
struct Client<C> {
    connection: C,
    stock: Arc<Stock>,
}

impl TakeStock {
    async fn take<C: AnyConnection>(self, client: Client<C>, number: u32) -> RedisResult<bool> {
        let Client { mut connection, stock } = client;
        let inventory = Inventory::new(connection.clone(), &stock.prefix);
        let key = inventory.key(PRODUCT).map_err(|error| as_redis(&error))?;
        let key = key.as_str();
        match self {
            Self::Incr => redis::cmd("INCR").arg(key).exec_async(&mut connection).await?,
            Self::Decr => redis::cmd("DECR").arg(key).exec_async(&mut connection).await?,
            Self::GetThenDecr => {
                let left: i64 = redis::cmd("GET").arg(key).query_async(&mut connection).await?;
                if left < 1 {
                    return Ok(false);
                }
                redis::cmd("DECR").arg(key).exec_async(&mut connection).await?;
            }
            Self::Reserve | Self::ReserveAndConfirm => {
                let (id, time) = (format!("b{number}"), Duration::from_mins(10));
                inventory.reserve(PRODUCT, &id, 1, time).await.map_err(|error| as_redis(&error))?;
                if self == Self::ReserveAndConfirm {
                    inventory.confirm(PRODUCT, &id).await.map_err(|error| as_redis(&error))?;
                }
            }
        }
        Ok(true)
    }
}
