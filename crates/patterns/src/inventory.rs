//! Stock that is held, sold, and returned: no unit is sold twice, and none is lost.
//!
//! The naive way reads the count, compares, and writes it back. Two buyers who both read before either writes get the same last unit.
//! DECR oversells nothing, but a buyer who leaves before paying keeps the unit forever, and one whose connection breaks before the
//! reply cannot know whether to try again.
//!
//! Here a buyer *reserves*: units are held for a time under an ID that the buyer's client picks. The buyer then *confirms* (they are
//! sold) or *releases* (they are free again). A hold that nobody settles in time returns by itself. Each of these is one script, and
//! each may be repeated with the same ID: the second time it changes nothing and answers the same.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `inventory:PROD123` | String | units free to sell, a copy for plain readers |
//! | `inventory:{inventory:PROD123}:ledger` | Hash | units free, held, and sold; a record of each reservation |
//! | `inventory:{inventory:PROD123}:deadlines` | Sorted Set | holds, by when they end |
//! | `inventory:{inventory:PROD123}:settled` | Sorted Set | IDs of the retry window, by when they are forgotten |
//! | `inventory:{inventory:PROD123}:outbox` | List | changes on their way to the feed |
//! | `inventory_updates` | List | the feed: the latest changes of all products as JSON ([`StockUpdate`]), latest first |
//! | `inventory_updates:{inventory_updates}:versions` | Hash | the last version of each product in the feed |
//! | `low_stock_alerts` | Sorted Set | products that are low, by units free |
//! | `low_stock_alerts:{low_stock_alerts}:versions` | Hash | the version of each product in the alerts |
//! | `inventory_due:0` to `inventory_due:15` | Sorted Set | products, by when the sweeper visits them |
//!
//! The last five are in other slots than a product. A product's script numbers its changes and leaves them in the product's outbox.
//! The sweeper ([`Inventory::run_sweeper`]) visits the products of which something is due, returns expired holds, and delivers the
//! changes, usually within two seconds. A client that makes a product low, or no longer low, delivers that alert at once.
//!
//! - **Promise**: free + held + sold units are always those that were ever put in. An ID holds, sells, and returns its units once.
//!   Each change is in the feed once, unless more than 1,000 of one product wait for a sweeper.
//! - **Cost**: one round trip each; a second to call the sweeper when a product that was quiet changes, and one to raise or clear an
//!   alert. O(log holds). A sweep reads only what is due, at most 32 products of each shard at a time; a product without holds or
//!   changes is due every ten minutes. No script takes more than 1,200 entries at a time.
//! - **Memory**: about 150 bytes for each hold, and 120 for each ID that ended within the retry window (10 minutes), unknown IDs that
//!   were released included; a delivery for a day. Confirming an unknown ID leaves nothing. The sweeper forgets them; without a
//!   sweeper, a change does so once a minute.
//! - **Faults**: use `noeviction` for this data, or a server of its own.
//!   An acknowledged change may be lost when a replica takes over: then the reservation is unknown, and [`Inventory::confirm_late`]
//!   takes free units instead. [`Inventory::with_replicas`] waits for replicas.
//!   If the copy `inventory:PROD123` is lost, the next change writes it again. If the ledger is lost, everything answers
//!   [`InventoryError::UnknownProduct`] until [`Inventory::set_up`] restores the free units from the copy: nothing is oversold, but what
//!   was held or sold is forgotten, so count the shelf and [`Inventory::restock`] what is missing. If both are lost, `set_up` believes the
//!   number that it is given: leave out what was sold. If the deadlines or the settled IDs are lost, the sweeper writes them again from
//!   the ledger, and holds end in their time. If the outbox or the feed is lost, so are those changes; the `previous` version of the next
//!   one does not match. If a shard of `inventory_due` is lost, the next change of each product puts it back.
//!   If the clock jumps forward, holds end early and IDs are forgotten early. If it is set back by more than a minute, the sweeper
//!   shortens holds to the time for which they were made.
//!   A user who may not run one of the commands changes nothing.
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
use crate::script::{Call, Reply, Script, StoreError, join_all, milliseconds, send};

/// How many changes the feed keeps.
pub const UPDATES_KEPT: usize = 1_000;
/// How many keys share the products that the sweeper looks after.
pub const SHARDS: usize = 16;
/// The most units of one product, free, held, and sold together.
pub const MAX_UNITS: u64 = 10_000_000_000_000;

