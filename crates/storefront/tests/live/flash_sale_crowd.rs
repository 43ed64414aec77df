//! Flash sales under many buyers at once, with answers that get lost, connections that are cut and slots that move.
//!
//! Each test counts: what is sold, who has it, and what those were told who were told that they have it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lab_server::Cluster;
use storefront::flash_sale::{
    BuyError, FlashSale, GaveBack, GiveBackError, NewSale, Place, Purchase, Receipt,
};
use storefront::{CustomerId, Keys, Layout, OrderId};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::shop::faults::{Breaking, Cutting};
use crate::shop::moving::Moving;
use crate::shop::{Wire, own_keys, server, units};

const CAP: u32 = 3;
/// Requests under way over each connection.
const AT_A_TIME: usize = 4;
/// In the turmoil of a cluster the client now and then loses an answer without an error. Who asks again after this long
/// does what a customer does.
const IMPATIENT: Duration = Duration::from_millis(700);

/// A purchase that was answered, with the moments between which that happened.
struct Acknowledged {
    customer: CustomerId,
    order: OrderId,
    purchase: Purchase,
    asked: u64,
    answered: u64,
}

/// Counts moments, so that one can tell what was answered before what was asked.
#[derive(Clone, Default)]
struct Moments(Arc<AtomicU64>);

