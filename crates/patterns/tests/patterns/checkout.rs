use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use lab_server::Replicated;
use lab_testing::{TestConnection, prefix, until};
use patterns::checkout::{Charge, Checkout, CheckoutError, Line, Order, Payments, Reason, State};
use patterns::inventory::{Inventory, Level};
use patterns::money::Cents;
use patterns::script::StoreError;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use tokio::task::JoinSet;

use crate::everywhere;

const LONG: Duration = Duration::from_mins(10);
const SHORT: Duration = Duration::from_millis(40);
const OWNER: &str = "ann@example.com";
const ID: &str = "ORD 1:{é}";
/// Two of `a:1` at 10.00 and one of `b` at 2.50.
const TOTAL: i64 = 2250;

#[derive(Debug, thiserror::Error)]
#[error("the connection to the bank was lost")]
struct LostBank;

/// A bank that keeps to the contract, and can lose its reply. It also has the cart.
#[derive(Clone, Default)]
struct Bank {
    books: Arc<Mutex<Books>>,
    loses_replies: Arc<AtomicBool>,
    declines: Arc<AtomicBool>,
}

#[derive(Default)]
struct Books {
    charged: HashMap<String, Cents>,
    charges: u32,
    ended: HashSet<String>,
    taken_out: HashSet<String>,
}

impl Payments for Bank {
    type Error = LostBank;

    async fn charge(&self, order: &str, amount: Cents) -> Result<Charge, LostBank> {
        tokio::task::yield_now().await;
        let mut books = self.books.lock().unwrap();
        if books.ended.contains(order) || self.declines.load(Ordering::Relaxed) {
            return Ok(Charge::Declined);
        }
        if books.charged.insert(order.to_owned(), amount).is_none() {
            books.charges += 1;
        }
        if self.loses_replies.load(Ordering::Relaxed) { Err(LostBank) } else { Ok(Charge::Charged) }
    }

    async fn refund(&self, order: &str) -> Result<(), LostBank> {
        let mut books = self.books.lock().unwrap();
        books.ended.insert(order.to_owned());
        books.charged.remove(order);
        Ok(())
    }

    async fn was_charged(&self, order: &str) -> Result<bool, LostBank> {
        Ok(self.books.lock().unwrap().charged.contains_key(order))
    }

    async fn sold(&self, order: &Order) -> Result<(), LostBank> {
        self.books.lock().unwrap().taken_out.insert(order.id.clone());
        Ok(())
    }
}

impl Bank {
    /// What the order was charged and not refunded, in cents; and whether its lines were taken out of the cart.
    fn has(&self, order: &str) -> (Option<i64>, bool) {
        let books = self.books.lock().unwrap();
        (books.charged.get(order).map(|cents| cents.get()), books.taken_out.contains(order))
    }

    fn charges(&self) -> u32 {
        self.books.lock().unwrap().charges
    }
}

/// A checkout with five of each product in stock.
struct Sale {
    connection: TestConnection,
    checkout: Checkout<TestConnection>,
    inventory: Inventory<TestConnection>,
    bank: Bank,
}

fn line(sku: &str, quantity: u32, cents: i64) -> Line {
    Line { sku: sku.to_owned(), quantity, unit_price: Cents::new(cents).unwrap() }
}

fn lines() -> [Line; 2] {
    [line("a:1", 2, 1000), line("b", 1, 250)]
}

impl Sale {
    async fn new(connection: &TestConnection, prefix: &str) -> Self {
        let inventory = Inventory::new(connection.clone(), prefix);
        for sku in ["a:1", "b"] {
            inventory.set_up(sku, 5, None).await.unwrap();
        }
        // However slow the machine is, no buyer's time is over before the test says so.
        let checkout = Checkout::new(connection.clone(), prefix, inventory.clone()).with_times(LONG, LONG);
        Self { connection: connection.clone(), checkout, inventory, bank: Bank::default() }
    }

    async fn open(&self) -> Order {
        self.checkout.open::<LostBank>(ID, OWNER, &lines()).await.unwrap()
    }

