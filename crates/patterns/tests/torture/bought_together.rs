use lab_testing::TestConnection;
use patterns::bought_together::{self, BoughtTogether};

use crate::workload::{Answered, Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "bought_together",
    workload: |prefix| Box::new(Orders { prefix: prefix.to_owned(), answered: Answered::default() }),
    plain_commands: &["ZREVRANGE", "ZSCORE"],
    scripts: bought_together::scripts,
};

struct Orders {
    prefix: String,
    answered: Answered,
}

impl Workload for Orders {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let together = BoughtTogether::new(connection, &self.prefix);
        together.count(&format!("order-{client}-{call}"), &["TENT", "STOVE"]).await?;
        together.with("TENT", 10).await?;
        self.answered.lock().unwrap().insert((client, call));
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let answered = self.answered.lock().unwrap().clone();
        let together = BoughtTogether::new(connection.clone(), &self.prefix);
        let mut orders = Vec::new();
        for (one, other) in [("TENT", "TENT"), ("TENT", "STOVE"), ("STOVE", "TENT"), ("STOVE", "STOVE")] {
            let key = together.key(one)?;
            orders.push(
                connection.send::<Option<f64>>(&["ZSCORE", key.as_str(), other]).await.unwrap_or_default(),
            );
        }
        let expected = answered.len() as f64;
        for last in ["last", "last", "one more"] {
            together.count(last, &["TENT", "STOVE"]).await?;
        }
        let related = together.with("TENT", 10).await?;
        if related.len() != 1 || related[0].score > 1.0 {
            return Err(format!("a tent goes with a stove, by at most 1; found {related:?}").into());
        }
        let exact = orders.iter().all(|orders| (*orders - expected).abs() < 0.5);
        let fewer = orders.iter().all(|orders| *orders <= expected);
        match fault {
            Fault::KeyLost(key) if key.ends_with(":orders") => {
                Ok(Verdict::Contract("an order that is sent again counts again"))
            }
            Fault::KeyLost(_) if fewer => Ok(Verdict::Contract("its neighbors are forgotten")),
            Fault::WritesLost if fewer => Ok(Verdict::Contract("a failover forgets the last orders")),
            _ if exact => Ok(Verdict::Held),
            _ => Err(format!("{expected} orders of each pair; found {orders:?}").into()),
        }
    }
}
