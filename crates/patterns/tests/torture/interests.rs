use std::collections::BTreeSet;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use lab_testing::TestConnection;
use patterns::interests::{self, Interests};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "interests",
    workload: |prefix| Box::new(LikedThings { prefix: prefix.to_owned(), answered: Mutex::default() }),
    plain_commands: &["SREM", "ZREM", "SMEMBERS", "ZREVRANGE"],
    scripts: interests::scripts,
};

struct LikedThings {
    prefix: String,
    /// The calls that were answered, by client and number.
    answered: Mutex<BTreeSet<(usize, usize)>>,
}

impl Workload for LikedThings {
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
            let interests = Interests::new(connection, &self.prefix);
            let (customer, thing) = (format!("user{client}"), format!("thing{call}"));
            interests.add(&customer, &["Books", &thing]).await?;
            interests.add(&customer, &["Toys"]).await?;
            interests.remove(&customer, "Toys").await?;
            interests.who_like("Books", 10).await?;
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

impl LikedThings {
    /// The outer error is one of Redis, the inner one a promise that was broken.
    async fn count(
        &self,
        connection: TestConnection,
        fault: &Fault,
    ) -> Result<Result<Verdict, String>, Failure> {
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
                return Ok(Err(format!("no toys for {customer}; found {own:?}")));
            }
        }
        interests.add("last", &["Books"]).await?;
        if interests.who_like("Books", 1).await? != ["last"] {
            return Ok(Err("the last customer is the first in the index".into()));
        }
        Ok(match fault {
            Fault::KeyLost(key) if key.contains("interested:") => {
                Ok(Verdict::Contract("a lost index fills with those who choose the interest from then on"))
            }
            Fault::KeyLost(_) => {
                Ok(Verdict::Contract("If a Set is evicted, the interests of that customer are lost"))
            }
            Fault::WritesLost => Ok(Verdict::Contract("a failover may lose the last changes")),
            _ if lost => Err("every interest that was added, and its index".into()),
            _ => Ok(Verdict::Held),
        })
    }
}
