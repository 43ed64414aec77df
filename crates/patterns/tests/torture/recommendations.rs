use std::collections::BTreeSet;

use lab_testing::TestConnection;
use patterns::recommendations::Recommendations;

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "recommendations",
    workload: |prefix| Box::new(Shop { prefix: prefix.to_owned() }),
    plain_commands: &["LRANGE", "ZREVRANGE", "ZSCORE", "SMEMBERS"],
    // Those of the patterns that it is built of.
    scripts: Vec::new,
};

struct Shop {
    prefix: String,
}

impl Workload for Shop {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let shop = Recommendations::new(connection, &self.prefix);
        let customer = format!("user{client}");
        shop.viewed(&customer, &format!("P{call}"), Some("Books")).await?;
        shop.ordered(&customer, &format!("order-{client}-{call}"), &["TENT", "STOVE"]).await?;
        shop.recommend(&customer, 5, &["LAMP"]).await?;
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let shop = Recommendations::new(connection, &self.prefix);
        shop.ordered("ann", "last", &["LAMP"]).await?;
        let shown = shop.recommend("ann", 5, &["LAMP", "DESK"]).await?;
        let skus: BTreeSet<&str> = shown.iter().map(|shown| shown.sku.as_str()).collect();
        if skus.is_empty() || skus.len() != shown.len() || skus.contains("LAMP") {
            return Err(format!("each product once, and not what ann has; found {shown:?}").into());
        }
        Ok(match fault {
            Fault::KeyLost(_) | Fault::WritesLost => {
                Verdict::Contract("whatever is lost, a later source fills the page")
            }
            _ => Verdict::Held,
        })
    }
}
