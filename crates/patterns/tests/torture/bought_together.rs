use std::collections::BTreeSet;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use lab_testing::TestConnection;
use patterns::bought_together::{self, BoughtTogether};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "bought_together",
    workload: |prefix| Box::new(Orders { prefix: prefix.to_owned(), answered: Mutex::default() }),
    plain_commands: &["ZREVRANGE", "ZSCORE"],
    scripts: bought_together::scripts,
};

struct Orders {
    prefix: String,
    /// The calls that were answered, by client and number.
    answered: Mutex<BTreeSet<(usize, usize)>>,
}

impl Workload for Orders {
    fn set_up(&self, _: TestConnection) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn call(
        &self,
        connection: TestConnection,
        client: usize,
        call: usize,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let together = BoughtTogether::new(connection, &self.prefix);
            together.count(&format!("order-{client}-{call}"), &["TENT", "STOVE"]).await?;
            together.with("TENT", 10).await?;
            self.answered.lock().unwrap().insert((client, call));
            Ok(())
        })
    }

    fn check<'a>(
        &'a self,
        connection: TestConnection,
        fault: &'a Fault,
    ) -> BoxFuture<'a, Result<Verdict, String>> {
        Box::pin(async move { self.count(connection, fault).await.map_err(|error| error.to_string())? })
    }
}

impl Orders {
    /// The outer error is one of Redis, the inner one a promise that was broken.
    async fn count(
        &self,
        connection: TestConnection,
        fault: &Fault,
    ) -> Result<Result<Verdict, String>, Failure> {
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
            return Ok(Err(format!("a tent goes with a stove, by at most 1; found {related:?}")));
        }
        let exact = orders.iter().all(|orders| (*orders - expected).abs() < 0.5);
        let fewer = orders.iter().all(|orders| *orders <= expected);
        Ok(match fault {
            Fault::KeyLost(key) if key.ends_with(":orders") => {
                Ok(Verdict::Contract("an order that is sent again counts again"))
            }
            Fault::KeyLost(_) if fewer => Ok(Verdict::Contract("its neighbors are forgotten")),
            Fault::WritesLost if fewer => Ok(Verdict::Contract("a failover forgets the last orders")),
            _ if exact => Ok(Verdict::Held),
            _ => Err(format!("{expected} orders of each pair; found {orders:?}")),
        })
    }
}
