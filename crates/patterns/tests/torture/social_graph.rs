use lab_testing::TestConnection;
use patterns::social_graph::{self, SocialGraph};

use crate::workload::{Answered, Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "social_graph",
    workload: |prefix| Box::new(Followers { prefix: prefix.to_owned(), answered: Answered::default() }),
    plain_commands: &["ZSCORE", "ZCARD", "ZREVRANGEBYSCORE", "ZMSCORE", "ZRANGE", "SMEMBERS"],
    scripts: social_graph::scripts,
};

struct Followers {
    prefix: String,
    answered: Answered,
}

impl Workload for Followers {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
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
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
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
                    return Err(
                        format!("both keys agree on {user} and {other}; found {follows}, {listed}").into()
                    );
                }
                lost |= follows != (other != "cid");
            }
        }
        graph.follow("last", "bob").await?;
        if graph.followers("bob", None, 1).await?.users != ["last"] {
            return Err("the last one is the first follower".into());
        }
        match fault {
            Fault::KeyLost(key) if key.contains("followers:") => {
                Ok(Verdict::Contract("A lost index fills again when `reindex` runs"))
            }
            Fault::KeyLost(key) if !key.contains("pending") => {
                Ok(Verdict::Contract("If `following` is lost, the follows of that user are lost"))
            }
            Fault::WritesLost => Ok(Verdict::Contract("A failover may lose the last changes")),
            _ if lost => Err("everyone who was followed, and nobody else".into()),
            _ => Ok(Verdict::Held),
        }
    }
}
