use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::inventory::{self, Inventory, InventoryError, StockUpdate};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const PRODUCT: &str = "PROD123";
const UNITS: u32 = 60;
const LOW_AT: u32 = 20;
const TEN_MINUTES: Duration = Duration::from_mins(10);

pub const PATTERN: Pattern = Pattern {
    name: "inventory",
    workload: |prefix| Box::new(Stock { prefix: prefix.to_owned(), sold: Mutex::default() }),
    plain_commands: &["ZADD", "LTRIM"],
    scripts: inventory::scripts,
};

struct Stock {
    prefix: String,
    /// The units that each ID was told are sold.
    sold: Mutex<BTreeMap<String, u64>>,
}

impl Stock {
    fn inventory(&self, connection: TestConnection) -> Inventory<TestConnection> {
        Inventory::new(connection, &self.prefix)
    }

    /// A buyer who reserves, and then buys, releases, or forgets.
    async fn buy(
        &self,
        inventory: &Inventory<TestConnection>,
        id: &str,
        plan: usize,
    ) -> Result<(), InventoryError> {
        let units = 1 + u32::from(plan == 0);
        let time = if plan == 4 { Duration::from_millis(1) } else { TEN_MINUTES };
        inventory.reserve(PRODUCT, id, units, time).await?;
        let sold = match plan {
            0 => inventory.confirm(PRODUCT, id).await?,
            1 => return inventory.release(PRODUCT, id).await.map(drop),
            2 => return inventory.extend(PRODUCT, id, TEN_MINUTES).await.map(drop),
            3 => inventory.confirm_late(PRODUCT, id, units).await?,
            _ => return Ok(()),
        };
        self.sold.lock().unwrap().insert(id.to_owned(), sold.units);
        Ok(())
    }

    /// No hold lasts longer than it was made for; and when all are released, none is left.
    async fn check_holds(
        &self,
        connection: &TestConnection,
        inventory: &Inventory<TestConnection>,
    ) -> Result<(), Failure> {
        let (seconds, _): (u64, u64) = connection.send(&["TIME"]).await;
        let latest = ((seconds + 11 * 60) * 1000).to_string();
        let key = inventory.key(PRODUCT)?;
        let deadlines = key.companion("deadlines");
        let stuck: usize = connection.send(&["ZCOUNT", &deadlines, &latest, "+inf"]).await;
        if stuck > 0 {
            return Err(format!("holds of ten minutes; found {stuck} longer ones").into());
        }
        let ledger: BTreeMap<String, String> = connection.send(&["HGETALL", &key.companion("ledger")]).await;
        for (field, record) in &ledger {
            if let (Some(id), true) = (field.strip_prefix("r:"), record.starts_with("held")) {
                inventory.release(PRODUCT, id).await?;
            }
        }
        let level = inventory.level(PRODUCT).await?;
        let left: usize = connection.send(&["ZCARD", &deadlines]).await;
        if level.held + u64::try_from(left)? > 0 {
            return Err(format!("no hold and no deadline; found {level:?}, {left}").into());
        }
        Ok(())
    }

    /// Feed, alert, and plan say how things are now, not how they were before something was lost.
    async fn check_news(
        &self,
        connection: &TestConnection,
        inventory: &Inventory<TestConnection>,
    ) -> Result<(), Failure> {
        inventory.restock(PRODUCT, "check", 1).await?;
        let level = inventory.level(PRODUCT).await?;
        inventory.sweep(PRODUCT).await?;
        let feed: Vec<String> =
            connection.send(&["LRANGE", inventory.updates_key()?.as_str(), "0", "-1"]).await;
        let feed: Vec<StockUpdate> =
            feed.iter().map(|entry| serde_json::from_str(entry)).collect::<Result<_, _>>()?;
        if feed.first().is_none_or(|last| last.event != "restocked" || last.free != level.free) {
            return Err(format!("a feed that ends with {level:?}; found {:?}", feed.first()).into());
        }
        let versions: BTreeSet<u64> = feed.iter().map(|update| update.version).collect();
        if versions.len() != feed.len() {
            return Err("each change in the feed once".into());
        }
        let alert: Option<u64> =
            connection.send(&["ZSCORE", inventory.alerts_key()?.as_str(), PRODUCT]).await;
        if alert != (level.free <= u64::from(LOW_AT)).then_some(level.free) {
            return Err(format!("an alert for {level:?}; found {alert:?}").into());
        }
        Ok(())
    }
}

