//! Posts and reads when all is pushed, all is pulled, or only ordinary authors push.

use lab_connection::Connection;
use lab_runner::concurrent::concurrently;
use lab_runner::{AnyConnection, Approach, BoxError, into_redis_error};
use patterns::timeline::Timeline;
use redis::{AsyncTypedCommands, RedisResult};

/// Ordinary authors, and the readers who follow all of them and the star.
const AUTHORS: usize = 20;
const READERS: usize = 5;
/// Posts of each author that are there before.
const POSTS: u64 = 2;
/// Entries that a reader reads.
const READ: usize = 5;
/// How many authors post at a time.
const AT_A_TIME: usize = 8;
/// From so many followers on, the hybrid pulls.
const CELEBRITY_AT: usize = READERS + 1;

/// How posts reach readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Into the timeline of every follower.
    Push,
    /// By asking all authors.
    Pull,
    /// The star is asked, and all others push.
    Hybrid,
}

impl Delivery {
    /// All.
    pub const ALL: [Self; 3] = [Self::Push, Self::Pull, Self::Hybrid];

    fn timeline<C: AnyConnection>(self, connection: &C, prefix: &str) -> Timeline<C> {
        let (name, celebrities_at) = match self {
            Self::Push => ("push", usize::MAX),
            Self::Pull => ("pull", 0),
            Self::Hybrid => ("hybrid", CELEBRITY_AT),
        };
        Timeline::new(connection.clone(), &format!("{prefix}{name}:")).with_celebrities_at(celebrities_at)
    }
}

/// A star with many fans, and a few readers who follow other authors, too.
pub struct Feeds {
    prefix: String,
    fans: usize,
    reads: bool,
}

impl Feeds {
    /// The readers read if `reads`. Otherwise, every author posts.
    #[must_use]
    pub fn new(prefix: &str, fans: usize, reads: bool) -> Self {
        Self { prefix: prefix.to_owned(), fans, reads }
    }

    fn authors() -> Vec<String> {
        (0..AUTHORS).map(|author| format!("author{author}")).chain(["star".to_owned()]).collect()
    }

    fn readers() -> Vec<String> {
        (0..READERS).map(|reader| format!("reader{reader}")).collect()
    }

    /// Every key of all approaches.
    pub fn keys(&self, connection: &Connection) -> Result<Vec<String>, BoxError> {
        let mut keys = Vec::new();
        for delivery in Delivery::ALL {
            let timeline = delivery.timeline(connection, &self.prefix);
            keys.push(timeline.celebrities_key()?.as_str().to_owned());
            for author in Self::authors() {
                let posts = timeline.posts_key(&author)?;
                let followers = timeline.graph().followers_key(&author)?;
                keys.extend([posts.companion("unpushed"), posts.as_str().into(), followers.as_str().into()]);
            }
            for reader in Self::readers() {
                let following = timeline.graph().following_key(&reader)?;
                let own = timeline.timeline_key(&reader)?;
                keys.extend([following.as_str().into(), own.as_str().into()]);
            }
        }
        Ok(keys)
    }

    /// Writes who follows whom, and some posts.
    pub async fn prepare(&self, connection: &Connection) -> Result<(), BoxError> {
        let mut redis = connection.clone();
        for delivery in Delivery::ALL {
            let timeline = delivery.timeline(connection, &self.prefix);
            let (authors, mut followers) = (numbered(Self::authors()), Self::readers());
            for (number, author) in Self::authors().iter().enumerate() {
                if number == AUTHORS {
                    followers.extend((0..self.fans).map(|fan| format!("fan{fan}")));
                }
                let key = timeline.graph().followers_key(author)?;
                redis.zadd_multiple(key.as_str(), &numbered(followers.clone())).await?;
            }
            for reader in Self::readers() {
                let key = timeline.graph().following_key(&reader)?;
                redis.zadd_multiple(key.as_str(), &authors).await?;
                timeline.read(&reader, None, 1).await?;
            }
            for at in 1..=POSTS {
                post(&timeline, at).await?;
            }
        }
        Ok(())
    }
}

fn numbered(users: Vec<String>) -> Vec<(usize, String)> {
    users.into_iter().enumerate().map(|(number, user)| (number + 1, user)).collect()
}

/// Every author posts once.
async fn post<C: AnyConnection>(timeline: &Timeline<C>, at: u64) -> Result<(), BoxError> {
    let authors = Feeds::authors();
    let post_one = |number: usize| post_and_push(timeline.clone(), authors[number].clone(), at);
    concurrently(AT_A_TIME, authors.len(), post_one).await?;
    Ok(())
}

async fn post_and_push<C: AnyConnection>(
    timeline: Timeline<C>,
    author: String,
    at: u64,
) -> Result<(), BoxError> {
    timeline.post_at(&author, &format!("post{at}"), at).await?;
    while timeline.push(&author).await?.more {}
    Ok(())
}

impl Approach for Delivery {
    type Input = Feeds;
    /// The timelines that were read, entry by entry.
    type Output = Vec<String>;

    fn label(self) -> String {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Hybrid => "hybrid",
        }
        .to_owned()
    }

    fn operations(self, feeds: &Feeds) -> u64 {
        if feeds.reads { READERS as u64 } else { AUTHORS as u64 + 1 }
    }

    async fn reset<C: AnyConnection>(self, feeds: &Feeds, connection: &mut C) -> RedisResult<()> {
        if !feeds.reads {
            let timeline = self.timeline(connection, &feeds.prefix);
            for author in Feeds::authors() {
                let last = format!("post{}", POSTS + 1);
                timeline.delete(&author, &last).await.map_err(into_redis_error)?;
            }
        }
        Ok(())
    }

    async fn run<C: AnyConnection>(self, feeds: &Feeds, connection: &mut C) -> RedisResult<Vec<String>> {
        let timeline = self.timeline(connection, &feeds.prefix);
        if !feeds.reads {
            post(&timeline, POSTS + 1).await.map_err(into_redis_error)?;
            return Ok(Vec::new());
        }
        let mut shown = Vec::new();
        for reader in Feeds::readers() {
            let page = timeline.read(&reader, None, READ).await.map_err(into_redis_error)?;
            shown.extend(page.entries.into_iter().map(|shown| format!("{reader}: {}", shown.entry)));
        }
        Ok(shown)
    }
}
