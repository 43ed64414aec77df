//! From a cart to an order, whatever happens on the way: charged and sold, or neither.
//!
//! Each product's stock is in a slot of its own, the cart in another, and the money is not in Redis at all. No script has
//! them all, so an order is a row of steps. The naive way takes them one after the other and hopes: a buyer who dies between
//! paying and selling has paid for nothing, one who clicks twice pays twice.
//!
//! Here the order is written down first, under an id that the customer's client has chosen, and each step is idempotent. So
//! whoever comes next can carry on: the same client again, another one with the same id, or [`Checkout::recover`] after the
//! buyer's time is up.
//!
//! ```text
//!  open ──────► paying ──────► paid ──────► sold ──────► done
//!    │ refused,    │ declined,    │ a hold
//!    │ given up    │ given up     │ was lost
//!    └─────────────┴──────────────┴──► cancelling ──► cancelled
//! ```
//!
//! 1. [`Checkout::open`]: the lines, the prices the customer saw, and the total are written down.
//! 2. [`Checkout::reserve`]: every line is held, under the order's id.
//! 3. [`Checkout::begin_payment`]: the holds are made to outlive the charge.
//! 4. [`Checkout::pay`]: the money. Whether the order is paid or given up is one atomic write on its Hash, so a buyer who was
//!    only slow and the recovery cannot both decide.
//! 5. [`Checkout::sell`]: every hold is confirmed. Should one be lost after all, the money goes back.
//! 6. [`Checkout::empty_cart`]: what was bought leaves the cart, once; what was added meanwhile stays.
//!
//! [`Checkout::cancel`] undoes it from any state before `sold`. [`Checkout::place`] runs all of them.
//!
//! An order's holds are under its own id, so do not reserve the same products under the id of an order in another way. The
//! recovery must run more often than the stock forgets ([`Inventory::with_memory`]: a day).

mod error;
mod order;
mod payments;
mod recover;
mod scripts;
mod steps;

use std::time::Duration;

use redis::ScriptInvocation;
use redis::aio::ConnectionLike;

pub use error::{CheckoutError, PriceChange};
pub use order::{Order, OrderLine, OrderState, Reason};
pub use payments::{Charge, Payments};
pub use recover::Recovered;

use crate::script;
use crate::span::milliseconds;
use crate::store::{Reply, StoreError};
use crate::{Cart, CartOwner, Cents, Inventory, Keys, OrderId};
use scripts::{SCHEDULE, UNSCHEDULE};

/// How long a finished order is kept, and one that was opened and got no further.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// Which prices the customer has agreed to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Agreed {
    /// Those seen when the products were put into the cart.
    PricesSeen,
    /// This total at today's prices, as [`CheckoutError::PricesChanged`] has told it.
    Total(Cents),
}

/// Makes orders of carts.
///
/// The round trips stated are those of a server that knows its scripts. An order of `n` lines takes 12 and `3 n` in all.
/// Those that hold and extend the lines are under way together, those that sell them go one after the other; see each step.
///
/// ```
/// use std::convert::Infallible;
/// use storefront::{
///     Agreed, Cart, Catalogue, Cents, Charge, Checkout, Inventory, Keys, Layout, OrderId, OrderState, Payments, Product,
///     Representation, SessionId,
/// };
///
/// /// Everybody pays. A real one calls its provider, with the order's id as idempotency key.
/// struct Generous;
///
/// impl Payments for Generous {
///     type Error = Infallible;
///     async fn charge(&self, _: &OrderId, _: Cents) -> Result<Charge, Infallible> { Ok(Charge::Charged) }
///     async fn refund(&self, _: &OrderId) -> Result<(), Infallible> { Ok(()) }
///     async fn was_charged(&self, _: &OrderId) -> Result<bool, Infallible> { Ok(true) }
/// }
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// # let server = lab_server::Server::start()?;
/// let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
/// let keys = Keys::new("", Layout::Standalone);
/// let (cart, inventory) = (
///     Cart::new(connection.clone(), keys.clone(), Representation::Hash),
///     Inventory::new(connection.clone(), keys.clone()),
/// );
/// let mug = Product { sku: "sku123".parse()?, name: "Coffee mug".parse()?, price: "19.99".parse()? };
/// Catalogue::new(connection.clone(), keys).put(&mug).await?;
/// inventory.set_up(&mug.sku, 5, None).await?;
/// let guest = "abc123".parse::<SessionId>()?.into();
/// cart.add(&guest, &mug.sku, "2".parse()?, None).await?;
///
/// let checkout = Checkout::new(connection, cart, inventory.clone());
/// let order = checkout.place(&guest, &"ORD-1".parse()?, Agreed::PricesSeen, &Generous).await?;
/// assert_eq!((order.state, order.total.to_string()), (OrderState::Done, "39.98".to_owned()));
/// assert_eq!(inventory.level(&mug.sku).await?.sold, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Checkout<C> {
    connection: C,
    keys: Keys,
    cart: Cart<C>,
    inventory: Inventory<C>,
    to_reserve: Duration,
    to_pay: Duration,
}

