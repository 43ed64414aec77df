//! Checkout: turns the lines of a cart into an order that is charged and sold, or neither, whatever fails on the way.
//!
//! The stock of each product is in a slot of its own, the cart is in another, and the money is not in Redis at all. No script
//! can change them all, so an order takes several steps. The naive way takes them one after the other and hopes: a buyer whose
//! client crashes between paying and selling has paid for nothing, and a buyer who clicks twice pays twice.
//!
//! Here the order is stored first, under an ID that the buyer's client picks, and each step is idempotent by that ID. So any
//! client can continue: the same client again, another one with the same ID, or [`Checkout::recover`] after the buyer's time is
//! over.
//!
//! ```text
//!  open ──────► paying ──────► paid ──────► sold ──────► done
//!    │ refused,    │ declined,    │ out of
//!    │ given up    │ given up     │ stock
//!    └─────────────┴──────────────┴──► canceling ──► canceled
//! ```
//!
//! 1. [`Checkout::open`] stores the lines and their total.
//! 2. [`Checkout::reserve`] holds every line under the order's ID.
//! 3. [`Checkout::begin_payment`] makes the holds outlive the charge.
//! 4. [`Checkout::pay`] takes the money. One atomic write on the order's Hash decides whether it is paid or given up, so a slow
//!    buyer and the recovery cannot decide differently.
//! 5. [`Checkout::sell`] confirms every hold, or takes free units if a hold was lost. If there are none, the money goes back.
//! 6. [`Checkout::finish`] calls [`Payments::sold`], which empties the cart, and ends the order.
//!
//! [`Checkout::cancel`] cancels an order in any state before `sold`. [`Checkout::place`] takes all the steps.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `order:ORD-1` | Hash | state, owner, lines, total |
//! | `unfinished_orders:0` to `unfinished_orders:15` | Sorted Set | orders, scored by when the recovery takes over |
//!
//! and those of [`crate::inventory`].
//!
//! - **Promise**: an order is charged once and sold, or it is not charged (or refunded) and not sold. Two clients with one
//!   order ID make one order.
//! - **Cost**: 9 round trips and 3 for each line. Those that hold and extend the lines run concurrently. A recovery takes one
//!   for each of 16 shards, and reads only orders that are due, at most 64 of each shard at a time.
//! - **Memory**: an order is kept for 30 days after it was finished, or after it was opened if it went no further.
//! - **Faults**: use `noeviction`. An acknowledged step may be lost when a replica takes over; [`Checkout::with_replicas`]
//!   waits for replicas before the next step, so no order is charged that only one server has. If the Hash of an order is lost,
//!   the recovery and [`Checkout::resume`] refund the order, as its lines are unknown ([`CheckoutError::OrderLost`]); if its
//!   buyer places it again with the same ID first, it continues and is not charged again. If a shard of `unfinished_orders` is
//!   lost, its orders are not recovered: call `resume` for those that the payment provider knows. The stock must remember an ID
//!   for longer than an order can pause while it is sold ([`Inventory::with_retry_window`]). Otherwise an order that crashes
//!   between its sales and is recovered later takes units a second time. If the clock jumps forward, unpaid orders are given
//!   up. If it is set back, the recovery comes later, by at most twice the buyer's time.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use patterns::checkout::{Charge, Checkout, Line, Order, Payments, State};
//! use patterns::inventory::Inventory;
//! use patterns::money::Cents;
//!
//! /// Every charge succeeds. Yours calls a payment provider, with the order's ID as the idempotency key.
//! struct Generous;
//!
//! impl Payments for Generous {
//!     type Error = Infallible;
//!     async fn charge(&self, _: &str, _: Cents) -> Result<Charge, Infallible> { Ok(Charge::Charged) }
//!     async fn refund(&self, _: &str) -> Result<(), Infallible> { Ok(()) }
//!     async fn was_charged(&self, _: &str) -> Result<bool, Infallible> { Ok(true) }
//!     async fn sold(&self, order: &Order) -> Result<(), Infallible> {
//!         // Take the lines of `order` out of the cart of `order.owner` here, once for `order.id`.
//!         Ok(())
//!     }
//! }
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let inventory = Inventory::new(connection.clone(), "");
//! inventory.set_up("sku123", 5, None).await?;
//!
//! let checkout = Checkout::new(connection, "", inventory.clone());
//! let lines = [Line { sku: "sku123".to_owned(), quantity: 2, unit_price: "19.99".parse()? }];
//! let order = checkout.place("ORD-1", "ann@example.com", &lines, &Generous).await?;
//! assert_eq!((order.state, order.total.to_string()), (State::Done, "39.98".to_owned()));
//! assert_eq!(inventory.level("sku123").await?.sold, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::inventory::{Inventory, InventoryError, SHARDS, shard};
use crate::key::{Key, check_id};
use crate::money::Cents;
use crate::script::{Call, Reply, Script, StoreError, by_operation, join_all, milliseconds, quote, send};

