//! The search module: an index over the users' Hashes, which the server keeps up to date itself.
//!
//! Replies are flat arrays in RESP2 and maps in RESP3. Both are read here.

use std::time::Duration;

use redis::{RedisError, RedisResult, Value, from_redis_value_ref};
use tokio::time::{Instant, sleep};

use super::Redis;
use super::users::{CITY, DEPARTMENT, Users};
use crate::people::{CITIES, DEPARTMENTS};

/// Milliseconds that a search may take. With the module's default of half a second, a long search returns a partial result.
const TIMEOUT: u64 = 8_000;
/// How long the server may take to index the users.
const INDEXING: Duration = Duration::from_mins(2);
const BETWEEN_POLLS: Duration = Duration::from_millis(5);

/// Creates the index over these users, and waits until it is complete. Replaces one that an interrupted run left.
pub async fn create_index(users: &Users, redis: &mut Redis) -> RedisResult<()> {
    drop_index(users, redis).await?;
    let prefix = users.keys.user_prefix();
    // A load may have left more users. The filter keeps them out: no number has more than 20 digits or begins with 0, and a
    // name without a number does not match.
    let (digits, last) = (prefix.len(), users.records);
    let filter =
        format!("to_number(substr(@__key, {digits}, 20)) <= {last} && substr(@__key, {digits}, 1) != \"0\"");
    let mut create = redis::cmd("FT.CREATE");
    create.arg(users.keys.users_index()).arg("ON").arg("HASH").arg("PREFIX").arg(1).arg(prefix);
    create.arg("FILTER").arg(filter).arg("SCHEMA").arg("city").arg("TAG").arg("department").arg("TAG");
    create.arg("salary").arg("NUMERIC").exec_async(redis).await?;
    let deadline = Instant::now() + INDEXING;
    while !is_complete(users, redis).await? {
        if Instant::now() > deadline {
            drop_index(users, redis).await?;
            return Err(unreadable("the index was not complete in time"));
        }
        sleep(BETWEEN_POLLS).await;
    }
    Ok(())
}

/// Drops the index, if there is one. The users stay.
pub async fn drop_index(users: &Users, redis: &mut Redis) -> RedisResult<()> {
    let indexes: Vec<String> = redis::cmd("FT._LIST").query_async(redis).await?;
    if indexes.contains(&users.keys.users_index()) {
        redis::cmd("FT.DROPINDEX").arg(users.keys.users_index()).exec_async(redis).await?;
    }
    Ok(())
}

/// In no order.
pub(super) async fn in_city_and_department(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    let reply = search(users, users.records, redis).await?;
    let names: Vec<String> = match (field(&reply, "results"), &reply) {
        (Some(Value::Array(found)), _) => {
            let ids = found.iter().filter_map(|one| field(one, "id"));
            ids.map(from_redis_value_ref).collect::<Result<_, _>>()?
        }
        (_, Value::Array(items)) => {
            items.iter().skip(1).map(from_redis_value_ref).collect::<Result<_, _>>()?
        }
        _ => return Err(unreadable("FT.SEARCH did not return a list")),
    };
    Ok(users.numbers_in(&names))
}

/// Only the number travels.
pub(super) async fn count_matches(users: &Users, redis: &mut Redis) -> RedisResult<u64> {
    let reply = search(users, 0, redis).await?;
    let total = match &reply {
        Value::Array(items) => items.first(),
        map => field(map, "total_results"),
    };
    Ok(from_redis_value_ref(total.ok_or_else(|| unreadable("FT.SEARCH returned no total"))?)?)
}

async fn search(users: &Users, limit: u64, redis: &mut Redis) -> RedisResult<Value> {
    let query = format!("{} @department:{{{}}}", in_city(), escaped(DEPARTMENTS[DEPARTMENT]));
    let mut command = redis::cmd("FT.SEARCH");
    command.arg(users.keys.users_index()).arg(query).arg("NOCONTENT");
    command.arg("LIMIT").arg(0).arg(limit).arg("TIMEOUT").arg(TIMEOUT);
    command.query_async(redis).await
}

/// Whole dollars, and how many users they are of.
pub(super) async fn sum_city_salaries(users: &Users, redis: &mut Redis) -> RedisResult<(u64, u64)> {
    let mut command = redis::cmd("FT.AGGREGATE");
    command.arg(users.keys.users_index()).arg(in_city()).arg("TIMEOUT").arg(TIMEOUT);
    command.arg("GROUPBY").arg(0).arg("REDUCE").arg("SUM").arg(1).arg("@salary").arg("AS").arg("sum");
    command.arg("REDUCE").arg("COUNT").arg(0).arg("AS").arg("count");
    let reply: Value = command.query_async(redis).await?;
    let row = match (field(&reply, "results"), &reply) {
        (Some(Value::Array(rows)), _) => rows.first().and_then(|row| field(row, "extra_attributes")),
        (_, Value::Array(items)) => items.get(1),
        _ => None,
    };
    // If nobody matches, there is no row.
    let Some(row) = row else { return Ok((0, 0)) };
    let number = |name| field(row, name).map_or(Ok(0.0), from_redis_value_ref::<f64>);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sums of whole dollars, below the twelve digits that the module prints"
    )]
    let whole = |number: f64| number.round() as u64;
    Ok((whole(number("sum")?), whole(number("count")?)))
}

async fn is_complete(users: &Users, redis: &mut Redis) -> RedisResult<bool> {
    let info: Value = redis::cmd("FT.INFO").arg(users.keys.users_index()).query_async(redis).await?;
    let number = |name| field(&info, name).map_or(Ok(0.0), from_redis_value_ref::<f64>);
    Ok(number("indexing")? < 0.5 && number("percent_indexed")? >= 1.0)
}

/// A field of a map, which RESP2 sends as a flat array of names and values.
fn field<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    let is_name = |value: &Value| match value {
        Value::BulkString(bytes) => bytes == name.as_bytes(),
        Value::SimpleString(text) => text == name,
        _ => false,
    };
    match map {
        Value::Map(pairs) => pairs.iter().find(|(key, _)| is_name(key)).map(|(_, value)| value),
        Value::Array(items) => items.chunks(2).find(|pair| is_name(&pair[0])).and_then(|pair| pair.get(1)),
        _ => None,
    }
}

fn in_city() -> String {
    format!("@city:{{{}}}", escaped(CITIES[CITY]))
}

/// In a tag, everything but letters and digits is escaped.
fn escaped(tag: &str) -> String {
    tag.chars().flat_map(|c| [(!c.is_alphanumeric()).then_some('\\'), Some(c)]).flatten().collect()
}

fn unreadable(what: &'static str) -> RedisError {
    RedisError::from((redis::ErrorKind::UnexpectedReturnType, "The search module", what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_with_a_space_is_escaped() {
        assert_eq!(in_city(), "@city:{New\\ York}");
    }

    #[test]
    fn fields_are_found_in_both_protocols() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let flat = Value::Array(vec![text("count"), Value::Int(1), text("sum"), Value::Int(2)]);
        let map = Value::Map(vec![(text("count"), Value::Int(1)), (text("sum"), Value::Int(2))]);
        for reply in [flat, map] {
            assert_eq!(field(&reply, "sum"), Some(&Value::Int(2)));
            assert_eq!(field(&reply, "none"), None);
        }
    }
}
