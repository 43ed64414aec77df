//! Who lives in one city and works in one department, and how many are they?

use lab_runner::{AnyConnection, Approach};
use redis::RedisResult;
use redis::aio::ConnectionLike;

use super::search;
use super::transfer;
use super::users::{CITY, DEPARTMENT, Users};
use super::way::{Able, Obstacle, Way};
use crate::people::{CITIES, DEPARTMENTS};

/// Seconds that a stored intersection lives.
pub(super) const STORED_TTL: u64 = 60;

/// How to find who is in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InBoth {
    /// Read two fields of everybody, filter here.
    FilterHere,
    /// SMEMBERS of both index sets, intersect here.
    IntersectHere,
    /// SINTER of the index sets. One server only: the sets lie in different slots.
    Sinter,
    /// SINTERSTORE once, with a TTL; until it expires, SMEMBERS of the result. One server only.
    Stored,
    /// FT.SEARCH. Needs the search index.
    Search,
}

impl Way for InBoth {
    const ALL: &'static [Self] =
        &[Self::FilterHere, Self::IntersectHere, Self::Sinter, Self::Stored, Self::Search];

    fn obstacle(self, server: Able) -> Option<Obstacle> {
        match self {
            Self::FilterHere | Self::IntersectHere => None,
            Self::Sinter | Self::Stored => server.needs_one_node(TWO_SETS),
            Self::Search => server.needs_one_node(NODES).or_else(|| server.needs_search("FT.SEARCH")),
        }
    }
}

const TWO_SETS: &str = "the two sets lie in different slots, and one command may only touch one";
const NODES: &str = "the index of a node knows only the users of that node";

impl Approach for InBoth {
    type Input = Users;
    /// Their numbers, ascending.
    type Output = Vec<u64>;

    fn label(self) -> String {
        match self {
            Self::FilterHere => "HMGET of everybody",
            Self::IntersectHere => "SMEMBERS of both, here",
            Self::Sinter => "SINTER",
            Self::Stored => "stored before: SMEMBERS",
            Self::Search => "FT.SEARCH",
        }
        .to_owned()
    }

    fn operations(self, _users: &Users) -> u64 {
        1
    }

    async fn reset<C: AnyConnection>(self, users: &Users, connection: &mut C) -> RedisResult<()> {
        if self == Self::Stored {
            store(users, connection).await?;
        }
        Ok(())
    }

    async fn run<C: AnyConnection>(self, users: &Users, connection: &mut C) -> RedisResult<Vec<u64>> {
        let mut found: Vec<u64> = match self {
            Self::FilterHere => return filter_here(users, connection).await,
            Self::IntersectHere => {
                let [city, department] = sets(users);
                let mut pipeline = redis::pipe();
                pipeline.cmd("SMEMBERS").arg(city).cmd("SMEMBERS").arg(department);
                let (here, working): (Vec<u64>, std::collections::HashSet<u64>) =
                    pipeline.query_async(connection).await?;
                here.into_iter().filter(|number| working.contains(number)).collect()
            }
            Self::Sinter => redis::cmd("SINTER").arg(&sets(users)).query_async(connection).await?,
            Self::Stored => {
                let found: Vec<u64> =
                    redis::cmd("SMEMBERS").arg(stored_key(users)).query_async(connection).await?;
                // Expired, or nobody is in both; storing again is right either way.
                if found.is_empty() { store(users, connection).await? } else { found }
            }
            Self::Search => search::numbers(users, &search::both(), connection).await?,
        };
        found.sort_unstable();
        Ok(found)
    }
}

/// How to count who is in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountBoth {
    /// Read two fields of everybody, filter, count here.
    FilterHere,
    /// SINTER and count here. One server only.
    Sinter,
    /// SINTERCARD. One server only, and Redis 7.0.
    Sintercard,
    /// FT.SEARCH with LIMIT 0 0. Needs the search index.
    Search,
}

impl Way for CountBoth {
    const ALL: &'static [Self] = &[Self::FilterHere, Self::Sinter, Self::Sintercard, Self::Search];

    fn obstacle(self, server: Able) -> Option<Obstacle> {
        match self {
            Self::FilterHere => None,
            Self::Sinter => InBoth::Sinter.obstacle(server),
            Self::Sintercard => {
                let missing = Obstacle::Missing("SINTERCARD", "--server redis-7.0 or newer");
                server.needs_one_node(TWO_SETS).or((!server.sintercard).then_some(missing))
            }
            Self::Search => InBoth::Search.obstacle(server),
        }
    }
}

impl Approach for CountBoth {
    type Input = Users;
    /// How many.
    type Output = u64;

    fn label(self) -> String {
        match self {
            Self::FilterHere => "HMGET of everybody, count",
            Self::Sinter => "SINTER, count here",
            Self::Sintercard => "SINTERCARD",
            Self::Search => "FT.SEARCH LIMIT 0 0",
        }
        .to_owned()
    }

    fn operations(self, _users: &Users) -> u64 {
        1
    }

    async fn reset<C: AnyConnection>(self, _users: &Users, _connection: &mut C) -> RedisResult<()> {
        Ok(())
    }

    async fn run<C: AnyConnection>(self, users: &Users, connection: &mut C) -> RedisResult<u64> {
        match self {
            Self::FilterHere => Ok(filter_here(users, connection).await?.len() as u64),
            Self::Sinter => Ok(InBoth::Sinter.run(users, connection).await?.len() as u64),
            Self::Sintercard => sintercard(users).query_async(connection).await,
            Self::Search => search::count(users, &search::both(), connection).await,
        }
    }
}

/// Counts on the server: the numbers stay there.
pub(super) fn sintercard(users: &Users) -> redis::Cmd {
    let mut command = redis::cmd("SINTERCARD");
    command.arg(2).arg(&sets(users));
    command
}

/// Stores who is in both under a key with a TTL, and reads it, in one transaction: nobody sees it without its TTL.
pub(super) async fn store(
    users: &Users,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<Vec<u64>> {
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    pipeline.cmd("SINTERSTORE").arg(stored_key(users)).arg(&sets(users)).ignore();
    pipeline.cmd("EXPIRE").arg(stored_key(users)).arg(STORED_TTL).ignore();
    pipeline.cmd("SMEMBERS").arg(stored_key(users));
    let (found,): (Vec<u64>,) = pipeline.query_async(connection).await?;
    Ok(found)
}

pub(super) fn stored_key(users: &Users) -> String {
    users.keys().city_and_department(CITIES[CITY], DEPARTMENTS[DEPARTMENT])
}

fn sets(users: &Users) -> [String; 2] {
    [users.keys().city(CITIES[CITY]), users.keys().department(DEPARTMENTS[DEPARTMENT])]
}

async fn filter_here(users: &Users, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<Vec<u64>> {
    let numbers: Vec<u64> = (1..=users.records()).collect();
    let wanted = [("city", CITIES[CITY]), ("department", DEPARTMENTS[DEPARTMENT])];
    transfer::matching(users, &numbers, &wanted, connection).await
}
