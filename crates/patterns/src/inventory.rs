//! Stock that is held, sold, and returned: no unit is sold twice, and none is lost.
//!
//! The naive way reads the count, compares, and writes it back. Two buyers who both read before either writes get the same last
//! unit. DECR never oversells. But a buyer who leaves before paying keeps the unit forever, and a buyer whose connection breaks
//! before the reply cannot know whether to try again.
//!
//! Here a buyer *reserves*: units are held for a time under an ID that the buyer's client picks. Then the buyer *confirms* (the
//! units are sold) or *releases* (they are free again). A hold that is not settled in time expires, and its units are free
//! again. Each step is one script. You can repeat it with the same ID: the second time it changes nothing and gets the same
//! answer.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `inventory:PROD123` | String | units free to sell, a copy for plain readers |
//! | `inventory:{inventory:PROD123}:ledger` | Hash | units free, held, and sold; a record of each reservation |
//! | `inventory:{inventory:PROD123}:deadlines` | Sorted Set | holds, scored by their end |
//! | `inventory:{inventory:PROD123}:settled` | Sorted Set | settled IDs, scored by when they are forgotten |
//! | `inventory:{inventory:PROD123}:outbox` | List | changes on their way to the feed |
//! | `inventory_updates` | List | the feed: the latest changes of all products as JSON ([`StockUpdate`]), latest first |
//! | `inventory_updates:{inventory_updates}:versions` | Hash | the last version of each product in the feed |
//! | `low_stock_alerts` | Sorted Set | products that are low on stock, scored by free units |
//! | `low_stock_alerts:{low_stock_alerts}:versions` | Hash | the version of each product in the alerts |
//! | `inventory_due:0` to `inventory_due:15` | Sorted Set | products, scored by the sweeper's next visit |
//!
//! The last five keys are in other slots than the product. A product's script numbers its changes and puts them into the
//! product's outbox. The sweeper ([`Inventory::run_sweeper`]) visits products that are due, returns the units of expired holds,
//! and delivers the changes, usually within two seconds. A client whose change raises or clears the low-stock alert writes the
//! alert at once.
//!
//! - **Promise**: free, held, and sold units always add up to all units ever added. An ID holds, sells, and returns its units
//!   once. Each change is in the feed once, unless more than 1,000 changes of one product wait for a sweeper.
//! - **Cost**: one round trip each, one more to call the sweeper when a quiet product changes, and one more to raise or clear
//!   an alert. O(log holds). A sweep reads only what is due, at most 32 products of each shard at a time. A product without
//!   holds or changes is due every ten minutes. No script handles more than 1,200 entries at a time.
//! - **Memory**: about 150 bytes for each hold, and 120 for each ID that was settled within the retry window (10 minutes), even
//!   an unknown ID that was released. A delivery is remembered for a day. Confirming an unknown ID leaves nothing. The sweeper
//!   removes old records. Without a sweeper, a change does so once a minute.
//! - **Faults**: use `noeviction` for this data, or a server of its own. An acknowledged change may be lost when a replica
//!   takes over: then the reservation is unknown, and [`Inventory::confirm_late`] takes free units instead.
//!   [`Inventory::with_replicas`] waits for replicas. If the copy `inventory:PROD123` is lost, the next change writes it again.
//!   If the ledger is lost, every call returns [`InventoryError::UnknownProduct`] until [`Inventory::set_up`] restores the free
//!   units from the copy: nothing is oversold, but what was held or sold is forgotten, so count the shelf and
//!   [`Inventory::restock`] what is missing. If both are lost, `set_up` takes the number that you give it, so leave out what
//!   was sold. If the deadlines or the settled IDs are lost, the sweeper writes them again from the ledger, and holds end on
//!   time. If the outbox or the feed is lost, so are those changes, and the `previous` version of the next change does not
//!   match. If a shard of `inventory_due` is lost, the next change of each product puts it back. If the clock jumps forward,
//!   holds end early and IDs are forgotten early. If it is set back by more than a minute, the sweeper shortens holds to their
//!   original length. A Redis user who may not run one of the commands changes nothing.
//!
//! ```
//! use std::time::Duration;
//! use patterns::inventory::{Inventory, InventoryError};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let inventory = Inventory::new(connection, "");
//! inventory.set_up("PROD123", 3, None).await?;
//!
//! let ten_minutes = Duration::from_mins(10);
//! assert_eq!(inventory.reserve("PROD123", "ann-1", 2, ten_minutes).await?.free, 1);
//! let again = inventory.reserve("PROD123", "ann-1", 2, ten_minutes).await?;
//! assert!(again.again && again.free == 1);
//! let refused = inventory.reserve("PROD123", "bob-1", 2, ten_minutes).await;
//! assert!(matches!(refused, Err(InventoryError::OutOfStock { available: 1 })));
//!
//! inventory.confirm("PROD123", "ann-1").await?;
//! let level = inventory.level("PROD123").await?;
//! assert_eq!((level.free, level.held, level.sold), (1, 0, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::ToRedisArgs;
use redis::aio::ConnectionLike;
use serde::{Deserialize, Serialize};

