//! Many buyers who want the last units at the same moment.

use std::sync::Arc;
use std::time::Duration;

use lab_connection::{Connection, Target};
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::inventory::{Inventory, InventoryError};
use redis::AsyncTypedCommands;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{BUYERS, UNITS, failed};

/// How a unit is sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SellLast {
    /// GET the count; if there is one, SET it one lower.
    GetThenSet,
    /// GET the count; if there is one, DECR.
    GetThenDecr,
    /// [`Inventory::reserve`].
    Reserve,
}

/// What came of a rush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rush {
    /// Buyers who were told that they have a unit.
    pub promised: u32,
    /// What the count says afterwards.
    pub count: i64,
}

impl SellLast {
    /// All, the wrong ones first.
    pub const ALL: [Self; 3] = [Self::GetThenSet, Self::GetThenDecr, Self::Reserve];

    /// Its row in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::GetThenSet => "GET, compare, SET",
            Self::GetThenDecr => "GET, compare, DECR",
            Self::Reserve => "reserve (one script)",
        }
    }

    /// Lets `buyers` want one of `units` each at the same moment, each on a connection of their own: all ask before any of them
    /// takes, where that is two steps.
    pub async fn rush(self, target: &Target, buyers: u32, units: u32) -> Result<Rush, LessonError> {
        let inventory = Inventory::new(target.connection(), target.prefix());
        let own = inventory.keys(PRODUCT).map_err(|error| failed(&error))?;
        let mut connection = target.connection();
        for key in &own {
            redis::cmd("UNLINK").arg(key).exec_async(&mut connection).await?;
        }
        inventory.set_up(PRODUCT, units.into(), None).await.map_err(|error| failed(&error))?;
        let together = Arc::new(Barrier::new(buyers as usize));
        let mut crowd = JoinSet::new();
        for buyer in 0..buyers {
            let inventory = Inventory::new(target.dedicated().await?, target.prefix());
            let connection = target.dedicated().await?;
            crowd.spawn(self.buy(connection, inventory, own[0].clone(), buyer, Arc::clone(&together)));
        }
        let mut promised = 0;
        while let Some(bought) = crowd.join_next().await {
            let bought = bought.map_err(|stopped| failed(&stopped))??;
            promised += u32::from(bought);
        }
        let count: Option<String> = connection.get(&own[0]).await?;
        Ok(Rush { promised, count: count.and_then(|count| count.parse().ok()).unwrap_or_default() })
    }

    async fn buy(
        self,
        mut connection: Connection,
        inventory: Inventory<Connection>,
        count: String,
        buyer: u32,
        together: Arc<Barrier>,
    ) -> Result<bool, LessonError> {
        if self == Self::Reserve {
            together.wait().await;
            let time = Duration::from_mins(10);
            return match inventory.reserve(PRODUCT, &format!("rush-{buyer}"), 1, time).await {
                Ok(_) => Ok(true),
                Err(InventoryError::OutOfStock { .. }) => Ok(false),
                Err(error) => Err(failed(&error)),
            };
        }
        let left: i64 =
            connection.get(&count).await?.and_then(|count| count.parse().ok()).unwrap_or_default();
        // The worst that can happen, made to happen: everybody has read before anybody writes.
        together.wait().await;
        if left < 1 {
            return Ok(false);
        }
        match self {
            Self::GetThenSet => connection.set(&count, left - 1).await?,
            _ => {
                connection.decr(&count, 1).await?;
            }
        }
        Ok(true)
    }
}

/// Where the rush takes place.
pub(super) const PRODUCT: &str = "RUSH";

pub(super) async fn run(ctx: &LessonContext) -> Outcome {
    ctx.step(format!(
        "A count of units, inventory:PROD123, is easy to keep and easy to get wrong. Break it: ask whether there is one, and \
         if so, take it. {BUYERS} buyers want one of the last {UNITS} units at the same moment, and all of them ask before \
         any of them takes. Fix it: let the server ask and take in one step, a script.",
    )).await?;
    let mut table = Table::new("The last units", &["approach", "units", "promised", "count", "oversold"]);
    let mut oversold = Vec::new();
    for sell in SellLast::ALL {
        let rush = sell.rush(ctx.target(), BUYERS, UNITS).await?;
        let too_many = rush.promised.saturating_sub(UNITS);
        oversold.push(too_many);
        table = table.row([
            sell.label().to_owned(),
            UNITS.to_string(),
            rush.promised.to_string(),
            rush.count.to_string(),
            too_many.to_string(),
        ]);
    }
    ctx.table(table);
    ctx.check_eq(
        "asking first promises a unit to everybody; the script sells exactly what there is",
        &oversold,
        &vec![BUYERS - UNITS, BUYERS - UNITS, 0],
    )
}
