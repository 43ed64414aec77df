use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::stream_worker::{self, Effect, Group, Message, StreamQueue};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "stream_worker",
    workload: |prefix| Box::new(Work { prefix: prefix.to_owned(), published: Mutex::default() }),
    plain_commands: &["XREADGROUP", "XGROUP", "XRANGE", "XPENDING"],
    scripts: stream_worker::scripts,
};

struct Work {
    prefix: String,
    published: Mutex<BTreeSet<String>>,
}

impl Work {
    fn group(&self, connection: TestConnection) -> Group<TestConnection> {
        StreamQueue::new(connection, &self.prefix, "orders")
            .group("billing")
            .with_visibility(Duration::from_millis(30))
            .with_retry_pause(Duration::from_millis(1))
            .with_max_failures(1_000)
            .with_max_workers_lost(100_000)
    }

    async fn publish(&self, group: &Group<TestConnection>, id: &str) -> Result<(), Failure> {
        group.stream().publish(id, b"payload").await?;
        self.published.lock().unwrap().insert(id.to_owned());
        Ok(())
    }

    /// Reads and claims, and does what is said with each.
    async fn work(&self, connection: &TestConnection, consumer: &str, fail: bool) -> Result<usize, Failure> {
        let group = self.group(connection.clone());
        group.create().await?;
        let mut messages = group.own_pending(consumer, "0-0", 5).await?.0;
        messages.extend(group.read(connection, consumer, 5, Duration::ZERO).await?);
        messages.extend(group.claim(consumer, "0-0", 5).await?.messages);
        for (number, message) in messages.iter().enumerate() {
            match (fail, number % 4) {
                (true, 0) => drop(group.fail(message, consumer, "no").await?),
                (true, 1) => drop(group.give_back(consumer, std::slice::from_ref(&message.entry)).await?),
                (true, 2) => drop(group.extend(consumer, std::slice::from_ref(&message.entry)).await?),
                _ => drop(group.complete(message, &effect(&group, message)?).await?),
            }
        }
        Ok(messages.len())
    }
}

fn effect(group: &Group<TestConnection>, message: &Message) -> Result<Effect, Failure> {
    let key = group.stream().effect_key("effects")?;
    Ok(Effect::none().command("HINCRBY", &key, &[message.id.as_str(), "1"]))
}

impl Workload for Work {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let group = self.group(connection.clone());
        for id in ["first", "second", "third", "fourth"] {
            self.publish(&group, id).await?;
        }
        // Some effect, some failure, and a dead letter, so that every key is there.
        group.create().await?;
        let messages = group.read(&connection, "set-up", 4, Duration::ZERO).await?;
        group.complete(&messages[0], &effect(&group, &messages[0])?).await?;
        group.fail(&messages[1], "set-up", "no").await?;
        group.clone().with_max_failures(1).fail(&messages[2], "set-up", "no").await?;
        let letter = group.dead_letters("0-0", 1).await?.remove(0).letter;
        group.requeue(&letter).await?;
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let group = self.group(connection.clone());
        if client.is_multiple_of(2) {
            return self.publish(&group, &format!("{client}-{call}")).await;
        }
        let consumer = format!("c{client}");
        self.work(&connection, &consumer, call.is_multiple_of(2)).await?;
        group.has_pending().await?;
        group.retire(Duration::from_millis(50)).await?;
        group.status().await?;
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let group = self.group(connection.clone());
        self.publish(&group, "last").await?;
        let mut rounds = 0;
        let stuck = loop {
            let handled = self.work(&connection, "check", false).await?;
            let status = group.status().await?;
            if handled == 0 && status.pending == 0 {
                break 0;
            }
            rounds += 1;
            if rounds > 300 {
                break status.pending;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let effects: BTreeMap<String, u32> =
            connection.send(&["HGETALL", &group.stream().effect_key("effects")?]).await;
        if effects.get("last") != Some(&1) {
            return Err(format!("one effect of the last message; found {effects:?}").into());
        }
        let published = self.published.lock().unwrap().clone();
        let missing = published.iter().filter(|id| !effects.contains_key(*id)).count() as u64;
        let doubled: Vec<_> = effects.iter().filter(|(_, count)| **count > 1).collect();
        if !doubled.is_empty() {
            return Err(format!("one effect for each ID; found {doubled:?}").into());
        }
        match fault {
            Fault::ClockBack if stuck > 0 && missing <= stuck => Ok(Verdict::Contract(
                "If the clock is set back, what a lost worker held waits that much longer",
            )),
            _ if stuck > 0 => Err(format!("nothing pending; found {stuck}").into()),
            Fault::WritesLost => Ok(Verdict::Contract("A failover may lose the last messages")),
            Fault::KeyLost(key) if *key == group.stream().key()?.as_str() => Ok(Verdict::Contract(
                "its messages are lost; the group is made again from the first entry that is there",
            )),
            Fault::KeyLost(key) if key.contains(":effect:") => Ok(Verdict::Held),
            _ if missing > 0 => Err(format!("all that was published; {missing} are missing").into()),
            _ => Ok(Verdict::Held),
        }
    }
}
