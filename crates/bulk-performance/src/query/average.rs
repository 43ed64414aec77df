//! What does one earn in a city, on average?

use std::sync::LazyLock;

use lab_runner::{AnyConnection, Approach};
use redis::{RedisResult, Script};

use super::search;
use super::transfer;
use super::users::{CITY, Users, average_in_cents};
use super::way::{Able, Obstacle, Way};
use crate::people::CITIES;

pub(super) const SUM_SALARIES_SOURCE: &str = include_str!("scripts/sum_salaries.lua");
static SUM_SALARIES: LazyLock<Script> = LazyLock::new(|| Script::new(SUM_SALARIES_SOURCE));

/// How to find the average salary of a city.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AverageSalary {
    /// Read city and salary of everybody, add up here.
    Transfer,
    /// SMEMBERS of the city, read the salaries of those, add up here.
    TransferCity,
    /// A script adds up over the index of the city and that of the salaries. One server only: two slots.
    Script,
    /// Sum and count were counted up when the users were written: HMGET.
    Counter,
    /// FT.AGGREGATE. Needs the search index.
    Aggregate,
}

impl Way for AverageSalary {
    const ALL: &'static [Self] =
        &[Self::Transfer, Self::TransferCity, Self::Script, Self::Aggregate, Self::Counter];

    fn obstacle(self, server: Able) -> Option<Obstacle> {
        match self {
            Self::Transfer | Self::TransferCity | Self::Counter => None,
            Self::Script => server.needs_one_node("a script may only touch keys of one slot"),
            Self::Aggregate => server
                .needs_one_node("the index of a node knows only the users of that node")
                .or_else(|| server.needs_search("FT.AGGREGATE")),
        }
    }
}

impl Approach for AverageSalary {
    type Input = Users;
    /// Cents, rounded half up; 0 where nobody lives there.
    type Output = u64;

    fn label(self) -> String {
        match self {
            Self::Transfer => "HMGET of everybody",
            Self::TransferCity => "SMEMBERS, HMGET each",
            Self::Script => "script over both indexes",
            Self::Counter => "kept sum and count: HMGET",
            Self::Aggregate => "FT.AGGREGATE",
        }
        .to_owned()
    }

    fn operations(self, _users: &Users) -> u64 {
        1
    }

    async fn reset<C: AnyConnection>(self, _users: &Users, connection: &mut C) -> RedisResult<()> {
        if self == Self::Script {
            // A service does this once when it starts.
            SUM_SALARIES.load_async(connection).await?;
        }
        Ok(())
    }

    async fn run<C: AnyConnection>(self, users: &Users, connection: &mut C) -> RedisResult<u64> {
        let keys = users.keys();
        let (sum, count) = match self {
            Self::Transfer => {
                let everybody = transfer::everybody(users, &["city", "salary"], connection).await?;
                let there = everybody.iter().filter(|(_, user)| user[0] == CITIES[CITY]);
                add_up(there.map(|(_, user)| user[1].as_str()))
            }
            Self::TransferCity => {
                let numbers: Vec<u64> =
                    redis::cmd("SMEMBERS").arg(keys.city(CITIES[CITY])).query_async(connection).await?;
                let salaries = transfer::fields_of(users, &numbers, &["salary"], connection).await?;
                add_up(salaries.iter().map(|user| user[0].as_str()))
            }
            Self::Script => {
                let mut call = SUM_SALARIES.key(keys.city(CITIES[CITY]));
                call.key(keys.users_by_salary()).invoke_async(connection).await?
            }
            Self::Counter => {
                let mut command = redis::cmd("HMGET");
                command.arg(keys.city_salaries(CITIES[CITY])).arg("sum").arg("count");
                let (sum, count): (Option<u64>, Option<u64>) = command.query_async(connection).await?;
                (sum.unwrap_or_default(), count.unwrap_or_default())
            }
            Self::Aggregate => search::sum_salaries(users, &search::city(), connection).await?,
        };
        Ok(average_in_cents(sum, count))
    }
}

fn add_up<'a>(salaries: impl Iterator<Item = &'a str>) -> (u64, u64) {
    let numbers = salaries.filter_map(|salary| salary.parse::<u64>().ok());
    numbers.fold((0, 0), |(sum, count), salary| (sum + salary, count + 1))
}
