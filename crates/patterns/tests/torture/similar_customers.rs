use std::collections::BTreeSet;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use lab_testing::TestConnection;
use patterns::similar_customers::{self, Basis, SimilarCustomers};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "similar_customers",
    workload: |prefix| Box::new(Buyers { prefix: prefix.to_owned(), answered: Mutex::default() }),
    plain_commands: &["ZREVRANGE"],
    scripts: similar_customers::scripts,
};

struct Buyers {
    prefix: String,
    /// The calls that were answered, by client and number.
    answered: Mutex<BTreeSet<(usize, usize)>>,
}

impl Workload for Buyers {
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
            let similar = SimilarCustomers::new(connection, &self.prefix);
            let customer = format!("user{client}");
            similar.bought(&customer, &["TENT", &format!("P{call}")]).await?;
            similar.purchases(&customer, 10).await?;
            similar.buyers("TENT", 10).await?;
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

impl Buyers {
    /// The outer error is one of Redis, the inner one a promise that was broken.
    async fn count(
        &self,
        connection: TestConnection,
        fault: &Fault,
    ) -> Result<Result<Verdict, String>, Failure> {
        let answered = self.answered.lock().unwrap().clone();
        let similar = SimilarCustomers::new(connection, &self.prefix);
        let mut lost = false;
        for (client, call) in answered {
            let customer = format!("user{client}");
            let bought = similar.purchases(&customer, 200).await?;
            lost |= !bought.contains(&format!("P{call}"))
                || !similar.buyers("TENT", 500).await?.contains(&customer);
        }
        similar.bought("ann", &["LAST", "TENT"]).await?;
        similar.bought("bob", &["LAST"]).await?;
        let suggested = similar.recommend("bob", Basis::Purchases, 1).await?;
        if similar.buyers("TENT", 1).await? != ["ann"]
            || suggested.first().is_none_or(|first| first.sku != "TENT")
        {
            return Ok(Err(format!("a tent, because of ann; found {suggested:?}")));
        }
        Ok(match fault {
            Fault::KeyLost(_) | Fault::WritesLost => {
                Ok(Verdict::Contract("is not found until it is recorded again"))
            }
            _ if lost => Err("every purchase that was recorded".into()),
            _ => Ok(Verdict::Held),
        })
    }
}