use crate::key::{Key, KeyError, check_id};
use crate::script::{Call, Reply, Script, StoreError, by_operation, join_all, milliseconds, send};

/// How many changes the feed keeps.
pub const UPDATES_KEPT: usize = 1_000;
/// How many keys share the list of products that the sweeper visits.
pub const SHARDS: usize = 16;
/// The most units of one product, free, held, and sold together.
pub const MAX_UNITS: u64 = 10_000_000_000_000;

/// How long a delivery is remembered, so that it counts once.
const DELIVERY_WINDOW: Duration = Duration::from_hours(24);
/// The longest time between two visits of the sweeper to a product.
const VISIT_INTERVAL: Duration = Duration::from_mins(10);
/// How many products of a shard the sweeper visits at a time.
const BATCH: usize = 32;

const FILE: &str = include_str!("inventory.lua");

/// Creates the stock of a product.
pub static SET_UP: Script = Script::new("inventory.lua: set_up", FILE, &["set_up"]);
/// Adds units, once per delivery ID.
pub static RESTOCK: Script =
    Script::new("inventory.lua: restock", FILE, &["read", "types", "restock", "feed", "settle", "answer"]);
/// Holds units for a time, all or none, once per reservation ID.
pub static RESERVE: Script =
    Script::new("inventory.lua: reserve", FILE, &["read", "reserve", "feed", "reserve_write", "answer"]);
/// Sells what is held, once.
pub static CONFIRM: Script =
    Script::new("inventory.lua: confirm", FILE, &["read", "types", "confirm", "feed", "settle", "answer"]);
/// Returns what is held to stock, once.
pub static RELEASE: Script =
    Script::new("inventory.lua: release", FILE, &["read", "types", "release", "feed", "settle", "answer"]);
/// Extends a hold.
pub static EXTEND: Script = Script::new("inventory.lua: extend", FILE, &["read", "types", "extend"]);
/// Reads the stock, and repairs the copy.
pub static LEVEL: Script = Script::new("inventory.lua: level", FILE, &["read", "level"]);
/// Returns the units of at most 100 holds that are over, and forgets at most 200 records whose TTL is over.
pub static EXPIRE: Script = Script::new("inventory.lua: expire", FILE, &["read", "expire"]);
/// Tells the sweeper what to do for a product and when to come again.
pub static VISIT: Script = Script::new("inventory.lua: visit", FILE, &["read", "visit"]);
/// First step of a repair: deletes all times, including those without a record.
pub static FORGET_TIMES: Script = Script::new("inventory.lua: forget_times", FILE, &["read", "forget_times"]);
/// Gives each record its time again, one page at a time.
pub static REPAIR: Script = Script::new("inventory.lua: repair", FILE, &["read", "repair"]);
/// Writes changes of one product into the feed of all products, each once and in order, even if several clients deliver them.
pub static DELIVER: Script = Script::new("inventory.lua: deliver", FILE, &["deliver"]);
/// Updates which products are low on stock.
pub static ALERT: Script = Script::new("inventory.lua: alert", FILE, &["alert"]);
/// Lists the products that the sweeper must visit, with their times.
pub static DUE: Script = Script::new("inventory.lua: due", FILE, &["due"]);
/// Plans the next visit of each product, unless another client has changed it meanwhile.
pub static PLAN: Script = Script::new("inventory.lua: plan", FILE, &["plan"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[
        &SET_UP,
        &RESTOCK,
        &RESERVE,
        &CONFIRM,
        &RELEASE,
        &EXTEND,
        &LEVEL,
        &EXPIRE,
        &VISIT,
        &FORGET_TIMES,
        &REPAIR,
        &DELIVER,
        &ALERT,
        &DUE,
        &PLAN,
    ])
}