/// The most lines of an order.
pub const MAX_LINES: usize = 1_000;

/// How long an order is kept after it is finished, or after it was opened if it went no further.
const ORDER_TTL: Duration = Duration::from_hours(30 * 24);
/// How many orders of a shard one call of [`Checkout::recover`] handles.
const BATCH: usize = 64;
/// How long an order that could not be recovered waits for the next try.
const RETRY_DELAY: Duration = Duration::from_secs(1);

const FILE: &str = include_str!("checkout.lua");

/// Opens an order, unless it exists.
pub static OPEN: Script = Script::new("checkout.lua: open", FILE, &["open"]);
/// Moves an order from one state to the next.
pub static ADVANCE: Script = Script::new("checkout.lua: move", FILE, &["move"]);
/// Sets when `recover` takes over an order.
pub static SCHEDULE: Script = Script::new("checkout.lua: schedule", FILE, &["schedule"]);
/// Takes an order off the list.
pub static UNSCHEDULE: Script = Script::new("checkout.lua: unschedule", FILE, &["unschedule"]);
/// Lists the orders that `recover` must take over.
pub static OVERDUE: Script = Script::new("checkout.lua: overdue", FILE, &["overdue"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&OPEN, &ADVANCE, &SCHEDULE, &UNSCHEDULE, &OVERDUE])
}

/// Your payment provider, called with idempotency keys. Also, what happens when an order is sold.
///
/// Each method is called again after a crash or a lost reply, so it must be idempotent by the order's ID. An error means that
/// the outcome is unknown, never that nothing was done.
pub trait Payments {
    /// What can go wrong on the way.
    type Error: std::error::Error;

    /// Charges the order once. A second call gets the first answer. After [`Payments::refund`], it must decline: a charge that
    /// was sent before its order was given up can arrive late.
    fn charge(&self, order: &str, amount: Cents) -> impl Future<Output = Result<Charge, Self::Error>> + Send;

    /// Ends the payment, whether or not it has begun: gives back what was charged, if anything, and declines any later charge
    /// of this order. (Providers call the second part canceling or voiding a payment.)
    fn refund(&self, order: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Whether the order is charged and not refunded.
    fn was_charged(&self, order: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// The order is charged and sold: remove its lines from the cart, once for each order. By default, the cart stays as it is.
    fn sold(&self, order: &Order) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = order;
        async { Ok(()) }
    }
}

/// The outcome of a charge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Charge {
    /// The money was taken.
    Charged,
    /// The money was not taken, and will not be.
    Declined,
}

/// One product of an order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// The product.
    pub sku: String,
    /// The units, at least one.
    pub quantity: u32,
    /// What one unit costs: the price that the buyer has agreed to.
    pub unit_price: Cents,
}

/// An order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Order {
    /// The ID that the buyer's client picked.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// Its state.
    pub state: State,
    /// What is bought, by SKU.
    pub lines: Vec<Line>,
    /// What it costs, stored once when it was opened.
    pub total: Cents,
    /// Why it is canceled, if it is.
    pub reason: Option<Reason>,
}

/// The state of an order. `Done` and `Canceled` are final.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// Stored. Its lines are being held.
    Open,
    /// Held, and about to be charged. From here on only [`Payments`] knows whether it is.
    Paying,
    /// Charged. Its lines are being sold.
    Paid,
    /// All lines are sold. The cart still has them.
    Sold,
    /// Bought.
    Done,
    /// It is being canceled: the money is refunded, and the holds are released.
    Canceling,
    /// Canceled: nothing is charged, and nothing is held.
    Canceled,
}