impl Workload for Stock {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let inventory = self.inventory(connection);
        inventory.set_up(PRODUCT, 0, Some(u64::from(LOW_AT))).await?;
        inventory.restock(PRODUCT, "first", UNITS).await?;
        self.buy(&inventory, "early buyer", 0).await?;
        inventory.reserve(PRODUCT, "early hold", 1, TEN_MINUTES).await?;
        inventory.sweep_all().await?;
        inventory.reserve(PRODUCT, "early hold 2", 1, TEN_MINUTES).await?;
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let inventory = self.inventory(connection);
        for _ in 0..2 {
            match self.buy(&inventory, &format!("{client}-{call}"), (client + call) % 5).await {
                // What an operator does who reads the error.
                Err(InventoryError::UnknownProduct(_)) => {
                    inventory.set_up(PRODUCT, 0, Some(u64::from(LOW_AT))).await?;
                }
                Err(InventoryError::Store(error)) => return Err(error.into()),
                Ok(()) | Err(_) => break,
            }
        }
        match inventory.sweep(PRODUCT).await {
            // The next call sets it up.
            Ok(_) | Err(InventoryError::UnknownProduct(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if client == 0 {
            inventory.sweep_all().await?;
        }
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let inventory = self.inventory(connection.clone());
        let key = inventory.key(PRODUCT)?;
        let lost = |name: &str| matches!(fault, Fault::KeyLost(lost) if *lost == key.companion(name));
        if let Err(InventoryError::UnknownProduct(_)) = inventory.level(PRODUCT).await {
            inventory.set_up(PRODUCT, 0, Some(u64::from(LOW_AT))).await?;
        }
        inventory.sweep(PRODUCT).await?;
        let level = inventory.level(PRODUCT).await?;
        let all = level.free + level.held + level.sold;
        let told: u64 = self.sold.lock().unwrap().values().sum();
        let forgotten = lost("ledger");
        if all > u64::from(UNITS) || all < u64::from(UNITS) && !forgotten {
            return Err(format!("{UNITS} units; found {level:?}").into());
        }
        if *fault != Fault::WritesLost
            && (told + level.free > u64::from(UNITS) || told > level.sold && !forgotten)
        {
            return Err(format!("the {told} units that were sold; found {level:?}").into());
        }
        let copy: Option<u64> = connection.send(&["GET", key.as_str()]).await;
        if copy != Some(level.free) {
            return Err(format!("{level:?} in the copy; found {copy:?}").into());
        }
        self.check_holds(&connection, &inventory).await?;
        // Sold IDs are known, unless time or memory was lost.
        if !forgotten && !matches!(fault, Fault::WritesLost | Fault::ClockForward) {
            let sold = self.sold.lock().unwrap().clone();
            for (id, units) in sold {
                let again = inventory.confirm(PRODUCT, &id).await?;
                if !again.again || again.units != units {
                    return Err(format!("{id} sold before; found {again:?}").into());
                }
            }
        }
        self.check_news(&connection, &inventory).await?;
        Ok(match fault {
            Fault::WritesLost => {
                Verdict::Contract("An acknowledged change may be lost when a replica takes over")
            }
            Fault::ClockForward => Verdict::Contract("holds end early and IDs are forgotten early"),
            _ if forgotten => {
                Verdict::Contract("nothing is oversold, but what was held or sold is forgotten")
            }
            _ if lost("outbox") => {
                Verdict::Contract("If the outbox or the feed is lost, so are those changes")
            }
            Fault::KeyLost(lost) if *lost == inventory.updates_key()?.as_str() => {
                Verdict::Contract("If the outbox or the feed is lost, so are those changes")
            }
            _ => Verdict::Held,
        })
    }
}
