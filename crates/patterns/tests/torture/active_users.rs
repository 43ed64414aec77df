use std::collections::BTreeSet;

use lab_testing::TestConnection;
use patterns::active_users::{self, ActiveUsers};

use crate::workload::{Answered, Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "active_users",
    workload: |prefix| Box::new(Users { prefix: prefix.to_owned(), answered: Answered::default() }),
    plain_commands: &["BITCOUNT"],
    scripts: active_users::scripts,
};

struct Users {
    prefix: String,
    answered: Answered,
}

impl Workload for Users {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let active = ActiveUsers::new(connection, &self.prefix);
        let user = client as u64;
        active.add("first", &[user]).await?;
        active.add(&format!("day{}", call % 2), &[user, user + 1_000]).await?;
        active.retention("first", &["day0", "day1"]).await?;
        self.answered.lock().unwrap().insert((client, call));
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let answered = self.answered.lock().unwrap().clone();
        let active = ActiveUsers::new(connection, &self.prefix);
        let users = |day: usize| {
            let those = answered.iter().filter(|(_, call)| call % 2 == day).map(|(client, _)| *client);
            those.collect::<BTreeSet<_>>().len() as u64
        };
        let all = answered.iter().map(|(client, _)| *client).collect::<BTreeSet<_>>().len() as u64;
        let retention = active.retention("first", &["day0", "day1"]).await?;
        let (found, expected) = ((retention.cohort, retention.returned), (all, vec![users(0), users(1)]));
        active.add("last", &[7]).await?;
        let last = active.retention("last", &["last", "first"]).await?;
        if (last.cohort, last.returned[0]) != (1, 1) {
            return Err(format!("one user on the last day; found {last:?}").into());
        }
        let fewer = found.0 <= expected.0
            && found.1.iter().zip(&expected.1).all(|(found, expected)| found <= expected);
        match fault {
            Fault::KeyLost(_) if fewer => Ok(Verdict::Contract("if a day is evicted, it has no users")),
            Fault::WritesLost if fewer => {
                Ok(Verdict::Contract("if a failover loses the last users, add them again"))
            }
            _ if found == expected => Ok(Verdict::Held),
            _ => Err(format!("{expected:?}; found {found:?}").into()),
        }
    }
}
