//! From a cart to an order: step by step, and with a buyer who dies between two of them.

use std::convert::Infallible;
use std::time::Duration;

use lab_connection::Connection;
use lab_runner::table::Facts;
use lab_runner::{LessonError, Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::{
    Agreed, Cart, CartOwner, Catalogue, Checkout, Inventory, Keys, NewUser, Order, OrderId, OrderState,
    Product, Representation, Sku, UserId, Users,
};

use super::bank::Bank;
use super::failed;
use crate::leftovers::take_out;
use crate::names::known;

/// Who buys here; other lessons have other customers.
const BUYER: u64 = 12_345;
/// How long the dying buyer has for each part.
const MOMENT: Duration = Duration::from_millis(80);

pub(super) fn first() -> OrderId {
    known("ORD-1001")
}

pub(super) fn second() -> OrderId {
    known("ORD-1002")
}

fn mug() -> Sku {
    known("MUG-1")
}

fn kettle() -> Sku {
    known("KETTLE-1")
}

fn buyer() -> Result<UserId, LessonError> {
    UserId::new(BUYER).map_err(|error| failed(&error))
}

pub(super) fn keys_of(keys: &Keys) -> Vec<String> {
    let mut all = vec![keys.order(&first()), keys.order(&second())];
    for product in [mug(), kettle()] {
        all.extend(keys.all_of_inventory(&product));
    }
    if let Ok(user) = buyer() {
        let owner = CartOwner::from(user);
        all.extend(keys.all_of_cart(&owner));
        all.extend([keys.bought(&owner, &first()), keys.bought(&owner, &second())]);
    }
    all
}

/// What a checkout is seen from: stock, money and cart.
struct Desk {
    checkout: Checkout<Connection>,
    inventory: Inventory<Connection>,
    cart: Cart<Connection>,
    owner: CartOwner,
    bank: Bank,
}

impl Desk {
    async fn open(page: &Page, keys: &Keys) -> Result<Self, LessonError> {
        let user = buyer()?;
        take_out(page, keys, user, &[mug(), kettle()]).await?;
        let new = NewUser { first_name: known("Parker"), last_name: known("Perry") };
        let users = Users::new(page.quietly(), keys.clone());
        users.create_with_id(user, new).await.map_err(|error| failed(&error))?;
        let catalogue = Catalogue::new(page.quietly(), keys.clone());
        let inventory = Inventory::new(page.quietly(), keys.clone());
        for (sku, name, price) in
            [(mug(), "Travel mug MUG-1", "19.99"), (kettle(), "Kettle KETTLE-1", "45.50")]
        {
            let product = Product { sku, name: known(name), price: known(price) };
            catalogue.put(&product).await.map_err(|error| failed(&error))?;
            inventory.set_up(&product.sku, 10, None).await.map_err(|error| failed(&error))?;
        }
        let cart = Cart::new(page.quietly(), keys.clone(), Representation::Hash);
        let checkout = Checkout::new(page.quietly(), cart.clone(), inventory.clone());
        Ok(Self { checkout, inventory, cart, owner: user.into(), bank: Bank::default() })
    }

    async fn fill_cart(&self) -> Outcome {
        for (sku, units) in [(mug(), "2"), (kettle(), "1")] {
            self.cart.add(&self.owner, &sku, known(units), None).await.map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// Mugs free, held and sold; what is charged; the units in the cart.
    async fn seen(&self, order: &OrderId) -> Result<[String; 3], LessonError> {
        let level = self.inventory.level(&mug()).await.map_err(|error| failed(&error))?;
        let cart = self.cart.contents(&self.owner).await.map_err(|error| failed(&error))?;
        let mugs = format!("{} + {} + {}", level.free, level.held, level.sold);
        Ok([mugs, self.bank.charged(order), cart.units.to_string()])
    }
}

/// A table of an order's states.
struct States<'a> {
    desk: &'a Desk,
    facts: Facts,
}

impl States<'_> {
    async fn after(&mut self, step: &str, order: &Order) -> Outcome {
        let [mugs, charged, cart] = self.desk.seen(&order.id).await?;
        let facts = std::mem::take(&mut self.facts);
        self.facts = facts.row([step.to_owned(), order.state.to_string(), mugs, charged, cart]);
        Ok(())
    }
}

const HEADER: [&str; 5] = ["step", "order is", "mugs free + held + sold", "charged", "in cart"];

pub(super) async fn teach(page: &Page, keys: &Keys) -> Outcome {
    let desk = Desk::open(page, keys).await?;
    alive(page, keys, &desk).await?;
    dead(page, &desk).await
}

async fn alive(page: &Page, keys: &Keys, desk: &Desk) -> Outcome {
    page.say(
        "An order touches many keys: the stock of each product, the cart, and the bank, which is not in Redis at all. No \
         script has them all. So the order is written down first, and then each step is idempotent: whoever comes next can \
         carry on. Two mugs and a kettle:",
    );
    desk.fill_cart().await?;
    let mut states = States { desk, facts: Facts::new("An order", &HEADER) };
    let failure = |error: storefront::CheckoutError<Infallible>| failed(&error);
    let order = desk.checkout.open(&desk.owner, &first(), Agreed::PricesSeen).await.map_err(failure)?;
    states.after("open", &order).await?;
    let order = desk.checkout.reserve(&order).await.map_err(failure)?;
    states.after("reserve", &order).await?;
    let order = desk.checkout.begin_payment(&order).await.map_err(failure)?;
    states.after("begin_payment", &order).await?;
    let order = desk.checkout.pay(&order, &desk.bank).await.map_err(failure)?;
    states.after("pay", &order).await?;
    let order = desk.checkout.sell(&order).await.map_err(failure)?;
    states.after("sell", &order).await?;
    let order = desk.checkout.empty_cart(&order).await.map_err(failure)?;
    states.after("empty_cart", &order).await?;
    let again = desk.checkout.place(&desk.owner, &first(), Agreed::PricesSeen, &desk.bank).await;
    let again = again.map_err(failure)?;
    states.after("place again, same id", &again).await?;
    page.facts(states.facts);
    let [mugs, charged, cart] = desk.seen(&first()).await?;
    page.check_eq(
        "charged once, sold, and out of the cart, also when the buyer clicks twice",
        &[mugs.as_str(), charged.as_str(), cart.as_str()],
        &["8 + 0 + 2", "85.48", "0"],
    )?;
    let stored = page.redis().hgetall(keys.order(&first())).await?;
    page.check("the order is a Hash", stored.get("state").is_some_and(|state| state == "done"))
}

async fn dead(page: &Page, desk: &Desk) -> Outcome {
    page.say(
        "The next buyer dies after the payment: charged, and nothing sold. When his time is up, the recovery finds the order \
         in a list of unfinished ones and takes the steps that are missing. (Had he died before the payment, it would release \
         what he held; whether he was charged, the bank knows.)",
    );
    desk.fill_cart().await?;
    let mut states = States { desk, facts: Facts::new("A buyer who dies", &HEADER) };
    let failure = |error: storefront::CheckoutError<Infallible>| failed(&error);
    // His time is short, so that the lesson need not wait; what he holds is held for two minutes.
    let hurried = desk.checkout.clone().with_times(MOMENT, MOMENT);
    let order = hurried.open(&desk.owner, &second(), Agreed::PricesSeen).await.map_err(failure)?;
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
    page.facts(states.facts);
    let ends: Vec<OrderState> = finished.iter().map(|order| order.state).collect();
    page.check_eq("the recovery finished it, once", &ends, &vec![OrderState::Done])?;
    let [mugs, charged, cart] = desk.seen(&second()).await?;
    page.check_eq(
        "charged once, sold, and out of the cart",
        &[mugs.as_str(), charged.as_str(), cart.as_str()],
        &["6 + 0 + 4", "85.48", "0"],
    )
}