impl Moments {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

async fn open(sales: &FlashSale<Wire>, stock: u32, places: u32) {
    let now = sales.now().await.unwrap();
    let sale = NewSale {
        name: "Black Friday".into(),
        product: "PROD123".parse().unwrap(),
        starts: now,
        ends: now + 3_600_000,
        units: stock,
        cap: units(CAP),
        places,
    };
    sales.open(&sale).await.unwrap();
}

/// Lets every node learn the scripts, so that the crowd does not load them 200 times.
async fn teach_scripts(wire: &Wire) {
    let sales = FlashSale::new(wire.clone(), own_keys(Layout::Cluster));
    open(&sales, 1, 0).await;
    let (ann, order) = ("ann".parse().unwrap(), "warm-up".parse().unwrap());
    buy(&sales, &ann, 1, &order).await;
    give_back(&sales, &ann, &order).await;
}

/// Asks until there is an answer, always with the same order. `None` is a refusal.
async fn buy(sales: &FlashSale<Wire>, who: &CustomerId, quantity: u32, order: &OrderId) -> Option<Purchase> {
    loop {
        match timeout(IMPATIENT, sales.buy(who, units(quantity), order)).await {
            Ok(Ok(purchase)) => return Some(purchase),
            Ok(Err(BuyError::SoldOut { .. } | BuyError::OverCap { .. })) => return None,
            Ok(Err(error)) => assert!(error.redis_error().is_some(), "{error:?}"),
            Err(_) => {}
        }
    }
}

async fn give_back(sales: &FlashSale<Wire>, who: &CustomerId, order: &OrderId) -> GaveBack {
    loop {
        match timeout(IMPATIENT, sales.give_back(who, order)).await {
            Ok(Ok(back)) => return back,
            Ok(Err(GiveBackError::Store(error))) => assert!(error.redis_error().is_some(), "{error:?}"),
            Ok(Err(error)) => panic!("{error:?}"),
            Err(_) => {}
        }
    }
}

/// Connections to a cluster. With more than a few requests under way at a time over each, redis-rs 1.8.1 now and then
/// answers none of them any more while slots move.
async fn four(connect: impl AsyncFn() -> Wire) -> Vec<Wire> {
    let mut wires = Vec::new();
    for _ in 0..4 {
        wires.push(connect().await);
    }
    wires
}

/// `buyers` customers come at once, each with two tabs open: in each he asks for 1 to 3 units, three times. Customer `n`
/// uses wire `n`, round and round.
async fn crowd(
    wires: &[Wire],
    at_a_time: usize,
    keys: &Keys,
    buyers: usize,
    seed: usize,
) -> Vec<Acknowledged> {
    let moments = Moments::default();
    let at_a_time = Arc::new(Semaphore::new(at_a_time * wires.len()));
    let mut tabs = JoinSet::new();
    for tab in 0..2 * buyers {
        let sales = FlashSale::new(wires[tab % wires.len()].clone(), keys.clone());
        let (moments, at_a_time) = (moments.clone(), Arc::clone(&at_a_time));
        tabs.spawn(async move {
            let customer: CustomerId = format!("user{}", tab / 2).parse().unwrap();
            let mut acknowledged = Vec::new();
            for attempt in 0..3 {
                let order: OrderId = format!("{tab}-{attempt}").parse().unwrap();
                let quantity = u32::try_from((tab * 7 + attempt * 5 + seed) % 3 + 1).unwrap();
                let _turn = at_a_time.acquire().await.unwrap();
                let asked = moments.next();
                if let Some(purchase) = buy(&sales, &customer, quantity, &order).await {
                    let customer = customer.clone();
                    let answered = moments.next();
                    acknowledged.push(Acknowledged { customer, order, purchase, asked, answered });
                }
            }
            acknowledged
        });
    }
    tabs.join_all().await.into_iter().flatten().collect()
}

/// What Redis says in the end.
struct Books {
    left: u32,
    sold: u32,
    bought: BTreeMap<String, u32>,
    purchases: BTreeMap<String, String>,
}

impl Books {
    async fn of(wire: &Wire, keys: &Keys) -> Self {
        let sale = FlashSale::new(wire.clone(), keys.clone()).sale().await.unwrap().unwrap();
        let keys = keys.flash_sale();
        let both: BTreeMap<String, String> =
            redis::from_redis_value(wire.send(&["HGETALL", &keys.bought]).await).unwrap();
        // `customer:order` is a purchase, `customer` what he has.
        let (purchases, have): (BTreeMap<_, _>, BTreeMap<_, _>) =
            both.into_iter().partition(|(field, _)| field.contains(':'));
        let bought = have.into_iter().map(|(customer, units)| (customer, units.parse().unwrap())).collect();
        let books = Self { left: sale.left, sold: sale.sold, bought, purchases };
        assert_eq!(books.left + books.sold, sale.plan.units, "what is left and what is sold");
        assert_eq!(books.bought.values().sum::<u32>(), books.sold, "what the customers have");
        assert!(books.bought.values().all(|have| (1..=CAP).contains(have)), "{:?}", books.bought);
        let valid = books.purchases.values().filter(|answer| !answer.starts_with("back"));
        let in_purchases = valid.map(|answer| answer.split(' ').next().unwrap().parse::<u32>().unwrap());
        assert_eq!(in_purchases.sum::<u32>(), books.sold, "what the purchases say");
        books
    }
}

/// Every receipt is in the books, each once, and one after the other they bring the stock down to what is left.
fn account_for(acknowledged: &[Acknowledged], stock: u32, books: &Books) {
    let mut receipts: Vec<Receipt> = Vec::new();
    for Acknowledged { customer, order, purchase, .. } in acknowledged {
        let (Purchase::Bought(receipt) | Purchase::AlreadyBought(receipt)) = purchase else {
            panic!("nobody waits: {purchase:?}");
        };
        let Receipt { units, left, yours } = receipt;
        assert_eq!(books.purchases[&format!("{customer}:{order}")], format!("{units} {left} {yours}"));
        receipts.push(*receipt);
    }
    assert_eq!(receipts.len(), books.purchases.len(), "nothing was bought that was not acknowledged");
    receipts.sort_by_key(|receipt| std::cmp::Reverse(receipt.left));
    let mut left = stock;
    for receipt in receipts {
        assert_eq!(receipt.left, left - receipt.units, "each purchase begins where the one before it ended");
        left = receipt.left;
    }
    assert_eq!(left, books.left);
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_stock_is_sold_though_answers_get_lost() {
    let (mut broken, mut sold, mut acknowledgements) = (0, 0, 0);
    for seed in 0..10 {
        let keys = own_keys(Layout::Standalone);
        let direct = Wire::standalone().await;
        open(&FlashSale::new(direct.clone(), keys.clone()), 100, 0).await;
        let breaking = Breaking::in_front_of(server(), 13).await;
        let mut wires = Vec::new();
        for _ in 0..8 {
            wires.push(Wire::reconnecting(breaking.url()).await);
        }
        let acknowledged = crowd(&wires, AT_A_TIME, &keys, 200, seed).await;
        let books = Books::of(&direct, &keys).await;
        assert_eq!(books.sold, 100, "two hundred customers wanted more");
        account_for(&acknowledged, 100, &books);
        broken += breaking.broken();
        sold += books.sold;
        acknowledgements += acknowledged.len();
    }
    println!(
        "10 runs, 200 buyers in 400 tabs: sold {sold} of 1000, {acknowledgements} acknowledged, {broken} cut"
    );
    assert!(broken > 10, "only {broken} answers were lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_stock_is_sold_while_slots_move() {
    let wires = four(Wire::cluster).await;
    let wire = &wires[0];
    teach_scripts(wire).await;
    let (mut moves, mut sold) = (0, 0);
    for seed in 0..3 {
        let keys = own_keys(Layout::Cluster);
        open(&FlashSale::new(wire.clone(), keys.clone()), 100, 0).await;
        let moving = Moving::slots_of(keys.flash_sale().all());
        let acknowledged = crowd(&wires, AT_A_TIME, &keys, 100, seed).await;
        moves += moving.end();
        let books = Books::of(wire, &keys).await;
        assert_eq!(books.sold, 100);
        account_for(&acknowledged, 100, &books);
        sold += books.sold;
    }
    println!("3 runs, 100 buyers in 200 tabs: sold {sold} of 300 during {moves} moves");
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_stock_is_sold_while_a_cluster_cuts_its_clients_off() {
    let cluster = Cluster::start(3).unwrap();
    let wires = four(async || Wire::of_cluster(&cluster).await).await;
    let wire = &wires[0];
    teach_scripts(wire).await;
    let (mut cuts, mut sold) = (0, 0);
    for seed in 0..3 {
        let keys = own_keys(Layout::Cluster);
        open(&FlashSale::new(wire.clone(), keys.clone()), 100, 0).await;
        let cutting = Cutting::connections_of(&cluster, Duration::from_millis(40));
        let acknowledged = crowd(&wires, 1, &keys, 100, seed).await;
        cuts += cutting.end();
        let books = Books::of(wire, &keys).await;
        assert_eq!(books.sold, 100);
        account_for(&acknowledged, 100, &books);
        sold += books.sold;
    }
    println!("3 runs, 100 buyers in 200 tabs: sold {sold} of 300, {cuts} connections cut");
    assert!(cuts > 3, "only {cuts} connections were cut");
}

/// Ten units are sold out at once; everybody else waits, and then all ten come back.
async fn wait_and_be_served(wires: &[Wire], direct: &Wire, keys: &Keys) -> usize {
    const STOCK: usize = 10;
    const WAITING: usize = 60;
    let sales = FlashSale::new(direct.clone(), keys.clone());
    open(&sales, u32::try_from(STOCK).unwrap(), 1000).await;
    let order: OrderId = "only".parse().unwrap();
    let name = |number: usize| -> CustomerId { format!("user{number}").parse().unwrap() };
    for number in 0..STOCK {
        // Again, if the answer came so late that he asked a second time.
        let bought = buy(&sales, &name(number), 1, &order).await;
        assert!(matches!(bought, Some(Purchase::Bought(_) | Purchase::AlreadyBought(_))), "{bought:?}");
    }

    // Everybody comes twice, so that a second place would be noticed.
    let moments = Moments::default();
    let mut arriving = JoinSet::new();
    for number in (STOCK..STOCK + WAITING).chain(STOCK..STOCK + WAITING) {
        let (customer, order, moments) = (name(number), order.clone(), moments.clone());
        let sales = FlashSale::new(wires[number % wires.len()].clone(), keys.clone());
        arriving.spawn(async move {
            let asked = moments.next();
            let purchase = buy(&sales, &customer, 1, &order).await.unwrap();
            let answered = moments.next();
            Acknowledged { customer, order, purchase, asked, answered }
        });
    }
    let arrived = arriving.join_all().await;
    let mut numbers: BTreeMap<CustomerId, (u64, u64, u64)> = BTreeMap::new();
    for Acknowledged { customer, purchase, asked, answered, .. } in arrived {
        let Purchase::Waiting(Place { number, .. }) = purchase else { panic!("{purchase:?}") };
        let first = numbers.entry(customer).or_insert((number, asked, answered));
        assert_eq!(first.0, number, "one place for each");
        *first = (number, first.1.min(asked), first.2.min(answered));
    }
    let given: BTreeSet<u64> = numbers.values().map(|(number, ..)| *number).collect();
    assert_eq!(given, (1..=WAITING as u64).collect(), "distinct, and without gaps");
    for (number, _, answered) in numbers.values() {
        for (other, asked, _) in numbers.values() {
            assert!(answered > asked || number < other, "{number} was given before {other} was asked for");
        }
    }

    // Everybody who bought gives back, twice each and at once.
    let mut giving = JoinSet::new();
    for number in (0..STOCK).chain(0..STOCK) {
        let (customer, order) = (name(number), order.clone());
        let sales = FlashSale::new(wires[number % wires.len()].clone(), keys.clone());
        giving.spawn(async move { (customer.clone(), give_back(&sales, &customer, &order).await) });
    }
    let mut backs: BTreeMap<CustomerId, GaveBack> = BTreeMap::new();
    for (customer, back) in giving.join_all().await {
        let first = backs.entry(customer).or_insert_with(|| back.clone());
        assert_eq!(*first, back, "the same answer for who asks again");
    }
    let served: Vec<u64> = backs.values().flat_map(|back| &back.served).map(|served| served.number).collect();
    assert_eq!(served.len(), STOCK, "each unit went to somebody, once");
    assert_eq!(served.iter().copied().collect::<BTreeSet<_>>(), (1..=STOCK as u64).collect(), "to the first");

    let books = Books::of(direct, keys).await;
    assert_eq!((books.left, books.sold), (0, u32::try_from(STOCK).unwrap()));
    for (customer, (number, ..)) in &numbers {
        let has = books.bought.get(customer.as_str()).copied().unwrap_or_default();
        assert_eq!(has, u32::from(*number <= STOCK as u64), "number {number}");
    }
    WAITING
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_has_no_gaps_and_units_that_come_back_go_to_its_first_once() {
    let (mut placed, mut broken) = (0, 0);
    for _ in 0..5 {
        let breaking = Breaking::in_front_of(server(), 13).await;
        let mut wires = Vec::new();
        for _ in 0..8 {
            wires.push(Wire::reconnecting(breaking.url()).await);
        }
        let keys = own_keys(Layout::Standalone);
        placed += wait_and_be_served(&wires, &Wire::standalone().await, &keys).await;
        broken += breaking.broken();
    }
    println!("5 runs on one server: {placed} places, 50 units given back and served, {broken} cut");
    assert!(broken > 5, "only {broken} answers were lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_is_as_good_on_a_cluster_whose_slots_move() {
    let wires = four(Wire::cluster).await;
    let wire = &wires[0];
    teach_scripts(wire).await;
    let (mut placed, mut moves) = (0, 0);
    for _ in 0..3 {
        let keys = own_keys(Layout::Cluster);
        let moving = Moving::slots_of(keys.flash_sale().all());
        placed += wait_and_be_served(&wires, wire, &keys).await;
        moves += moving.end();
    }
    println!("3 runs on a cluster: {placed} places, 30 units given back and served, during {moves} moves");
}