    async fn place(&self) -> Result<Order, CheckoutError<LostBank>> {
        self.checkout.place(ID, OWNER, &lines(), &self.bank).await
    }

    /// Takes the first steps, and no more.
    async fn steps(&self, count: usize) -> Order {
        let mut order = self.open().await;
        if count > 0 {
            order = self.checkout.reserve::<LostBank>(&order).await.unwrap();
        }
        if count > 1 {
            order = self.checkout.begin_payment::<LostBank>(&order).await.unwrap();
        }
        if count > 2 {
            order = self.checkout.pay(&order, &self.bank).await.unwrap();
        }
        if count > 3 {
            order = self.checkout.sell::<LostBank>(&order).await.unwrap();
        }
        order
    }

    /// The buyer's time is over: the order is for the recovery now.
    async fn is_due(&self) {
        let key = self.checkout.unfinished_key(ID).unwrap();
        let changed: i64 = self.connection.send(&["ZADD", key.as_str(), "XX", "CH", "1", ID]).await;
        assert_eq!(changed, 1);
    }

    /// The order's hold of this product is over, and its units are free.
    async fn hold_expires(&self, sku: &str) {
        let deadlines = self.inventory.key(sku).unwrap().companion("deadlines");
        self.connection.send::<()>(&["ZADD", &deadlines, "XX", "1", &format!("r:{ID}")]).await;
        self.inventory.level(sku).await.unwrap();
    }

    async fn lose_order(&self) {
        let key = self.checkout.key(ID).unwrap();
        assert_eq!(self.connection.send::<i64>(&["DEL", key.as_str()]).await, 1);
    }

    async fn levels(&self) -> [(u64, u64, u64); 2] {
        let mut levels = [(0, 0, 0); 2];
        for (sku, level) in ["a:1", "b"].iter().zip(&mut levels) {
            let Level { free, held, sold } = self.inventory.level(sku).await.unwrap();
            *level = (free, held, sold);
        }
        levels
    }

    async fn unfinished(&self) -> bool {
        let key = self.checkout.unfinished_key(ID).unwrap();
        self.connection.send::<bool>(&["EXISTS", key.as_str()]).await
    }

    /// Charged once, sold, and taken out of the cart.
    async fn assert_bought(&self, when: &str) {
        assert_eq!((self.bank.has(ID), self.bank.charges()), ((Some(TOTAL), true), 1), "{when}");
        assert_eq!(self.levels().await, [(3, 0, 2), (4, 0, 1)], "{when}");
        assert!(!self.unfinished().await, "{when}");
    }

    /// Nothing charged, the stock back, the cart as it was.
    async fn assert_undone(&self, when: &str) {
        assert_eq!(self.bank.has(ID), (None, false), "{when}");
        assert_eq!(self.levels().await, [(5, 0, 0), (5, 0, 0)], "{when}");
        assert!(!self.unfinished().await, "{when}");
    }
}

#[test]
fn an_order_is_charged_once_and_sold_however_often_it_is_placed() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        for _ in 0..3 {
            let order = sale.place().await.unwrap();
            assert_eq!((order.state, order.total.get()), (State::Done, TOTAL));
            assert_eq!((order.lines.as_slice(), order.owner.as_str()), (&lines()[..], OWNER));
            sale.assert_bought("placed").await;
        }
        assert_eq!(sale.checkout.resume(ID, &sale.bank).await.unwrap().state, State::Done);
        sale.assert_bought("resumed").await;
        let ttl: i64 = connection.send(&["PTTL", sale.checkout.key(ID).unwrap().as_str()]).await;
        assert!(ttl > 0, "it is not kept forever");
    });
}

#[test]
fn clients_with_one_order_id_make_one_order_charged_once() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let (checkout, bank) = (sale.checkout.clone(), sale.bank.clone());
            clients.spawn(async move { checkout.place(ID, OWNER, &lines(), &bank).await.unwrap().state });
        }
        assert_eq!(clients.join_all().await, [State::Done; 8]);
        sale.assert_bought("by eight at once").await;
    });
}

