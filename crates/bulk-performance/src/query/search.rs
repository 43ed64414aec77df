//! The search module: an index over the users' Hashes, kept by the server itself.
//!
//! Replies differ between protocols: flat arrays in RESP2, maps in RESP3. Both are read here.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{RedisError, RedisResult, Value, from_redis_value_ref};
use tokio::time::{Instant, sleep};

use super::users::{CITY, DEPARTMENT, Users};
use crate::people::{CITIES, DEPARTMENTS};

/// Milliseconds that a search may take. With the module's own half a second, a long search would answer in part.
const TIMEOUT: u64 = 8_000;
/// How long the server may take to index what is there.
const PATIENCE: Duration = Duration::from_mins(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Creates the index over these users, and waits until it is complete. An index of this name that an interrupted run
/// left is replaced.
pub async fn create_index(users: &Users, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<()> {
    drop_index(users, connection).await?;
    let prefix = users.keys().user_prefix();
    // Others may stand beside these users, when more were loaded; the index knows only these. No number is longer than
    // twenty digits, and none begins with 0; what is no number is left out by itself.
    let (digits, last) = (prefix.len(), users.records());
    let filter =
        format!("to_number(substr(@__key, {digits}, 20)) <= {last} && substr(@__key, {digits}, 1) != \"0\"");
    let mut create = redis::cmd("FT.CREATE");
    create.arg(users.keys().users_index()).arg("ON").arg("HASH").arg("PREFIX").arg(1).arg(prefix);
    create.arg("FILTER").arg(filter).arg("SCHEMA").arg("city").arg("TAG").arg("department").arg("TAG");
    create.arg("salary").arg("NUMERIC").exec_async(connection).await?;
    let deadline = Instant::now() + PATIENCE;
    while !is_complete(users, connection).await? {
        if Instant::now() > deadline {
            drop_index(users, connection).await?;
            return Err(unreadable("the index was not complete in time"));
        }
        sleep(BETWEEN_LOOKS).await;
    }
    Ok(())
}

/// Drops the index, if it is there; the users stay.
pub async fn drop_index(users: &Users, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<()> {
    let indexes: Vec<String> = redis::cmd("FT._LIST").query_async(connection).await?;
    if indexes.contains(&users.keys().users_index()) {
        redis::cmd("FT.DROPINDEX").arg(users.keys().users_index()).exec_async(connection).await?;
    }
    Ok(())
}

/// The search for who is in the city and in the department.
pub(super) fn both() -> String {
    format!("{} @department:{{{}}}", city(), escaped(DEPARTMENTS[DEPARTMENT]))
}

/// The search for who is in the city.
pub(super) fn city() -> String {
    format!("@city:{{{}}}", escaped(CITIES[CITY]))
}

/// The numbers of those who match, in no order.
pub(super) async fn numbers(
    users: &Users,
    query: &str,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<Vec<u64>> {
    let mut command = redis::cmd("FT.SEARCH");
    command.arg(users.keys().users_index()).arg(query).arg("NOCONTENT");
    command.arg("LIMIT").arg(0).arg(users.records()).arg("TIMEOUT").arg(TIMEOUT);
    let reply: Value = command.query_async(connection).await?;
    let names: Vec<String> = match field(&reply, "results") {
        Some(Value::Array(found)) => found
            .iter()
            .filter_map(|one| field(one, "id"))
            .map(from_redis_value_ref)
            .collect::<Result<_, _>>()?,
        _ => match &reply {
            Value::Array(items) => {
                items.iter().skip(1).map(from_redis_value_ref).collect::<Result<_, _>>()?
            }
            _ => return Err(unreadable("FT.SEARCH answered with something else than a list")),
        },
    };
    Ok(names.iter().filter_map(|name| users.number_of(name)).collect())
}

/// How many match; nothing else travels.
pub(super) async fn count(
    users: &Users,
    query: &str,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<u64> {
    let mut command = redis::cmd("FT.SEARCH");
    command.arg(users.keys().users_index()).arg(query).arg("NOCONTENT");
    command.arg("LIMIT").arg(0).arg(0).arg("TIMEOUT").arg(TIMEOUT);
    let reply: Value = command.query_async(connection).await?;
    let total = match &reply {
        Value::Array(items) => items.first(),
        map => field(map, "total_results"),
    };
    Ok(from_redis_value_ref(total.ok_or_else(|| unreadable("FT.SEARCH told no total"))?)?)
}

/// Sum and count of the salaries of those who match, in whole dollars.
pub(super) async fn sum_salaries(
    users: &Users,
    query: &str,
    connection: &mut (impl ConnectionLike + Send),
) -> RedisResult<(u64, u64)> {
    let mut command = redis::cmd("FT.AGGREGATE");
    command.arg(users.keys().users_index()).arg(query).arg("TIMEOUT").arg(TIMEOUT).arg("GROUPBY").arg(0);
    command.arg("REDUCE").arg("SUM").arg(1).arg("@salary").arg("AS").arg("sum");
    command.arg("REDUCE").arg("COUNT").arg(0).arg("AS").arg("count");
    let reply: Value = command.query_async(connection).await?;
    let row = match field(&reply, "results") {
        Some(Value::Array(rows)) => rows.first().and_then(|row| field(row, "extra_attributes")),
        _ => match &reply {
            Value::Array(items) => items.get(1),
            _ => None,
        },
    };
    // Without a match there is no row.
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

async fn is_complete(users: &Users, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<bool> {
    let info: Value = redis::cmd("FT.INFO").arg(users.keys().users_index()).query_async(connection).await?;
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
        assert_eq!(city(), "@city:{New\\ York}");
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
