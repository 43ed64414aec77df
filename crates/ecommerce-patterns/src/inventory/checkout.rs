//! From a cart to an order: step by step, and with a buyer who dies between two of them.

use std::time::Duration;

use lab_connection::Connection;
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::cart::Cart;
use patterns::catalog::{Catalog, Product};
use patterns::checkout::{Checkout, CheckoutError, Line, Order, State};
use patterns::inventory::Inventory;
use patterns::key::escape;
use patterns::script::StoreError;
use patterns::users::Users;
use redis::AsyncTypedCommands;

use super::bank::Bank;
use super::{failed, quiet};

/// Who buys here; other lessons have other customers.
const BUYER: &str = "12345";
const FIRST: &str = "ORD-1001";
const SECOND: &str = "ORD-1002";
const MUG: &str = "MUG-1";
const KETTLE: &str = "KETTLE-1";
/// How long the dying buyer has for each part.
const MOMENT: Duration = Duration::from_millis(80);

/// The Hashes of the orders.
pub(super) fn orders_of(ctx: &LessonContext) -> Result<Vec<String>, LessonError> {
    let checkout = Checkout::new(ctx.untraced("TODO"), ctx.target().prefix(), quiet(ctx));
    let keys = [FIRST, SECOND].map(|order| checkout.key(order).map(|key| key.as_str().to_owned()));
    keys.into_iter().collect::<Result<_, _>>().map_err(|error| failed(&error))
}

pub(super) fn keys_of(ctx: &LessonContext) -> Result<Vec<String>, LessonError> {
    let prefix = ctx.target().prefix();
    let (inventory, cart) = (quiet(ctx), Cart::new(ctx.untraced("TODO"), prefix));
    let mut all = orders_of(ctx)?;
    let mut add = || -> Result<(), StoreError> {
        for product in [MUG, KETTLE] {
            all.extend(inventory.keys(product)?);
        }
        all.extend(cart.keys(BUYER)?);
        for order in [FIRST, SECOND] {
            all.push(cart.key(BUYER)?.companion(&format!("taken:{}", escape(order))));
        }
        Ok(())
    };
    add().map_err(|error| failed(&error))?;
    Ok(all)
}

/// What a checkout is seen from: stock, money, and cart.
struct Desk {
    checkout: Checkout<Connection>,
    inventory: Inventory<Connection>,
    cart: Cart<Connection>,
    bank: Bank,
}

impl Desk {
    async fn open(ctx: &LessonContext) -> Result<Self, LessonError> {
        let prefix = ctx.target().prefix();
        let users = Users::new(ctx.untraced("TODO"), prefix);
        let catalog = Catalog::new(ctx.untraced("TODO"), prefix);
        ctx.start_clean(&[users.key(BUYER).map_err(|error| failed(&error))?.as_str().to_owned()]).await?;
        users.create_with_id(BUYER, "Parker", "Perry").await.map_err(|error| failed(&error))?;
        let inventory = quiet(ctx);
        for (sku, name, cents) in [(MUG, "Travel mug MUG-1", "19.99"), (KETTLE, "Kettle KETTLE-1", "45.50")] {
            let price = cents.parse().map_err(|error| failed(&error))?;
            let product = Product { sku: sku.to_owned(), name: name.to_owned(), price };
            catalog.put(&product).await.map_err(|error| failed(&error))?;
            inventory.set_up(sku, 10, None).await.map_err(|error| failed(&error))?;
        }
        let cart = Cart::new(ctx.untraced("TODO"), prefix);
        let checkout = Checkout::new(ctx.untraced("TODO"), prefix, inventory.clone());
        Ok(Self { checkout, inventory, bank: Bank::new(cart.clone()), cart })
    }

    /// Puts two mugs and a kettle into the cart; returns its lines as those of an order.
    async fn fill_cart(&self) -> Result<Vec<Line>, LessonError> {
        for (sku, units, cents) in [(MUG, 2, "19.99"), (KETTLE, 1, "45.50")] {
            let price = cents.parse().map_err(|error| failed(&error))?;
            self.cart.add(BUYER, sku, units, price).await.map_err(|error| failed(&error))?;
        }
        let view = self.cart.view(BUYER).await.map_err(|error| failed(&error))?;
        let lines = view.lines.into_iter().map(|line| {
            let unit_price = line.seen_price.unwrap_or_default();
            Line { sku: line.sku, quantity: line.quantity, unit_price }
        });
        Ok(lines.collect())
    }

    /// Mugs free, held, and sold; what is charged; the units in the cart.
    async fn seen(&self, order: &str) -> Result<[String; 3], LessonError> {
        let level = self.inventory.level(MUG).await.map_err(|error| failed(&error))?;
        let cart = self.cart.contents(BUYER).await.map_err(|error| failed(&error))?;
        let mugs = format!("{} + {} + {}", level.free, level.held, level.sold);
        Ok([mugs, self.bank.charged(order), cart.units.to_string()])
    }
}