#[test]
fn a_client_who_asks_for_money_after_another_has_finished_leaves_nothing_to_recover() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        let open = sale.open().await;
        sale.place().await.unwrap();
        let order = sale.checkout.begin_payment::<LostBank>(&open).await.unwrap();
        assert_eq!(order.state, State::Done);
        sale.assert_bought("by a faster client").await;
    });
}

#[test]
fn a_line_that_is_out_of_stock_cancels_the_order_and_says_how_many_there_are() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        sale.inventory.reserve("a:1", "other", 4, LONG).await.unwrap();
        for _ in 0..2 {
            let refused = sale.place().await;
            let Err(CheckoutError::Canceled(Reason::OutOfStock { sku, available: 1 })) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(sku, "a:1");
            assert_eq!(sale.levels().await, [(1, 4, 0), (5, 0, 0)], "the other line is free again");
            assert_eq!(sale.bank.charges(), 0);
        }
        // Another order, when there is enough again.
        sale.inventory.release("a:1", "other").await.unwrap();
        sale.checkout.place("ORD-2", OWNER, &lines(), &sale.bank).await.unwrap();
        assert_eq!(sale.bank.has("ORD-2"), (Some(TOTAL), true));
        let refused = sale.checkout.place("ORD-3", OWNER, &[line("GHOST", 1, 1)], &sale.bank).await;
        assert_matches!(refused, Err(CheckoutError::Canceled(Reason::NotInStock { .. })));
    });
}

#[test]
fn a_declined_payment_undoes_the_order() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        sale.bank.declines.store(true, Ordering::Relaxed);
        assert_matches!(sale.place().await, Err(CheckoutError::Canceled(Reason::Declined)));
        sale.assert_undone("declined").await;
    });
}

#[test]
fn lines_that_make_no_order_and_orders_of_others_are_refused() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        let max = Cents::MAX_PRICE.get();
        for lines in [
            vec![],
            vec![line("a:1", 0, 1)],
            vec![line("", 1, 1)],
            vec![line("a:1", 1, 1), line("a:1", 2, 1)],
            vec![line("a:1", u32::MAX, max), line("b", u32::MAX, max)],
            (0..1_001).map(|n| line(&n.to_string(), 1, 1)).collect(),
        ] {
            let refused = sale.checkout.place(ID, OWNER, &lines, &sale.bank).await;
            assert_matches!(refused, Err(CheckoutError::Lines(_)));
        }
        assert_eq!(sale.checkout.get(ID).await.unwrap(), None, "no order was opened");
        sale.place().await.unwrap();
        let theirs = sale.checkout.place(ID, "bob", &lines(), &sale.bank).await;
        assert_matches!(theirs, Err(CheckoutError::NotYours(_)));
        assert_matches!(sale.checkout.resume("ORD-9", &sale.bank).await, Err(CheckoutError::UnknownOrder(_)));
        assert_eq!(
            sale.checkout.place("ORD-9", "bob", &lines(), &sale.bank).await.unwrap().state,
            State::Done
        );
    });
}

#[test]
fn an_order_takes_the_round_trips_it_states() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        // The first change asks for a sweeper. The others do not.
        sale.place().await.unwrap();
        let lines = lines();
        let place = sale.checkout.place("ORD-2", OWNER, &lines, &sale.bank);
        assert_eq!(connection.round_trips_of(place).await, 9 + 3 * 2);
        assert_eq!(connection.round_trips_of(sale.checkout.recover(&sale.bank)).await, 16);
    });
}

