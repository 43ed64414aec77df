use std::collections::BTreeSet;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use lab_testing::TestConnection;
use patterns::social_graph::{self, SocialGraph};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "social_graph",
    workload: |prefix| Box::new(Followers { prefix: prefix.to_owned(), answered: Mutex::default() }),
    plain_commands: &["ZSCORE", "ZCARD", "ZREVRANGEBYSCORE", "ZMSCORE", "ZRANGE", "SMEMBERS"],
    scripts: social_graph::scripts,
};

struct Followers {
    prefix: String,
    /// The calls that were answered, by client and number.
    answered: Mutex<BTreeSet<(usize, usize)>>,
}

impl Workload for Followers {
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
            let graph = SocialGraph::new(connection, &self.prefix);
            let (user, other) = (format!("user{client}"), format!("other{call}"));
            for followed in ["bob", &other, "cid"] {
                graph.follow(&user, followed).await?;
            }
            graph.unfollow(&user, "cid").await?;
            graph.is_following(&user, "bob").await?;
            graph.counts("bob").await?;
            graph.friends_of_friends(&user, 10).await?;
            graph.repair(&user).await?;
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

impl Followers {
    /// The outer error is one of Redis, the inner one a promise that was broken.
    async fn count(
        &self,
        connection: TestConnection,
        fault: &Fault,
    ) -> Result<Result<Verdict, String>, Failure> {
        let answered = self.answered.lock().unwrap().clone();
        let graph = SocialGraph::new(connection, &self.prefix);
        let forgets = matches!(fault, Fault::KeyLost(_) | Fault::WritesLost);
        if forgets {
            for (client, _) in &answered {
                graph.repair(&format!("user{client}")).await?;
                graph.reindex(&format!("user{client}"), None).await?;
            }
            let others = answered.iter().map(|(_, call)| format!("other{call}"));
            for other in others.chain(["bob".to_owned(), "cid".to_owned()]) {
                graph.recheck_followers(&other, None).await?;
            }
        }
        let mut lost = false;
        for (client, call) in answered {
            let (user, other) = (format!("user{client}"), format!("other{call}"));
            for other in ["bob", "cid", &other] {
                let follows = graph.is_following(&user, other).await?;
                let listed = graph.followers(other, None, 500).await?.users.contains(&user);
                if follows != listed {
                    return Ok(Err(format!(
                        "both keys agree on {user} and {other}; found {follows}, {listed}"
                    )));
                }
                lost |= follows != (other != "cid");
            }
        }
        graph.follow("last", "bob").await?;
        if graph.followers("bob", None, 1).await?.users != ["last"] {
            return Ok(Err("the last one is the first follower".into()));
        }
        Ok(match fault {
            Fault::KeyLost(key) if key.contains("followers:") => {
                Ok(Verdict::Contract("A lost index fills again when `reindex` runs"))
            }
            Fault::KeyLost(key) if !key.contains("pending") => {
                Ok(Verdict::Contract("If `following` is lost, the follows of that user are lost"))
            }
            Fault::WritesLost => Ok(Verdict::Contract("A failover may lose the last changes")),
            _ if lost => Err("everyone who was followed, and nobody else".into()),
            _ => Ok(Verdict::Held),
        })
    }
}