/// The units of a product at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Level {
    /// Free to sell.
    pub free: u64,
    /// Held by buyers who have not confirmed yet.
    pub held: u64,
    /// Sold.
    pub sold: u64,
}

/// What [`Inventory::set_up`] has found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SetUp {
    /// The product has its first units.
    Created(Level),
    /// The product existed. Only its threshold was set.
    There(Level),
    /// The ledger was lost. The copy `inventory:PROD123` says what is free. What was held or sold is forgotten.
    Restored(Level),
}

/// Units that are held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Held {
    /// The units of the product that are still free to sell.
    pub free: u64,
    /// When the hold ends: milliseconds since 1970 by the server's clock.
    pub until_ms: u64,
    /// Whether this ID held them before, so that this call changed nothing.
    pub again: bool,
}

/// How a hold ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settled {
    /// The units; 0 if an ID was released that never held any.
    pub units: u64,
    /// Whether it had ended this way before, so that this call changed nothing.
    pub again: bool,
}

/// A hold that was extended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extended {
    /// How many units are held.
    pub units: u64,
    /// When the hold ends: milliseconds since 1970 by the server's clock.
    pub until_ms: u64,
}

/// The result of a sweep.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// The products visited.
    pub products: usize,
    /// The units of expired holds, which are free again.
    pub returned: u64,
    /// The IDs forgotten.
    pub forgotten: u64,
    /// The changes delivered to the feed.
    pub delivered: u64,
}

/// One change of a product's stock, stored as JSON in the feed `inventory_updates`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StockUpdate {
    /// The product.
    pub product: String,
    /// The time of the change, in microseconds since 1970 by the server's clock. It is higher than that of the change before,
    /// unless the clock was set back or acknowledged writes were lost.
    pub version: u64,
    /// The version of the change before. If you have not seen it, you have missed changes: read [`Inventory::level`].
    pub previous: u64,
    /// `set_up`, `restocked`, `held`, `sold`, `sold_late` (from the free units), `released`, `expired`, `returned` (after it
    /// was sold), or `threshold`.
    pub event: String,
    /// The reservation or delivery; empty if there is none.
    pub id: String,
    /// The units that moved.
    pub units: u64,
    /// The free units after it.
    pub free: u64,
    /// The units held after it.
    pub held: u64,
    /// The units sold after it.
    pub sold: u64,
    /// Whether it raised or cleared the low-stock alert.
    pub alert: Option<Alert>,
}

/// Whether a change has raised or cleared the low-stock alert.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// The stock has become low.
    Raised,
    /// It is no longer low.
    Cleared,
}

