//! A page deep in a long list, and all members of a Set.

use lab_runner::{Source, source};
use redis::{AsyncCommands, RedisResult};

use super::connection::Redis;
use super::top::salaries;
use super::users::{CITY, PAGE, UserSalary, Users};
use crate::people::CITIES;

/// This file, for the screen.
pub static SOURCE: Source = source!("src/query/pages.rs");

pub(super) async fn deep_from_the_whole_list(
    users: &Users,
    redis: &mut Redis,
) -> RedisResult<Vec<UserSalary>> {
    let all = salaries(redis.zrange_withscores(users.keys.users_by_salary(), 0, -1).await?);
    Ok(all.into_iter().skip(users.deep_start()).take(PAGE).collect())
}

pub(super) async fn deep_by_score_offset(users: &Users, redis: &mut Redis) -> RedisResult<Vec<UserSalary>> {
    range_by_score(users, "-inf", users.deep_start(), PAGE, redis).await
}

pub(super) async fn deep_by_rank(users: &Users, redis: &mut Redis) -> RedisResult<Vec<UserSalary>> {
    by_rank(users, users.deep_start(), PAGE, redis).await
}

pub(super) async fn deep_by_cursor(users: &Users, redis: &mut Redis) -> RedisResult<Vec<UserSalary>> {
    after(users, users.cursor, PAGE, redis).await
}

/// The page that begins at this rank.
pub async fn by_rank(
    users: &Users,
    start: usize,
    count: usize,
    redis: &mut Redis,
) -> RedisResult<Vec<UserSalary>> {
    let last = (start + count).cast_signed() - 1;
    Ok(salaries(redis.zrange_withscores(users.keys.users_by_salary(), start.cast_signed(), last).await?))
}

/// The page after the last user that the client has seen, whatever was added or removed since. Equal salaries are read again,
/// and the ones already seen are dropped.
pub async fn after(
    users: &Users,
    seen: Option<UserSalary>,
    count: usize,
    redis: &mut Redis,
) -> RedisResult<Vec<UserSalary>> {
    let from = seen.map_or_else(|| "-inf".to_owned(), |seen| seen.salary.to_string());
    let (mut page, mut offset) = (Vec::new(), 0);
    loop {
        let chunk = range_by_score(users, &from, offset, count, redis).await?;
        let is_last = chunk.len() < count;
        let is_new = |user: &UserSalary| seen.is_none_or(|seen| user.sort_key() > seen.sort_key());
        page.extend(chunk.into_iter().filter(is_new));
        if is_last || page.len() >= count {
            page.truncate(count);
            return Ok(page);
        }
        offset += count;
    }
}

async fn range_by_score(
    users: &Users,
    from: &str,
    offset: usize,
    count: usize,
    redis: &mut Redis,
) -> RedisResult<Vec<UserSalary>> {
    let mut range = redis::cmd("ZRANGE");
    range.arg(users.keys.users_by_salary()).arg(from).arg("+inf").arg("BYSCORE");
    range.arg("LIMIT").arg(offset).arg(count).arg("WITHSCORES");
    Ok(salaries(range.query_async(redis).await?))
}

pub(super) async fn members_at_once(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    redis.smembers(users.keys.city(CITIES[CITY])).await
}

pub(super) async fn members_by_sscan(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    let city = users.keys.city(CITIES[CITY]);
    let (mut members, mut cursor) = (Vec::new(), 0_u64);
    loop {
        let mut scan = redis::cmd("SSCAN");
        scan.arg(&city).arg(cursor).arg("COUNT").arg(PAGE);
        let (next, step): (u64, Vec<u64>) = scan.query_async(redis).await?;
        members.extend(step);
        if next == 0 {
            return Ok(members);
        }
        cursor = next;
    }
}
