use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::checkout::{self, Charge, Checkout, CheckoutError, Line, Order, Payments, Reason, State};
use patterns::inventory::Inventory;
use patterns::key::scan_pattern;
use patterns::money::Cents;

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const PRODUCTS: [&str; 2] = ["A", "B"];
const UNITS: u64 = 150;
const TEN_MINUTES: Duration = Duration::from_mins(10);

pub const PATTERN: Pattern = Pattern {
    name: "checkout",
    workload: |prefix| Box::new(Orders { prefix: prefix.to_owned(), bank: Bank::default() }),
    plain_commands: &["HGETALL"],
    scripts: checkout::scripts,
};

struct Orders {
    prefix: String,
    bank: Bank,
}

/// A bank that keeps to the contract; nothing happens to it.
#[derive(Default)]
pub struct Bank {
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    asked: BTreeSet<String>,
    charged: BTreeMap<String, Cents>,
    ended: BTreeSet<String>,
    taken_out: BTreeSet<String>,
}

impl Payments for Bank {
    type Error = std::convert::Infallible;

    async fn charge(&self, order: &str, amount: Cents) -> Result<Charge, Self::Error> {
        let mut books = self.books.lock().unwrap();
        books.asked.insert(order.to_owned());
        if books.ended.contains(order) {
            return Ok(Charge::Declined);
        }
        books.charged.insert(order.to_owned(), amount);
        Ok(Charge::Charged)
    }

    async fn refund(&self, order: &str) -> Result<(), Self::Error> {
        let mut books = self.books.lock().unwrap();
        books.ended.insert(order.to_owned());
        books.charged.remove(order);
        Ok(())
    }

    async fn was_charged(&self, order: &str) -> Result<bool, Self::Error> {
        Ok(self.books.lock().unwrap().charged.contains_key(order))
    }

    async fn sold(&self, order: &Order) -> Result<(), Self::Error> {
        self.books.lock().unwrap().taken_out.insert(order.id.clone());
        Ok(())
    }
}

type Failed = CheckoutError<std::convert::Infallible>;

fn lines() -> [Line; 2] {
    PRODUCTS.map(|sku| Line {
        sku: sku.to_owned(),
        quantity: 1,
        unit_price: Cents::new(100).unwrap_or_default(),
    })
}

impl Orders {
    fn checkout(&self, connection: TestConnection) -> (Checkout<TestConnection>, Inventory<TestConnection>) {
        let inventory = Inventory::new(connection.clone(), &self.prefix);
        let checkout = Checkout::new(connection, &self.prefix, inventory.clone());
        (checkout.with_times(TEN_MINUTES, TEN_MINUTES), inventory)
    }

    /// A buyer who goes all the way, or dies on it.
    async fn buy(&self, checkout: &Checkout<TestConnection>, id: &str, steps: usize) -> Result<(), Failed> {
        if steps > 2 {
            checkout.place(id, "ann", &lines(), &self.bank).await?;
            return Ok(());
        }
        let order = checkout.open(id, "ann", &lines()).await?;
        let order =
            if order.state == State::Open && steps > 0 { checkout.reserve(&order).await? } else { order };
        if order.state == State::Open && steps > 1 {
            let order = checkout.begin_payment(&order).await?;
            if order.state == State::Paying {
                checkout.pay(&order, &self.bank).await?;
            }
        }
        Ok(())
    }

    /// Everybody's time is over.
    async fn recover_all(
        &self,
        connection: &TestConnection,
        checkout: &Checkout<TestConnection>,
    ) -> Result<(), Failure> {
        let lists = connection.keys(&scan_pattern(&self.prefix, "unfinished_orders")).await;
        for list in &lists {
            let orders: Vec<String> = connection.send(&["ZRANGE", list, "0", "-1"]).await;
            for order in orders {
                connection.send::<()>(&["ZADD", list, "XX", "1", &order]).await;
            }
        }
        for _ in 0..20 {
            let recovered = checkout.recover(&self.bank).await?;
            if let Some((order, error)) = recovered.failed.first() {
                return Err(format!("each order finished; found {order}: {error}").into());
            }
            if recovered.finished.is_empty() && recovered.lost.is_empty() {
                return Ok(());
            }
        }
        Err("an end of the recovery".into())
    }
}

