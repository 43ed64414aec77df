//! Who earns the most?

use lab_runner::{AnyConnection, Approach};
use redis::RedisResult;

use super::transfer;
use super::users::{Place, Users};
use super::way::{Able, Obstacle, Way};

/// How many are asked for.
const TOP: usize = 10;

/// How to find the ten highest salaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopSalaries {
    /// Read everybody's salary, sort here, throw all but ten away.
    SortHere,
    /// SORT BY the field of each Hash, on the server. One server only: the Hashes lie in many slots.
    SortBy,
    /// ZREVRANGE of a Sorted Set that was written with the users.
    SortedSet,
}

impl Way for TopSalaries {
    const ALL: &'static [Self] = &[Self::SortHere, Self::SortBy, Self::SortedSet];

    fn obstacle(self, server: Able) -> Option<Obstacle> {
        match self {
            Self::SortBy => {
                server.needs_one_node("SORT BY reads keys of many slots, and each node has only its own")
            }
            Self::SortHere | Self::SortedSet => None,
        }
    }
}

impl Approach for TopSalaries {
    type Input = Users;
    /// Ten places, the highest first.
    type Output = Vec<Place>;

    fn label(self) -> String {
        match self {
            Self::SortHere => "HMGET of everybody, sort",
            Self::SortBy => "SORT BY user:*->salary",
            Self::SortedSet => "Sorted Set: ZREVRANGE",
        }
        .to_owned()
    }

    fn operations(self, _users: &Users) -> u64 {
        1
    }

    async fn reset<C: AnyConnection>(self, _users: &Users, _connection: &mut C) -> RedisResult<()> {
        Ok(())
    }

    async fn run<C: AnyConnection>(self, users: &Users, connection: &mut C) -> RedisResult<Vec<Place>> {
        let keys = users.keys();
        match self {
            Self::SortHere => {
                let everybody = transfer::everybody(users, &["salary"], connection).await?;
                let mut places: Vec<Place> = everybody
                    .into_iter()
                    .map(|(number, salary)| Place { number, salary: dollars(salary.first()) })
                    .collect();
                places.sort_unstable_by_key(|place| std::cmp::Reverse(place.order()));
                places.truncate(TOP);
                Ok(places)
            }
            Self::SortBy => {
                let mut sort = redis::cmd("SORT");
                sort.arg(keys.all_users()).arg("BY").arg(keys.salary_pattern()).arg("DESC");
                sort.arg("LIMIT").arg(0).arg(TOP).arg("GET").arg("#").arg("GET").arg(keys.salary_pattern());
                let reply: Vec<String> = sort.query_async(connection).await?;
                Ok(reply
                    .chunks(2)
                    .map(|pair| Place {
                        number: pair.first().and_then(|text| text.parse().ok()).unwrap_or_default(),
                        salary: dollars(pair.get(1)),
                    })
                    .collect())
            }
            Self::SortedSet => {
                let mut command = redis::cmd("ZREVRANGE");
                command.arg(keys.users_by_salary()).arg(0).arg(TOP - 1).arg("WITHSCORES");
                Ok(places(command.query_async(connection).await?))
            }
        }
    }
}

fn dollars(text: Option<&String>) -> u32 {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Members and scores as places.
pub(super) fn places(members: Vec<(u64, f64)>) -> Vec<Place> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a salary is a whole number of dollars far below 2^32"
    )]
    let place = |(number, score): (u64, f64)| Place { number, salary: score as u32 };
    members.into_iter().map(place).collect()
}