/// Why nothing was changed. After [`InventoryError::NotReplicated`] or a lost connection, the change may be made: call again
/// with the same ID.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// The product has no stock, or its ledger was lost: call [`Inventory::set_up`].
    #[error("there is no stock of {0}: set it up first")]
    UnknownProduct(String),
    /// Too few units are free. Holds that expire or are released free more.
    #[error("only {available} are available")]
    OutOfStock {
        /// The units free at this moment.
        available: u64,
    },
    /// The ID holds another number of units, so it was used for something else.
    #[error("the reservation already holds {held} units, not {asked}")]
    OtherQuantity {
        /// The units held.
        held: u64,
        /// The units requested.
        asked: u32,
    },
    /// The hold has expired, and its units are free. [`Inventory::confirm_late`] may still get them.
    #[error("the hold has expired")]
    Expired,
    /// The hold was released, and its units are free.
    #[error("the hold was released")]
    Released,
    /// The units are sold.
    #[error("{units} units are already sold")]
    Sold {
        /// How many.
        units: u64,
    },
    /// No such reservation is remembered.
    #[error("there is no such reservation")]
    UnknownReservation,
    /// A reservation has at least one unit.
    #[error("a reservation has at least one unit")]
    NoUnits,
    /// The product would have more than [`MAX_UNITS`].
    #[error("a product has at most {MAX_UNITS} units")]
    TooMany,
    /// The change is made, but fewer replicas have it than [`Inventory::with_replicas`] requires. Calling again with the same
    /// ID changes nothing and waits again.
    #[error("the change is made, but only {replicas} replicas have it")]
    NotReplicated {
        /// The replicas that have it.
        replicas: usize,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<KeyError> for InventoryError {
    fn from(error: KeyError) -> Self {
        Self::Store(error.into())
    }
}

/// The stock of all products under a prefix.
#[derive(Clone, Debug)]
pub struct Inventory<C> {
    connection: C,
    prefix: String,
    retry_window: Duration,
    replicas: Option<(usize, Duration)>,
}

impl<C: ConnectionLike + Clone> Inventory<C> {
    /// Stock that remembers an ID for ten minutes after it was settled.
    pub fn new(connection: C, prefix: &str) -> Self {
        let retry_window = Duration::from_mins(10);
        Self { connection, prefix: prefix.to_owned(), retry_window, replicas: None }
    }

    /// How long an ID is remembered after it was settled: a millisecond to a year. Choose longer than any retry, and longer
    /// than a checkout needs to recover from a crash: a forgotten ID can be used again.
    #[must_use]
    pub fn with_retry_window(self, retry_window: Duration) -> Self {
        Self { retry_window, ..self }
    }

    /// Waits after each change until this many replicas have it. After `timeout`, the call returns
    /// [`InventoryError::NotReplicated`]. The connection's response timeout must be longer.
    #[must_use]
    pub fn with_replicas(self, replicas: usize, timeout: Duration) -> Self {
        Self { replicas: Some((replicas, timeout)), ..self }
    }

    /// Creates the stock of a product with its first units. With `low_at`, the alert is raised when at most this many units are
    /// free, and cleared when there are more. An existing product keeps its units and gets the new threshold. Also repairs a
    /// product that has lost its ledger: see [`SetUp::Restored`]. Three round trips.
    pub async fn set_up(
        &self,
        product: &str,
        units: u64,
        low_at: Option<u64>,
    ) -> Result<SetUp, InventoryError> {
        if units > MAX_UNITS {
            return Err(InventoryError::TooMany);
        }
        // First plan the sweeper's visit: the sweeper skips a product without stock, but it would never find stock without a
        // plan.
        self.call_sweeper(product, 0).await?;
        let low_at = low_at.map_or_else(String::new, |units| units.to_string());
        let (reply, level) = self.run(&SET_UP, product, "", (units, low_at)).await?;
        match reply.outcome.as_str() {
            "CREATED" => Ok(SetUp::Created(level)),
            "THERE" => Ok(SetUp::There(level)),
            "RESTORED" => Ok(SetUp::Restored(level)),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// Adds units that were delivered. Within a day, the same delivery ID counts once. One round trip.
    pub async fn restock(&self, product: &str, delivery: &str, units: u32) -> Result<Level, InventoryError> {
        check_id(delivery)?;
        let arguments = (milliseconds(DELIVERY_WINDOW), units);
        let (mut reply, level) = self.run(&RESTOCK, product, &format!("d:{delivery}"), arguments).await?;
        if reply.outcome == "RESTOCKED" { Ok(level) } else { Err(InventoryError::refused(&mut reply)) }
    }

    /// Holds units for `time` (a millisecond to a year), all or none, once for each ID. The same ID for another product is
    /// another hold. One round trip.
    pub async fn reserve(
        &self,
        product: &str,
        id: &str,
        units: u32,
        time: Duration,
    ) -> Result<Held, InventoryError> {
        check_id(id)?;
        if units == 0 {
            return Err(InventoryError::NoUnits);
        }
        let arguments = (units, milliseconds(time));
        let (mut reply, level) = self.run(&RESERVE, product, &format!("r:{id}"), arguments).await?;
        match reply.outcome.as_str() {
            "HELD" => Ok(Held { free: level.free, until_ms: reply.next()?, again: false }),
            "HELD_BEFORE" => {
                let (free, held, until_ms) = (reply.next()?, reply.next()?, reply.next()?);
                if held == u64::from(units) {
                    Ok(Held { free, until_ms, again: true })
                } else {
                    Err(InventoryError::OtherQuantity { held, asked: units })
                }
            }
            _ => Err(InventoryError::refused(&mut reply)),
        }
    }

    /// Sells what is held. A hold whose time is over can still be confirmed until a script has returned its units. One round
    /// trip.
    pub async fn confirm(&self, product: &str, id: &str) -> Result<Settled, InventoryError> {
        self.settle(&CONFIRM, product, id, "0").await
    }

    /// [`Inventory::confirm`] for a buyer who has paid. If the hold has expired, or a failover or a lost key has forgotten it,
    /// it takes free units. Don't use it for an ID that may have been sold before the retry window. One round trip.
    pub async fn confirm_late(&self, product: &str, id: &str, units: u32) -> Result<Settled, InventoryError> {
        self.settle(&CONFIRM, product, id, &units.to_string()).await
    }

    /// Makes what is held free to sell again. An ID that holds nothing cannot be used afterward, so a reservation that is still
    /// on its way is refused. One round trip.
    pub async fn release(&self, product: &str, id: &str) -> Result<Settled, InventoryError> {
        self.settle(&RELEASE, product, id, "").await
    }

    /// [`Inventory::release`], even if the units were sold within the retry window. One round trip.
    pub async fn take_back(&self, product: &str, id: &str) -> Result<Settled, InventoryError> {
        self.settle(&RELEASE, product, id, "sold").await
    }

    /// Extends a hold to `time` from now (a millisecond to a year). It never shortens one. One round trip.
    pub async fn extend(&self, product: &str, id: &str, time: Duration) -> Result<Extended, InventoryError> {
        check_id(id)?;
        let field = format!("r:{id}");
        let (mut reply, _) = self.run(&EXTEND, product, &field, milliseconds(time)).await?;
        if reply.outcome == "EXTENDED" {
            Ok(Extended { until_ms: reply.next()?, units: reply.next()? })
        } else {
            Err(InventoryError::refused(&mut reply))
        }
    }

    /// The units of a product now. Expired holds are returned first. One round trip.
    pub async fn level(&self, product: &str) -> Result<Level, InventoryError> {
        loop {
            let mut reply = self.run_once(&LEVEL, product, "", None::<&str>).await?;
            if reply.outcome != "DUE" {
                return Ok(Level::next(&mut reply)?);
            }
            self.expire(product).await?;
        }
    }

    /// Visits one product: returns expired holds, forgets IDs, repairs lost keys, and delivers changes and the alert. Two round
    /// trips if nothing is due.
    pub async fn sweep(&self, product: &str) -> Result<Swept, InventoryError> {
        Ok(self.visit(product).await?.0)
    }

    /// Visits every product that is due, 32 products of a shard at a time. One round trip for each shard, and those of the
    /// visits.
    ///
    /// If a product cannot be swept, because another program wrote to its keys, the sweep goes on with the others and then
    /// returns the first error. Only a lost connection ends the sweep at once.
    pub async fn sweep_all(&self) -> Result<Swept, InventoryError> {
        let (mut all, mut failed) = (Swept::default(), None);
        for shard in join_all((0..SHARDS).map(|shard| self.sweep_shard(shard))).await {
            let (swept, error) = shard?;
            all.add(swept);
            failed = failed.or(error);
        }
        failed.map_or(Ok(all), Err)
    }

    /// Sweeps until the future is dropped, with a pause between sweeps; half a second is a good choice. Run it in the
    /// background of one or more processes: several sweepers do not disturb each other. `report` gets the result of each sweep.
    /// An error ends that sweep only.
    pub async fn run_sweeper(&self, pause: Duration, mut report: impl FnMut(Result<Swept, InventoryError>)) {
        loop {
            report(self.sweep_all().await);
            tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
        }
    }

    /// The root key of one product's stock: `inventory:PROD123`.
    pub fn key(&self, product: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "inventory", &[product])?)
    }

    /// All keys of one product's stock: the copy, ledger, deadlines, settled, and outbox.
    pub fn keys(&self, product: &str) -> Result<[String; 5], StoreError> {
        let key = self.key(product)?;
        let [ledger, deadlines, settled, outbox] =
            ["ledger", "deadlines", "settled", "outbox"].map(|name| key.companion(name));
        Ok([key.as_str().to_owned(), ledger, deadlines, settled, outbox])
    }

    /// The key of the feed, `inventory_updates`.
    pub fn updates_key(&self) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "inventory_updates", &[])?)
    }

    /// The key of the alerts, `low_stock_alerts`.
    pub fn alerts_key(&self) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "low_stock_alerts", &[])?)
    }

    /// The key of the products that the sweeper looks after, `inventory_due:0` to `inventory_due:15`.
    pub fn due_key(&self, shard: usize) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "inventory_due", &[&shard.to_string()])?)
    }

    async fn settle(
        &self,
        script: &Script,
        product: &str,
        id: &str,
        how: &str,
    ) -> Result<Settled, InventoryError> {
        check_id(id)?;
        let arguments = (milliseconds(self.retry_window), how);
        let (mut reply, _) = self.run(script, product, &format!("r:{id}"), arguments).await?;
        match reply.outcome.as_str() {
            "SOLD" | "RELEASED" => Ok(Settled { units: reply.next()?, again: false }),
            "BEFORE" => Ok(Settled { units: reply.next()?, again: true }),
            _ => Err(InventoryError::refused(&mut reply)),
        }
    }

    /// Runs a script that changes a product, returns expired holds first if needed, and does the tasks that the script asks
    /// for. Returns the rest of the reply, and the level if the script has changed it.
    async fn run(
        &self,
        script: &Script,
        product: &str,
        field: &str,
        arguments: impl ToRedisArgs,
    ) -> Result<(Reply, Level), InventoryError> {
        let call = self.call(script, product, field, arguments)?;
        let mut visited = false;
        loop {
            let (mut reply, acknowledged): (Reply, _) = match self.replicas {
                Some((replicas, timeout)) => call.run_and_wait(&self.connection, replicas, timeout).await?,
                None => (call.run(&self.connection).await?, 0),
            };
            let mut level = Level::default();
            match reply.outcome.as_str() {
                "UNKNOWN_PRODUCT" => return Err(InventoryError::UnknownProduct(product.to_owned())),
                "DUE" => {
                    self.expire(product).await?;
                    continue;
                }
                "OUT_OF_STOCK" => {
                    let (available, unattended): (u64, bool) = (reply.next()?, reply.next()?);
                    if !unattended || visited {
                        return Err(InventoryError::OutOfStock { available });
                    }
                    // No sweeper visits this product. If its deadlines are lost, nothing else would return its holds.
                    self.visit(product).await?;
                    visited = true;
                    continue;
                }
                "ENDED" | "TOO_MANY" => return Err(InventoryError::refused(&mut reply)),
                "HELD_BEFORE" | "BEFORE" | "EXTENDED" => {}
                _ => {
                    let (tasks, version): (u8, u64) = (reply.next()?, reply.next()?);
                    level = Level::next(&mut reply)?;
                    self.do_tasks(product, tasks, version, level.free).await;
                }
            }
            return match self.replicas {
                Some((replicas, _)) if acknowledged < replicas => {
                    Err(InventoryError::NotReplicated { replicas: acknowledged })
                }
                _ => Ok((reply, level)),
            };
        }
    }

    /// Does the tasks that a change asks for. The change is made, so an error here is not the caller's: the sweeper does the
    /// task later.
    async fn do_tasks(&self, product: &str, tasks: u8, version: u64, free: u64) {
        if tasks & 3 != 0 {
            let low = if tasks & 1 == 1 { free.to_string() } else { String::new() };
            let _late = self.set_alert(product, version, &low).await;
        }
        if tasks & 4 != 0 {
            let _late = self.call_sweeper(product, version / 1000 + 1000).await;
        }
        if tasks & 8 != 0
            && let Ok((_, again)) = self.visit(product).await
        {
            let _late = self.call_sweeper(product, again).await;
        }
        if tasks & 16 != 0
            && let Ok(key) = self.key(product)
        {
            let mut cut = redis::cmd("LTRIM");
            cut.arg(key.companion("outbox")).arg(-1000).arg(-1);
            let _late: Result<(), _> = send(&self.connection, &cut).await;
        }
    }

    /// Plans a visit for this millisecond of the server's clock.
    async fn call_sweeper(&self, product: &str, at: u64) -> Result<(), StoreError> {
        check_id(product)?;
        let key = self.due_key(shard(product))?;
        send(&self.connection, redis::cmd("ZADD").arg(key.as_str()).arg(at).arg(product)).await
    }

    async fn sweep_shard(&self, shard: usize) -> Result<(Swept, Option<InventoryError>), InventoryError> {
        let key = self.due_key(shard)?;
        let (mut all, mut failed) = (Swept::default(), None);
        loop {
            let call = DUE.call(&[key.as_str()]).arg(BATCH).arg(milliseconds(VISIT_INTERVAL));
            let mut reply: Reply = call.run(&self.connection).await?;
            let now: u64 = reply.next()?;
            // A member that another program wrote need not be text.
            let due: Vec<(Vec<u8>, String)> = reply.next()?;
            let visits = join_all(due.iter().map(async |(product, _)| match std::str::from_utf8(product) {
                Ok(product) => self.visit(product).await,
                Err(_) => Err(
                    StoreError::Malformed(format!("{} has a member that is no text", key.as_str())).into(),
                ),
            }));
            let mut plan = PLAN.call(&[key.as_str()]);
            for ((product, seen), visited) in due.iter().zip(visits.await) {
                let again = match visited {
                    Ok((swept, again)) => {
                        all.add(swept);
                        again.to_string()
                    }
                    Err(InventoryError::UnknownProduct(_)) => String::new(),
                    Err(error) if error.is_lost_connection() => return Err(error),
                    Err(error) => {
                        failed = failed.or(Some(error));
                        (now + milliseconds(VISIT_INTERVAL)).to_string()
                    }
                };
                plan = plan.arg(product).arg(seen).arg(again);
            }
            if !due.is_empty() {
                plan.run::<Reply>(&self.connection).await?;
            }
            if due.len() < BATCH {
                return Ok((all, failed));
            }
        }
    }

    /// Sweeps a product, and returns when to visit it again, in milliseconds of the server's clock.
    async fn visit(&self, product: &str) -> Result<(Swept, u64), InventoryError> {
        let mut all = Swept { products: 1, ..Swept::default() };
        let (mut delivered, mut repaired) = (String::new(), false);
        loop {
            let arguments = (&delivered, milliseconds(VISIT_INTERVAL));
            let mut reply = self.run_once(&VISIT, product, "", arguments).await?;
            let (version, low): (u64, String) = (reply.next()?, reply.next()?);
            let level = Level::next(&mut reply)?;
            let (again, due, repair): (u64, bool, bool) = (reply.next()?, reply.next()?, reply.next()?);
            let entries: Vec<String> = reply.next()?;
            if due {
                all.add(self.expire(product).await?);
            } else if repair && !repaired {
                self.repair(product).await?;
                repaired = true;
            } else if let (Some(last), true) = (entries.last(), delivered.is_empty()) {
                all.delivered += self.deliver(product, &entries, level).await?;
                last.split(' ').next().unwrap_or_default().clone_into(&mut delivered);
            } else {
                self.set_alert(product, version, &low).await?;
                return Ok((all, again));
            }
        }
    }

    /// Returns all expired holds, and forgets old records.
    async fn expire(&self, product: &str) -> Result<Swept, InventoryError> {
        let mut all = Swept::default();
        loop {
            let window = milliseconds(self.retry_window);
            let mut reply = self.run_once(&EXPIRE, product, "", window).await?;
            let (cleared, version): (bool, u64) = (reply.next()?, reply.next()?);
            if cleared {
                let _late = self.set_alert(product, version, "").await;
            }
            all.returned += reply.next::<u64>()?;
            all.forgotten += reply.next::<u64>()?;
            if !reply.next::<bool>()? {
                return Ok(all);
            }
        }
    }

    /// Writes the deadlines and the times of settled IDs again, from the ledger's records.
    async fn repair(&self, product: &str) -> Result<(), InventoryError> {
        let mut cursor: String = self.run_once(&FORGET_TIMES, product, "", None::<&str>).await?.next()?;
        loop {
            let arguments = (&cursor, milliseconds(self.retry_window), milliseconds(DELIVERY_WINDOW));
            cursor = self.run_once(&REPAIR, product, "", arguments).await?.next()?;
            if cursor == "0" {
                return Ok(());
            }
        }
    }

    /// Writes the changes in an outbox into the feed, and returns how many were new. `level` is the level after the last
    /// change.
    async fn deliver(&self, product: &str, entries: &[String], level: Level) -> Result<u64, StoreError> {
        let updates = updates(product, entries, level);
        let Some(first) = updates.first() else { return Ok(0) };
        let feed = self.updates_key()?;
        let mut call = DELIVER.call(&[feed.as_str(), &feed.companion("versions")]);
        call = call.arg(product).arg(UPDATES_KEPT).arg(first.previous);
        for update in &updates {
            // Text and numbers can always be serialized.
            call = call.arg(update.version).arg(serde_json::to_string(update).unwrap_or_default());
        }
        call.run::<Reply>(&self.connection).await?.next()
    }

    /// Writes whether a product is low on stock: its free units, or `None`.
    async fn set_alert(&self, product: &str, version: u64, low: &str) -> Result<(), StoreError> {
        let alerts = self.alerts_key()?;
        let call = ALERT.call(&[alerts.as_str(), &alerts.companion("versions")]);
        call.arg(product).arg(version).arg(low).run::<Reply>(&self.connection).await.map(drop)
    }

    /// Runs a script on one product once.
    async fn run_once(
        &self,
        script: &Script,
        product: &str,
        field: &str,
        arguments: impl ToRedisArgs,
    ) -> Result<Reply, InventoryError> {
        let reply: Reply = self.call(script, product, field, arguments)?.run(&self.connection).await?;
        if reply.outcome == "UNKNOWN_PRODUCT" {
            return Err(InventoryError::UnknownProduct(product.to_owned()));
        }
        Ok(reply)
    }

    fn call<'a>(
        &self,
        script: &'a Script,
        product: &str,
        field: &str,
        arguments: impl ToRedisArgs,
    ) -> Result<Call<'a>, StoreError> {
        Ok(script.call(&self.keys(product)?).arg(field).arg(arguments))
    }
}

