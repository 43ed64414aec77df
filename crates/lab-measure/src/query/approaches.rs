//! The approaches to every question, one function each, in the lesson's order and naive ones first.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use lab_runner::{ScriptFile, Source, lua, source};
use redis::{AsyncCommands, RedisResult};

use super::Redis;
use super::users::{CITY, DEPARTMENT, PAGE, UserSalary, Users, Values, from_json};
use crate::people::{CITIES, DEPARTMENTS, FIELDS};

/// This file, for the screen.
pub static SOURCE: Source = source!("src/query/approaches.rs");

/// Reads users.
pub static READ_USERS: ScriptFile = lua!("src/query/scripts/read_users.lua");
/// Sums up salaries.
pub static SUM_SALARIES: ScriptFile = lua!("src/query/scripts/sum_salaries.lua");

// One value of one user, and many users whose numbers are known.

pub(super) async fn email_from_json(users: &Users, redis: &mut Redis) -> RedisResult<String> {
    let text: String = redis.get(users.keys.user_json(1)).await?;
    let [_, _, email, ..] = from_json(&text);
    Ok(email)
}

pub(super) async fn email_field(users: &Users, redis: &mut Redis) -> RedisResult<String> {
    redis.hget(users.keys.user(1), "email").await
}

pub(super) async fn hgetall_one_by_one(users: &Users, redis: &mut Redis) -> RedisResult<Vec<Values>> {
    let mut read = Vec::new();
    for &number in &users.selected {
        // Waits for a whole round trip, again and again.
        read.push(in_order(redis.hgetall(users.keys.user(number)).await?));
    }
    Ok(read)
}

pub(super) async fn hgetall_in_a_pipeline(users: &Users, redis: &mut Redis) -> RedisResult<Vec<Values>> {
    let mut pipeline = redis::pipe();
    for &number in &users.selected {
        pipeline.hgetall(users.keys.user(number));
    }
    let read: Vec<_> = pipeline.query_async(redis).await?;
    Ok(read.into_iter().map(in_order).collect())
}

pub(super) async fn hgetall_in_a_script(users: &Users, redis: &mut Redis) -> RedisResult<Vec<Values>> {
    let mut call = READ_USERS.prepare_invoke();
    for &number in &users.selected {
        call.key(users.keys.user(number));
    }
    let read: Vec<_> = call.invoke_async(redis).await?;
    Ok(read.into_iter().map(in_order).collect())
}

pub(super) async fn get_one_by_one(users: &Users, redis: &mut Redis) -> RedisResult<Vec<Values>> {
    let mut read = Vec::new();
    for &number in &users.selected {
        let text: Option<String> = redis.get(users.keys.user_json(number)).await?;
        read.push(from_json(&text.unwrap_or_default()));
    }
    Ok(read)
}

/// On a cluster, redis-rs sends each node its share.
pub(super) async fn mget(users: &Users, redis: &mut Redis) -> RedisResult<Vec<Values>> {
    let names: Vec<String> = users.selected.iter().map(|&number| users.keys.user_json(number)).collect();
    let texts: Vec<Option<String>> = redis.mget(names).await?;
    Ok(texts.into_iter().map(|text| from_json(&text.unwrap_or_default())).collect())
}

fn in_order(mut user: HashMap<String, String>) -> Values {
    FIELDS.map(|field| user.remove(field).unwrap_or_default())
}

// Who lives in a city?

/// How many keys one SCAN step looks at.
const SCAN_COUNT: usize = 1_000;

/// For a private server only: KEYS blocks all other clients.
pub(super) async fn city_by_keys(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    let keys: Vec<Vec<u8>> = redis.keys(users.keys.users_pattern()).await?;
    filter_by_city(users, &users.numbers_in(&keys), redis).await
}

/// For one server only: a cluster is scanned node by node.
pub(super) async fn city_by_scan(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
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

pub(super) async fn city_by_reading_everyone(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    filter_by_city(users, &users.numbers(), redis).await
}

pub(super) async fn city_by_index(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
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

// Who earns the most?

/// How many users the question is about.
pub(super) const TOP: usize = 10;

pub(super) async fn top_by_sorting_in_the_client(
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
pub(super) async fn top_by_sort(users: &Users, redis: &mut Redis) -> RedisResult<Vec<UserSalary>> {
    let keys = &users.keys;
    let mut sort = redis::cmd("SORT");
    sort.arg(keys.all_users()).arg("BY").arg(keys.salary_pattern()).arg("DESC");
    sort.arg("LIMIT").arg(0).arg(TOP).arg("GET").arg("#").arg("GET").arg(keys.salary_pattern());
    let top: Vec<(u64, String)> = sort.query_async(redis).await?;
    Ok(top.into_iter().map(|(number, salary)| UserSalary { number, salary: dollars(&salary) }).collect())
}

/// Reads the end of a Sorted Set.
pub async fn top_by_sorted_set(users: &Users, redis: &mut Redis) -> RedisResult<Vec<UserSalary>> {
    let last = TOP.cast_signed() - 1;
    Ok(salaries(redis.zrevrange_withscores(users.keys.users_by_salary(), 0, last).await?))
}

fn dollars(text: &str) -> u32 {
    text.parse().unwrap_or_default()
}

/// Members and scores as users and salaries.
fn salaries(members: Vec<(u64, f64)>) -> Vec<UserSalary> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a salary is a whole number of dollars far below 2^32"
    )]
    let user = |(number, score): (u64, f64)| UserSalary { number, salary: score as u32 };
    members.into_iter().map(user).collect()
}

