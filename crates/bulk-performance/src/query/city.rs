//! Who lives in a city?

use lab_runner::{AnyConnection, Approach};
use redis::RedisResult;

use super::transfer;
use super::users::{CITY, Users};
use super::way::{Able, Obstacle, Way};
use crate::people::CITIES;

/// How many keys one SCAN step looks at.
const SCAN_COUNT: usize = 1_000;

/// How to find the users of a city.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsersOfCity {
    /// KEYS `user:*`, then the city of each. Only on a private server.
    Keys,
    /// SCAN MATCH `user:*`, then the city of each. One server only: a cluster is scanned node by node.
    Scan,
    /// The numbers are known, so the city of each is read without looking for keys.
    ReadAll,
    /// SMEMBERS of a Set that was written with the users.
    IndexSet,
}

impl Way for UsersOfCity {
    const ALL: &'static [Self] = &[Self::Keys, Self::Scan, Self::ReadAll, Self::IndexSet];

    fn obstacle(self, server: Able) -> Option<Obstacle> {
        match self {
            Self::Keys => (!server.private).then_some(Obstacle::Shared),
            Self::Scan => server.needs_one_node("SCAN walks one node, and a cluster has several"),
            Self::ReadAll | Self::IndexSet => None,
        }
    }
}

impl Approach for UsersOfCity {
    type Input = Users;
    /// Their numbers, ascending.
    type Output = Vec<u64>;

    fn label(self) -> String {
        match self {
            Self::Keys => "KEYS user:*, HMGET each",
            Self::Scan => "SCAN MATCH, HMGET each",
            Self::ReadAll => "HMGET of everybody",
            Self::IndexSet => "index: SMEMBERS",
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
        let numbers = match self {
            Self::IndexSet => {
                let mut found: Vec<u64> = redis::cmd("SMEMBERS")
                    .arg(users.keys().city(CITIES[CITY]))
                    .query_async(connection)
                    .await?;
                found.sort_unstable();
                return Ok(found);
            }
            Self::ReadAll => (1..=users.records()).collect(),
            Self::Keys => {
                let pattern = users.keys().users_pattern();
                let found: Vec<Vec<u8>> = redis::cmd("KEYS").arg(pattern).query_async(connection).await?;
                numbers_in(users, &found)
            }
            Self::Scan => scan(users, connection).await?,
        };
        transfer::matching(users, &numbers, &[("city", CITIES[CITY])], connection).await
    }
}

async fn scan<C: AnyConnection>(users: &Users, connection: &mut C) -> RedisResult<Vec<u64>> {
    let mut numbers = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let mut command = redis::cmd("SCAN");
        command.arg(cursor).arg("MATCH").arg(users.keys().users_pattern()).arg("COUNT").arg(SCAN_COUNT);
        let (next, found): (u64, Vec<Vec<u8>>) = command.query_async(connection).await?;
        numbers.extend(numbers_in(users, &found));
        if next == 0 {
            break;
        }
        cursor = next;
    }
    // SCAN may name a key twice while the server's table grows.
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// The pattern also matches what others keep under similar names: those are left alone, whatever type they are of.
fn numbers_in(users: &Users, keys: &[Vec<u8>]) -> Vec<u64> {
    keys.iter().filter_map(|key| users.number_of(std::str::from_utf8(key).ok()?)).collect()
}
