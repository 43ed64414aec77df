use std::collections::BTreeSet;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use lab_testing::TestConnection;
use patterns::active_users::{self, ActiveUsers};

use crate::subject::{Failure, Fault, Pattern, Subject, Verdict};

pub const PATTERN: Pattern = Pattern {
    name: "active_users",
    subject: |prefix| Box::new(Users { prefix: prefix.to_owned(), answered: Mutex::default() }),
    plain_commands: &["BITCOUNT"],
    scripts: active_users::scripts,
};

struct Users {
    prefix: String,
    /// The calls that were answered, by client and number.
    answered: Mutex<BTreeSet<(usize, usize)>>,
}

impl Subject for Users {
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
            let active = ActiveUsers::new(connection, &self.prefix);
            let user = client as u64;
            active.add("first", &[user]).await?;
            active.add(&format!("day{}", call % 2), &[user, user + 1_000]).await?;
            active.retention("first", &["day0", "day1"]).await?;
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

impl Users {
    /// The outer error is one of Redis, the inner one a promise that was broken.
    async fn count(
        &self,
        connection: TestConnection,
        fault: &Fault,
    ) -> Result<Result<Verdict, String>, Failure> {
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
            return Ok(Err(format!("one user on the last day; found {last:?}")));
        }
        let fewer = found.0 <= expected.0
            && found.1.iter().zip(&expected.1).all(|(found, expected)| found <= expected);
        Ok(match fault {
            Fault::KeyLost(_) if fewer => Ok(Verdict::Contract("if a day is evicted, it has no users")),
            Fault::WritesLost if fewer => {
                Ok(Verdict::Contract("if a failover loses the last users, add them again"))
            }
            _ if found == expected => Ok(Verdict::Held),
            _ => Err(format!("{expected:?}; found {found:?}")),
        })
    }
}
