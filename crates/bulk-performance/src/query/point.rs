//! One value of one user: what a single question costs.

use lab_runner::{AnyConnection, Approach};
use redis::RedisResult;

use super::users::{Users, from_json};
use super::way::{Able, Obstacle, Way};

/// Who is asked about; the first is always there.
const NUMBER: u64 = 1;

/// How to read the e-mail address of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// GET of the JSON text, parsed here.
    Get,
    /// HGET of the field.
    Hget,
}

impl Way for Point {
    const ALL: &'static [Self] = &[Self::Get, Self::Hget];

    fn obstacle(self, _server: Able) -> Option<Obstacle> {
        None
    }
}

impl Approach for Point {
    type Input = Users;
    /// The address.
    type Output = String;

    fn label(self) -> String {
        match self {
            Self::Get => "GET of a JSON text",
            Self::Hget => "HGET of a field",
        }
        .to_owned()
    }

    fn operations(self, _users: &Users) -> u64 {
        1
    }

    async fn reset<C: AnyConnection>(self, _users: &Users, _connection: &mut C) -> RedisResult<()> {
        Ok(())
    }

    async fn run<C: AnyConnection>(self, users: &Users, connection: &mut C) -> RedisResult<String> {
        match self {
            Self::Get => {
                let text: String =
                    redis::cmd("GET").arg(users.keys().user_json(NUMBER)).query_async(connection).await?;
                let [_, _, email, ..] = from_json(&text);
                Ok(email)
            }
            Self::Hget => {
                redis::cmd("HGET").arg(users.keys().user(NUMBER)).arg("email").query_async(connection).await
            }
        }
    }
}
