use std::collections::BTreeSet;
use std::sync::Mutex;

use lab_testing::TestConnection;
use patterns::broadcast::{self, Broadcast, Position};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "broadcast",
    workload: |prefix| {
        Box::new(News { prefix: prefix.to_owned(), published: Mutex::default(), follower: Mutex::default() })
    },
    plain_commands: &["PUBLISH", "SPUBLISH"],
    scripts: broadcast::scripts,
};

struct News {
    prefix: String,
    published: Mutex<BTreeSet<String>>,
    follower: Mutex<Follower>,
}

/// What a follower has seen.
#[derive(Clone, Default)]
struct Follower {
    position: Option<String>,
    seen: Vec<String>,
    payloads: BTreeSet<String>,
    gaps: usize,
}

impl News {
    fn news(&self, connection: TestConnection) -> Broadcast<TestConnection> {
        Broadcast::new(connection, &self.prefix, "news")
    }

    /// Reads on. Of two reads at the same time, the first one counts.
    async fn follow(&self, news: &Broadcast<TestConnection>) -> Result<usize, Failure> {
        let position = self.follower.lock().unwrap().position.clone();
        let (gap, messages, last) =
            news.read(&position.clone().map_or(Position::Start, Position::After)).await?;
        let mut follower = self.follower.lock().unwrap();
        if follower.position == position {
            follower.gaps += usize::from(gap);
            follower.position = Some(last);
            follower.seen.extend(messages.iter().map(|message| message.id.clone()));
            let payloads =
                messages.iter().map(|message| String::from_utf8_lossy(&message.payload).into_owned());
            follower.payloads.extend(payloads);
        }
        Ok(messages.len())
    }
}

impl Workload for News {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        self.news(connection).publish(b"first").await?;
        self.published.lock().unwrap().insert("first".to_owned());
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let news = self.news(connection);
        if client.is_multiple_of(2) {
            let text = format!("{client}-{call}");
            news.publish(text.as_bytes()).await?;
            self.published.lock().unwrap().insert(text);
            news.announce(b"reload").await?;
            news.sharded().announce(b"reload").await?;
        } else {
            self.follow(&news).await?;
        }
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let news = self.news(connection);
        news.publish(b"last").await?;
        while self.follow(&news).await? > 0 {}
        let Follower { seen, payloads, gaps, .. } = self.follower.lock().unwrap().clone();
        if !payloads.contains("last") {
            return Err(format!("the last message; found {payloads:?}").into());
        }
        let missing = self.published.lock().unwrap().iter().filter(|text| !payloads.contains(*text)).count();
        let once = seen.iter().collect::<BTreeSet<_>>().len() == seen.len();
        let forgets =
            *fault == Fault::WritesLost || matches!(fault, Fault::KeyLost(key) if !key.ends_with(":last"));
        match (missing, gaps, once) {
            (0, 0, true) => Ok(Verdict::Held),
            (_, 1.., _) if *fault == Fault::WritesLost => Ok(Verdict::Contract(
                "A failover may lose the last messages; followers that have seen them get a gap",
            )),
            (_, _, true) if *fault == Fault::WritesLost => {
                Ok(Verdict::Contract("A failover may lose the last messages"))
            }
            (_, 1.., true) if forgets => {
                Ok(Verdict::Contract("If the stream is lost, followers that were behind get a gap"))
            }
            found => Err(format!("nothing missing, no gap, each once; found {found:?}").into()),
        }
    }
}
