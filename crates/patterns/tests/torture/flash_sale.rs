use std::collections::BTreeMap;
use std::sync::Mutex;

use lab_testing::TestConnection;
use patterns::flash_sale::{self, FlashSale, FlashSaleError, Lost, Plan, Purchase};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const SALE: &str = "current";
const UNITS: u32 = 24;
const CAP: u32 = 2;
const HOUR: u64 = 3_600_000;

pub const PATTERN: Pattern = Pattern {
    name: "flash_sale",
    workload: |prefix| {
        Box::new(Sales { prefix: prefix.to_owned(), plan: Mutex::default(), bought: Mutex::default() })
    },
    plain_commands: &["HMGET", "HSCAN", "TIME"],
    scripts: flash_sale::scripts,
};

struct Sales {
    prefix: String,
    plan: Mutex<Option<Plan>>,
    /// Customer and order to the units that were acknowledged and not given back.
    bought: Mutex<BTreeMap<(String, String), u32>>,
}

impl Sales {
    fn sales(&self, connection: TestConnection) -> FlashSale<TestConnection> {
        FlashSale::new(connection, &self.prefix)
    }

    /// What an operator does who reads the error.
    async fn repair(&self, sales: &FlashSale<TestConnection>, lost: Lost) -> Result<(), Failure> {
        let plan = self.plan.lock().unwrap().clone().unwrap();
        match lost {
            Lost::Sale => sales.open(SALE, &plan).await?,
            Lost::Waitlist => sales.repair(SALE).await?,
            Lost::Purchases => {}
        }
        Ok(())
    }

    async fn buy_and_give_back(
        &self,
        sales: &FlashSale<TestConnection>,
        customer: &str,
        order: &str,
        gives_back: &[[String; 2]],
    ) -> Result<(), FlashSaleError> {
        let id = (customer.to_owned(), order.to_owned());
        match sales.buy(SALE, customer, 1, order).await {
            Ok(Purchase::Bought(receipt) | Purchase::AlreadyBought(receipt)) => {
                self.bought.lock().unwrap().insert(id, receipt.units);
            }
            Err(error @ (FlashSaleError::Store(_) | FlashSaleError::Damaged(_))) => return Err(error),
            Ok(Purchase::Waiting(_)) => {
                sales.place(SALE, customer).await?;
                if !gives_back.is_empty() {
                    match sales.leave(SALE, customer).await {
                        Ok(_) | Err(FlashSaleError::NotWaiting) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(_) => {}
        }
        for [customer, order] in gives_back {
            match sales.give_back(SALE, customer, order).await {
                Ok(_) => drop(self.bought.lock().unwrap().remove(&(customer.clone(), order.clone()))),
                Err(FlashSaleError::UnknownOrder) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Workload for Sales {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let sales = self.sales(connection);
        let now = sales.now().await?;
        // It is on however the clock jumps.
        let plan = Plan {
            name: "Black Friday".into(),
            product: "PROD123".into(),
            starts: now - 2 * HOUR,
            ends: now + 48 * HOUR,
            units: UNITS,
            cap: CAP,
            places: 1_000,
        };
        sales.open(SALE, &plan).await?;
        // One customer has bought, and another waits.
        for customer in 0..UNITS {
            sales.buy(SALE, &format!("early{customer}"), 1, "early").await?;
        }
        for customer in 0..4 {
            sales.buy(SALE, &format!("late{customer}"), 1, "late").await?;
        }
        sales.give_back(SALE, "early0", "early").await?;
        *self.plan.lock().unwrap() = Some(plan);
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let sales = self.sales(connection);
        let (customer, order) = (format!("user{}", client % 20), format!("{client}-{call}"));
        let mut gives_back = Vec::new();
        if (client + call).is_multiple_of(2) {
            // The order of the call before, and one from before the fault.
            gives_back.push([customer.clone(), format!("{client}-{}", call.saturating_sub(1))]);
            let early = u32::try_from(client + 10 * call)? % UNITS;
            gives_back.push([format!("early{early}"), "early".to_owned()]);
        }
        for _ in 0..5 {
            match self.buy_and_give_back(&sales, &customer, &order, &gives_back).await {
                Err(FlashSaleError::Damaged(lost)) => self.repair(&sales, lost).await?,
                Err(FlashSaleError::Store(error)) => return Err(error.into()),
                // After a failover, say, the order is unknown.
                Ok(()) | Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let sales = self.sales(connection.clone());
        let [_, bought, waitlist] = sales.keys(SALE)?;
        let acknowledged = self.bought.lock().unwrap().clone();
        let mut shares = BTreeMap::<&str, u32>::new();
        for ((customer, _), units) in &acknowledged {
            *shares.entry(customer).or_default() += units;
        }
        let sold: u32 = shares.values().sum();
        if *fault != Fault::WritesLost && (sold > UNITS || shares.values().any(|units| *units > CAP)) {
            return Err(format!("at most {UNITS}, {CAP} for each; acknowledged {acknowledged:?}").into());
        }
        if let Err(FlashSaleError::Damaged(lost)) = sales.buy(SALE, "checker", 1, "check").await {
            self.repair(&sales, lost).await?;
        }
        let refused = sales.buy(SALE, "checker", 1, "check").await;
        if let Err(FlashSaleError::Damaged(Lost::Purchases)) = refused {
            if !matches!(fault, Fault::KeyLost(key) if *key == bought) {
                return Err("purchases that are known".into());
            }
            sales.close(SALE).await?;
            let plan = self.plan.lock().unwrap().clone().unwrap();
            sales.open(SALE, &Plan { units: 1, ..plan }).await?;
            sales.buy(SALE, "checker", 1, "check").await?;
            return Ok(Verdict::Contract("If the purchases are lost, nothing more is sold"));
        }
        if let Err(error @ (FlashSaleError::Store(_) | FlashSaleError::Damaged(_))) = refused {
            return Err(error.into());
        }
        let Some(sale) = sales.sale(SALE).await? else { return Err("the sale".into()) };
        let fields: BTreeMap<String, String> = connection.send(&["HGETALL", &bought]).await;
        let entries = fields.iter().filter(|(field, _)| !field.contains(':'));
        let shares: Vec<u32> = entries
            .map(|(_, entry)| entry.split(':').next().unwrap_or_default().parse())
            .collect::<Result<_, _>>()?;
        if sale.left + sale.sold != UNITS
            || shares.iter().sum::<u32>() != sale.sold
            || shares.iter().any(|units| *units > CAP)
        {
            return Err(format!("sums that agree; found {sale:?} and {fields:?}").into());
        }
        if *fault == Fault::WritesLost {
            return Ok(Verdict::Contract("A failover may forget the last purchases that were acknowledged"));
        }
        for ((customer, order), units) in acknowledged {
            match sales.buy(SALE, &customer, 1, &order).await {
                Ok(Purchase::AlreadyBought(receipt)) if receipt.units == units => {}
                other => return Err(format!("the receipt of {customer} {order}; found {other:?}").into()),
            }
        }
        Ok(match fault {
            Fault::KeyLost(key) if *key == waitlist => {
                Verdict::Contract("nothing is sold until [FlashSale::repair] restores it")
            }
            Fault::KeyLost(_) => Verdict::Contract("nothing is sold until the sale is opened again"),
            _ => Verdict::Held,
        })
    }
}
