//! What is the average salary in a city?

use std::sync::LazyLock;

use lab_runner::{LuaScript, Source, source};
use redis::{AsyncCommands, RedisResult, Script};

use super::connection::Redis;
use super::everyone::read_fields;
use super::users::{CITY, Users};
use crate::people::CITIES;

/// This file, for the screen.
pub static SOURCE: Source = source!("src/query/average.rs");

const SUM_SALARIES_SOURCE: &str = include_str!("scripts/sum_salaries.lua");
static SUM_SALARIES: LazyLock<Script> = LazyLock::new(|| Script::new(SUM_SALARIES_SOURCE));

/// Its script, for the screen.
pub fn sum_salaries_script() -> LuaScript<'static> {
    let path = "crates/lab-measure/src/query/scripts/sum_salaries.lua";
    let (text, source, hash) = (SUM_SALARIES_SOURCE, SUM_SALARIES_SOURCE, SUM_SALARIES.get_hash());
    LuaScript { name: "sum_salaries.lua", path, line: 1, text, source, hash }
}

/// Dollars, and how many users they are of.
type SumAndCount = (u64, u64);

pub(super) async fn by_reading_everyone(users: &Users, redis: &mut Redis) -> RedisResult<SumAndCount> {
    let (mut sum, mut count) = (0, 0);
    let add = |_number, [city, salary]: [String; 2]| {
        if city == CITIES[CITY] {
            sum += salary.parse().unwrap_or(0);
            count += 1;
        }
    };
    read_fields(users, &users.numbers(), ["city", "salary"], redis, add).await?;
    Ok((sum, count))
}

pub(super) async fn by_reading_the_city(users: &Users, redis: &mut Redis) -> RedisResult<SumAndCount> {
    let numbers: Vec<u64> = redis.smembers(users.keys.city(CITIES[CITY])).await?;
    let (mut sum, mut count) = (0, 0);
    let add = |_number, [salary]: [String; 1]| {
        sum += salary.parse().unwrap_or(0);
        count += 1;
    };
    read_fields(users, &numbers, ["salary"], redis, add).await?;
    Ok((sum, count))
}

/// For one server only: the two indexes are in different slots.
pub(super) async fn by_script(users: &Users, redis: &mut Redis) -> RedisResult<SumAndCount> {
    let mut call = SUM_SALARIES.key(users.keys.city(CITIES[CITY]));
    call.key(users.keys.users_by_salary()).invoke_async(redis).await
}

/// Reads a sum and a count that every write kept up to date.
pub async fn by_kept_sum(users: &Users, redis: &mut Redis) -> RedisResult<SumAndCount> {
    let salaries = users.keys.city_salaries(CITIES[CITY]);
    let (sum, count): (Option<u64>, Option<u64>) = redis.hmget(salaries, &["sum", "count"]).await?;
    Ok((sum.unwrap_or(0), count.unwrap_or(0)))
}