#[test]
fn a_buyer_who_dies_after_any_step_leaves_money_and_stock_consistent() {
    // True if the order must be done then.
    const DEATHS: [(&str, bool); 8] = [
        ("opening", false),
        ("holding all lines", false),
        ("beginning the payment", false),
        ("the payment", true),
        ("selling all lines", true),
        ("holding one line", false),
        ("charging, without the reply", true),
        ("selling one line", true),
    ];
    everywhere(async |connection, prefix| {
        for (steps, (death, bought)) in DEATHS.iter().enumerate() {
            let sale = Sale::new(&connection, &format!("{prefix}{steps}:")).await;
            match steps {
                0..=4 => drop(sale.steps(steps).await),
                5 => {
                    sale.open().await;
                    sale.inventory.reserve("a:1", ID, 2, LONG).await.unwrap();
                }
                6 => {
                    let order = sale.steps(2).await;
                    sale.bank.loses_replies.store(true, Ordering::Relaxed);
                    let lost = sale.checkout.pay(&order, &sale.bank).await;
                    assert_matches!(lost, Err(CheckoutError::Payment(LostBank)));
                    sale.bank.loses_replies.store(false, Ordering::Relaxed);
                }
                _ => {
                    sale.steps(3).await;
                    sale.inventory.confirm("a:1", ID).await.unwrap();
                }
            }
            sale.is_due().await;
            let recovered = sale.checkout.recover(&sale.bank).await.unwrap();
            assert_eq!(recovered.finished.len(), 1, "{death}: {recovered:?}");
            // A second recovery, and the buyer who comes back after all, change nothing.
            assert!(sale.checkout.recover(&sale.bank).await.unwrap().finished.is_empty());
            assert_eq!(sale.checkout.resume(ID, &sale.bank).await.is_ok(), *bought, "{death}");
            if *bought {
                sale.assert_bought(death).await;
            } else {
                assert_eq!(recovered.finished[0].reason, Some(Reason::Abandoned), "{death}");
                sale.assert_undone(death).await;
            }
        }
    });
}

#[test]
fn a_paid_order_whose_hold_is_lost_is_sold_from_the_free_units() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        sale.steps(3).await;
        sale.hold_expires("a:1").await;
        assert_eq!(sale.checkout.resume(ID, &sale.bank).await.unwrap().state, State::Done);
        sale.assert_bought("late").await;
    });
}

#[test]
fn what_was_paid_and_can_no_longer_be_sold_is_refunded_and_what_was_sold_comes_back() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        sale.steps(3).await;
        assert_eq!(sale.bank.has(ID), (Some(TOTAL), false));
        // One line is sold; the other hold has expired, and another buyer has its units.
        sale.inventory.confirm("a:1", ID).await.unwrap();
        sale.hold_expires("b").await;
        sale.inventory.reserve("b", "other", 5, LONG).await.unwrap();
        let canceled = sale.checkout.resume(ID, &sale.bank).await;
        let Err(CheckoutError::Canceled(Reason::LostHold { sku })) = canceled else { panic!("{canceled:?}") };
        assert_eq!(sku, "b");
        sale.inventory.release("b", "other").await.unwrap();
        sale.assert_undone("one hold was lost").await;
    });
}

#[test]
fn a_buyer_who_was_given_up_while_paying_is_not_charged() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        let paying = sale.steps(2).await;
        sale.is_due().await;
        sale.checkout.recover(&sale.bank).await.unwrap();
        // Now the charge arrives.
        let order = sale.checkout.pay(&paying, &sale.bank).await.unwrap();
        assert_eq!(order.state, State::Canceled);
        sale.assert_undone("given up while paying").await;
    });
}

#[test]
fn a_charged_order_that_was_lost_is_refunded_or_carried_on_by_its_buyer() {
    everywhere(async |connection, prefix| {
        // The recovery finds it.
        let sale = Sale::new(&connection, &format!("{prefix}1:")).await;
        sale.steps(3).await;
        sale.lose_order().await;
        sale.is_due().await;
        let recovered = sale.checkout.recover(&sale.bank).await.unwrap();
        assert_eq!(recovered.lost, [ID]);
        assert_eq!(sale.bank.has(ID), (None, false));
        for sku in ["a:1", "b"] {
            sale.hold_expires(sku).await;
        }
        sale.assert_undone("lost and recovered").await;

        // Its buyer asks for it.
        let sale = Sale::new(&connection, &format!("{prefix}2:")).await;
        sale.steps(3).await;
        sale.lose_order().await;
        let lost = sale.checkout.resume(ID, &sale.bank).await;
        assert_matches!(lost, Err(CheckoutError::OrderLost(_)));
        assert_eq!(sale.bank.has(ID), (None, false));

        // It is lost while it is being paid.
        let sale = Sale::new(&connection, &format!("{prefix}3:")).await;
        let paying = sale.steps(2).await;
        sale.lose_order().await;
        assert_matches!(sale.checkout.pay(&paying, &sale.bank).await, Err(CheckoutError::OrderLost(_)));
        assert_eq!(sale.bank.has(ID), (None, false));

        // Its buyer places it again, with one line sold already.
        let sale = Sale::new(&connection, &format!("{prefix}4:")).await;
        sale.steps(3).await;
        sale.inventory.confirm("a:1", ID).await.unwrap();
        sale.lose_order().await;
        assert_eq!(sale.place().await.unwrap().state, State::Done);
        sale.assert_bought("placed again").await;

        // It cannot be carried on: then its earlier charge is refunded, too.
        let sale = Sale::new(&connection, &format!("{prefix}5:")).await;
        sale.steps(3).await;
        sale.lose_order().await;
        sale.hold_expires("b").await;
        assert!(sale.place().await.is_err());
        sale.assert_undone("placed again without stock").await;
    });
}

