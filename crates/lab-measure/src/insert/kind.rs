//! What a record becomes in Redis: the commands that write it, alone or together with others.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use clap::ValueEnum;
use redis::{Cmd, Pipeline};

use crate::keys::Keys;
use crate::people::{CITIES, DEPARTMENTS, People, Record};
use crate::stored::hset;

/// What is written for each user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Kind {
    /// A Hash for each user
    #[default]
    Users,
    /// A string for each user
    Strings,
    /// One List of all numbers
    List,
    /// The users' numbers in Sets by city and department, and in a Sorted Set by salary
    Indexes,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Users, Self::Strings, Self::List, Self::Indexes];

    /// Its name on the command line, and in the note of what was written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Strings => "strings",
            Self::List => "list",
            Self::Indexes => "indexes",
        }
    }

    /// What a table calls its records.
    pub fn records(self) -> &'static str {
        match self {
            Self::Users => "users as Hashes",
            Self::Strings => "users as strings",
            Self::List => "numbers in a List",
            Self::Indexes => "users in Sets and a Sorted Set",
        }
    }

    /// Commands that write one record.
    pub fn commands_per_record(self) -> u64 {
        match self {
            Self::Users | Self::Strings | Self::List => 1,
            Self::Indexes => 3,
        }
    }

    /// The commands that write one record.
    pub fn commands(self, keys: &Keys, people: &People, number: u64) -> Vec<Cmd> {
        match self {
            Self::Users => vec![hset(keys, people, number)],
            Self::Strings => vec![command("SET", &keys.user_text(number), [text(people, number)])],
            Self::List => vec![command("LPUSH", &keys.biglist(), [number])],
            Self::Indexes => {
                let user = people.user(number);
                vec![
                    command("SADD", &keys.city(CITIES[user.city]), [number]),
                    command("SADD", &keys.department(DEPARTMENTS[user.department]), [number]),
                    command("ZADD", &keys.users_by_salary(), [u64::from(user.salary), number]),
                ]
            }
        }
    }

    /// The same for many records, in commands that take many values: MSET, and LPUSH, SADD and ZADD with more than one
    /// member. A Hash has no such command: there is none that writes two Hashes, so users get one HSET each.
    pub fn commands_of_many(self, keys: &Keys, people: &People, numbers: RangeInclusive<u64>) -> Pipeline {
        let mut pipeline = redis::pipe();
        match self {
            Self::Users => {
                numbers.for_each(|number| {
                    pipeline.add_command(hset(keys, people, number));
                });
            }
            Self::Strings => {
                let mset = pipeline.cmd("MSET");
                numbers.for_each(|number| {
                    mset.arg(keys.user_text(number)).arg(text(people, number));
                });
            }
            Self::List => {
                pipeline.add_command(command("LPUSH", &keys.biglist(), numbers));
            }
            Self::Indexes => add_indexes(keys, people, numbers, &mut pipeline),
        }
        pipeline
    }
}

/// One SADD for each city and department that occurs, one ZADD for all salaries.
fn add_indexes(keys: &Keys, people: &People, numbers: RangeInclusive<u64>, pipeline: &mut Pipeline) {
    let mut sets: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut scores = Vec::new();
    for number in numbers {
        let user = people.user(number);
        sets.entry(keys.city(CITIES[user.city])).or_default().push(number);
        sets.entry(keys.department(DEPARTMENTS[user.department])).or_default().push(number);
        scores.extend([u64::from(user.salary), number]);
    }
    for (key, members) in sets {
        pipeline.add_command(command("SADD", &key, members));
    }
    pipeline.add_command(command("ZADD", &keys.users_by_salary(), scores));
}

/// A user in a string: the values between commas, which no value contains.
pub(super) fn text(people: &People, number: u64) -> String {
    let mut record = Record::default();
    record.write(&people.user(number));
    let mut text = Vec::new();
    record.push_text(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn command<V: redis::ToRedisArgs>(name: &str, key: &str, values: impl IntoIterator<Item = V>) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(key);
    for value in values {
        command.arg(value);
    }
    command
}
