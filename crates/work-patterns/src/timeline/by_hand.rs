//! A post written into a list of each follower, by hand.

use lab_connection::{Connection, Target, own_keys};
use lab_runner::BoxError;
use lab_runner::concurrent::try_join_all;
use patterns::key::{Key, KeyError};
use redis::{AsyncTypedCommands, RedisResult};

/// How often the followers have the post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// How many followers lack it.
    pub none: usize,
    /// How many have it once.
    pub one: usize,
    /// How many have it twice.
    pub two: usize,
}

/// The list of a follower.
pub(super) fn list(prefix: &str, follower: &str) -> Result<String, KeyError> {
    Ok(Key::new(prefix, "by-hand", &[follower])?.as_str().to_owned())
}

/// Pushes a post to the first few of these followers, because the process dies after them. Then the next process begins again.
/// Returns what the followers have after the first process, and after both.
pub async fn push_twice(
    target: &Target,
    followers: &[&str],
    dies_after: usize,
) -> Result<[Copies; 2], BoxError> {
    let lists = followers.iter().map(|follower| list(target.prefix(), follower));
    let lists: Vec<String> = lists.collect::<Result<_, _>>()?;
    let mut after_one = push_by_hand(target.connection(), &lists[..dies_after.min(lists.len())]).await?;
    after_one.resize(lists.len(), 0);
    let after_both = push_by_hand(target.connection(), &lists).await?;
    own_keys::unlink(&mut target.connection(), &lists).await?;
    Ok([after_one, after_both].map(|lengths| Copies::of(&lengths)))
}

/// Returns how long each list is now.
async fn push_by_hand(redis: Connection, lists: &[String]) -> RedisResult<Vec<usize>> {
    let push = async |list: &String| redis.clone().lpush(list, "post-1").await;
    try_join_all(lists.iter().map(push)).await
}

impl Copies {
    fn of(lengths: &[usize]) -> Self {
        let with = |copies| lengths.iter().filter(|length| **length == copies).count();
        Self { none: with(0), one: with(1), two: with(2) }
    }
}
