use std::collections::BTreeSet;

use lab_testing::TestConnection;
use patterns::timeline::{self, Cursor, Timeline};

use crate::workload::{Answered, Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "timeline",
    workload: |prefix| Box::new(Posts { prefix: prefix.to_owned(), answered: Answered::default() }),
    plain_commands: &[
        "ZCARD",
        "SADD",
        "ZREM",
        "ZRANGEBYSCORE",
        "ZREVRANGEBYSCORE",
        "ZMSCORE",
        "SMISMEMBER",
        "ZRANGE",
        "SMEMBERS",
    ],
    scripts: timeline::scripts,
};

struct Posts {
    prefix: String,
    answered: Answered,
}

impl Workload for Posts {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let timeline = Timeline::new(connection, &self.prefix).with_max_entries(20);
        let stars = timeline.clone().with_celebrities_at(0);
        let (user, author) = (format!("user{client}"), format!("author{client}"));
        for (reader, followed) in [(&*user, &*author), ("ann", &author), (&user, "star")] {
            timeline.follow(reader, followed).await?;
            timeline.read(reader, None, 10).await?;
        }
        let id = format!("post{client}-{call}");
        timeline.post(&author, &id).await?;
        timeline.post(&author, "deleted").await?;
        timeline.repost(&author, "star", &format!("post{client}-0")).await?;
        while timeline.push(&author).await?.more {}
        timeline.delete(&author, "deleted").await?;
        timeline.undo_repost(&author, "star", &format!("post{client}-0")).await?;
        stars.post("star", &id).await?;
        timeline.read(&user, None, 10).await?;
        self.answered.lock().unwrap().insert((client, call));
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let answered = self.answered.lock().unwrap().clone();
        let timeline = Timeline::new(connection, &self.prefix).with_max_entries(20);
        let stars = timeline.clone().with_celebrities_at(0);
        timeline.follow("ann", "star").await?;
        stars.post("star", "last").await?;
        let mut lost = BTreeSet::new();
        let clients: BTreeSet<usize> = answered.iter().map(|(client, _)| *client).collect();
        for client in clients {
            let (user, author) = (format!("user{client}"), format!("author{client}"));
            for (reader, followed) in [(&*user, &*author), ("ann", &author), (&user, "star")] {
                timeline.follow(reader, followed).await?;
            }
            timeline.post(&author, "last").await?;
            while timeline.push(&author).await?.more {}
            for reader in [&*user, "ann"] {
                let found = walk(&timeline, reader).await?;
                let own = |call: usize| format!("post{client}-{call} {author}");
                let missing = answered.iter().filter(|(one, _)| *one == client).map(|(_, call)| own(*call));
                let expected = missing.chain([format!("last {author}"), "last star".to_owned()]);
                lost.extend(expected.filter(|post| !found.contains(post)));
                if found.iter().any(|post| post.starts_with("deleted")) {
                    return Err(format!("nothing that was deleted; found {found:?}").into());
                }
            }
        }
        let new = lost.iter().find(|post| post.starts_with("last "));
        match fault {
            _ if new.is_some() => {
                Err(format!("a post that comes after the fault; {new:?} is missing").into())
            }
            Fault::KeyLost(key) if key.contains("celebrities") => Ok(Verdict::Contract(
                "If `celebrities` is lost, unpushed posts are missing until their author posts again",
            )),
            Fault::KeyLost(key) if key.starts_with("posts:") || key.contains(":posts:") => {
                Ok(Verdict::Contract("If `posts` is lost, the posts of that author are lost"))
            }
            Fault::WritesLost => Ok(Verdict::Contract(
                "If `unpushed` or the last writes are lost, timelines in use may lack posts",
            )),
            _ if !lost.is_empty() => {
                Err(format!("every post that was answered; these are missing: {lost:?}").into())
            }
            _ => Ok(Verdict::Held),
        }
    }
}

/// All pages. A post comes once.
async fn walk(timeline: &Timeline<TestConnection>, user: &str) -> Result<BTreeSet<String>, Failure> {
    let (mut found, mut after) = (BTreeSet::new(), None::<Cursor>);
    loop {
        let page = timeline.read(user, after.as_ref(), 50).await?;
        for shown in page.entries {
            if !found.insert(format!("{} {}", shown.entry.id, shown.entry.author)) {
                return Err(format!("each post once; {} came twice", shown.entry).into());
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}
