use std::collections::BTreeSet;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use lab_testing::TestConnection;
use patterns::funnel::{self, Funnel};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const STEPS: [&str; 3] = ["view", "cart", "purchase"];

pub const PATTERN: Pattern = Pattern {
    name: "funnel",
    workload: |prefix| Box::new(Steps { prefix: prefix.to_owned(), answered: Mutex::default() }),
    plain_commands: &["HMGET"],
    scripts: funnel::scripts,
};

struct Steps {
    prefix: String,
    /// The calls that were answered, by client and number.
    answered: Mutex<BTreeSet<(usize, usize)>>,
}

impl Workload for Steps {
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
            let funnel = Funnel::named(connection, &self.prefix, "launch", &STEPS)?;
            funnel.reached(&format!("user{client}"), STEPS[(client + call) % 3]).await?;
            funnel.report().await?;
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

impl Steps {
    /// The outer error is one of Redis, the inner one a promise that was broken.
    async fn count(
        &self,
        connection: TestConnection,
        fault: &Fault,
    ) -> Result<Result<Verdict, String>, Failure> {
        let answered = self.answered.lock().unwrap().clone();
        let funnel = Funnel::named(connection.clone(), &self.prefix, "launch", &STEPS)?;
        funnel.reached("last", "view").await?;
        let mut deepest = vec![0_u64; 3];
        let visitors: BTreeSet<usize> = answered.iter().map(|(client, _)| *client).collect();
        for client in &visitors {
            let steps =
                answered.iter().filter(|(one, _)| one == client).map(|(client, call)| (client + call) % 3);
            for reached in &mut deepest[..=steps.max().unwrap_or_default()] {
                *reached += 1;
            }
        }
        deepest[0] += 1;
        let counted: Vec<u64> = funnel.report().await?.iter().map(|step| step.visitors).collect();
        let known: u64 = connection.send(&["HLEN", &funnel.key().companion("visitors")]).await;
        if counted[0] != known || !counted.is_sorted_by(|more, less| more >= less) {
            return Ok(Err(format!("{known} visitors, fewer with each step; found {counted:?}")));
        }
        let fewer = counted.iter().zip(&deepest).all(|(counted, deepest)| counted <= deepest);
        Ok(match fault {
            Fault::KeyLost(_) if fewer => Ok(Verdict::Contract("the funnel begins again")),
            Fault::WritesLost if fewer => Ok(Verdict::Contract(
                "a failover may lose the last steps; each visitor's next one puts it right",
            )),
            _ if counted == deepest => Ok(Verdict::Held),
            _ => Err(format!("{deepest:?}; found {counted:?}")),
        })
    }
}
