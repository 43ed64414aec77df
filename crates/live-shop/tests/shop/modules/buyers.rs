//! Buyers at once while things break. Each test counts: units sold, buyers charged, money taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use lab_connection::TargetArgs;
use lab_server::{Proxy, Server};
use lab_testing::until;
use live_shop::buyers::{Crowd, Report, at_checkout, at_flash_sale, connections};
use live_shop::faults::Faults;
use live_shop::till::Till;
use patterns::checkout::{Charge, Checkout, Payments, State};
use patterns::flash_sale::{FlashSale, Plan};
use patterns::inventory::Inventory;
use patterns::money::Cents;
use redis::IntoConnectionInfo;
use redis::aio::ConnectionManager;

const SALE: &str = "today";
const PRODUCT: &str = "console";
const UNITS: u32 = 50;

/// A bank that keeps to its contract, and loses every fifth reply. It counts each time that it takes money.
#[derive(Default)]
struct Bank {
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    calls: usize,
    /// How often money was taken for an order, and how often it was given back.
    taken: BTreeMap<String, u32>,
    refunded: BTreeMap<String, u32>,
    ended: BTreeSet<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("the bank's reply was lost")]
struct ReplyLost;

impl Books {
    fn reply<T>(&mut self, reply: T) -> Result<T, ReplyLost> {
        self.calls += 1;
        if self.calls.is_multiple_of(5) { Err(ReplyLost) } else { Ok(reply) }
    }
}

impl Bank {
    /// The orders that are charged now. Nobody is charged twice.
    fn charged(&self) -> Vec<String> {
        let books = self.books.lock().unwrap();
        let charged = books.taken.iter().filter(|(order, taken)| {
            let left = **taken - books.refunded.get(*order).copied().unwrap_or_default();
            assert!(**taken <= 1 && left <= 1, "{order} was charged {taken} times");
            left == 1
        });
        charged.map(|(order, _)| order.clone()).collect()
    }
}

impl Payments for Bank {
    type Error = ReplyLost;

    async fn charge(&self, order: &str, _: Cents) -> Result<Charge, ReplyLost> {
        let mut books = self.books.lock().unwrap();
        if books.ended.contains(order) {
            return books.reply(Charge::Declined);
        }
        if books.taken.get(order) == books.refunded.get(order) {
            *books.taken.entry(order.to_owned()).or_default() += 1;
        }
        books.reply(Charge::Charged)
    }

    async fn refund(&self, order: &str) -> Result<(), ReplyLost> {
        let mut books = self.books.lock().unwrap();
        books.ended.insert(order.to_owned());
        if let Some(taken) = books.taken.get(order).copied() {
            books.refunded.insert(order.to_owned(), taken);
        }
        books.reply(())
    }

    async fn was_charged(&self, order: &str) -> Result<bool, ReplyLost> {
        Ok(self.charged().iter().any(|charged| charged == order))
    }
}

fn crowd(buyers: u32, replicas: usize) -> Crowd {
    let (name, prefix) = ("crowd".to_owned(), "shop:".to_owned());
    Crowd { buyers, name, prefix, replicas, patience: Duration::from_mins(2) }
}

fn price() -> Cents {
    Cents::new(49_999).unwrap()
}

async fn connected(args: &TargetArgs) -> Vec<ConnectionManager> {
    connections(&args.url.clone().unwrap().into_connection_info().unwrap()).await.unwrap()
}

async fn open_sale(connection: &ConnectionManager, places: u32) -> FlashSale<ConnectionManager> {
    let sales = FlashSale::new(connection.clone(), "shop:");
    let starts = sales.now().await.unwrap();
    let (name, product) = ("Today".to_owned(), PRODUCT.to_owned());
    let plan = Plan { name, product, starts, ends: starts + 3_600_000, units: UNITS, cap: 1, places };
    sales.open(SALE, &plan).await.unwrap();
    replicated(connection).await;
    sales
}