impl<C: ConnectionLike + Clone> Checkout<C> {
    /// Orders under the keys of `cart`, of its carts and of `inventory`. A buyer has two minutes to get to the payment, and
    /// five for it.
    pub fn new(connection: C, cart: Cart<C>, inventory: Inventory<C>) -> Self {
        let keys = cart.keys().clone();
        let (to_reserve, to_pay) = (Duration::from_mins(2), Duration::from_mins(5));
        Self { connection, keys, cart, inventory, to_reserve, to_pay }
    }

    /// How long a buyer has from opening the order to the payment, and for the payment; then the recovery takes over. Holds
    /// live as long as the first, and twice as long as the second. A millisecond to a year; other values become the nearest
    /// of these.
    #[must_use]
    pub fn with_times(mut self, to_reserve: Duration, to_pay: Duration) -> Self {
        (self.to_reserve, self.to_pay) = (to_reserve, to_pay);
        self
    }

    /// Makes an order of the cart of `owner`, or carries on the one that has this id, to its end: done, or cancelled. Two
    /// clients who do it at once make one order, charged once.
    pub async fn place<P: Payments>(
        &self,
        owner: &CartOwner,
        id: &OrderId,
        agreed: Agreed,
        payments: &P,
    ) -> Result<Order, CheckoutError<P::Error>> {
        let order = match self.get(id).await? {
            Some(order) => order,
            None => self.open(owner, id, agreed).await?,
        };
        if order.owner != *owner {
            return Err(CheckoutError::NotYours(id.clone()));
        }
        finished(self.advance(order, payments).await?)
    }

    /// Carries an order on to its end, as its buyer who comes back.
    pub async fn resume<P: Payments>(
        &self,
        id: &OrderId,
        payments: &P,
    ) -> Result<Order, CheckoutError<P::Error>> {
        let order = self.get(id).await?.ok_or_else(|| CheckoutError::UnknownOrder(id.clone()))?;
        finished(self.advance(order, payments).await?)
    }

    /// The order with this id, if there is one. One round trip.
    pub async fn get(&self, id: &OrderId) -> Result<Option<Order>, StoreError> {
        let key = self.keys.order(id);
        let stored: Vec<(String, String)> =
            redis::cmd("HGETALL").arg(&key).query_async(&mut self.connection.clone()).await?;
        if stored.is_empty() {
            return Ok(None);
        }
        Order::parse(id, &key, &stored).map(Some)
    }

    /// Takes the steps that are missing.
    async fn advance<P: Payments>(
        &self,
        mut order: Order,
        payments: &P,
    ) -> Result<Order, CheckoutError<P::Error>> {
        if order.state.is_finished() {
            // Whoever finished it may have died before this.
            self.unschedule(&order.id, "").await?;
        }
        loop {
            order = match order.state {
                OrderState::Open => {
                    let order = self.reserve(&order).await?;
                    if order.state == OrderState::Open { self.begin_payment(&order).await? } else { order }
                }
                OrderState::Paying => self.pay(&order, payments).await?,
                OrderState::Paid => self.sell(&order).await?,
                OrderState::Sold => self.empty_cart(&order).await?,
                OrderState::Cancelling => self.cancel(&order, payments).await?,
                OrderState::Done | OrderState::Cancelled => return Ok(order),
            }
        }
    }

    /// Lets the recovery look after the order this much later, and not earlier than was said before. Returns when that
    /// is, in milliseconds of the server's clock.
    async fn schedule(&self, id: &OrderId, time: Duration) -> Result<u64, StoreError> {
        let mut call = SCHEDULE.key(self.keys.unfinished_orders());
        call.arg(id.as_str()).arg(milliseconds(time));
        self.done(&call).await?.next()
    }

    async fn unschedule(&self, id: &OrderId, only: &str) -> Result<(), StoreError> {
        let mut call = UNSCHEDULE.key(self.keys.unfinished_orders());
        call.arg(id.as_str()).arg(only);
        self.done(&call).await.map(drop)
    }

    async fn done(&self, call: &ScriptInvocation<'_>) -> Result<Reply, StoreError> {
        let reply: Reply = script::run(call, &self.connection).await?;
        if reply.outcome == "DONE" { Ok(reply) } else { Err(reply.into_error()) }
    }
}

fn finished<P: std::error::Error>(order: Order) -> Result<Order, CheckoutError<P>> {
    match &order.reason {
        Some(reason) if order.state == OrderState::Cancelled => Err(CheckoutError::Cancelled(reason.clone())),
        _ => Ok(order),
    }
}