#[test]
fn an_order_that_was_forgotten_by_the_list_is_finished_when_it_is_asked_for() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        sale.steps(3).await;
        connection.send::<()>(&["DEL", sale.checkout.unfinished_key(ID).unwrap().as_str()]).await;
        assert!(sale.checkout.recover(&sale.bank).await.unwrap().finished.is_empty());
        sale.checkout.resume(ID, &sale.bank).await.unwrap();
        sale.assert_bought("resumed").await;
    });
}

#[test]
fn an_order_that_was_noted_by_a_clock_that_was_set_back_is_due_in_time() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        let checkout = sale.checkout.clone().with_times(SHORT, SHORT);
        checkout.open::<LostBank>(ID, OWNER, &lines()).await.unwrap();
        let key = checkout.unfinished_key(ID).unwrap();
        let (seconds, _): (u64, u64) = connection.send(&["TIME"]).await;
        let in_an_hour = ((seconds + 3600) * 1000).to_string();
        connection.send::<()>(&["ZADD", key.as_str(), &in_an_hour, ID]).await;
        until("it is recovered", async || {
            checkout.recover(&sale.bank).await.unwrap();
            checkout.get(ID).await.unwrap().unwrap().state == State::Canceled
        })
        .await;
    });
}

#[test]
fn orders_that_keep_failing_do_not_hold_up_the_others() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        sale.open().await;
        sale.is_due().await;
        // Somebody else keeps something under the names of more orders than a recovery looks at, all due before ours.
        let list = sale.checkout.unfinished_key(ID).unwrap();
        let same_shard = |id: &String| sale.checkout.unfinished_key(id).unwrap() == list;
        let broken: Vec<String> =
            (0..10_000).map(|n| format!("BROKEN-{n}")).filter(same_shard).take(70).collect();
        join_all(broken.iter().map(async |id| {
            connection.send::<()>(&["SET", sale.checkout.key(id).unwrap().as_str(), "foreign"]).await;
            connection.send::<()>(&["ZADD", list.as_str(), "0", id]).await;
        }))
        .await;
        assert_eq!(sale.checkout.recover(&sale.bank).await.unwrap().failed.len(), 64);
        let recovered = sale.checkout.recover(&sale.bank).await.unwrap();
        assert_eq!(recovered.finished[0].reason, Some(Reason::Abandoned));

        let mut add = redis::cmd("ZADD");
        add.arg(list.as_str()).arg(0).arg(b"\xff".as_slice());
        add.exec_async(&mut connection.clone()).await.unwrap();
        assert_matches!(sale.checkout.recover(&sale.bank).await, Err(StoreError::Malformed(_)));
    });
}

