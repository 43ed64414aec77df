//! From a cart to an order: one step after the other, and with a buyer who disappears between two of them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lab_connection::Connection;
use lab_runner::table::Table;
use lab_runner::{BoxError, LessonContext, Retry, Source};
use patterns::cart::Cart;
use patterns::checkout::{Charge, Checkout, Line, Order, Payments, State};
use patterns::inventory::Inventory;
use patterns::key::escape;
use patterns::money::Cents;
use patterns::script::StoreError;
use redis::AsyncTypedCommands;

static CHECKOUT: Source = Source {
    path: "crates/patterns/src/checkout.rs",
    text: include_str!("../../../patterns/src/checkout.rs"),
};

/// The buyer, whose cart and orders no other lesson writes.
const BUYER: &str = "12345";
const FIRST: &str = "ORD-1001";
const SECOND: &str = "ORD-1002";
const MUG: &str = "MUG-1";
const KETTLE: &str = "KETTLE-1";
/// How long the buyer who disappears has for each part.
const BUYERS_TIME: Duration = Duration::from_millis(80);
/// Longer than any server needs until that time is over.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The keys of the orders.
pub(super) fn orders(ctx: &LessonContext) -> Result<[String; 2], BoxError> {
    let Shop { checkout, .. } = Shop::new(ctx);
    Ok([checkout.key(FIRST)?, checkout.key(SECOND)?].map(|key| key.as_str().to_owned()))
}

/// All that an earlier run may have left.
pub(super) fn keys(ctx: &LessonContext, stock: &Inventory<Connection>) -> Result<Vec<String>, BoxError> {
    let mut keys = orders(ctx)?.to_vec();
    for product in [MUG, KETTLE] {
        keys.extend(stock.keys(product)?);
    }
    let cart = Cart::new(ctx.target().connection(), ctx.prefix());
    keys.extend(cart.keys(BUYER)?);
    for order in [FIRST, SECOND] {
        keys.push(cart.key(BUYER)?.companion(&format!("taken:{}", escape(order))));
    }
    Ok(keys)
}

pub(super) async fn check_out(ctx: &LessonContext) -> Result<(), BoxError> {
    let shop = Shop::new(ctx);
    ctx.step(
        "An order changes many keys: the stock of each product and the cart, in different slots, and the bank is not in Redis at all. \
         No script can change them together. So the order is written down first, as a Hash. Each step can be repeated, so \
         the same client or another one goes on where the last one stopped. This is the heart of Checkout::place:",
    )
    .await?;
    ctx.code(CHECKOUT.function("advance"));
    ctx.step("A buyer orders two mugs and a kettle. Then the buyer clicks again, with the same order ID:")
        .await?;
    ctx.announce(
        "EVALSHA fills the cart and takes each step. ZADD sets up ten units of each product. HGETALL reads the \
         order, HSCAN and TIME the cart.",
    );
    let mut steps = Steps::new(&shop, "An order");
    let ((), lines) = tokio::try_join!(shop.set_up_stock(), shop.fill_cart())?;
    shop.place_step_by_step(&mut steps, &lines).await?;
    let again = shop.checkout.place(FIRST, BUYER, &lines, &shop.bank).await?;
    let seen = steps.add("place again", &again).await?;
    ctx.table(steps.table);
    let expected = ["8 + 0 + 2", "85.48", "0"].map(str::to_owned);
    ctx.check_eq("charged once, sold once, and out of the cart", &seen, &expected)?;

    let (mut redis, order) = (ctx.redis(), &orders(ctx)?[0]);
    ctx.step("This is the order in Redis. Each line has its units and the price of one in cents.").await?;
    let stored = redis.hgetall(order).await?;
    ctx.check("it is done", stored.get("state").is_some_and(|state| state == "done"))?;
    disappear(ctx, &shop).await
}

async fn disappear(ctx: &LessonContext, shop: &Shop) -> Result<(), BoxError> {
    ctx.step(
        "The next buyer's program dies after the payment: charged, and nothing sold. A recovery runs in the background of the shop. \
         When the buyer's time is up, it finds the order in a Sorted Set of unfinished ones and takes the missing steps. (If the \
         program had died before the payment, the recovery would ask the bank, and release the units.)",
    )
    .await?;
    ctx.announce(
        "EVALSHA fills the cart, takes each step, and lists the unfinished orders. HGETALL reads the order.",
    );
    let mut steps = Steps::new(shop, "A buyer who disappears");
    let lines = shop.fill_cart().await?;
    let hurried = shop.checkout.clone().with_times(BUYERS_TIME, BUYERS_TIME);
    let order = hurried.open::<StoreError>(SECOND, BUYER, &lines).await?;
    let order = shop.checkout.reserve::<StoreError>(&order).await?;
    let order = hurried.begin_payment::<StoreError>(&order).await?;
    let order = shop.checkout.pay(&order, &shop.bank).await?;
    steps.add("pay, and die", &order).await?;

    let mut retry = Retry::within(TIMEOUT);
    let mut finished = Vec::new();
    while finished.is_empty() {
        retry.again("the recovery finds the order").await?;
        finished = shop.checkout.recover(&shop.bank).await?.finished;
    }
    let ends: Vec<State> = finished.iter().map(|order| order.state).collect();
    let seen = steps.add("recover", &finished[0]).await?;
    ctx.table(steps.table);
    ctx.check_eq("the recovery finished the order, once", &ends, &vec![State::Done])?;
    let expected = ["6 + 0 + 4", "85.48", "0"].map(str::to_owned);
    ctx.check_eq("charged once, sold once, and out of the cart", &seen, &expected)?;
    Ok(())
}