/// Which of the [`SHARDS`] an ID belongs to, the same in every process: FNV-1a, then its bits are mixed.
#[must_use]
pub fn shard(id: &str) -> usize {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd) >> 33;
    // Less than SHARDS, so it fits.
    usize::try_from(mixed % SHARDS as u64).unwrap_or_default()
}

impl Level {
    fn next(reply: &mut Reply) -> Result<Self, StoreError> {
        Ok(Self { free: reply.next()?, held: reply.next()?, sold: reply.next()? })
    }
}

impl Swept {
    fn add(&mut self, other: Self) {
        self.products += other.products;
        self.returned += other.returned;
        self.forgotten += other.forgotten;
        self.delivered += other.delivered;
    }
}

impl InventoryError {
    fn refused(reply: &mut Reply) -> Self {
        let mut read = || -> Result<Self, StoreError> {
            Ok(match reply.outcome.as_str() {
                "TOO_MANY" => Self::TooMany,
                "ENDED" => match (reply.next::<String>()?.as_str(), reply.next()?) {
                    ("sold", units) => Self::Sold { units },
                    ("released", _) => Self::Released,
                    ("expired", _) => Self::Expired,
                    _ => Self::UnknownReservation,
                },
                _ => Self::Store(reply.unexpected()),
            })
        };
        read().unwrap_or_else(Self::Store)
    }

