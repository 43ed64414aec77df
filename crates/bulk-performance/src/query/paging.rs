//! The page behind nine tenths of a long list, and all of a set.

use lab_runner::{AnyConnection, Approach};
use redis::RedisResult;
use redis::aio::ConnectionLike;

use super::top::places;
use super::users::{CITY, PAGE, Place, Users};
use super::way::{Able, Obstacle, Way};
use crate::people::CITIES;

/// How to read a page deep in the list by salary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeepPage {
    /// ZRANGE 0 -1: the whole list, cut here.
    Everything,
    /// ZRANGE BYSCORE with LIMIT offset count.
    ScoreOffset,
    /// ZRANGE by rank.
    Rank,
    /// What follows the last score and member of the page before.
    Cursor,
}

impl Way for DeepPage {
    const ALL: &'static [Self] = &[Self::Everything, Self::ScoreOffset, Self::Rank, Self::Cursor];

    fn obstacle(self, _server: Able) -> Option<Obstacle> {
        None
    }
}

impl Approach for DeepPage {
    type Input = Users;
    /// The page, lowest salary first.
    type Output = Vec<Place>;

    fn label(self) -> String {
        match self {
            Self::Everything => "ZRANGE 0 -1, cut here",
            Self::ScoreOffset => "offset: BYSCORE LIMIT",
            Self::Rank => "offset: by rank",
            Self::Cursor => "cursor: score and member",
        }
        .to_owned()
    }

    fn operations(self, _users: &Users) -> u64 {
        1
    }

    async fn reset<C: AnyConnection>(self, _users: &Users, _connection: &mut C) -> RedisResult<()> {
        Ok(())
    }

    async fn run<C: AnyConnection>(self, users: &Users, connection: &mut C) -> RedisResult<Vec<Place>> {
        let start = users.deep_start();
        match self {
            Self::Everything => {
                let mut command = redis::cmd("ZRANGE");
                command.arg(users.keys().users_by_salary()).arg(0).arg(-1).arg("WITHSCORES");
                let all = places(command.query_async(connection).await?);
                Ok(all.into_iter().skip(start).take(PAGE).collect())
            }
            Self::ScoreOffset => {
                let mut command = redis::cmd("ZRANGE");
                command.arg(users.keys().users_by_salary()).arg("-inf").arg("+inf").arg("BYSCORE");
                command.arg("LIMIT").arg(start).arg(PAGE).arg("WITHSCORES");
                Ok(places(command.query_async(connection).await?))
            }
            Self::Rank => by_rank(users, start, PAGE, connection).await,
            Self::Cursor => after(users, users.cursor(), PAGE, connection).await,
        }
    }
}

/// A page by its offset.
pub(super) async fn by_rank(
    users: &Users,
    start: usize,
    count: usize,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<Vec<Place>> {
    let mut command = redis::cmd("ZRANGE");
    command.arg(users.keys().users_by_salary()).arg(start).arg(start + count - 1).arg("WITHSCORES");
    Ok(places(command.query_async(connection).await?))
}

/// The page behind `cursor`, whoever came or went meanwhile. The first score is asked for again, because others may
/// have it too; those that the reader has seen are dropped here. Only among equal scores is there an offset, so it stays
/// small.
pub(super) async fn after(
    users: &Users,
    cursor: Option<Place>,
    count: usize,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<Vec<Place>> {
    let from = cursor.map_or_else(|| "-inf".to_owned(), |place| place.salary.to_string());
    let mut page = Vec::with_capacity(count);
    let mut offset = 0;
    loop {
        let mut command = redis::cmd("ZRANGE");
        command.arg(users.keys().users_by_salary()).arg(&from).arg("+inf").arg("BYSCORE");
        command.arg("LIMIT").arg(offset).arg(count).arg("WITHSCORES");
        let chunk = places(command.query_async(connection).await?);
        let last = chunk.len() < count;
        page.extend(chunk.into_iter().filter(|place| cursor.is_none_or(|seen| place.order() > seen.order())));
        if last || page.len() >= count {
            page.truncate(count);
            return Ok(page);
        }
        offset += count;
    }
}

/// How to read all members of a Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WholeSet {
    /// SMEMBERS: all at once.
    Smembers,
    /// SSCAN: in steps, other clients in between.
    Sscan,
}

impl Way for WholeSet {
    const ALL: &'static [Self] = &[Self::Smembers, Self::Sscan];

    fn obstacle(self, _server: Able) -> Option<Obstacle> {
        None
    }
}

impl Approach for WholeSet {
    type Input = Users;
    /// The members, ascending.
    type Output = Vec<u64>;

    fn label(self) -> String {
        match self {
            Self::Smembers => "SMEMBERS, all at once",
            Self::Sscan => "SSCAN COUNT 100, in steps",
        }
        .to_owned()
    }

    fn operations(self, _users: &Users) -> u64 {
        1
    }

    async fn reset<C: AnyConnection>(self, _users: &Users, _connection: &mut C) -> RedisResult<()> {
        Ok(())
    }

    async fn run<C: AnyConnection>(self, users: &Users, connection: &mut C) -> RedisResult<Vec<u64>> {
        let key = users.keys().city(CITIES[CITY]);
        let mut members: Vec<u64> = Vec::new();
        if self == Self::Smembers {
            members = redis::cmd("SMEMBERS").arg(&key).query_async(connection).await?;
        } else {
            let mut cursor = 0_u64;
            loop {
                let mut command = redis::cmd("SSCAN");
                command.arg(&key).arg(cursor).arg("COUNT").arg(PAGE);
                let (next, step): (u64, Vec<u64>) = command.query_async(connection).await?;
                members.extend(step);
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        members.sort_unstable();
        // SSCAN may tell a member twice while the set's table grows.
        members.dedup();
        Ok(members)
    }
}