/// How long a delivery is remembered, so that it counts once.
const DELIVERY_WINDOW: Duration = Duration::from_hours(24);
/// The longest time between two visits of the sweeper to a product.
const VISITED_EVERY: Duration = Duration::from_mins(10);
/// How many products of a shard are visited at a time.
const AT_A_TIME: usize = 32;

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
    vec![
        ("set_up", &SET_UP),
        ("restock", &RESTOCK),
        ("reserve", &RESERVE),
        ("confirm", &CONFIRM),
        ("release", &RELEASE),
        ("extend", &EXTEND),
        ("level", &LEVEL),
        ("expire", &EXPIRE),
        ("visit", &VISIT),
        ("forget_times", &FORGET_TIMES),
        ("repair", &REPAIR),
        ("deliver", &DELIVER),
        ("alert", &ALERT),
        ("due", &DUE),
        ("plan", &PLAN),
    ]
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

/// What setting up has found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SetUp {
    /// The product has its first units.
    Created(Level),
    /// It was there; only its threshold was set.
    There(Level),
    /// The ledger was lost. The copy `inventory:PROD123` says what is free; what was held or sold is forgotten.
    Restored(Level),
}

/// Units that are held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Held {
    /// The units of the product that are still free to sell.
    pub free: u64,
    /// When the hold ends: milliseconds since 1970 by the server's clock.
    pub until_ms: u64,
    /// Whether they were held before under this ID, so that nothing was taken this time.
    pub again: bool,
}

/// How a hold ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settled {
    /// How many units; 0 if the ID that was released never held any.
    pub units: u64,
    /// Whether it had ended so before.
    pub again: bool,
}

/// A hold that ends later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extended {
    /// How many units are held.
    pub units: u64,
    /// When the hold ends: milliseconds since 1970 by the server's clock.
    pub until_ms: u64,
}

/// What a sweep has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// The products that were visited.
    pub products: usize,
    /// The units that are free again.
    pub returned: u64,
    /// The IDs that were forgotten.
    pub forgotten: u64,
    /// The changes that are in the feed now.
    pub delivered: u64,
}

/// One change of a product's stock, as the feed `inventory_updates` has it in JSON.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StockUpdate {
    /// The product.
    pub product: String,
    /// When, in microseconds since 1970 by the server's clock. Each change of a product has a higher one than the last, unless the
    /// clock was set back or acknowledged writes were lost.
    pub version: u64,
    /// The version of the change before. If you have not seen it, you have missed changes: read [`Inventory::level`].
    pub previous: u64,
    /// `set_up`, `restocked`, `held`, `sold`, `sold_late` (from the free units), `released`, `expired`, `returned` (sold, and taken
    /// back), or `threshold`.
    pub event: String,
    /// The reservation or delivery; empty if there is none.
    pub id: String,
    /// The units that moved.
    pub units: u64,
    /// The units after it.
    pub free: u64,
    /// The units held after it.
    pub held: u64,
    /// The units sold after it.
    pub sold: u64,
    /// Whether it raised or cleared the low-stock alert.
    pub alert: Option<Alert>,
}

/// What a change has done to the low-stock alert.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// The stock has become low.
    Raised,
    /// It is no longer low.
    Cleared,
}