/// Why an order is canceled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Fewer units of a product were available than the order has.
    OutOfStock {
        /// The product.
        sku: String,
        /// The units that were available.
        available: u64,
    },
    /// There is no stock of a product.
    NotInStock {
        /// The product.
        sku: String,
    },
    /// The payment was declined.
    Declined,
    /// When it was time to pay or sell, a product was no longer held, and no units were free. What was paid is refunded.
    LostHold {
        /// The product.
        sku: String,
    },
    /// The buyer did not come back in time.
    Abandoned,
}

/// The result of a recovery.
#[derive(Debug)]
pub struct Recovered<P: std::error::Error> {
    /// Orders that are done or canceled now.
    pub finished: Vec<Order>,
    /// IDs of charged orders whose Hash was lost. They are refunded.
    pub lost: Vec<String>,
    /// Orders that could not be finished. A later recovery tries again.
    pub failed: Vec<(String, CheckoutError<P>)>,
}

/// Why an order is not done. `P` is the error type of the [`Payments`].
///
/// Only [`CheckoutError::Canceled`] and [`CheckoutError::OrderLost`] end an order. After an error of Redis or of the payments,
/// the order keeps its state: place it again with the same ID, or leave it to the recovery.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckoutError<P: std::error::Error> {
    /// An order has 1 to [`MAX_LINES`] lines, each with a different product and at least one unit, and a total of at most 10^13
    /// cents. No order was opened.
    #[error("the lines are not a valid order: {0}")]
    Lines(&'static str),
    /// The ID belongs to an order of another owner.
    #[error("the order {} belongs to another owner", quote(.0))]
    NotYours(String),
    /// There is no such order, or it has expired.
    #[error("there is no order {}", quote(.0))]
    UnknownOrder(String),
    /// The order was charged, and its Hash was lost. The money is refunded.
    #[error("the order {} was lost and is refunded", quote(.0))]
    OrderLost(String),
    /// The order was canceled: nothing is charged, and nothing is held.
    #[error("the order was canceled: {0}")]
    Canceled(Reason),
    /// A step is done, but fewer replicas have it than [`Checkout::with_replicas`] requires. Place the order again.
    #[error("a step of the order is done, but only {replicas} replicas have it")]
    NotReplicated {
        /// The replicas that have it.
        replicas: usize,
    },
    /// The payment failed, and its outcome is unknown.
    #[error(transparent)]
    Payment(P),
    /// The stock could not be read or changed.
    #[error(transparent)]
    Inventory(InventoryError),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Orders under a prefix.
#[derive(Clone, Debug)]
pub struct Checkout<C> {
    connection: C,
    prefix: String,
    inventory: Inventory<C>,
    to_reserve: Duration,
    to_pay: Duration,
    replicas: Option<(usize, Duration)>,
}

impl<C: ConnectionLike + Clone> Checkout<C> {
    /// Orders from the stock in `inventory`. A buyer has two minutes to reach the payment, and five minutes to pay. An order
    /// holds its lines under its own ID, so don't use that ID for another reservation.
    pub fn new(connection: C, prefix: &str, inventory: Inventory<C>) -> Self {
        let (to_reserve, to_pay) = (Duration::from_mins(2), Duration::from_mins(5));
        Self { connection, prefix: prefix.to_owned(), inventory, to_reserve, to_pay, replicas: None }
    }

    /// How long a buyer has to reach the payment, and then to pay: each a millisecond to 100 days. Then the recovery takes
    /// over. Holds last as long as the first, and then twice as long as the second.
    #[must_use]
    pub fn with_times(self, to_reserve: Duration, to_pay: Duration) -> Self {
        Self { to_reserve, to_pay, ..self }
    }

    /// Waits after each step, including those of the stock, until this many replicas have it. After `timeout`, the step returns
    /// [`CheckoutError::NotReplicated`]. The connection's response timeout must be longer.
    #[must_use]
    pub fn with_replicas(self, replicas: usize, timeout: Duration) -> Self {
        let inventory = self.inventory.with_replicas(replicas, timeout);
        Self { inventory, replicas: Some((replicas, timeout)), ..self }
    }

    /// Makes an order, or continues the order with this ID, until it is done or canceled. An existing order keeps its own
    /// lines. Two clients that call this at once make one order, charged once.
    pub async fn place<P: Payments>(
        &self,
        id: &str,
        owner: &str,
        lines: &[Line],
        payments: &P,
    ) -> Result<Order, CheckoutError<P::Error>> {
        let order = match self.get(id).await? {
            Some(order) => self.check_replicated(order).await?,
            None => self.open(id, owner, lines).await?,
        };
        if order.owner != owner {
            return Err(CheckoutError::NotYours(id.to_owned()));
        }
        finished(self.advance(order, payments).await?)
    }

    /// Continues an order until it is done or canceled, for a buyer who comes back. An order whose Hash was lost is refunded.
    pub async fn resume<P: Payments>(
        &self,
        id: &str,
        payments: &P,
    ) -> Result<Order, CheckoutError<P::Error>> {
        match self.get(id).await? {
            Some(order) => {
                let order = self.check_replicated(order).await?;
                finished(self.advance(order, payments).await?)
            }
            None if payments.was_charged(id).await.map_err(CheckoutError::Payment)? => {
                payments.refund(id).await.map_err(CheckoutError::Payment)?;
                Err(CheckoutError::OrderLost(id.to_owned()))
            }
            None => Err(CheckoutError::UnknownOrder(id.to_owned())),
        }
    }

    /// The order with this ID, if there is one. One round trip.
    pub async fn get(&self, id: &str) -> Result<Option<Order>, StoreError> {
        let key = self.key(id)?;
        let stored: Vec<(String, String)> =
            send(&self.connection, redis::cmd("HGETALL").arg(key.as_str())).await?;
        if stored.is_empty() { Ok(None) } else { Order::parse(id, &key, stored).map(Some) }
    }

    /// Finishes orders whose buyers took too long. Call it every few seconds, from one or more processes.
    ///
    /// An order that never reached the payment is canceled. An order that did is completed if the payment provider says that it
    /// was charged, and canceled if not. An order whose Hash was lost is refunded. An order that fails, for example because the
    /// provider cannot be reached, is tried again later, and the others go on. A list entry that is not an order ID, so another
    /// program wrote it, is the error that is returned at the end.
    pub async fn recover<P: Payments>(&self, payments: &P) -> Result<Recovered<P::Error>, StoreError> {
        let mut recovered = Recovered { finished: Vec::new(), lost: Vec::new(), failed: Vec::new() };
        let mut malformed = None;
        for orders in join_all((0..SHARDS).map(|shard| self.overdue(shard))).await {
            for id in orders? {
                let Ok(id) = String::from_utf8(id) else {
                    malformed = Some("unfinished_orders has a member that is no text".to_owned());
                    continue;
                };
                match self.recover_one(&id, payments, &mut recovered).await {
                    Ok(()) => {}
                    Err(error) => {
                        // Put it behind the others. If even that fails, this order is due first again, and nothing is lost.
                        let _ = self.schedule(&id, RETRY_DELAY).await;
                        recovered.failed.push((id, error));
                    }
                }
            }
        }
        malformed.map_or(Ok(recovered), |what| Err(StoreError::Malformed(what)))
    }

    async fn recover_one<P: Payments>(
        &self,
        id: &str,
        payments: &P,
        recovered: &mut Recovered<P::Error>,
    ) -> Result<(), CheckoutError<P::Error>> {
        let Some(order) = self.get(id).await? else {
            // The client crashed before opening it, or it was lost. A charge may be on its way, so end the payment in any case.
            let charged = payments.was_charged(id).await.map_err(CheckoutError::Payment)?;
            payments.refund(id).await.map_err(CheckoutError::Payment)?;
            if charged {
                recovered.lost.push(id.to_owned());
            }
            return Ok(self.unschedule(id, "overdue").await?);
        };
        let order = match order.state {
            State::Open => self.give_up(&order, Reason::Abandoned).await?,
            State::Paying => {
                if payments.was_charged(id).await.map_err(CheckoutError::Payment)? {
                    self.step(&order, State::Paid, None).await?
                } else {
                    // The charge may be on its way. Canceling ends the payment first, so it comes too late.
                    self.give_up(&order, Reason::Abandoned).await?
                }
            }
            _ => order,
        };
        recovered.finished.push(self.advance(order, payments).await?);
        Ok(())
    }

    /// First step: stores the order. An existing order with this ID stays as it is and is returned. Two round trips, and two
    /// more each time that the client pauses for as long as the time to reserve.
    pub async fn open<P: std::error::Error>(
        &self,
        id: &str,
        owner: &str,
        lines: &[Line],
    ) -> Result<Order, CheckoutError<P>> {
        check_id(owner).map_err(StoreError::from)?;
        let key = self.key(id)?;
        let total = total(lines).map_err(CheckoutError::Lines)?;
        let mut time = self.to_reserve;
        loop {
            // The list of unfinished orders is in another slot. Write it first: the recovery skips an ID without an order, but
            // would never find an order without an entry. So no order is opened once its entry is due.
            let due = self.schedule(id, time).await?;
            let mut call = OPEN.call(&[key.as_str()]).arg(milliseconds(ORDER_TTL)).arg(due);
            call =
                call.arg(&["state", State::Open.name(), "owner", owner]).arg("total_cents").arg(total.get());
            for line in lines {
                call = call.arg(format!("line:{}", line.sku));
                call = call.arg(format!("{} {}", line.quantity, line.unit_price.get()));
            }
            let mut reply = self.run(&call).await?;
            if reply.outcome != "LATE" {
                return Ok(Order::parse(id, &key, reply.next().map_err(|_| reply.unexpected())?)?);
            }
            time = time.saturating_mul(2);
        }
    }

    /// Second step: holds every line. If one is refused, the order will be canceled. One round trip for each line, all at once.
    pub async fn reserve<P: std::error::Error>(&self, order: &Order) -> Result<Order, CheckoutError<P>> {
        let holds = order
            .lines
            .iter()
            .map(|line| self.inventory.reserve(&line.sku, &order.id, line.quantity, self.to_reserve));
        for (line, held) in order.lines.iter().zip(join_all(holds).await) {
            if let Err(error) = still_ours(held, line) {
                let reason = cancel_reason(error, &line.sku)?;
                return self.give_up(order, reason).await;
            }
        }
        Ok(order.clone())
    }

    /// Third step: makes the holds outlive the charge, and notes that the charge is about to begin. Two round trips and one for
    /// each line, the latter all at once; one more if another client has finished the order meanwhile.
    pub async fn begin_payment<P: std::error::Error>(
        &self,
        order: &Order,
    ) -> Result<Order, CheckoutError<P>> {
        self.schedule(&order.id, self.to_pay).await?;
        let time = self.to_pay.saturating_mul(2);
        let holds = order.lines.iter().map(|line| self.inventory.extend(&line.sku, &order.id, time));
        let mut lost = None;
        for (line, extended) in order.lines.iter().zip(join_all(holds).await) {
            if let Err(error) = still_ours(extended, line) {
                cancel_reason(error, &line.sku)?;
                lost = Some(Reason::LostHold { sku: line.sku.clone() });
            }
        }
        let order = match lost {
            Some(reason) => self.give_up(order, reason).await?,
            None => self.step(order, State::Paying, None).await?,
        };
        if order.state.is_finished() {
            // Another client was faster: it had taken the order off the list before this call put it back.
            self.unschedule(&order.id, "").await?;
        }
        Ok(order)
    }

    /// Fourth step: charges the order and stores the outcome. If the order was given up meanwhile, canceling refunds the
    /// charge. If the order was lost meanwhile, the money goes back at once. One round trip, and the call of the payment
    /// provider.
    pub async fn pay<P: Payments>(
        &self,
        order: &Order,
        payments: &P,
    ) -> Result<Order, CheckoutError<P::Error>> {
        let paid = match payments.charge(&order.id, order.total).await.map_err(CheckoutError::Payment)? {
            Charge::Charged => self.step(order, State::Paid, None).await,
            Charge::Declined => return self.give_up(order, Reason::Declined).await,
        };
        if matches!(paid, Err(CheckoutError::UnknownOrder(_))) {
            payments.refund(&order.id).await.map_err(CheckoutError::Payment)?;
            return Err(CheckoutError::OrderLost(order.id.clone()));
        }
        paid
    }

    /// Fifth step: sells every hold, or takes free units if a hold was lost. If there are none, the order will be canceled and
    /// the money refunded. One round trip, and one for each line, one after the other.
    pub async fn sell<P: std::error::Error>(&self, order: &Order) -> Result<Order, CheckoutError<P>> {
        // One after the other: if one cannot be sold, the others need not be sold and returned.
        for line in &order.lines {
            if let Err(error) = self.inventory.confirm_late(&line.sku, &order.id, line.quantity).await {
                cancel_reason(error, &line.sku)?;
                return self.give_up(order, Reason::LostHold { sku: line.sku.clone() }).await;
            }
        }
        self.step(order, State::Sold, None).await
    }

    /// Last step: calls [`Payments::sold`], and completes the order. Two round trips, and those of the call.
    pub async fn finish<P: Payments>(
        &self,
        order: &Order,
        payments: &P,
    ) -> Result<Order, CheckoutError<P::Error>> {
        payments.sold(order).await.map_err(CheckoutError::Payment)?;
        let order = self.step(order, State::Done, None).await?;
        self.unschedule(&order.id, "").await?;
        Ok(order)
    }

    /// Cancels an order that was given up: ends its payment, returns every line to stock, and closes the order. Two round
    /// trips, one for each line, all at once, and the call of the payment provider.
    pub async fn cancel<P: Payments>(
        &self,
        order: &Order,
        payments: &P,
    ) -> Result<Order, CheckoutError<P::Error>> {
        // Even if this order was never charged: an earlier order with this ID may have been lost.
        payments.refund(&order.id).await.map_err(CheckoutError::Payment)?;
        let released = order.lines.iter().map(|line| self.inventory.take_back(&line.sku, &order.id));
        for (line, released) in order.lines.iter().zip(join_all(released).await) {
            if let Err(error) = released {
                // A cancel_reason means that nothing is held: there is no such stock, or the ID has another use.
                cancel_reason(error, &line.sku)?;
            }
        }
        let order = self.step(order, State::Canceled, None).await?;
        self.unschedule(&order.id, "").await?;
        Ok(order)
    }

    /// The key of an order's Hash.
    pub fn key(&self, id: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "order", &[id])?)
    }

    /// The key of the list of unfinished orders for this order ID.
    pub fn unfinished_key(&self, id: &str) -> Result<Key, StoreError> {
        self.shard_key(shard(id))
    }

    fn shard_key(&self, shard: usize) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "unfinished_orders", &[&shard.to_string()])?)
    }

    /// Takes the steps that are missing.
    async fn advance<P: Payments>(
        &self,
        mut order: Order,
        payments: &P,
    ) -> Result<Order, CheckoutError<P::Error>> {
        if order.state.is_finished() {
            // The client that finished it may have crashed before this.
            self.unschedule(&order.id, "").await?;
        }
        loop {
            order = match order.state {
                State::Open => {
                    let order = self.reserve(&order).await?;
                    if order.state == State::Open { self.begin_payment(&order).await? } else { order }
                }
                State::Paying => self.pay(&order, payments).await?,
                State::Paid => self.sell(&order).await?,
                State::Sold => self.finish(&order, payments).await?,
                State::Canceling => self.cancel(&order, payments).await?,
                State::Done | State::Canceled => return Ok(order),
            }
        }
    }

    /// Decides to cancel the order, unless another client has decided otherwise since it was read.
    async fn give_up<P: std::error::Error>(
        &self,
        order: &Order,
        reason: Reason,
    ) -> Result<Order, CheckoutError<P>> {
        self.step(order, State::Canceling, Some(reason)).await
    }

    /// Moves the order to the next state, if its state is still what was read. Returns the order as it is now.
    async fn step<P: std::error::Error>(
        &self,
        order: &Order,
        to: State,
        reason: Option<Reason>,
    ) -> Result<Order, CheckoutError<P>> {
        let key = self.key(&order.id)?;
        let kept = if to.is_finished() { milliseconds(ORDER_TTL).to_string() } else { String::new() };
        let mut call = ADVANCE.call(&[key.as_str()]).arg(&[order.state.name(), to.name(), &kept]);
        if let Some(reason) = reason {
            call = call.arg(&["reason", &reason.stored()]);
        }
        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "ORDER" => Ok(Order::parse(&order.id, &key, reply.next()?)?),
            "UNKNOWN" => Err(CheckoutError::UnknownOrder(order.id.clone())),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// The state of an order that continues may be missing on replicas: writes it again and waits for them.
    async fn check_replicated<P: std::error::Error>(&self, order: Order) -> Result<Order, CheckoutError<P>> {
        if self.replicas.is_none() || order.state.is_finished() {
            return Ok(order);
        }
        self.step(&order, order.state, None).await
    }

    async fn run<P: std::error::Error>(&self, call: &Call<'_>) -> Result<Reply, CheckoutError<P>> {
        let Some((wanted, timeout)) = self.replicas else { return Ok(call.run(&self.connection).await?) };
        let (reply, replicas) = call.run_and_wait(&self.connection, wanted, timeout).await?;
        if replicas < wanted { Err(CheckoutError::NotReplicated { replicas }) } else { Ok(reply) }
    }

    /// Lets the recovery take over the order after this time, and never earlier than scheduled before. Returns that time, in
    /// milliseconds of the server's clock.
    async fn schedule(&self, id: &str, time: Duration) -> Result<u64, StoreError> {
        let key = self.unfinished_key(id)?;
        let call = SCHEDULE.call(&[key.as_str()]).arg(id).arg(milliseconds(time));
        let mut reply: Reply = call.arg(self.latest().max(milliseconds(time))).run(&self.connection).await?;
        reply.next()
    }

    /// The longest time until an order is due, in milliseconds.
    fn latest(&self) -> u64 {
        2 * milliseconds(self.to_reserve).max(milliseconds(self.to_pay))
    }

    async fn unschedule(&self, id: &str, only: &str) -> Result<(), StoreError> {
        let key = self.unfinished_key(id)?;
        let call = UNSCHEDULE.call(&[key.as_str()]).arg(id).arg(only);
        call.run::<Reply>(&self.connection).await.map(drop)
    }

    async fn overdue(&self, shard: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let key = self.shard_key(shard)?;
        let call = OVERDUE.call(&[key.as_str()]).arg(BATCH).arg(self.latest());
        call.run::<Reply>(&self.connection).await?.next()
    }
}

