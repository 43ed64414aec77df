//! What was written, read back: how many records, and a digest that is the same only for the same content.

use lab_connection::Connection;
use redis::RedisResult;

use super::Input;
use super::kind::{Kind, text};
use crate::keys::Keys;
use crate::people::{CITIES, DEPARTMENTS};
use crate::stored::{Content, batches, index_keys};

/// Values read with one command.
const BATCH: u64 = 1_000;

impl Input {
    /// What the first `records` records look like when nothing is wrong.
    pub fn expected(&self, records: u64) -> Content {
        let (keys, people) = (&self.keys, &self.people);
        let mut content = Content::default();
        match self.kind {
            Kind::Users => return Content::expected(people, records),
            Kind::Strings => (1..=records).for_each(|number| content.add(number, &[text(people, number)])),
            // LPUSH puts the newest first.
            Kind::List => {
                (1..=records).for_each(|place| content.add(place, &[(records - place + 1).to_string()]));
            }
            Kind::Indexes => {
                for number in 1..=records {
                    let user = people.user(number);
                    let (city, department) = (CITIES[user.city], DEPARTMENTS[user.department]);
                    content.add(number, &[keys.city(city)]);
                    content.add(number, &[keys.department(department)]);
                    content.add(number, &[keys.users_by_salary(), user.salary.to_string()]);
                }
            }
        }
        content
    }

    /// What the server holds: users and strings up to `records`, all of lists and indexes.
    pub async fn content(&self) -> RedisResult<Content> {
        let (keys, records, connection) = (&self.keys, self.records, &mut self.redis.clone());
        match self.kind {
            Kind::Users => Content::of_users(keys, records, connection).await,
            Kind::Strings => strings(keys, records, connection).await,
            Kind::List => list(&keys.biglist(), connection).await,
            Kind::Indexes => indexes(keys, connection).await,
        }
    }
}

async fn strings(keys: &Keys, records: u64, connection: &mut Connection) -> RedisResult<Content> {
    let mut content = Content::default();
    for numbers in batches(records, BATCH) {
        let names: Vec<String> = numbers.clone().map(|number| keys.user_text(number)).collect();
        let texts: Vec<Option<Vec<u8>>> = redis::cmd("MGET").arg(names).query_async(connection).await?;
        for (number, text) in numbers.zip(texts) {
            if let Some(text) = text {
                content.add(number, &[text]);
            }
        }
    }
    Ok(content)
}

/// Each value with its place in the List, from 1: another order is another digest.
async fn list(key: &str, connection: &mut Connection) -> RedisResult<Content> {
    let mut content = Content::default();
    let length: u64 = redis::cmd("LLEN").arg(key).query_async(connection).await?;
    let mut start = 0;
    while start < length {
        let end = start + BATCH - 1;
        let values: Vec<Vec<u8>> =
            redis::cmd("LRANGE").arg(key).arg(start).arg(end).query_async(connection).await?;
        for (place, value) in (start + 1..).zip(values) {
            content.add(place, &[value]);
        }
        start += BATCH;
    }
    content.records = length;
    Ok(content)
}

/// Each member with its key, and with its score where it has one. The records are the sum of the cardinalities, so
/// that a member read twice would not go unnoticed.
async fn indexes(keys: &Keys, connection: &mut Connection) -> RedisResult<Content> {
    let mut content = Content::default();
    let mut cardinalities = 0;
    let by_salary = keys.users_by_salary();
    for key in index_keys(keys).into_iter().filter(|key| *key != by_salary) {
        cardinalities += redis::cmd("SCARD").arg(&key).query_async::<u64>(connection).await?;
        // SSCAN may give a member twice, which would count twice.
        let members: Vec<u64> = redis::cmd("SMEMBERS").arg(&key).query_async(connection).await?;
        for number in members {
            content.add(number, &[&key]);
        }
    }
    let ranked: u64 = redis::cmd("ZCARD").arg(&by_salary).query_async(connection).await?;
    let mut start = 0;
    while start < ranked {
        let mut zrange = redis::cmd("ZRANGE");
        zrange.arg(&by_salary).arg(start).arg(start + BATCH - 1).arg("WITHSCORES");
        let scored: Vec<(u64, f64)> = zrange.query_async(connection).await?;
        for (number, salary) in scored {
            content.add(number, &[by_salary.clone(), salary.to_string()]);
        }
        start += BATCH;
    }
    content.records = cardinalities + ranked;
    Ok(content)
}
