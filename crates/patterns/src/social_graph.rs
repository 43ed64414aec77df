//! A social graph: who follows whom, who is friends with whom, and whom you may know.
//!
//! The naive way is two SADDs: Bob into what Ann follows, Ann into Bob's followers. On a cluster, these keys are in two slots, so no
//! transaction covers both. If the process dies between them, Ann follows Bob, and Bob never learns of it. If a follow and an
//! unfollow run at the same time, the two Sets can end with different answers. Here one key decides, and the other one is an index
//! that is written until it agrees. A change that was cut off is on a list, so that you can finish it.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `following:ann` | Sorted Set | whom Ann follows: the truth. The score counts up, so it is the order of following |
//! | `following:{following:ann}:pending` | Set | whom Ann followed or unfollowed while the index was not yet written |
//! | `followers:bob` | Sorted Set | who follows Bob, in the order of following: the index |
//!
//! - **Promise**: after [`follow`](SocialGraph::follow) or [`unfollow`](SocialGraph::unfollow) has answered, both keys agree, whatever
//!   ran at the same time. A page begins after the last user of the page before, so no user is listed twice, and none who stays
//!   is skipped, while others come and go.
//! - **Cost**: three round trips to follow or unfollow, one for each question. Friends cost two round trips for each 500 users who
//!   are followed. Friends of friends take at most 100 friends, and of each the last 100 users followed: four round trips, and at most
//!   202 commands.
//! - **Memory**: at most 5,000 users whom a user follows, kept until you unfollow them, and as many members in the indexes. The
//!   followers of one user are not limited.
//! - **Faults**: every call can be sent again. If you crash between the steps, the other user stays pending, and `repair`, or the
//!   same call again, finishes the change. A lost index fills again when `reindex` runs for the users who should be in it. If
//!   `following` is lost, the follows of that user are lost, and the indexes still have them: use `noeviction`. A failover may
//!   lose the last changes, in one of the two keys or in both: `reindex` and `recheck_followers` make them agree. If a process stops between two
//!   steps while another one changes the same pair, and then goes on and dies before it settles, these two repair that, too. No
//!   time is stored.
//!
//! ```
//! use patterns::social_graph::SocialGraph;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let graph = SocialGraph::new(connection, "");
//! for (user, other) in [("ann", "bob"), ("bob", "ann"), ("bob", "cid"), ("cid", "bob")] {
//!     graph.follow(user, other).await?;
//! }
//! assert_eq!(graph.followers("bob", None, 10).await?.users, ["cid", "ann"]);
//! assert_eq!(graph.mutual_friends("ann", "cid").await?, ["bob"]);
//! assert_eq!(graph.friends_of_friends("ann", 10).await?, [("cid".to_owned(), 1)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};

use redis::aio::ConnectionLike;

use crate::key::{Key, check_id};
use crate::script::{Reply, Script, StoreError, by_operation, join_all, quote, send, send_all};

/// The most users whom one user follows.
pub const MAX_FOLLOWING: usize = 5_000;
/// The most users on a page.
pub const MAX_PAGE: usize = 500;
/// How many friends [`SocialGraph::friends_of_friends`] reads, and how many users of each.
pub const MAX_SAMPLE: usize = 100;
/// How many calls are in flight at once.
const IN_FLIGHT: usize = 40;

const FILE: &str = include_str!("social_graph.lua");

/// Decides that a user follows another one.
pub static FOLLOW: Script = Script::new("social_graph.lua: follow", FILE, &["follow"]);
/// Decides that a user no longer follows another one.
pub static UNFOLLOW: Script = Script::new("social_graph.lua: unfollow", FILE, &["unfollow"]);
/// Writes the index.
pub static INDEX: Script = Script::new("social_graph.lua: index", FILE, &["index"]);
/// Ends a change whose index is written.
pub static SETTLE: Script = Script::new("social_graph.lua: settle", FILE, &["settle"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&FOLLOW, &UNFOLLOW, &INDEX, &SETTLE])
}

/// The graph under a prefix.
#[derive(Clone, Debug)]
pub struct SocialGraph<C> {
    connection: C,
    prefix: String,
}

/// Some users, and where the next ones begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// The users, who followed or were followed last first.
    pub users: Vec<String>,
    /// What to pass as `after` for the next page; `None` if this is the last one.
    pub next: Option<u64>,
}

