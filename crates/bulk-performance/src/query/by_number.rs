//! A hundred users whose numbers are known.

use std::collections::HashMap;
use std::sync::LazyLock;

use lab_runner::{AnyConnection, Approach};
use redis::{RedisResult, Script};

use super::users::{Users, Values, from_json};
use super::way::{Able, Obstacle, Way};
use crate::people::FIELDS;

static READ_USERS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/read_users.lua")));

/// How to read users by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByNumber {
    /// HGETALL, wait, the next HGETALL.
    OneByOne,
    /// A pipeline of HGETALLs.
    Pipeline,
    /// One script that does them all. One server only: the keys lie in many slots.
    Script,
    /// JSON texts: GET, wait, the next GET.
    TextOneByOne,
    /// JSON texts: one MGET. On a cluster redis-rs sends each node its share.
    Mget,
}

impl Way for ByNumber {
    const ALL: &'static [Self] =
        &[Self::OneByOne, Self::Pipeline, Self::Script, Self::TextOneByOne, Self::Mget];

    fn obstacle(self, server: Able) -> Option<Obstacle> {
        match self {
            Self::Script => server.needs_one_node("a script may only touch keys of one slot"),
            _ => None,
        }
    }
}

impl Approach for ByNumber {
    type Input = Users;
    /// Their values, in the order of [`FIELDS`]; empty ones for who is missing.
    type Output = Vec<Values>;

    fn label(self) -> String {
        match self {
            Self::OneByOne => "Hash: HGETALL, one by one",
            Self::Pipeline => "Hash: pipeline of HGETALLs",
            Self::Script => "Hash: one script",
            Self::TextOneByOne => "JSON text: GET, one by one",
            Self::Mget => "JSON text: MGET",
        }
        .to_owned()
    }

    fn operations(self, users: &Users) -> u64 {
        users.asked().len() as u64
    }

    async fn reset<C: AnyConnection>(self, _users: &Users, connection: &mut C) -> RedisResult<()> {
        if self == Self::Script {
            // A service does this once when it starts.
            READ_USERS.load_async(connection).await?;
        }
        Ok(())
    }

    async fn run<C: AnyConnection>(self, users: &Users, connection: &mut C) -> RedisResult<Vec<Values>> {
        let (keys, numbers) = (users.keys(), users.asked());
        match self {
            Self::OneByOne => {
                let mut read = Vec::with_capacity(numbers.len());
                for &number in numbers {
                    let user = redis::cmd("HGETALL").arg(keys.user(number)).query_async(connection).await?;
                    read.push(in_order(user));
                }
                Ok(read)
            }
            Self::Pipeline => {
                let mut pipeline = redis::pipe();
                for &number in numbers {
                    pipeline.cmd("HGETALL").arg(keys.user(number));
                }
                let read: Vec<HashMap<String, String>> = pipeline.query_async(connection).await?;
                Ok(read.into_iter().map(in_order).collect())
            }
            Self::Script => {
                let mut call = READ_USERS.prepare_invoke();
                for &number in numbers {
                    call.key(keys.user(number));
                }
                let read: Vec<HashMap<String, String>> = call.invoke_async(connection).await?;
                Ok(read.into_iter().map(in_order).collect())
            }
            Self::TextOneByOne => {
                let mut read = Vec::with_capacity(numbers.len());
                for &number in numbers {
                    let text: Option<String> =
                        redis::cmd("GET").arg(keys.user_json(number)).query_async(connection).await?;
                    read.push(from_json(&text.unwrap_or_default()));
                }
                Ok(read)
            }
            Self::Mget => {
                let names: Vec<String> = numbers.iter().map(|&number| keys.user_json(number)).collect();
                let read: Vec<Option<String>> = redis::cmd("MGET").arg(names).query_async(connection).await?;
                Ok(read.into_iter().map(|text| from_json(&text.unwrap_or_default())).collect())
            }
        }
    }
}

fn in_order(mut user: HashMap<String, String>) -> Values {
    FIELDS.map(|field| user.remove(field).unwrap_or_default())
}
