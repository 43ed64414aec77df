//! Many buyers at once, each with one unit and one order: at a flash sale, or through the checkout.
//!
//! A buyer picks the order's ID before the first click. While the outcome is unknown, because the link broke, the primary died, or no
//! replica has the purchase yet, the buyer asks again with the same ID, and gets the same answer. Nobody is charged before one replica has
//! the purchase: a replica that takes over knows every unit that was paid for. Without that, a failover forgets sales that it had
//! acknowledged, and the shop sells their units a second time.
//!
//! What is promised, however often the primary is killed after its replica was in sync: no more units are sold than there are, who was
//! charged has the unit, and nobody is charged twice. What is not: that everyone gets an answer. [`Report::unknown`] counts those who
//! gave up; they are not charged, and their order may still hold a unit until they come back with its ID.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use patterns::checkout::{Charge, Checkout, CheckoutError, Line, Payments, Reason};
use patterns::flash_sale::{FlashSale, FlashSaleError, Purchase};
use patterns::inventory::{Inventory, InventoryError};
use patterns::money::Cents;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ConnectionInfo, RedisResult};
use tokio::time::sleep;

use crate::wire::Redis;

/// How many connections share the buyers. A connection that waits for a replica does nothing else meanwhile.
const CONNECTIONS: usize = 16;
/// How long a purchase waits for the replica before the buyer asks again.
const REPLICA_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a buyer pauses before asking again: at first, and at most.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Who buys.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// How many buyers there are.
    pub buyers: u32,
    /// A name for this crowd: no other crowd under the prefix may have it. Customers are `NAME-1`, `NAME-2`, and so on, and so are
    /// their orders.
    pub name: String,
    /// The shop's prefix.
    pub prefix: String,
    /// How many replicas must have a purchase before it is charged. With 0, a failover may sell a unit twice.
    pub replicas: usize,
    /// How long a buyer keeps asking while the outcome is unknown.
    pub patience: Duration,
}

/// What came of them. `bought`, `waiting`, `refused`, `declined`, and `unknown` add up to the number of buyers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Who has a unit and was charged.
    pub bought: u32,
    /// Who is on the waitlist.
    pub waiting: u32,
    /// Whom the shop refused: sold out, over, or not yet open.
    pub refused: u32,
    /// Whose payment was declined.
    pub declined: u32,
    /// Who got no answer in time, even after asking again.
    pub unknown: u32,
    /// How often buyers asked again.
    pub repeats: u32,
    /// From the first click to the last answer.
    pub elapsed: Duration,
}

/// What one buyer got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Bought,
    Waiting,
    Refused,
    Declined,
    /// Not yet known: ask again.
    Unknown,
}

impl Crowd {
    /// Buyers with a new name, who keep asking for a minute.
    pub fn new(prefix: &str, buyers: u32, replicas: usize) -> Result<Self, getrandom::Error> {
        let name = format!("buyer{:016x}", getrandom::u64()?);
        Ok(Self { buyers, name, prefix: prefix.to_owned(), replicas, patience: Duration::from_mins(1) })
    }
}

/// [`at_flash_sale`] at the shop's server. Buyers who wait for a replica have connections of their own.
pub async fn run(
    redis: &Redis,
    crowd: &Crowd,
    sale: &str,
    price: Cents,
    payments: &impl Payments,
) -> RedisResult<Report> {
    let target = redis.unrecorded().target();
    if crowd.replicas == 0 {
        // Also to a cluster, and with certificates.
        return Ok(at_flash_sale(&[target.connection()], crowd, sale, price, payments).await);
    }
    let connections = connections(target.connection_info()).await?;
    Ok(at_flash_sale(&connections, crowd, sale, price, payments).await)
}

/// Connections for a crowd, which reconnect by themselves. They are not the shop's own, because waiting for replicas blocks a connection.
pub async fn connections(server: &ConnectionInfo) -> RedisResult<Vec<ConnectionManager>> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(2)))
        // Longer than the wait for a replica, and than what many buyers on one connection wait for one another.
        .set_response_timeout(Some(Duration::from_secs(10)))
        .set_max_delay(Duration::from_millis(100));
    let client = Client::open(server.clone())?;
    let connecting =
        (0..CONNECTIONS).map(|_| ConnectionManager::new_with_config(client.clone(), config.clone()));
    join_all(connecting).await.into_iter().collect()
}

/// Sends the crowd to a flash sale: each buys one unit, and is charged `price` for it.
pub async fn at_flash_sale(
    connections: &[impl ConnectionLike + Clone],
    crowd: &Crowd,
    sale: &str,
    price: Cents,
    payments: &impl Payments,
) -> Report {
    let ask = |connection, order| ask_at_flash_sale(connection, crowd, sale, price, payments, order);
    all(crowd, connections, ask).await
}

