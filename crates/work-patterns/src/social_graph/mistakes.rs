//! Ways to follow and to list followers: by hand, and by the pattern.

use lab_connection::{Connection, Target, own_keys};
use lab_runner::concurrent::try_join_all;
use lab_runner::{BoxError, Source, source};
use patterns::key::{Key, KeyError};
use patterns::social_graph::SocialGraph;
use redis::{AsyncTypedCommands, RedisResult};

/// This file, whose functions the lesson shows.
pub(super) static SOURCE: Source = source!("src/social_graph/mistakes.rs");

/// Whom many follow.
const STAR: &str = "star";
/// Every so many users, a process dies after its first round trip.
pub(super) const DIES: usize = 4;

/// By hand, or by the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In plain commands.
    ByHand,
    /// As the pattern does it.
    Pattern,
}

/// What a reader of pages saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paged {
    /// How many were seen a second time.
    pub twice: usize,
    /// How many were there the whole time, and never seen.
    pub missed: usize,
}

/// Every key that this file writes.
pub(super) fn keys(target: &Target, users: usize) -> Result<Vec<String>, KeyError> {
    let mut keys = Vec::new();
    for user in (0..users).map(|user| format!("fan{user}")) {
        let following = Key::new(target.prefix(), "following", &[&user])?;
        keys.extend([following.companion("pending"), following.as_str().to_owned()]);
    }
    for author in [STAR, author_of_pages(Way::ByHand), author_of_pages(Way::Pattern)] {
        keys.push(followers(target, author)?);
    }
    Ok(keys)
}

fn followers(target: &Target, of: &str) -> Result<String, KeyError> {
    Ok(Key::new(target.prefix(), "followers", &[of])?.as_str().to_owned())
}

/// Whose followers are read in pages. Each way has its own list, so both are read at once.
fn author_of_pages(way: Way) -> &'static str {
    match way {
        Way::ByHand => "star-by-offset",
        Way::Pattern => "star-by-last",
    }
}

/// Lets users follow one author, while every fourth process dies after its first round trip. After that, another
/// one repairs what it can find. Returns how many users follow an author who does not know it.
pub async fn unknown_followers(way: Way, target: &Target, users: usize) -> Result<usize, BoxError> {
    let graph = SocialGraph::new(target.connection(), target.prefix());
    let follows = (0..users).map(async |number| -> Result<(), BoxError> {
        let (user, dies) = (format!("fan{number}"), number % DIES == 0);
        match way {
            Way::ByHand => {
                let following = graph.following_key(&user)?;
                follow_by_hand(
                    target.connection(),
                    following.as_str(),
                    &followers(target, STAR)?,
                    &user,
                    dies,
                )
                .await?;
            }
            Way::Pattern if dies => drop(graph.decide(&user, STAR, true).await?),
            Way::Pattern => drop(graph.follow(&user, STAR).await?),
        }
        graph.repair(&user).await?;
        Ok(())
    });
    try_join_all(follows.collect::<Vec<_>>()).await?;
    let (_, listed) = graph.counts(STAR).await?;
    own_keys::unlink(&mut target.connection(), &keys(target, users)?).await?;
    Ok(users - listed)
}

async fn follow_by_hand(
    mut redis: Connection,
    following: &str,
    followers: &str,
    user: &str,
    dies: bool,
) -> RedisResult<()> {
    redis.zadd(following, STAR, 1).await?;
    if dies {
        return Ok(());
    }
    redis.zadd(followers, user, 1).await?;
    Ok(())
}

/// Reads the followers of an author in pages, while more of them come and some leave between two pages.
pub async fn page_through(way: Way, target: &Target, users: usize, count: usize) -> Result<Paged, BoxError> {
    let author = author_of_pages(way);
    let (mut redis, key) = (target.connection(), followers(target, author)?);
    let graph = SocialGraph::new(redis.clone(), target.prefix());
    let members: Vec<(usize, String)> = (1..=users).map(|number| (number, format!("fan{number}"))).collect();
    redis.zadd_multiple(&key, &members).await?;
    let (mut seen, mut after, mut left) = (Vec::new(), None, Vec::new());
    for page in 0.. {
        let (users_of_page, next) = match way {
            Way::ByHand => by_offset(redis.clone(), &key, page, count).await?,
            Way::Pattern => {
                let users = graph.followers(author, after, count).await?;
                (users.users, users.next)
            }
        };
        if users_of_page.is_empty() {
            break;
        }
        after = next;
        // In one pause two come, in the next one, two leave whom the reader has seen.
        let change = users + 2 * page;
        if page % 2 == 0 {
            redis
                .zadd_multiple(
                    &key,
                    &[(change + 1, format!("new{change}")), (change + 2, format!("new-{change}"))],
                )
                .await?;
        } else {
            let leave: Vec<String> = users_of_page.iter().take(2).cloned().collect();
            redis.zrem(&key, leave.clone()).await?;
            left.extend(leave);
        }
        seen.extend(users_of_page);
        if way == Way::Pattern && after.is_none() {
            break;
        }
    }
    own_keys::unlink(&mut redis, &[&key]).await?;
    let stayed = members.iter().map(|(_, user)| user).filter(|user| !left.contains(*user));
    let missed = stayed.filter(|user| !seen.contains(*user)).count();
    let all = seen.len();
    seen.sort();
    seen.dedup();
    Ok(Paged { twice: all - seen.len(), missed })
}

async fn by_offset(
    mut redis: Connection,
    key: &str,
    page: usize,
    count: usize,
) -> RedisResult<(Vec<String>, Option<u64>)> {
    let mut range = redis::cmd("ZREVRANGE");
    range.arg(key).arg(page * count).arg((page + 1) * count - 1);
    Ok((range.query_async(&mut redis).await?, None))
}