/// The first command on a connection that broke while nobody used it fails, and the next ones go on.
async fn until_it_answers(connection: &ConnectionManager) {
    let ping = redis::cmd("PING");
    until("it answers", async || ping.exec_async(&mut connection.clone()).await.is_ok()).await;
}

async fn replicated(connection: &ConnectionManager) {
    let wait = redis::cmd("WAIT").arg(1).arg(9_000).to_owned();
    until("the replica has it", async || wait.query_async(&mut connection.clone()).await == Ok(1)).await;
}

fn assert_all_answered(report: &Report, buyers: u32) {
    let answers = [report.bought, report.waiting, report.refused, report.declined, report.unknown];
    assert_eq!(answers.iter().sum::<u32>(), buyers, "{report:?}");
    assert_eq!(report.unknown, 0, "{report:?}");
}

/// What each customer has by the sale's own books.
async fn owners(connection: &ConnectionManager, sales: &FlashSale<ConnectionManager>) -> Vec<String> {
    let [_, bought, _] = sales.keys(SALE).unwrap();
    let fields: BTreeMap<String, String> =
        redis::cmd("HGETALL").arg(bought).query_async(&mut connection.clone()).await.unwrap();
    let have = |entry: &str| entry.split(':').next().unwrap().parse::<u32>().unwrap();
    let customers = fields.iter().filter(|(field, entry)| !field.contains(':') && have(entry) > 0);
    customers.map(|(customer, entry)| format!("{customer}={}", have(entry))).collect()
}

/// The sale, the bank, and the answers agree.
async fn assert_sold_once(connection: &ConnectionManager, report: &Report, bank: &Bank) {
    let sales = FlashSale::new(connection.clone(), "shop:");
    let sale = sales.sale(SALE).await.unwrap().unwrap();
    let charged: Vec<String> = bank.charged().iter().map(|order| format!("{order}=1")).collect();
    assert_eq!(owners(connection, &sales).await, charged, "who has a unit is charged, and nobody else");
    assert_eq!((sale.sold, sale.left + sale.sold), (report.bought, UNITS), "{report:?}");
    assert_eq!(charged.len(), report.bought as usize);
    assert!(report.bought <= UNITS);
}

#[tokio::test]
async fn fifty_and_five_hundred_buyers_get_fifty_units() {
    for (buyers, places) in [(50, 0), (500, 0), (500, 100)] {
        let (_faults, args) = Faults::start(&TargetArgs::private()).await.unwrap();
        let (connections, bank) = (connected(&args).await, Bank::default());
        open_sale(&connections[0], places).await;
        let report = at_flash_sale(&connections, &crowd(buyers, 1), SALE, price(), &bank).await;
        assert_all_answered(&report, buyers);
        assert_eq!((report.bought, report.waiting), (UNITS, places));
        assert_sold_once(&connections[0], &report, &bank).await;
    }
}

#[tokio::test]
async fn at_a_flash_sale_whose_primary_is_killed_no_unit_is_sold_twice() {
    for seed in 0..5 {
        let (faults, args) = Faults::start(&TargetArgs::private()).await.unwrap();
        let (connections, bank) = (connected(&args).await, Bank::default());
        open_sale(&connections[0], 0).await;
        let crowd = crowd(500, 1);
        let buying = at_flash_sale(&connections, &crowd, SALE, price(), &bank);
        // Killed when some units are sold: another number of them with each seed.
        let killing = async {
            until("some are charged", async || bank.charged().len() > 8 * seed).await;
            faults.kill_primary().await.unwrap()
        };
        let (report, state) = tokio::join!(buying, killing);
        assert_eq!(state.failovers, 1);
        until_it_answers(&connections[0]).await;
        assert_all_answered(&report, 500);
        assert_eq!(report.bought, UNITS, "all are sold in the end: {report:?}");
        assert_sold_once(&connections[0], &report, &bank).await;
    }
}

