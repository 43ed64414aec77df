//! Who earns the most?

use std::cmp::Reverse;

use lab_runner::{Source, source};
use redis::{AsyncCommands, RedisResult};

use super::connection::Redis;
use super::everyone::read_fields;
use super::users::{UserSalary, Users};

/// This file, for the screen.
pub static SOURCE: Source = source!("src/query/top.rs");

/// How many users the question is about.
pub(super) const TOP: usize = 10;

pub(super) async fn by_sorting_in_the_client(
    users: &Users,
    redis: &mut Redis,
) -> RedisResult<Vec<UserSalary>> {
    let mut all = Vec::new();
    let add = |number, [salary]: [String; 1]| all.push(UserSalary { number, salary: dollars(&salary) });
    read_fields(users, &users.numbers(), ["salary"], redis, add).await?;
    all.sort_unstable_by_key(|user| Reverse(user.sort_key()));
    all.truncate(TOP);
    Ok(all)
}

/// For one server only: the Hashes are in many slots.
pub(super) async fn by_sort(users: &Users, redis: &mut Redis) -> RedisResult<Vec<UserSalary>> {
    let keys = &users.keys;
    let mut sort = redis::cmd("SORT");
    sort.arg(keys.all_users()).arg("BY").arg(keys.salary_pattern()).arg("DESC");
    sort.arg("LIMIT").arg(0).arg(TOP).arg("GET").arg("#").arg("GET").arg(keys.salary_pattern());
    let top: Vec<(u64, String)> = sort.query_async(redis).await?;
    Ok(top.into_iter().map(|(number, salary)| UserSalary { number, salary: dollars(&salary) }).collect())
}

/// Reads the end of a Sorted Set.
pub async fn by_sorted_set(users: &Users, redis: &mut Redis) -> RedisResult<Vec<UserSalary>> {
    let last = TOP.cast_signed() - 1;
    Ok(salaries(redis.zrevrange_withscores(users.keys.users_by_salary(), 0, last).await?))
}

fn dollars(text: &str) -> u32 {
    text.parse().unwrap_or_default()
}

/// Members and scores as users and salaries.
pub(super) fn salaries(members: Vec<(u64, f64)>) -> Vec<UserSalary> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a salary is a whole number of dollars far below 2^32"
    )]
    let user = |(number, score): (u64, f64)| UserSalary { number, salary: score as u32 };
    members.into_iter().map(user).collect()
}
