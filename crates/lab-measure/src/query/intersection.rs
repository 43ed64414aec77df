//! Who lives in a city and works in a department, and how many are they?

use std::collections::HashSet;

use lab_runner::{Source, source};
use redis::{AsyncCommands, RedisResult};

use super::connection::Redis;
use super::everyone::read_fields;
use super::users::{CITY, DEPARTMENT, Users};
use crate::people::{CITIES, DEPARTMENTS};

/// This file, for the screen.
pub static SOURCE: Source = source!("src/query/intersection.rs");

/// Seconds that a stored intersection lives.
pub const STORED_TTL: i64 = 60;

pub(super) async fn by_reading_everyone(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    let mut found = Vec::new();
    let keep = |number, [city, department]: [String; 2]| {
        if city == CITIES[CITY] && department == DEPARTMENTS[DEPARTMENT] {
            found.push(number);
        }
    };
    read_fields(users, &users.numbers(), ["city", "department"], redis, keep).await?;
    Ok(found)
}

pub(super) async fn in_client(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    let [city, department] = index_sets(users);
    let mut pipeline = redis::pipe();
    pipeline.smembers(city).smembers(department);
    let (city, department): (Vec<u64>, HashSet<u64>) = pipeline.query_async(redis).await?;
    Ok(city.into_iter().filter(|number| department.contains(number)).collect())
}

/// For one server only: the sets are in different slots.
pub(super) async fn by_sinter(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    redis.sinter(index_sets(users).to_vec()).await
}

/// For one server only.
pub(super) async fn by_stored_set(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    let found: Vec<u64> = redis.smembers(stored_key(users)).await?;
    // Empty means that it expired, or that nobody matches.
    if found.is_empty() && store(users, redis).await? > 0 {
        return redis.smembers(stored_key(users)).await;
    }
    Ok(found)
}

/// Stores the intersection, and returns how many members it has. In a transaction, it never exists without its TTL.
pub async fn store(users: &Users, redis: &mut Redis) -> RedisResult<usize> {
    let (key, sets) = (stored_key(users), index_sets(users));
    let mut transaction = redis::pipe();
    transaction.atomic();
    transaction.sinterstore(&key, &sets[..]);
    transaction.expire(&key, STORED_TTL).ignore();
    let (members,) = transaction.query_async(redis).await?;
    Ok(members)
}

/// Counts on the server. No member travels.
pub(super) async fn by_sintercard(users: &Users, redis: &mut Redis) -> RedisResult<u64> {
    let mut sintercard = redis::cmd("SINTERCARD");
    sintercard.arg(2).arg(&index_sets(users));
    sintercard.query_async(redis).await
}

/// The key of the stored intersection.
pub fn stored_key(users: &Users) -> String {
    users.keys.city_and_department(CITIES[CITY], DEPARTMENTS[DEPARTMENT])
}

fn index_sets(users: &Users) -> [String; 2] {
    [users.keys.city(CITIES[CITY]), users.keys.department(DEPARTMENTS[DEPARTMENT])]
}