/// What an order touches: stock, cart, and bank.
struct Shop {
    checkout: Checkout<Connection>,
    inventory: Inventory<Connection>,
    cart: Cart<Connection>,
    bank: Bank,
}

impl Shop {
    fn new(ctx: &LessonContext) -> Self {
        let (redis, prefix) = (ctx.target().connection(), ctx.prefix());
        let inventory = Inventory::new(redis.clone(), prefix);
        let cart = Cart::new(redis.clone(), prefix);
        let checkout = Checkout::new(redis, prefix, inventory.clone());
        Self { checkout, inventory, bank: Bank { charges: Mutex::default(), cart: cart.clone() }, cart }
    }

    async fn set_up_stock(&self) -> Result<(), BoxError> {
        tokio::try_join!(self.inventory.set_up(MUG, 10, None), self.inventory.set_up(KETTLE, 10, None))?;
        Ok(())
    }

    /// Puts two mugs and a kettle into the cart, and returns them as the lines of an order.
    async fn fill_cart(&self) -> Result<Vec<Line>, BoxError> {
        let fill = async |(sku, quantity, price): (&str, u32, &str)| -> Result<Line, BoxError> {
            let unit_price = price.parse()?;
            self.cart.add(BUYER, sku, quantity, unit_price).await?;
            Ok(Line { sku: sku.to_owned(), quantity, unit_price })
        };
        let (kettle, mugs) = tokio::try_join!(fill((KETTLE, 1, "45.50")), fill((MUG, 2, "19.99")))?;
        Ok(vec![kettle, mugs])
    }

    async fn place_step_by_step(&self, steps: &mut Steps<'_>, lines: &[Line]) -> Result<(), BoxError> {
        let order = self.checkout.open::<StoreError>(FIRST, BUYER, lines).await?;
        steps.add("open", &order).await?;
        let order = self.checkout.reserve::<StoreError>(&order).await?;
        steps.add("reserve", &order).await?;
        let order = self.checkout.begin_payment::<StoreError>(&order).await?;
        steps.add("begin_payment", &order).await?;
        let order = self.checkout.pay(&order, &self.bank).await?;
        steps.add("pay", &order).await?;
        let order = self.checkout.sell::<StoreError>(&order).await?;
        steps.add("sell", &order).await?;
        let order = self.checkout.finish(&order, &self.bank).await?;
        steps.add("finish", &order).await?;
        Ok(())
    }
}

/// A table with a row for each step of an order.
struct Steps<'a> {
    shop: &'a Shop,
    table: Table,
}

impl<'a> Steps<'a> {
    fn new(shop: &'a Shop, title: &str) -> Self {
        let header = ["step", "order is", "mugs free + held + sold", "charged", "in cart"];
        Self { shop, table: Table::new(title, &header) }
    }

    /// Adds a row, and returns the mugs, what is charged, and the units in the cart.
    async fn add(&mut self, step: &str, order: &Order) -> Result<[String; 3], BoxError> {
        let (level, cart) = tokio::join!(self.shop.inventory.level(MUG), self.shop.cart.contents(BUYER));
        let level = level?;
        let mugs = format!("{} + {} + {}", level.free, level.held, level.sold);
        let charged =
            self.shop.bank.charged(&order.id).map_or_else(|| "-".to_owned(), |cents| cents.to_string());
        let seen = [mugs, charged, cart?.units.to_string()];
        let row = [step.to_owned(), order.state.to_string()].into_iter().chain(seen.clone());
        self.table = std::mem::take(&mut self.table).row(row);
        Ok(seen)
    }
}

/// A bank in memory. When an order is sold, it takes the order's lines out of the cart.
struct Bank {
    /// What each order was charged; `None` after a refund.
    charges: Mutex<HashMap<String, Option<Cents>>>,
    cart: Cart<Connection>,
}

impl Bank {
    fn charges(&self) -> MutexGuard<'_, HashMap<String, Option<Cents>>> {
        self.charges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn charged(&self, order: &str) -> Option<Cents> {
        self.charges().get(order).copied().flatten()
    }
}

impl Payments for Bank {
    type Error = StoreError;

    async fn charge(&self, order: &str, amount: Cents) -> Result<Charge, StoreError> {
        let charged = *self.charges().entry(order.to_owned()).or_insert(Some(amount));
        Ok(if charged.is_some() { Charge::Charged } else { Charge::Declined })
    }

    async fn refund(&self, order: &str) -> Result<(), StoreError> {
        self.charges().insert(order.to_owned(), None);
        Ok(())
    }

    async fn was_charged(&self, order: &str) -> Result<bool, StoreError> {
        Ok(self.charged(order).is_some())
    }

    async fn sold(&self, order: &Order) -> Result<(), StoreError> {
        let lines: Vec<(&str, u32)> =
            order.lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
        self.cart.take(order.owner.as_str(), &order.id, &lines).await.map(drop)
    }
}
