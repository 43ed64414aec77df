//! One value of one user, and many users whose numbers are known.

use std::collections::HashMap;
use std::sync::LazyLock;

use lab_runner::{LuaScript, Source, source};
use redis::{AsyncCommands, RedisResult, Script};

use super::connection::Redis;
use super::users::{Users, Values, from_json};
use crate::people::FIELDS;

/// This file, for the screen.
pub static SOURCE: Source = source!("src/query/by_key.rs");

const READ_USERS_SOURCE: &str = include_str!("scripts/read_users.lua");
static READ_USERS: LazyLock<Script> = LazyLock::new(|| Script::new(READ_USERS_SOURCE));

/// Its script, for the screen.
pub fn read_users_script() -> LuaScript<'static> {
    let path = "crates/lab-measure/src/query/scripts/read_users.lua";
    let (text, source, hash) = (READ_USERS_SOURCE, READ_USERS_SOURCE, READ_USERS.get_hash());
    LuaScript { name: "read_users.lua", path, line: 1, text, source, hash }
}

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
