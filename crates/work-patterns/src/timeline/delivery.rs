//! Reads and posts when all is pushed, all is pulled, or only ordinary authors push.

use std::sync::atomic::{AtomicU64, Ordering};

use lab_connection::Connection;
use lab_runner::concurrent::{concurrently, try_join_all};
use lab_runner::{AnyConnection, Approach, BoxError, into_redis_error, labeled};
use patterns::timeline::Timeline;
use redis::{AsyncTypedCommands, RedisResult};

/// Whom many follow.
const STAR: &str = "star";
/// Ordinary authors, and the readers who follow all of them and the star.
const AUTHORS: usize = 20;
const READERS: usize = 5;
/// Entries that a reader reads.
const READ: usize = 5;
/// From so many followers on, the hybrid pulls.
const CELEBRITY_AT: usize = READERS + 1;

labeled! {
    /// How posts reach readers.
    pub enum Delivery {
        /// Into the timeline of every follower.
        Push => "push",
        /// By asking all authors.
        Pull => "pull",
        /// The star is asked, and all others push.
        Hybrid => "hybrid",
    }
}

impl Delivery {
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
    /// How often each author has posted.
    posts: AtomicU64,
}

impl Feeds {
    /// The readers read if `reads`. Otherwise, every author posts.
    #[must_use]
    pub fn new(prefix: &str, fans: usize, reads: bool) -> Self {
        Self { prefix: prefix.to_owned(), fans, reads, posts: AtomicU64::new(1) }
    }

    fn authors() -> Vec<String> {
        (0..AUTHORS).map(|author| format!("author{author}")).chain([STAR.to_owned()]).collect()
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

    /// Writes who follows whom, lets the readers read for the first time, and each author post once.
    pub async fn prepare(&self, connection: &Connection) -> Result<(), BoxError> {
        let prepare =
            |delivery: Delivery| self.prepare_one(delivery.timeline(connection, &self.prefix), connection);
        try_join_all(Delivery::ALL.map(prepare)).await.map(drop)
    }

    async fn prepare_one(&self, timeline: Timeline<Connection>, redis: &Connection) -> Result<(), BoxError> {
        let follow = |author| self.give_followers(&timeline, redis.clone(), author);
        let follow_all = |reader| follow_all(&timeline, redis.clone(), reader);
        tokio::try_join!(
            try_join_all(Self::authors().into_iter().map(follow)),
            try_join_all(Self::readers().into_iter().map(follow_all)),
        )?;
        // A post that comes while a timeline is built is in it, too.
        let readers = Self::readers();
        let read = |reader: usize| timeline.read(&readers[reader], None, 1);
        let read_first = async { Ok::<_, BoxError>(concurrently(READERS, READERS, read).await?) };
        tokio::try_join!(read_first, post(&timeline, 1))?;
        Ok(())
    }

    async fn give_followers(
        &self,
        timeline: &Timeline<Connection>,
        mut redis: Connection,
        author: String,
    ) -> Result<(), BoxError> {
        let mut followers = Self::readers();
        if author == STAR {
            followers.extend((0..self.fans).map(|fan| format!("fan{fan}")));
        }
        let key = timeline.graph().followers_key(&author)?;
        redis.zadd_multiple(key.as_str(), &numbered(followers)).await?;
        Ok(())
    }
}

/// Lets a reader follow all authors.
async fn follow_all(
    timeline: &Timeline<Connection>,
    mut redis: Connection,
    reader: String,
) -> Result<(), BoxError> {
    let key = timeline.graph().following_key(&reader)?;
    redis.zadd_multiple(key.as_str(), &numbered(Feeds::authors())).await?;
    Ok(())
}

fn numbered(users: Vec<String>) -> Vec<(usize, String)> {
    users.into_iter().enumerate().map(|(number, user)| (number + 1, user)).collect()
}

/// Every author posts once, at this millisecond.
async fn post<C: AnyConnection>(timeline: &Timeline<C>, at: u64) -> Result<(), BoxError> {
    let authors = Feeds::authors();
    let post_one = |number: usize| post_and_push(timeline.clone(), authors[number].clone(), at);
    concurrently(authors.len(), authors.len(), post_one).await?;
    Ok(())
}

async fn post_and_push<C: AnyConnection>(
    timeline: Timeline<C>,
    author: String,
    at: u64,
) -> Result<(), BoxError> {
    timeline.post_at(&author, &format!("post{at}"), at).await?;
    // One step reaches 500 followers, and no author here has as many.
    timeline.push(&author).await?;
    Ok(())
}

impl Approach for Delivery {
    type Input = Feeds;
    /// The timelines that were read, entry by entry.
    type Output = Vec<String>;

    /// Each run posts something new.
    const RESET_ONCE: bool = true;

    fn label(self) -> String {
        self.label().to_owned()
    }

    fn operations(self, feeds: &Feeds) -> u64 {
        if feeds.reads { READERS as u64 } else { AUTHORS as u64 + 1 }
    }

    async fn reset<C: AnyConnection>(self, _: &Feeds, _: &mut C) -> RedisResult<()> {
        Ok(())
    }

    async fn run<C: AnyConnection>(self, feeds: &Feeds, connection: &mut C) -> RedisResult<Vec<String>> {
        let timeline = self.timeline(connection, &feeds.prefix);
        if !feeds.reads {
            let next = feeds.posts.fetch_add(1, Ordering::Relaxed) + 1;
            post(&timeline, next).await.map_err(into_redis_error)?;
            return Ok(Vec::new());
        }
        let readers = Feeds::readers();
        let read = |reader: usize| timeline.read(&readers[reader], None, READ);
        let pages = concurrently(READERS, READERS, read).await.map_err(into_redis_error)?;
        let shown = readers.iter().zip(&pages).flat_map(|(reader, page)| {
            page.entries.iter().map(move |shown| format!("{reader}: {}", shown.entry))
        });
        Ok(shown.collect())
    }
}