impl Workload for Orders {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let (checkout, inventory) = self.checkout(connection);
        for sku in PRODUCTS {
            inventory.set_up(sku, UNITS, None).await?;
        }
        for steps in 0..=3 {
            self.buy(&checkout, &format!("early{steps}"), steps).await?;
        }
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let (checkout, inventory) = self.checkout(connection);
        match self.buy(&checkout, &format!("{client}-{call}"), (client + call) % 5).await {
            Err(CheckoutError::Canceled(Reason::NotInStock { .. })) => {
                for sku in PRODUCTS {
                    inventory.set_up(sku, UNITS, None).await?;
                }
                Ok(())
            }
            Ok(())
            | Err(
                CheckoutError::Canceled(_) | CheckoutError::OrderLost(_) | CheckoutError::UnknownOrder(_),
            ) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let (checkout, inventory) = self.checkout(connection.clone());
        let lost = |what: &str| matches!(fault, Fault::KeyLost(key) if key.contains(what));
        for sku in PRODUCTS {
            inventory.set_up(sku, UNITS, None).await?;
        }
        self.recover_all(&connection, &checkout).await?;
        // As the contract says: those that the payment provider knows are carried on.
        let asked = self.bank.books.lock().unwrap().asked.clone();
        if matches!(fault, Fault::WritesLost | Fault::KeyLost(_)) {
            for id in &asked {
                match checkout.resume(id, &self.bank).await {
                    // A finished order that was lost is on no list. Asking for it here refunds it.
                    Ok(_)
                    | Err(
                        CheckoutError::Canceled(_)
                        | CheckoutError::UnknownOrder(_)
                        | CheckoutError::OrderLost(_),
                    ) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let (mut done, mut charged) = (0, 0);
        for id in &asked {
            let state = checkout.get(id).await?.map(|order| order.state);
            let books = self.bank.books.lock().unwrap();
            let is_charged = books.charged.contains_key(id);
            let bought = state == Some(State::Done);
            if is_charged != bought || bought && !books.taken_out.contains(id) {
                return Err(
                    format!("charged and done, or neither; {id} is {state:?}, charged {is_charged}").into()
                );
            }
            done += u64::from(bought);
            charged += u64::from(is_charged);
        }
        for sku in PRODUCTS {
            let deadlines = inventory.key(sku)?.companion("deadlines");
            let holds: Vec<String> = connection.send(&["ZRANGE", &deadlines, "0", "-1"]).await;
            for hold in holds {
                connection.send::<()>(&["ZADD", &deadlines, "XX", "1", &hold]).await;
            }
            let level = inventory.level(sku).await?;
            // What an order that was lost after it was sold has bought is sold all the same.
            let right = if lost("order:") { level.sold >= done } else { level.sold == done };
            if !(right && level.held == 0 && level.free + level.sold == UNITS || lost("ledger"))
                || level.free > UNITS
            {
                return Err(format!("{done} of {sku} sold, none held; found {level:?}").into());
            }
        }
        assert_eq!(done, charged);
        let placed = checkout.place("check", "ann", &lines(), &self.bank).await?;
        if placed.state != State::Done {
            return Err(format!("another order; found {placed:?}").into());
        }
        Ok(match fault {
            Fault::WritesLost => {
                Verdict::Contract("An acknowledged step may be lost when a replica takes over")
            }
            Fault::ClockForward => {
                Verdict::Contract("If the clock jumps forward, unpaid orders are given up")
            }
            _ if lost("unfinished_orders") => Verdict::Contract("its orders are not recovered"),
            _ if lost("order:") => Verdict::Contract("refund the order, as its lines are unknown"),
            _ => Verdict::Held,
        })
    }
}