    /// Whether the connection failed: then the next product would fail too.
    fn is_lost_connection(&self) -> bool {
        let Self::Store(StoreError::Redis(error)) = self else { return false };
        error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
    }
}

/// The changes in an outbox, oldest first. An entry says only what has moved. The levels are computed back from the level after
/// the last change.
fn updates(product: &str, entries: &[String], mut level: Level) -> Vec<StockUpdate> {
    let mut updates = Vec::new();
    for entry in entries.iter().rev() {
        let words: Vec<&str> = entry.splitn(6, ' ').collect();
        // Entries that another program wrote are skipped.
        let [version, previous, event, units, alert, field] = words[..] else { continue };
        let (Ok(version), Ok(previous), Ok(units)) = (version.parse(), previous.parse(), units.parse())
        else {
            continue;
        };
        let Level { free, held, sold } = level;
        let alert = match alert {
            "raised" => Some(Alert::Raised),
            "cleared" => Some(Alert::Cleared),
            _ => None,
        };
        let (event, id) = (event.to_owned(), field[2..].to_owned());
        let (more, less) = match event.as_str() {
            "held" => (&mut level.free, Some(&mut level.held)),
            "sold" => (&mut level.held, Some(&mut level.sold)),
            "sold_late" => (&mut level.free, Some(&mut level.sold)),
            "released" | "expired" => (&mut level.held, Some(&mut level.free)),
            "returned" => (&mut level.sold, Some(&mut level.free)),
            "restocked" => (&mut 0, Some(&mut level.free)),
            _ => (&mut 0, None),
        };
        *more += units;
        if let Some(less) = less {
            *less = less.saturating_sub(units);
        }
        let product = product.to_owned();
        updates.push(StockUpdate { product, version, previous, event, id, units, free, held, sold, alert });
    }
    updates.reverse();
    updates
}