#[tokio::test]
async fn through_the_checkout_whose_primary_is_killed_nobody_is_charged_twice() {
    for seed in 0..3 {
        let (faults, args) = Faults::start(&TargetArgs::private()).await.unwrap();
        let (connections, bank) = (connected(&args).await, Bank::default());
        let inventory = Inventory::new(connections[0].clone(), "shop:");
        inventory.set_up(PRODUCT, u64::from(UNITS), None).await.unwrap();
        replicated(&connections[0]).await;
        let crowd = crowd(500, 1);
        let buying = at_checkout(&connections, &crowd, PRODUCT, price(), &bank);
        let killing = async {
            until("some are charged", async || bank.charged().len() > 15 * seed).await;
            faults.kill_primary().await.unwrap()
        };
        let (report, _) = tokio::join!(buying, killing);
        until_it_answers(&connections[0]).await;
        assert_all_answered(&report, 500);

        let level = inventory.level(PRODUCT).await.unwrap();
        assert_eq!((level.sold, level.held), (u64::from(report.bought), 0), "{report:?} {level:?}");
        assert_eq!(level.free + level.sold, u64::from(UNITS));
        let checkout = Checkout::new(connections[0].clone(), "shop:", inventory);
        let mut done = Vec::new();
        for number in 1..=500 {
            let id = format!("crowd-{number}");
            if checkout.get(&id).await.unwrap().is_some_and(|order| order.state == State::Done) {
                done.push(id);
            }
        }
        done.sort();
        assert_eq!(done, bank.charged(), "who has a unit is charged, and nobody else");
        assert_eq!(done.len(), report.bought as usize);
    }
}

/// The primary dies with everything that its replica did not have. How many are charged for fifty units?
async fn charged_when_a_failover_loses_the_first_sales(replicas: usize) -> usize {
    let primary = Server::start().unwrap();
    let to_replica = Proxy::in_front_of(&primary).unwrap();
    let through = format!("127.0.0.1 {}", to_replica.port());
    let replica = Server::builder().replica_of(&primary).config("replicaof", through).start().unwrap();
    let address = Proxy::in_front_of(&primary).unwrap();
    let connections = connected(&TargetArgs::at(address.url())).await;
    let bank = Bank::default();
    open_sale(&connections[0], 0).await;

    // What the primary sends arrives no more.
    to_replica.set_dropping(true);
    let first = Crowd { name: "first".into(), patience: Duration::from_secs(2), ..crowd(60, replicas) };
    let report = at_flash_sale(&connections, &first, SALE, price(), &bank).await;
    let sold = if replicas == 0 { (UNITS, 0) } else { (0, UNITS) };
    assert_eq!((report.bought, report.unknown), sold, "{report:?}");
    drop((to_replica, primary));
    let mut promote = redis::cmd("REPLICAOF");
    promote.arg("NO").arg("ONE").exec(&mut replica.client().get_connection().unwrap()).unwrap();
    address.lead_to(&replica);

    let second = Crowd { name: "second".into(), ..crowd(60, 0) };
    let report = at_flash_sale(&connections, &second, SALE, price(), &bank).await;
    assert_eq!((report.bought, report.refused), (UNITS, 10), "{report:?}");
    bank.charged().len()
}

#[tokio::test]
async fn without_waiting_for_the_replica_a_failover_sells_the_units_twice() {
    assert_eq!(charged_when_a_failover_loses_the_first_sales(0).await, 100);
    assert_eq!(charged_when_a_failover_loses_the_first_sales(1).await, 50);
}

/// A handler of axum must be `Send`, also with payments that borrow.
#[test]
fn a_handler_can_wait_for_a_crowd() {
    fn is_send(_: impl Send) {}
    fn check(connections: &[ConnectionManager], crowd: &Crowd, payments: &Till<'_>) {
        is_send(at_flash_sale(connections, crowd, SALE, Cents::default(), payments));
        is_send(at_checkout(connections, crowd, PRODUCT, Cents::default(), payments));
    }
    let _ = check;
}