fn finished<P: std::error::Error>(order: Order) -> Result<Order, CheckoutError<P>> {
    match order.reason {
        Some(reason) if order.state == State::Canceled => Err(CheckoutError::Canceled(reason)),
        _ => Ok(order),
    }
}

/// The total of the lines, or why they are not a valid order.
fn total(lines: &[Line]) -> Result<Cents, &'static str> {
    const MAX_TOTAL: i64 = 10_000_000_000_000;
    if lines.is_empty() || lines.len() > MAX_LINES {
        return Err("an order has 1 to 1,000 lines");
    }
    let mut skus = HashSet::new();
    let mut total = Cents::ZERO;
    for Line { sku, quantity, unit_price } in lines {
        if check_id(sku).is_err() || *quantity == 0 || !skus.insert(sku) {
            return Err("each line has another product and at least one unit");
        }
        let sum = unit_price.checked_mul(*quantity).and_then(|price| total.checked_add(price));
        total = sum.filter(|sum| sum.get() <= MAX_TOTAL).ok_or("the total is too high")?;
    }
    Ok(total)
}

/// Units that are sold under the order's ID are its own: it sold them before its Hash was lost.
fn still_ours<T>(result: Result<T, InventoryError>, line: &Line) -> Result<(), InventoryError> {
    match result {
        Err(InventoryError::Sold { units }) if units == u64::from(line.quantity) => Ok(()),
        result => result.map(drop),
    }
}