/// A table of an order's states.
struct States<'a> {
    desk: &'a Desk,
    table: Table,
}

impl States<'_> {
    async fn after(&mut self, step: &str, order: &Order) -> Outcome {
        let [mugs, charged, cart] = self.desk.seen(&order.id).await?;
        let table = std::mem::take(&mut self.table);
        self.table = table.row([step.to_owned(), order.state.to_string(), mugs, charged, cart]);
        Ok(())
    }
}

const HEADER: [&str; 5] = ["step", "order is", "mugs free + held + sold", "charged", "in cart"];

pub(super) async fn run(ctx: &LessonContext) -> Outcome {
    let desk = Desk::open(ctx).await?;
    alive(ctx, &desk).await?;
    dead(ctx, &desk).await
}

async fn alive(ctx: &LessonContext, desk: &Desk) -> Outcome {
    ctx.step(
        "An order touches many keys: the stock of each product, the cart, and the bank, which is not in Redis at all. No \
         script has them all. So the order is written down first, and each step can be repeated: the next client carries on \
         where the last one stopped. Two mugs and a kettle:",
    ).await?;
    let lines = desk.fill_cart().await?;
    let mut states = States { desk, table: Table::new("An order", &HEADER) };
    let failure = |error: CheckoutError<StoreError>| failed(&error);
    let order = desk.checkout.open(FIRST, BUYER, &lines).await.map_err(failure)?;
    states.after("open", &order).await?;
    let order = desk.checkout.reserve(&order).await.map_err(failure)?;
    states.after("reserve", &order).await?;
    let order = desk.checkout.begin_payment(&order).await.map_err(failure)?;
    states.after("begin_payment", &order).await?;
    let order = desk.checkout.pay(&order, &desk.bank).await.map_err(failure)?;
    states.after("pay", &order).await?;
    let order = desk.checkout.sell(&order).await.map_err(failure)?;
    states.after("sell", &order).await?;
    let order = desk.checkout.finish(&order, &desk.bank).await.map_err(failure)?;
    states.after("finish", &order).await?;
    let again = desk.checkout.place(FIRST, BUYER, &lines, &desk.bank).await;
    let again = again.map_err(failure)?;
    states.after("place again, same id", &again).await?;
    ctx.table(states.table);
    let [mugs, charged, cart] = desk.seen(FIRST).await?;
    ctx.check_eq(
        "charged once, sold, and out of the cart, also when the buyer clicks twice",
        &[mugs.as_str(), charged.as_str(), cart.as_str()],
        &["8 + 0 + 2", "85.48", "0"],
    )?;
    let stored =
        ctx.redis().hgetall(desk.checkout.key(FIRST).map_err(|error| failed(&error))?.as_str()).await?;
    ctx.check("the order is a Hash", stored.get("state").is_some_and(|state| state == "done"))
}

async fn dead(ctx: &LessonContext, desk: &Desk) -> Outcome {
    ctx.step(
        "The next buyer dies after the payment: charged, and nothing sold. When the buyer's time is up, the recovery finds the \
         order in a list of unfinished ones and takes the steps that are missing. (After a death before the payment, it would \
         release the holds. Whether an order is charged, the bank knows.)",
    ).await?;
    let lines = desk.fill_cart().await?;
    let mut states = States { desk, table: Table::new("A buyer who dies", &HEADER) };
    let failure = |error: CheckoutError<StoreError>| failed(&error);
    // The buyer's time is short, so that the lesson need not wait. The holds last two minutes.
    let hurried = desk.checkout.clone().with_times(MOMENT, MOMENT);
    let order = hurried.open(SECOND, BUYER, &lines).await.map_err(failure)?;
    let order = desk.checkout.reserve(&order).await.map_err(failure)?;
    let order = hurried.begin_payment(&order).await.map_err(failure)?;
    let order = desk.checkout.pay(&order, &desk.bank).await.map_err(failure)?;
    states.after("pay, and dies", &order).await?;
    let mut finished = Vec::new();
    for _ in 0..200 {
        let recovered = desk.checkout.recover(&desk.bank).await.map_err(|error| failed(&error))?;
        finished.extend(recovered.finished);
        if !finished.is_empty() {
            break;
        }
        tokio::time::sleep(MOMENT / 8).await;
    }
    for order in &finished {
        states.after("recover", order).await?;
    }
    ctx.table(states.table);
    let ends: Vec<State> = finished.iter().map(|order| order.state).collect();
    ctx.check_eq("the recovery finished it, once", &ends, &vec![State::Done])?;
    let [mugs, charged, cart] = desk.seen(SECOND).await?;
    ctx.check_eq(
        "charged once, sold, and out of the cart",
        &[mugs.as_str(), charged.as_str(), cart.as_str()],
        &["6 + 0 + 4", "85.48", "0"],
    )
}
