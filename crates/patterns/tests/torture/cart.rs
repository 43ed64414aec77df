use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::cart::{self, Cart, Item, Owner, Representation};
use patterns::money::Cents;

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const PRICE: Cents = Cents::new(250).unwrap();
/// So many clients share a cart, in which each has a product of its own.
const IN_A_CART: usize = 5;

pub const PATTERN: Pattern = Pattern {
    name: "cart",
    workload: |prefix| Box::new(Carts { prefix: prefix.to_owned(), acknowledged: Mutex::default() }),
    plain_commands: &["SET"],
    scripts: cart::scripts,
};

struct Carts {
    prefix: String,
    /// Client to the units that must be in the cart.
    acknowledged: Mutex<BTreeMap<usize, u32>>,
}

impl Carts {
    /// Half of the carts are Hashes, half are Sorted Sets.
    fn cart(&self, connection: TestConnection, client: usize) -> Cart<TestConnection> {
        let cart = Cart::new(connection, &self.prefix);
        if (client / IN_A_CART).is_multiple_of(2) {
            cart
        } else {
            cart.with_representation(Representation::SortedSet)
        }
    }
}

fn user_of(client: usize) -> String {
    format!("user{}", client / IN_A_CART)
}

impl Workload for Carts {
    /// In turn: two units, of which an order takes one; or two units of a guest, who logs in. None of it may count twice.
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let cart = self.cart(connection, client);
        let (user, guest, sku) = (user_of(client), format!("guest{client}"), format!("sku{client}"));
        let id = format!("{client}-{call}");
        let item = Item::new(&sku, 2, PRICE).with_request_id(&id);
        let units = if call.is_multiple_of(2) {
            cart.add_item(user.as_str(), &item.with_ttl(Duration::from_hours(200 * 24))).await?;
            cart.set_quantity(user.as_str(), "other", 0).await?;
            cart.take(user.as_str(), &id, &[(&sku, 1)]).await?;
            1
        } else {
            cart.add_item(Owner::Guest(&guest), &item).await?;
            cart.merge(&guest, &user).await?;
            cart.contents(user.as_str()).await?;
            2
        };
        *self.acknowledged.lock().unwrap().entry(client).or_default() += units;
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        let mut as_expected = true;
        for (client, expected) in acknowledged {
            let cart = self.cart(connection.clone(), client);
            let (user, sku) = (user_of(client), format!("sku{client}"));
            let failed = |error: &dyn std::error::Error| format!("the cart of {user}: {error}");
            // A merge that was cut off is finished.
            cart.merge(&format!("guest{client}"), &user).await.map_err(|error| failed(&error))?;
            let contents = cart.contents(user.as_str()).await.map_err(|error| failed(&error))?;
            let view = cart.view(user.as_str()).await.map_err(|error| failed(&error))?;
            let units: u64 = view.lines.iter().map(|line| u64::from(line.quantity)).sum();
            let priced = view.lines.iter().all(|line| line.seen_price == Some(PRICE));
            let total = priced.then(|| PRICE.checked_mul(u32::try_from(units).unwrap())).flatten();
            if (contents.lines, contents.units, contents.seen_total) != (view.lines.len(), units, total) {
                return Err(format!("sums that fit {view:?}; found {contents:?}").into());
            }
            as_expected &= priced;
            let found = view.lines.iter().find(|line| line.sku == sku).map_or(0, |line| line.quantity);
            let lossy = matches!(fault, Fault::KeyLost(_) | Fault::WritesLost | Fault::ClockForward);
            // An order that a failover forgets has not taken its unit.
            let most = if *fault == Fault::WritesLost { 2 * expected } else { expected };
            if found > most || found < expected && !lossy {
                return Err(format!("{expected} units of {sku}; found {found}").into());
            }
            as_expected &= found == expected;
            // Still at work.
            let before = view.lines.iter().find(|line| line.sku == "last").map_or(0, |line| line.quantity);
            let added = cart.add(user.as_str(), "last", 1, PRICE).await.map_err(|error| failed(&error))?;
            if added.quantity != before + 1 {
                return Err(format!("{before} and one more; found {added:?}").into());
            }
            for key in &cart.keys(user.as_str()).map_err(|error| failed(&error))? {
                let ttl: i64 = connection.send(&["PTTL", key]).await;
                if ttl == -1 {
                    return Err(format!("{key} with a TTL; found none").into());
                }
            }
        }
        Ok(match fault {
            _ if as_expected => Verdict::Held,
            Fault::KeyLost(key) if key.ends_with(":prices") => {
                Verdict::Contract("its lines have no price seen")
            }
            Fault::KeyLost(key) if key.ends_with(":merging") => Verdict::Contract("the lines in it are lost"),
            Fault::KeyLost(_) => Verdict::Contract("If cart:1 is evicted, the cart is empty"),
            Fault::ClockForward => {
                Verdict::Contract("A clock that is set back or forward moves deadlines and TTLs by as much")
            }
            _ => Verdict::Contract(
                "an acknowledged change is lost if the server fails over before it has reached the replica",
            ),
        })
    }
}
