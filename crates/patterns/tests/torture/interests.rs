use lab_testing::TestConnection;
use patterns::interests::{self, Interests};

use crate::workload::{Answered, Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "interests",
    workload: |prefix| Box::new(LikedThings { prefix: prefix.to_owned(), answered: Answered::default() }),
    plain_commands: &["SREM", "ZREM", "SMEMBERS", "ZREVRANGE"],
    scripts: interests::scripts,
};

struct LikedThings {
    prefix: String,
    answered: Answered,
}

impl Workload for LikedThings {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let interests = Interests::new(connection, &self.prefix);
        let (customer, thing) = (format!("user{client}"), format!("thing{call}"));
        interests.add(&customer, &["Books", &thing]).await?;
        interests.add(&customer, &["Toys"]).await?;
        interests.remove(&customer, "Toys").await?;
        interests.who_like("Books", 10).await?;
        self.answered.lock().unwrap().insert((client, call));
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let answered = self.answered.lock().unwrap().clone();
        let interests = Interests::new(connection, &self.prefix);
        let mut lost = false;
        for (client, call) in answered {
            let (customer, thing) = (format!("user{client}"), format!("thing{call}"));
            let own = interests.of(&customer).await?;
            let indexed = interests.who_like("Books", 1_000).await?.contains(&customer);
            lost |= !own.contains(&thing) || !own.contains("Books") || !indexed;
            if own.contains("Toys")
                && !matches!(fault, Fault::WritesLost | Fault::Canceled | Fault::ConnectionCut)
            {
                return Err(format!("no toys for {customer}; found {own:?}").into());
            }
        }
        interests.add("last", &["Books"]).await?;
        if interests.who_like("Books", 1).await? != ["last"] {
            return Err("the last customer is the first in the index".into());
        }
        match fault {
            Fault::KeyLost(key) if key.contains("interested:") => {
                Ok(Verdict::Contract("a lost index fills with those who choose the interest from then on"))
            }
            Fault::KeyLost(_) => {
                Ok(Verdict::Contract("If a Set is evicted, the interests of that customer are lost"))
            }
            Fault::WritesLost => Ok(Verdict::Contract("a failover may lose the last changes")),
            _ if lost => Err("every interest that was added, and its index".into()),
            _ => Ok(Verdict::Held),
        }
    }
}