/// Sends the crowd through the checkout: each places an order for one unit of a product at `price`.
pub async fn at_checkout(
    connections: &[impl ConnectionLike + Clone],
    crowd: &Crowd,
    product: &str,
    price: Cents,
    payments: &impl Payments,
) -> Report {
    let line = Line { sku: product.to_owned(), quantity: 1, unit_price: price };
    let lines = std::slice::from_ref(&line);
    let ask = |connection, order| ask_at_checkout(connection, crowd, lines, payments, order);
    all(crowd, connections, ask).await
}

async fn ask_at_flash_sale(
    connection: impl ConnectionLike + Clone,
    crowd: &Crowd,
    sale: &str,
    price: Cents,
    payments: &impl Payments,
    order: String,
) -> Outcome {
    let mut sales = FlashSale::new(connection, &crowd.prefix);
    if crowd.replicas > 0 {
        sales = sales.with_replicas(crowd.replicas, REPLICA_TIMEOUT);
    }
    match sales.buy(sale, &order, 1, &order).await {
        Ok(Purchase::Bought(_) | Purchase::AlreadyBought(_)) => match payments.charge(&order, price).await {
            Ok(Charge::Charged) => Outcome::Bought,
            Ok(Charge::Declined) => give_back(&sales, sale, &order).await,
            Err(_) => Outcome::Unknown,
        },
        Ok(Purchase::Waiting(_)) => Outcome::Waiting,
        // It was given back after the payment was declined.
        Err(FlashSaleError::GivenBack { .. }) => Outcome::Declined,
        Err(FlashSaleError::Store(_) | FlashSaleError::NotReplicated { .. }) => Outcome::Unknown,
        Err(_) => Outcome::Refused,
    }
}

async fn ask_at_checkout(
    connection: impl ConnectionLike + Clone,
    crowd: &Crowd,
    lines: &[Line],
    payments: &impl Payments,
    order: String,
) -> Outcome {
    let inventory = Inventory::new(connection.clone(), &crowd.prefix);
    let mut checkout = Checkout::new(connection, &crowd.prefix, inventory);
    if crowd.replicas > 0 {
        checkout = checkout.with_replicas(crowd.replicas, REPLICA_TIMEOUT);
    }
    match checkout.place(&order, &order, lines, payments).await {
        Ok(_) => Outcome::Bought,
        Err(CheckoutError::Canceled(Reason::Declined)) => Outcome::Declined,
        Err(
            CheckoutError::Store(_)
            | CheckoutError::Payment(_)
            | CheckoutError::NotReplicated { .. }
            | CheckoutError::Inventory(InventoryError::Store(_) | InventoryError::NotReplicated { .. }),
        ) => Outcome::Unknown,
        Err(_) => Outcome::Refused,
    }
}

/// A purchase whose payment was declined goes back on sale.
async fn give_back<C: ConnectionLike + Clone>(sales: &FlashSale<C>, sale: &str, order: &str) -> Outcome {
    match sales.give_back(sale, order, order).await {
        Ok(_) => Outcome::Declined,
        Err(_) => Outcome::Unknown,
    }
}

/// Lets all buyers ask at once, again and again until each has an answer or no patience left, and counts the answers.
async fn all<C: Clone, F: Future<Output = Outcome>>(
    crowd: &Crowd,
    connections: &[C],
    ask: impl Fn(C, String) -> F,
) -> Report {
    let (start, ask) = (Instant::now(), &ask);
    let mut report = Report::default();
    // Without a connection, nobody can ask.
    let buyers = (1..=crowd.buyers).zip(connections.iter().cycle()).map(|(number, connection)| {
        let order = format!("{}-{number}", crowd.name);
        answer(move || ask(connection.clone(), order.clone()), start, crowd.patience)
    });
    for (outcome, repeats) in join_all(buyers).await {
        report.repeats += repeats;
        *report.count_of(outcome) += 1;
    }
    report.unknown += crowd.buyers - report.answers();
    report.elapsed = start.elapsed();
    report
}

/// Asks until the outcome is known, or the patience is over. Returns how often it asked again.
async fn answer<F: Future<Output = Outcome>>(
    ask: impl Fn() -> F,
    start: Instant,
    patience: Duration,
) -> (Outcome, u32) {
    let (mut pause, mut repeats) = (PAUSE, 0);
    loop {
        let outcome = ask().await;
        if outcome != Outcome::Unknown || start.elapsed() > patience {
            return (outcome, repeats);
        }
        sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
        repeats += 1;
    }
}

impl Report {
    fn count_of(&mut self, outcome: Outcome) -> &mut u32 {
        match outcome {
            Outcome::Bought => &mut self.bought,
            Outcome::Waiting => &mut self.waiting,
            Outcome::Refused => &mut self.refused,
            Outcome::Declined => &mut self.declined,
            Outcome::Unknown => &mut self.unknown,
        }
    }

    fn answers(&self) -> u32 {
        self.bought + self.waiting + self.refused + self.declined + self.unknown
    }
}