// Who lives in a city and works in a department, and how many are they?

/// Seconds that a stored intersection lives.
pub const STORED_TTL: i64 = 60;

pub(super) async fn both_by_reading_everyone(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    let mut found = Vec::new();
    let keep = |number, [city, department]: [String; 2]| {
        if city == CITIES[CITY] && department == DEPARTMENTS[DEPARTMENT] {
            found.push(number);
        }
    };
    read_fields(users, &users.numbers(), ["city", "department"], redis, keep).await?;
    Ok(found)
}

pub(super) async fn both_in_client(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    let [city, department] = index_sets(users);
    let mut pipeline = redis::pipe();
    pipeline.smembers(city).smembers(department);
    let (city, department): (Vec<u64>, HashSet<u64>) = pipeline.query_async(redis).await?;
    Ok(city.into_iter().filter(|number| department.contains(number)).collect())
}

/// For one server only: the sets are in different slots.
pub(super) async fn both_by_sinter(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    redis.sinter(index_sets(users).to_vec()).await
}

/// For one server only.
pub(super) async fn both_by_stored_set(users: &Users, redis: &mut Redis) -> RedisResult<Vec<u64>> {
    let found: Vec<u64> = redis.smembers(stored_both_key(users)).await?;
    // Empty means that it expired, or that nobody matches.
    if found.is_empty() && store_both(users, redis).await? > 0 {
        return redis.smembers(stored_both_key(users)).await;
    }
    Ok(found)
}

/// Stores the intersection, and returns how many members it has. In a transaction, it never exists without its TTL.
pub async fn store_both(users: &Users, redis: &mut Redis) -> RedisResult<usize> {
    let (key, sets) = (stored_both_key(users), index_sets(users));
    let mut transaction = redis::pipe();
    transaction.atomic();
    transaction.sinterstore(&key, &sets[..]);
    transaction.expire(&key, STORED_TTL).ignore();
    let (members,) = transaction.query_async(redis).await?;
    Ok(members)
}

/// Counts on the server. No member travels.
pub(super) async fn count_by_sintercard(users: &Users, redis: &mut Redis) -> RedisResult<u64> {
    let mut sintercard = redis::cmd("SINTERCARD");
    sintercard.arg(2).arg(&index_sets(users));
    sintercard.query_async(redis).await
}

/// The key of the stored intersection.
pub fn stored_both_key(users: &Users) -> String {
    users.keys.city_and_department(CITIES[CITY], DEPARTMENTS[DEPARTMENT])
}

fn index_sets(users: &Users) -> [String; 2] {
    [users.keys.city(CITIES[CITY]), users.keys.department(DEPARTMENTS[DEPARTMENT])]
}

// A page deep in a long list, and all members of a Set.

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
    page_by_rank(users, users.deep_start(), PAGE, redis).await
}

pub(super) async fn deep_by_cursor(users: &Users, redis: &mut Redis) -> RedisResult<Vec<UserSalary>> {
    page_after(users, users.cursor, PAGE, redis).await
}

/// The page that begins at this rank.
pub async fn page_by_rank(
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
pub async fn page_after(
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

// What is the average salary in a city?

/// Dollars, and how many users they are of.
type SumAndCount = (u64, u64);

pub(super) async fn average_by_reading_everyone(
    users: &Users,
    redis: &mut Redis,
) -> RedisResult<SumAndCount> {
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

pub(super) async fn average_by_reading_the_city(
    users: &Users,
    redis: &mut Redis,
) -> RedisResult<SumAndCount> {
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
pub(super) async fn average_by_script(users: &Users, redis: &mut Redis) -> RedisResult<SumAndCount> {
    let mut call = SUM_SALARIES.key(users.keys.city(CITIES[CITY]));
    call.key(users.keys.users_by_salary()).invoke_async(redis).await
}

/// Reads a sum and a count that every write kept up to date.
pub async fn average_by_kept_sum(users: &Users, redis: &mut Redis) -> RedisResult<SumAndCount> {
    let salaries = users.keys.city_salaries(CITIES[CITY]);
    let (sum, count): (Option<u64>, Option<u64>) = redis.hmget(salaries, &["sum", "count"]).await?;
    Ok((sum.unwrap_or(0), count.unwrap_or(0)))
}

// The naive approach to every question: read all users, and decide in the client.

/// Users per pipeline. More would only fill buffers.
const BATCH: usize = 1_000;

/// Reads these fields of these users with HMGET, in pipelines, and calls `each` with every user. A missing field is empty.
async fn read_fields<const N: usize>(
    users: &Users,
    numbers: &[u64],
    fields: [&str; N],
    redis: &mut Redis,
    mut each: impl FnMut(u64, [String; N]) + Send,
) -> RedisResult<()> {
    for batch in numbers.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for &number in batch {
            pipeline.hmget(users.keys.user(number), &fields);
        }
        let read: Vec<[Option<String>; N]> = pipeline.query_async(redis).await?;
        for (&number, values) in batch.iter().zip(read) {
            each(number, values.map(Option::unwrap_or_default));
        }
    }
    Ok(())
}