/// Why nothing was changed; except for [`InventoryError::NotReplicated`], and a lost connection, where you cannot know: ask again
/// with the same ID.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// Nobody has set up stock of this product, or its ledger was lost: [`Inventory::set_up`] restores it.
    #[error("there is no stock of {0}; set it up")]
    UnknownProduct(String),
    /// Fewer units are free than were asked for. Holds that expire or are released may free some.
    #[error("only {available} are available")]
    OutOfStock {
        /// The units free at this moment.
        available: u64,
    },
    /// The ID holds another number of units: it was used for something else.
    #[error("the reservation holds {held} units already, not {asked}")]
    OtherQuantity {
        /// The units held.
        held: u64,
        /// The units asked for.
        asked: u32,
    },
    /// The hold has expired, and its units are free. [`Inventory::confirm_late`] may still get them.
    #[error("the hold has expired")]
    Expired,
    /// The hold was released, and its units are free.
    #[error("the hold was released")]
    Released,
    /// The units are sold.
    #[error("{units} units were sold already")]
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
    /// The change is made, but fewer replicas have it than [`Inventory::with_replicas`] asks for. Asking again with the same ID
    /// changes nothing and waits again.
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
    /// Stock that remembers an ID for ten minutes after it has ended.
    pub fn new(connection: C, prefix: &str) -> Self {
        let retry_window = Duration::from_mins(10);
        Self { connection, prefix: prefix.to_owned(), retry_window, replicas: None }
    }

    /// How long an ID is remembered after it has ended: a millisecond to a year. It must be longer than any retry, and than a
    /// checkout needs to recover from a crash: an ID that was forgotten can be used again.
    #[must_use]
    pub fn with_retry_window(self, retry_window: Duration) -> Self {
        Self { retry_window, ..self }
    }

    /// Waits after each change until so many replicas have it, at most for `timeout`; then the change ends with
    /// [`InventoryError::NotReplicated`]. The connection's response timeout must be longer.
    #[must_use]
    pub fn with_replicas(self, replicas: usize, timeout: Duration) -> Self {
        Self { replicas: Some((replicas, timeout)), ..self }
    }

    /// Puts a product under stock keeping with its first units. With `low_at`, the alert is raised when no more than so many units
    /// are free, and cleared when there are more. A product that is there keeps its units and gets the new threshold. Also repairs a
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
        // The sweeper's plan comes first: it passes over a product without stock, and never misses stock without its plan.
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

    /// Adds units that were delivered. The same delivery ID again within a day changes nothing. One round trip.
    pub async fn restock(&self, product: &str, delivery: &str, units: u32) -> Result<Level, InventoryError> {
        check_id(delivery)?;
        let arguments = (milliseconds(DELIVERY_WINDOW), units);
        let (mut reply, level) = self.run(&RESTOCK, product, &format!("d:{delivery}"), arguments).await?;
        if reply.outcome == "RESTOCKED" { Ok(level) } else { Err(InventoryError::refused(&mut reply)) }
    }

    /// Holds units for `time` (a millisecond to a year), all or none, once for each ID. An ID belongs to one product; the same ID for
    /// another product is another hold. One round trip.
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

    /// Sells what is held. A hold whose time is over can be confirmed as long as no script has returned its units. One round trip.
    pub async fn confirm(&self, product: &str, id: &str) -> Result<Settled, InventoryError> {
        self.settle(&CONFIRM, product, id, "0").await
    }

    /// [`Inventory::confirm`] for a buyer who has paid: it takes `units` of the free ones if the hold has expired, or is unknown
    /// because a failover or a lost key has forgotten it. Don't use it for an ID that may have been sold before the retry window.
    /// One round trip.
    pub async fn confirm_late(&self, product: &str, id: &str, units: u32) -> Result<Settled, InventoryError> {
        self.settle(&CONFIRM, product, id, &units.to_string()).await
    }

    /// Makes what is held free to sell again. An ID that holds nothing is spent: a reservation that is still on its way is refused.
    /// One round trip.
    pub async fn release(&self, product: &str, id: &str) -> Result<Settled, InventoryError> {
        self.settle(&RELEASE, product, id, "").await
    }

    /// [`Inventory::release`] of units that may have been sold, within the retry window. One round trip.
    pub async fn take_back(&self, product: &str, id: &str) -> Result<Settled, InventoryError> {
        self.settle(&RELEASE, product, id, "sold").await
    }

    /// Holds what is held until `time` from now (a millisecond to a year), if that is later than before. One round trip.
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

    /// The units of a product at this moment, after what has expired was returned. One round trip.
    pub async fn level(&self, product: &str) -> Result<Level, InventoryError> {
        loop {
            let mut reply = self.once(&LEVEL, product, "", None::<&str>).await?;
            if reply.outcome != "DUE" {
                return Ok(Level::next(&mut reply)?);
            }
            self.expire(product).await?;
        }
    }

    /// Visits one product: returns expired holds, forgets IDs, repairs what has lost a key, and delivers changes and the alert. Two
    /// round trips if nothing is due.
    pub async fn sweep(&self, product: &str) -> Result<Swept, InventoryError> {
        Ok(self.visit(product).await?.0)
    }

    /// Visits every product of which something is due. One round trip for each shard, and those of the visits, 32 products of a shard
    /// at a time.
    ///
    /// A product that cannot be swept, because somebody else wrote to its keys, does not keep the others from it. The first error is
    /// returned after them. Only a lost connection ends the sweep at once.
    pub async fn sweep_all(&self) -> Result<Swept, InventoryError> {
        let (mut all, mut failed) = (Swept::default(), None);
        for shard in join_all((0..SHARDS).map(|shard| self.sweep_shard(shard))).await {
            let (swept, error) = shard?;
            all.add(swept);
            failed = failed.or(error);
        }
        failed.map_or(Ok(all), Err)
    }

    /// Sweeps until the future is dropped, with a pause in between; half a second is a good one. A service runs this in the
    /// background, once or in several processes: they do not get in each other's way. `report` gets the result of each sweep. An
    /// error ends that sweep only.
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

    /// Runs a script that changes a product, after expired holds have returned, and does what it asks for. Returns the rest of its
    /// reply, and the level if it has changed it.
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
                    // Nobody sweeps this product. If it has lost its deadlines, nothing else would return its holds.
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

    /// What a change asks for. The change is made, so an error here is none of the caller's: the sweeper makes up for it.
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
            let call = DUE.call(&[key.as_str()]).arg(AT_A_TIME).arg(milliseconds(VISITED_EVERY));
            let mut reply: Reply = call.run(&self.connection).await?;
            let now: u64 = reply.next()?;
            // Somebody else's member need not be text.
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
                        (now + milliseconds(VISITED_EVERY)).to_string()
                    }
                };
                plan = plan.arg(product).arg(seen).arg(again);
            }
            if !due.is_empty() {
                plan.run::<Reply>(&self.connection).await?;
            }
            if due.len() < AT_A_TIME {
                return Ok((all, failed));
            }
        }
    }

    /// Sweeps a product; returns when to visit it again, in milliseconds of the server's clock.
    async fn visit(&self, product: &str) -> Result<(Swept, u64), InventoryError> {
        let mut all = Swept { products: 1, ..Swept::default() };
        let (mut delivered, mut repaired) = (String::new(), false);
        loop {
            let arguments = (&delivered, milliseconds(VISITED_EVERY));
            let mut reply = self.once(&VISIT, product, "", arguments).await?;
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

    /// Returns all expired holds, and forgets what was remembered long enough.
    async fn expire(&self, product: &str) -> Result<Swept, InventoryError> {
        let mut all = Swept::default();
        loop {
            let window = milliseconds(self.retry_window);
            let mut reply = self.once(&EXPIRE, product, "", window).await?;
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
        let mut cursor: String = self.once(&FORGET_TIMES, product, "", None::<&str>).await?.next()?;
        loop {
            let arguments = (&cursor, milliseconds(self.retry_window), milliseconds(DELIVERY_WINDOW));
            cursor = self.once(&REPAIR, product, "", arguments).await?.next()?;
            if cursor == "0" {
                return Ok(());
            }
        }
    }

    /// Writes what waits in an outbox into the feed; returns how much of it was not there. `level` is the one after the last change.
    async fn deliver(&self, product: &str, entries: &[String], level: Level) -> Result<u64, StoreError> {
        let updates = updates(product, entries, level);
        let Some(first) = updates.first() else { return Ok(0) };
        let feed = self.updates_key()?;
        let mut call = DELIVER.call(&[feed.as_str(), &feed.companion("versions")]);
        call = call.arg(product).arg(UPDATES_KEPT).arg(first.previous);
        for update in &updates {
            // It has only texts and numbers, which can always be written.
            call = call.arg(update.version).arg(serde_json::to_string(update).unwrap_or_default());
        }
        call.run::<Reply>(&self.connection).await?.next()
    }

    /// Writes whether a product is low: its units free, or nothing.
    async fn set_alert(&self, product: &str, version: u64, low: &str) -> Result<(), StoreError> {
        let alerts = self.alerts_key()?;
        let call = ALERT.call(&[alerts.as_str(), &alerts.companion("versions")]);
        call.arg(product).arg(version).arg(low).run::<Reply>(&self.connection).await.map(drop)
    }

    /// Runs a script on one product once.
    async fn once(
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

/// Which of [`SHARDS`] an ID belongs to, the same in every process: FNV-1a, whose bits are then mixed.
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

    /// Whether the connection failed, which would fail for the next product, too.
    fn is_lost_connection(&self) -> bool {
        let Self::Store(StoreError::Redis(error)) = self else { return false };
        error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
    }
}

/// The changes that wait in an outbox, oldest first. An entry says only what has moved; the levels follow from the one after the last.
fn updates(product: &str, entries: &[String], mut level: Level) -> Vec<StockUpdate> {
    let mut updates = Vec::new();
    for entry in entries.iter().rev() {
        let words: Vec<&str> = entry.splitn(6, ' ').collect();
        // What somebody else has put there is passed over.
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
