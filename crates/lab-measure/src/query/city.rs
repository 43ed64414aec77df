//! Who lives in a city?

use std::collections::BTreeSet;

use lab_runner::{Source, source};
use redis::{AsyncCommands, RedisResult};

use super::connection::Redis;
use super::everyone::read_fields;
use super::users::{CITY, Users};
use crate::people::CITIES;

/// This file, for the screen.
pub static SOURCE: Source = source!("src/query/city.rs");

/// How many keys one SCAN step looks at.
const SCAN_COUNT: usize = 1_000;

/// For a private server only: KEYS blocks all other clients.
pub(super) async fn by_keys(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    let keys: Vec<Vec<u8>> = redis.keys(users.keys.users_pattern()).await?;
    filter_by_city(users, &users.numbers_in(&keys), redis).await
}

/// For one server only: a cluster is scanned node by node.
pub(super) async fn by_scan(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    // SCAN may return a key twice.
    let (mut numbers, mut cursor) = (BTreeSet::new(), 0_u64);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(users.keys.users_pattern()).arg("COUNT").arg(SCAN_COUNT);
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(redis).await?;
        numbers.extend(users.numbers_in(&keys));
        if next == 0 {
            break;
        }
        cursor = next;
    }
    let numbers: Vec<u64> = numbers.into_iter().collect();
    filter_by_city(users, &numbers, redis).await
}

pub(super) async fn by_reading_everyone(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    filter_by_city(users, &users.numbers(), redis).await
}

pub(super) async fn by_index(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    redis.smembers(users.keys.city(CITIES[CITY])).await
}

async fn filter_by_city(users: &Users, numbers: &[u64], redis: &mut Redis) -> RedisResult<Vec<u64>> {
    let mut found = Vec::new();
    let keep = |number, [city]: [String; 1]| {
        if city == CITIES[CITY] {
            found.push(number);
        }
    };
    read_fields(users, numbers, ["city"], redis, keep).await?;
    Ok(found)
}
