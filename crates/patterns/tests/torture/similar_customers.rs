use lab_testing::TestConnection;
use patterns::similar_customers::{self, Basis, SimilarCustomers};

use crate::workload::{Answered, Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "similar_customers",
    workload: |prefix| Box::new(Buyers { prefix: prefix.to_owned(), answered: Answered::default() }),
    plain_commands: &["ZREVRANGE"],
    scripts: similar_customers::scripts,
};

struct Buyers {
    prefix: String,
    answered: Answered,
}

impl Workload for Buyers {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let similar = SimilarCustomers::new(connection, &self.prefix);
        let customer = format!("user{client}");
        similar.bought(&customer, &["TENT", &format!("P{call}")]).await?;
        similar.purchases(&customer, 10).await?;
        similar.buyers("TENT", 10).await?;
        self.answered.lock().unwrap().insert((client, call));
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
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
            return Err(format!("a tent, because of ann; found {suggested:?}").into());
        }
        match fault {
            Fault::KeyLost(_) | Fault::WritesLost => {
                Ok(Verdict::Contract("is not found until it is recorded again"))
            }
            _ if lost => Err("every purchase that was recorded".into()),
            _ => Ok(Verdict::Held),
        }
    }
}