/// The reason to cancel, if the error says that there are no units. Other errors say nothing about the stock.
fn cancel_reason<P: std::error::Error>(error: InventoryError, sku: &str) -> Result<Reason, CheckoutError<P>> {
    let sku = sku.to_owned();
    match error {
        InventoryError::OutOfStock { available } => Ok(Reason::OutOfStock { sku, available }),
        InventoryError::UnknownProduct(_) => Ok(Reason::NotInStock { sku }),
        InventoryError::NotReplicated { replicas } => Err(CheckoutError::NotReplicated { replicas }),
        InventoryError::Store(_) => Err(CheckoutError::Inventory(error)),
        // Released: the order was given up. Expired: the buyer was too slow.
        _ => Ok(Reason::LostHold { sku }),
    }
}

const STATES: [(State, &str); 7] = [
    (State::Open, "open"),
    (State::Paying, "paying"),
    (State::Paid, "paid"),
    (State::Sold, "sold"),
    (State::Done, "done"),
    // Orders that are stored have these spellings.
    (State::Canceling, "cancelling"),
    (State::Canceled, "cancelled"),
];

impl State {
    /// Whether there is nothing left to do.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Canceled)
    }

    /// As the Hash has it.
    fn name(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    fn parse(text: &str) -> Option<Self> {
        STATES.iter().find(|(_, name)| *name == text).map(|(state, _)| *state)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Reason {
    /// As the Hash has it: `out_of_stock 2 PROD123`. The SKU is last, since it may have spaces.
    fn stored(&self) -> String {
        match self {
            Self::OutOfStock { sku, available } => format!("out_of_stock {available} {sku}"),
            Self::NotInStock { sku } => format!("not_in_stock {sku}"),
            Self::Declined => "declined".to_owned(),
            Self::LostHold { sku } => format!("lost_hold {sku}"),
            Self::Abandoned => "abandoned".to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let sku = rest.to_owned();
        Some(match word {
            "out_of_stock" => {
                let (available, sku) = rest.split_once(' ')?;
                Self::OutOfStock { sku: sku.to_owned(), available: available.parse().ok()? }
            }
            "not_in_stock" => Self::NotInStock { sku },
            "declined" => Self::Declined,
            "lost_hold" => Self::LostHold { sku },
            "abandoned" => Self::Abandoned,
            _ => return None,
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfStock { sku, available } => {
                write!(f, "only {available} of {} are available", quote(sku))
            }
            Self::NotInStock { sku } => write!(f, "there is no stock of {}", quote(sku)),
            Self::Declined => write!(f, "the payment was declined"),
            Self::LostHold { sku } => write!(f, "{} is no longer held", quote(sku)),
            Self::Abandoned => write!(f, "its buyer did not come back in time"),
        }
    }
}

impl Order {
    /// Reads the fields of the Hash.
    fn parse(id: &str, key: &Key, stored: Vec<(String, String)>) -> Result<Self, StoreError> {
        let malformed = |field: &str| StoreError::Malformed(quote(&format!("{} {field}", key.as_str())));
        let (mut owner, mut state, mut total, mut reason) = (None, None, None, None);
        let mut lines = Vec::new();
        for (field, value) in stored {
            match field.as_str() {
                "owner" => owner = Some(value),
                "state" => state = State::parse(&value),
                "total_cents" => total = value.parse().ok().and_then(Cents::new),
                "reason" => reason = Some(Reason::parse(&value).ok_or_else(|| malformed(&field))?),
                _ => {
                    if let Some(sku) = field.strip_prefix("line:") {
                        lines.push(Line::parse(sku, &value).ok_or_else(|| malformed(&field))?);
                    }
                }
            }
        }
        lines.sort_unstable_by(|a: &Line, b| a.sku.cmp(&b.sku));
        Ok(Self {
            id: id.to_owned(),
            owner: owner.ok_or_else(|| malformed("owner"))?,
            state: state.ok_or_else(|| malformed("state"))?,
            lines,
            total: total.ok_or_else(|| malformed("total_cents"))?,
            reason,
        })
    }
}

impl Line {
    fn parse(sku: &str, value: &str) -> Option<Self> {
        let (quantity, cents) = value.split_once(' ')?;
        let unit_price = cents.parse().ok().and_then(Cents::new)?;
        Some(Self { sku: sku.to_owned(), quantity: quantity.parse().ok()?, unit_price })
    }
}