impl<C: ConnectionLike + Clone> SocialGraph<C> {
    /// The graph under a prefix.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned() }
    }

    /// Lets a user follow another one; `false` if that was so before. Three round trips.
    pub async fn follow(&self, user: &str, other: &str) -> Result<bool, FollowError> {
        let new = self.decide(user, other, true).await?;
        self.finish(user, other, true).await?;
        Ok(new)
    }

    /// Lets a user no longer follow another one; `false` if the user did not. Three round trips.
    pub async fn unfollow(&self, user: &str, other: &str) -> Result<bool, FollowError> {
        let was_there = self.decide(user, other, false).await?;
        self.finish(user, other, false).await?;
        Ok(was_there)
    }

    /// Finishes changes of this user that were cut off, at most [`MAX_PAGE`] in one call. Returns how many there were.
    pub async fn repair(&self, user: &str) -> Result<usize, StoreError> {
        let pending = self.pending(user).await?;
        let pending = &pending[..pending.len().min(MAX_PAGE)];
        let finishes = pending.iter().map(|other| self.finish(user, other, true));
        for settled in in_batches(finishes.collect()).await {
            settled?;
        }
        Ok(pending.len())
    }

    /// Writes the index for a page of those whom this user follows, after it was lost. Call it again with what it returns, until
    /// that is `None`.
    pub async fn reindex(&self, user: &str, after: Option<u64>) -> Result<Option<u64>, StoreError> {
        let page = self.following(user, after, MAX_PAGE).await?;
        let finishes = page.users.iter().map(|other| self.finish(user, other, true));
        for settled in in_batches(finishes.collect()).await {
            settled?;
        }
        Ok(page.next)
    }

    /// Removes from a page of a user's followers those who no longer follow, after writes were lost. Call it again with what it
    /// returns, until that is `None`.
    pub async fn recheck_followers(&self, user: &str, after: Option<u64>) -> Result<Option<u64>, StoreError> {
        let page = self.followers(user, after, MAX_PAGE).await?;
        let finishes = page.users.iter().map(|follower| self.finish(follower, user, true));
        for settled in in_batches(finishes.collect()).await {
            settled?;
        }
        Ok(page.next)
    }

    /// Whether a user follows another one. One round trip.
    pub async fn is_following(&self, user: &str, other: &str) -> Result<bool, StoreError> {
        let mut zscore = redis::cmd("ZSCORE");
        zscore.arg(self.following_key(user)?.as_str()).arg(other);
        let score: Option<f64> = send(&self.connection, &zscore).await?;
        Ok(score.is_some())
    }

    /// How many users this one follows, and how many followers there are. Two commands at once.
    pub async fn counts(&self, user: &str) -> Result<(usize, usize), StoreError> {
        let keys = [self.following_key(user)?, self.followers_key(user)?];
        let counted = join_all(keys.iter().map(|key| self.count(key))).await;
        let mut counts = counted.into_iter();
        Ok((counts.next().unwrap_or(Ok(0))?, counts.next().unwrap_or(Ok(0))?))
    }

    /// Whom a user follows: `count` of them, at most [`MAX_PAGE`], the last one first. One round trip.
    pub async fn following(&self, user: &str, after: Option<u64>, count: usize) -> Result<Users, StoreError> {
        self.page(&self.following_key(user)?, after, count).await
    }

    /// Who follows a user: `count` of them, at most [`MAX_PAGE`], the last one first. One round trip.
    pub async fn followers(&self, user: &str, after: Option<u64>, count: usize) -> Result<Users, StoreError> {
        self.page(&self.followers_key(user)?, after, count).await
    }

    /// The followers after the one with this number, the first one first, each with their number. A follower who comes
    /// meanwhile is behind the last one, so a loop from 0 reaches everyone who stays. One round trip.
    pub async fn next_followers(
        &self,
        user: &str,
        after: u64,
        count: usize,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let key = self.followers_key(user)?;
        let mut range = redis::cmd("ZRANGEBYSCORE");
        range.arg(key.as_str()).arg(format!("({after}")).arg("+inf").arg("WITHSCORES");
        range.arg("LIMIT").arg(0).arg(count.min(MAX_PAGE));
        numbered(&key, send(&self.connection, &range).await?)
    }

    /// Everyone whom a user follows, and those of them whose index may not be written yet. One round trip.
    pub async fn snapshot(&self, user: &str) -> Result<(Vec<String>, Vec<String>), StoreError> {
        let key = self.following_key(user)?;
        let mut read = redis::pipe();
        read.zrange(key.as_str(), 0, -1).smembers(key.companion("pending"));
        send_all(&self.connection, &read).await
    }

    /// The friends of a user: those whom the user follows, and who follow back. They are in the order of their names.
    pub async fn friends(&self, user: &str) -> Result<Vec<String>, StoreError> {
        let (mut friends, mut after) = (Vec::new(), None);
        loop {
            let page = self.following(user, after, MAX_PAGE).await?;
            friends.extend(self.who_follow(user, page.users).await?);
            after = page.next;
            if after.is_none() {
                friends.sort();
                return Ok(friends);
            }
        }
    }

    /// The friends whom two users share, in the order of their names.
    pub async fn mutual_friends(&self, user: &str, other: &str) -> Result<Vec<String>, StoreError> {
        let mut both = join_all([user, other].map(|user| self.friends(user))).await.into_iter();
        let mut friends = both.next().unwrap_or(Ok(Vec::new()))?;
        let others: BTreeSet<String> = both.next().unwrap_or(Ok(Vec::new()))?.into_iter().collect();
        friends.retain(|friend| others.contains(friend));
        Ok(friends)
    }

    /// Friends of friends whom the user does not follow, each with the number of common friends. Those with the most come first,
    /// and of equals the one whose name comes first.
    ///
    /// The work is bounded: of the last [`MAX_SAMPLE`] users followed, it takes those who are friends, and of each of these the
    /// friends among their last [`MAX_SAMPLE`]. Four round trips.
    pub async fn friends_of_friends(
        &self,
        user: &str,
        count: usize,
    ) -> Result<Vec<(String, usize)>, StoreError> {
        let mut common = BTreeMap::<String, usize>::new();
        let friends = self.sampled_friends(user).await?;
        let reads = friends.iter().map(|friend| self.sampled_friends(friend));
        for friends in in_batches(reads.collect()).await {
            for other in friends? {
                *common.entry(other).or_default() += 1;
            }
        }
        common.remove(user);
        let followed: BTreeSet<String> = self.snapshot(user).await?.0.into_iter().collect();
        let mut ranked: Vec<_> = common.into_iter().filter(|(other, _)| !followed.contains(other)).collect();
        // The sort keeps the order of equals.
        ranked.sort_by_key(|(_, common)| std::cmp::Reverse(*common));
        ranked.truncate(count);
        Ok(ranked)
    }

    async fn sampled_friends(&self, user: &str) -> Result<Vec<String>, StoreError> {
        let page = self.following(user, None, MAX_SAMPLE).await?;
        self.who_follow(user, page.users).await
    }

    /// Those of these users who follow this one.
    async fn who_follow(&self, user: &str, others: Vec<String>) -> Result<Vec<String>, StoreError> {
        if others.is_empty() {
            return Ok(others);
        }
        let mut scores = redis::cmd("ZMSCORE");
        scores.arg(self.followers_key(user)?.as_str()).arg(&others);
        let scores: Vec<Option<f64>> = send(&self.connection, &scores).await?;
        let listed = others.into_iter().zip(scores).filter(|(_, score)| score.is_some());
        Ok(listed.map(|(other, _)| other).collect())
    }

    /// The first step of a change: decides it, and notes it as pending. Returns whether it changes anything. One round trip.
    pub async fn decide(&self, user: &str, other: &str, follow: bool) -> Result<bool, FollowError> {
        check_id(other).map_err(StoreError::from)?;
        if user == other {
            return Err(FollowError::Oneself);
        }
        let key = self.following_key(user)?;
        let keys = [key.as_str(), &key.companion("pending")];
        let call = if follow {
            FOLLOW.call(&keys).arg(other).arg(MAX_FOLLOWING)
        } else {
            UNFOLLOW.call(&keys).arg(other)
        };
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "DECIDED" => Ok(reply.next()?),
            "TOO_MANY" => Err(FollowError::TooMany),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// The second step: writes the index. One round trip.
    pub async fn index(&self, user: &str, other: &str, follows: bool) -> Result<(), StoreError> {
        check_id(user)?;
        let call = INDEX.call(&[self.followers_key(other)?.as_str()]).arg(user).arg(u8::from(follows));
        call.run::<Reply>(&self.connection).await?.must_be("INDEXED")
    }

    /// The third step: ends the change. If it was decided otherwise meanwhile, returns that, and the second step must follow
    /// again. One round trip.
    pub async fn settle(&self, user: &str, other: &str, follows: bool) -> Result<Option<bool>, StoreError> {
        let key = self.following_key(user)?;
        let keys = [key.as_str(), &key.companion("pending")];
        let mut reply: Reply =
            SETTLE.call(&keys).arg(other).arg(u8::from(follows)).run(&self.connection).await?;
        match reply.outcome.as_str() {
            "SETTLED" => Ok(None),
            "CHANGED" => Ok(Some(reply.next::<u8>()? == 1)),
            _ => Err(reply.unexpected()),
        }
    }

    /// Whose changes are pending. One round trip.
    pub async fn pending(&self, user: &str) -> Result<Vec<String>, StoreError> {
        let key = self.following_key(user)?;
        send(&self.connection, redis::cmd("SMEMBERS").arg(key.companion("pending"))).await
    }

    /// The last two steps, until they agree. The process that writes the index last also reads the decision after that, so the last
    /// decision wins.
    async fn finish(&self, user: &str, other: &str, mut follows: bool) -> Result<(), StoreError> {
        loop {
            self.index(user, other, follows).await?;
            match self.settle(user, other, follows).await? {
                None => return Ok(()),
                Some(changed) => follows = changed,
            }
        }
    }

    async fn page(&self, key: &Key, after: Option<u64>, count: usize) -> Result<Users, StoreError> {
        let count = count.min(MAX_PAGE);
        if count == 0 {
            return Ok(Users { users: Vec::new(), next: after });
        }
        let from = after.map_or_else(|| "+inf".to_owned(), |number| format!("({number}"));
        let mut range = redis::cmd("ZREVRANGEBYSCORE");
        range.arg(key.as_str()).arg(from).arg("-inf").arg("WITHSCORES").arg("LIMIT").arg(0).arg(count);
        let page = numbered(key, send(&self.connection, &range).await?)?;
        let next = page.last().filter(|_| page.len() == count).map(|(_, number)| *number);
        Ok(Users { users: page.into_iter().map(|(user, _)| user).collect(), next })
    }

    async fn count(&self, key: &Key) -> Result<usize, StoreError> {
        send(&self.connection, redis::cmd("ZCARD").arg(key.as_str())).await
    }

    /// The key of those whom a user follows.
    pub fn following_key(&self, user: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "following", &[user])?)
    }

    /// The key of a user's followers.
    pub fn followers_key(&self, user: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "followers", &[user])?)
    }
}

/// Members with their scores, which are whole numbers below 2^53.
pub(crate) fn numbered(key: &Key, members: Vec<(String, f64)>) -> Result<Vec<(String, u64)>, StoreError> {
    let number = |(member, score): (String, f64)| {
        if score.fract() != 0.0 || !(0.0..9_007_199_254_740_992.0).contains(&score) {
            let found = format!("{} {member} {score}", key.as_str());
            return Err(StoreError::Malformed(quote(&found)));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
        Ok((member, score as u64))
    };
    members.into_iter().map(number).collect()
}

/// Awaits all, not too many at once, and returns their outputs in order.
pub(crate) async fn in_batches<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let (mut futures, mut outputs) = (futures.into_iter(), Vec::new());
    loop {
        let batch: Vec<F> = futures.by_ref().take(IN_FLIGHT).collect();
        if batch.is_empty() {
            return outputs;
        }
        outputs.extend(join_all(batch).await);
    }
}

/// Why a user does not follow another one. Nothing was changed, unless the connection failed: then do it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The user follows [`MAX_FOLLOWING`] others.
    #[error("a user follows at most {MAX_FOLLOWING} others")]
    TooMany,
    /// Nobody follows themselves.
    #[error("a user cannot follow themselves")]
    Oneself,
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
