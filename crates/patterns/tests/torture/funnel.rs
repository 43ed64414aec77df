use std::collections::BTreeSet;

use lab_testing::TestConnection;
use patterns::funnel::{self, Funnel};

use crate::workload::{Answered, Failure, Fault, Pattern, Verdict, Workload};

const STEPS: [&str; 3] = ["view", "cart", "purchase"];

pub const PATTERN: Pattern = Pattern {
    name: "funnel",
    workload: |prefix| Box::new(Steps { prefix: prefix.to_owned(), answered: Answered::default() }),
    plain_commands: &["HMGET"],
    scripts: funnel::scripts,
};

struct Steps {
    prefix: String,
    answered: Answered,
}

impl Workload for Steps {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let funnel = Funnel::named(connection, &self.prefix, "launch", &STEPS)?;
        funnel.reached(&format!("user{client}"), STEPS[(client + call) % 3]).await?;
        funnel.report().await?;
        self.answered.lock().unwrap().insert((client, call));
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
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
            return Err(format!("{known} visitors, fewer with each step; found {counted:?}").into());
        }
        let fewer = counted.iter().zip(&deepest).all(|(counted, deepest)| counted <= deepest);
        match fault {
            Fault::KeyLost(_) if fewer => Ok(Verdict::Contract("the funnel begins again")),
            Fault::WritesLost if fewer => Ok(Verdict::Contract(
                "a failover may lose the last steps; each visitor's next one puts it right",
            )),
            _ if counted == deepest => Ok(Verdict::Held),
            _ => Err(format!("{deepest:?}; found {counted:?}").into()),
        }
    }
}
