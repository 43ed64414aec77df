use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::notifications::{self, Notifications};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const CUSTOMER: &str = "user123";

pub const PATTERN: Pattern = Pattern {
    name: "notifications",
    workload: |prefix| {
        Box::new(Told { prefix: prefix.to_owned(), sent: Mutex::default(), shown: Mutex::default() })
    },
    plain_commands: &[],
    scripts: notifications::scripts,
};

struct Told {
    prefix: String,
    sent: Mutex<BTreeSet<String>>,
    shown: Mutex<BTreeSet<String>>,
}

impl Told {
    fn notifications(&self, connection: TestConnection) -> Notifications<TestConnection> {
        Notifications::new(connection, &self.prefix).with_cap(10_000)
    }

    /// A device that shows what it takes, and acknowledges it.
    async fn show(
        &self,
        notifications: &Notifications<TestConnection>,
        most: usize,
        hold: Duration,
    ) -> Result<(), Failure> {
        let taken = notifications.take(CUSTOMER, most, hold).await?;
        if hold < Duration::from_millis(10) && most == 1 {
            // The device dies with it.
            return Ok(());
        }
        let ids: Vec<String> = taken.into_iter().map(|notification| notification.id).collect();
        self.shown.lock().unwrap().extend(ids.iter().cloned());
        notifications.acknowledge(CUSTOMER, &ids).await?;
        Ok(())
    }
}

impl Workload for Told {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let notifications = self.notifications(connection);
        for id in ["first", "second", "third"] {
            notifications.send(CUSTOMER, id, "").await?;
            self.sent.lock().unwrap().insert(id.to_owned());
        }
        // A device that dies with one, so that every key is there.
        notifications.take(CUSTOMER, 1, Duration::from_hours(1)).await?;
        self.show(&notifications, 1, Duration::from_hours(1)).await
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let notifications = self.notifications(connection);
        if client.is_multiple_of(2) {
            let id = format!("{client}-{call}");
            notifications.send(CUSTOMER, &id, "text").await?;
            self.sent.lock().unwrap().insert(id);
            Ok(())
        } else if (client + call).is_multiple_of(4) {
            self.show(&notifications, 1, Duration::from_millis(1)).await
        } else {
            self.show(&notifications, 3, Duration::from_millis(50)).await
        }
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let notifications = self.notifications(connection);
        let [waiting, taken, _, sent_ids, counts_key] = notifications.keys(CUSTOMER)?;
        notifications.send(CUSTOMER, "last", "").await?;
        let counts = notifications.counts(CUSTOMER).await?;
        let mut rounds = 0;
        while notifications.counts(CUSTOMER).await?.unread > 0 {
            self.show(&notifications, 100, Duration::from_millis(1)).await?;
            tokio::time::sleep(Duration::from_millis(2)).await;
            rounds += 1;
            if rounds > 500 {
                return Err(
                    format!("all delivered; found {:?}", notifications.counts(CUSTOMER).await?).into()
                );
            }
        }
        if counts.sent != counts.unread + counts.read + counts.dropped {
            return Err(format!("counts that add up; found {counts:?}").into());
        }
        let (sent, shown) = (self.sent.lock().unwrap().clone(), self.shown.lock().unwrap().clone());
        if !shown.contains("last") {
            return Err("the last notification".into());
        }
        let lost = matches!(fault, Fault::KeyLost(key) if *key == waiting || *key == taken);
        let missing: Vec<_> = sent.difference(&shown).collect();
        if !missing.is_empty() && !lost && *fault != Fault::WritesLost {
            return Err(format!("all that was sent; missing {missing:?}").into());
        }
        match fault {
            Fault::WritesLost => Ok(Verdict::Contract("A failover may lose the last notifications")),
            Fault::KeyLost(_) if lost => {
                Ok(Verdict::Contract("what it held is lost, and counted as dropped"))
            }
            Fault::KeyLost(key) if *key == counts_key => {
                Ok(Verdict::Contract("If the counts are lost, they begin again"))
            }
            Fault::KeyLost(key) if *key == sent_ids => {
                Ok(Verdict::Contract("a retry of an older notification is a new one"))
            }
            _ if counts.sent != sent.len() as u64 + 1 => {
                Err(format!("{} that were sent once, and found {counts:?}", sent.len() + 1).into())
            }
            _ => Ok(Verdict::Held),
        }
    }
}