#[test]
fn buyer_and_recovery_never_decide_differently() {
    everywhere(async |connection, prefix| {
        for round in 0..4 {
            let sale = Arc::new(Sale::new(&connection, &format!("{prefix}{round}:")).await);
            let hasty = sale.checkout.clone().with_times(SHORT, SHORT);
            let order = hasty.open::<LostBank>(ID, OWNER, &lines()).await.unwrap();
            let buyer = tokio::spawn({
                let (hasty, bank) = (hasty.clone(), sale.bank.clone());
                async move {
                    tokio::time::sleep(SHORT / 2 * round).await;
                    hasty.resume(&order.id, &bank).await.is_ok()
                }
            });
            until("it is finished", async || {
                hasty.recover(&sale.bank).await.unwrap();
                hasty.get(ID).await.unwrap().unwrap().state.is_finished()
            })
            .await;
            let bought = buyer.await.unwrap();
            hasty.recover(&sale.bank).await.unwrap();
            if bought { sale.assert_bought("raced").await } else { sale.assert_undone("raced").await }
        }
    });
}

/// A connection that holds back the first command on the order until the recovery has passed over it.
#[derive(Clone)]
struct Late {
    connection: TestConnection,
    order: String,
    recovery: Checkout<TestConnection>,
    held_back: Arc<AtomicU32>,
}

impl ConnectionLike for Late {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let order = redis::Arg::Simple(self.order.as_bytes());
            if cmd.args_iter().any(|argument| argument == order)
                && self.held_back.fetch_add(1, Ordering::Relaxed) == 0
            {
                let list = self.recovery.unfinished_key(ID).unwrap();
                until("the order is passed over", async || {
                    self.recovery.recover(&Bank::default()).await.unwrap();
                    !self.connection.send::<bool>(&["EXISTS", list.as_str()]).await
                })
                .await;
            }
            self.connection.req_packed_command(cmd).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.connection.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[test]
fn an_order_that_is_opened_after_the_recovery_passed_over_it_is_recovered_all_the_same() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        let recovery = sale.checkout.clone().with_times(SHORT, SHORT);
        let order = recovery.key(ID).unwrap().as_str().to_owned();
        let late = Late { connection, order, recovery: recovery.clone(), held_back: Arc::default() };
        let inventory = Inventory::new(late.clone(), &prefix);
        let checkout = Checkout::new(late.clone(), &prefix, inventory).with_times(SHORT, SHORT);
        checkout.open::<LostBank>(ID, OWNER, &lines()).await.unwrap();
        assert!(late.held_back.load(Ordering::Relaxed) > 0);
        // The buyer dies here.
        until("it is recovered", async || {
            recovery.recover(&sale.bank).await.unwrap();
            recovery.get(ID).await.unwrap().unwrap().state == State::Canceled
        })
        .await;
        sale.assert_undone("opened late").await;
    });
}

#[tokio::test]
async fn no_order_is_charged_that_too_few_replicas_know() {
    let replicated = Replicated::start(1).unwrap();
    let connection = TestConnection::to_server(&replicated.primary).await;
    let sale = Sale::new(&connection, &prefix()).await;
    let demanding = sale.checkout.clone().with_replicas(2, SHORT);
    for _ in 0..2 {
        let unmet = demanding.place(ID, OWNER, &lines(), &sale.bank).await;
        assert_matches!(unmet, Err(CheckoutError::NotReplicated { .. }));
    }
    assert_eq!(sale.bank.charges(), 0);
    let content = sale.checkout.clone().with_replicas(1, lab_testing::TIMEOUT / 2);
    content.place(ID, OWNER, &lines(), &sale.bank).await.unwrap();
    sale.assert_bought("with a replica").await;
}

#[test]
fn a_key_of_another_type_and_a_foreign_value_are_named_and_left_alone() {
    everywhere(async |connection, prefix| {
        let sale = Sale::new(&connection, &prefix).await;
        let key = sale.checkout.key(ID).unwrap();
        connection.send::<()>(&["SET", key.as_str(), "mine"]).await;
        assert!(sale.place().await.is_err());
        assert_eq!(connection.send::<String>(&["GET", key.as_str()]).await, "mine");
        connection.send::<()>(&["DEL", key.as_str()]).await;
        connection.send::<()>(&["HSET", key.as_str(), "state", "sold out"]).await;
        let error = sale.place().await.unwrap_err();
        assert_matches!(&error, CheckoutError::Store(StoreError::Malformed(what)) if what.contains("order"));
    });
}
