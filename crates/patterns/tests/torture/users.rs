use std::collections::BTreeMap;
use std::sync::Mutex;

use lab_testing::TestConnection;
use patterns::users::{self, User, Users};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "users",
    workload: |prefix| Box::new(Registrations { prefix: prefix.to_owned(), acknowledged: Mutex::default() }),
    plain_commands: &["ZADD", "HMGET", "ZRANGE"],
    scripts: users::scripts,
};

struct Registrations {
    prefix: String,
    acknowledged: Mutex<Vec<User>>,
}

impl Workload for Registrations {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let users = Users::new(connection, &self.prefix);
        let (first, last) = (format!("First {client}"), format!("Last {call}"));
        let user = if call.is_multiple_of(2) {
            users.create(&first, &last).await?
        } else {
            users.create_with_id(&format!("ann{client}.{call}"), &first, &last).await?
        };
        users.get(&user.id).await?;
        self.acknowledged.lock().unwrap().push(user);
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let users = Users::new(connection, &self.prefix);
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        let (mut verdict, mut by_id) = (Verdict::Held, BTreeMap::new());
        if matches!(fault, Fault::KeyLost(_) | Fault::WritesLost) {
            let listed = users.list().await?;
            if acknowledged.iter().any(|user| !listed.contains(user)) {
                verdict = Verdict::Contract(match fault {
                    Fault::KeyLost(key) if key.contains("user:") => "if user:1 is evicted, that user is gone",
                    _ => "create the same user with the same ID again to repair that",
                });
            }
            for user in &acknowledged {
                // Of two users with one number, a failover has lost the first.
                let _ = users.create_with_id(&user.id, &user.first_name, &user.last_name).await;
            }
        }
        let listed = users.list().await?;
        for user in &acknowledged {
            let former = by_id.insert(user.id.clone(), user);
            let overwritten = former.is_some() && *fault != Fault::WritesLost;
            if overwritten || former.is_none() && !listed.iter().any(|it| it.id == user.id) {
                return Err(format!("{user:?} once on the list; found {former:?} and {listed:?}").into());
            }
        }
        for user in by_id.into_values() {
            let found = users.get(&user.id).await?;
            if found.as_ref() != Some(user) && *fault != Fault::WritesLost {
                return Err(format!("{user:?}; found {found:?}").into());
            }
        }
        let new = users.create("The last", "one").await?;
        if listed.iter().any(|user| user.id == new.id) {
            return Err(format!("a new number; found {new:?}").into());
        }
        Ok(verdict)
    }
}
