//! The questions, which approaches each has, and what an approach needs of a server.

use lab_connection::Target;
use redis::RedisResult;

use super::users::{PAGE, UserSalary, Users, Values, average_in_cents};
use super::{Redis, approaches as ask, search};
use crate::Timed;

/// A question about the users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The email address of one user.
    OneValue,
    /// The users of a city.
    UsersOfCity,
    /// The users with these numbers.
    UsersByNumber,
    /// The ten highest salaries.
    TopSalaries,
    /// The users in a city and a department.
    CityAndDepartment,
    /// How many users are in a city and a department.
    CountCityAndDepartment,
    /// A page deep in the list by salary.
    DeepPage,
    /// All members of a Set.
    WholeSet,
    /// The average salary in a city.
    AverageSalary,
}

/// An answer. All approaches to one question give the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A value.
    Text(String),
    /// Numbers of users, ascending.
    Numbers(Vec<u64>),
    /// Values of users, in the order in which they were asked for.
    Users(Vec<Values>),
    /// Users and their salaries, in order.
    Salaries(Vec<UserSalary>),
    /// How many users.
    Count(u64),
    /// Money, in cents.
    Cents(u64),
}

/// An approach to one of the questions.
#[derive(Clone, Copy)]
pub struct QueryApproach {
    /// Its row in the table.
    pub label: &'static str,
    needs: Needs,
    /// Answers the question.
    pub answer: for<'a> fn(&'a Users, &'a mut Redis) -> Timed<'a, RedisResult<Answer>>,
}

/// What an approach needs of a server.
#[derive(Clone, Copy)]
enum Needs {
    Nothing,
    /// A server that nobody else uses.
    PrivateServer,
    /// No cluster, for this reason.
    OneNode(&'static str),
    /// SINTERCARD, and no cluster.
    Sintercard,
    /// This command of the search module, and no cluster.
    Search(&'static str),
}

const TWO_SETS: Needs =
    Needs::OneNode("the two sets are in different slots, and one command may only touch one slot");
const SCRIPT: Needs = Needs::OneNode("a script may only touch keys of one slot");
const SCAN: Needs = Needs::OneNode("SCAN covers one node, and a cluster has several");
const SORT: Needs = Needs::OneNode("SORT BY reads keys in many slots, and each node has only its own");

/// A row: its label, what it needs, the function that asks, and the kind of its answer.
macro_rules! approach {
    ($label:literal, $needs:expr, $function:path, $answer:expr) => {
        QueryApproach {
            label: $label,
            needs: $needs,
            answer: |users, redis| Box::pin(async move { $function(users, redis).await.map($answer) }),
        }
    };
}

impl Question {
    /// Every question, in the lesson's order.
    pub const ALL: [Self; 9] = [
        Self::OneValue,
        Self::UsersOfCity,
        Self::UsersByNumber,
        Self::TopSalaries,
        Self::CityAndDepartment,
        Self::CountCityAndDepartment,
        Self::DeepPage,
        Self::WholeSet,
        Self::AverageSalary,
    ];

    /// Its approaches, a naive one first.
    pub fn approaches(self) -> &'static [QueryApproach] {
        use Answer::{Count, Salaries, Text, Users};
        use Needs::{Nothing, PrivateServer, Search, Sintercard};
        match self {
            Self::OneValue => &[
                approach!("GET of a JSON text", Nothing, ask::email_from_json, Text),
                approach!("HGET of a field", Nothing, ask::email_field, Text),
            ],
            Self::UsersOfCity => &[
                approach!("KEYS user:*, HMGET each", PrivateServer, ask::city_by_keys, numbers),
                approach!("SCAN MATCH, HMGET each", SCAN, ask::city_by_scan, numbers),
                approach!("HMGET of everybody", Nothing, ask::city_by_reading_everyone, numbers),
                approach!("index: SMEMBERS", Nothing, ask::city_by_index, numbers),
            ],
            Self::UsersByNumber => &[
                approach!("Hash: HGETALL, one by one", Nothing, ask::hgetall_one_by_one, Users),
                approach!("Hash: pipeline of HGETALLs", Nothing, ask::hgetall_in_a_pipeline, Users),
                approach!("Hash: one script", SCRIPT, ask::hgetall_in_a_script, Users),
                approach!("JSON text: GET, one by one", Nothing, ask::get_one_by_one, Users),
                approach!("JSON text: MGET", Nothing, ask::mget, Users),
            ],
            Self::TopSalaries => &[
                approach!("HMGET of everybody, sort", Nothing, ask::top_by_sorting_in_the_client, Salaries),
                approach!("SORT BY user:*->salary", SORT, ask::top_by_sort, Salaries),
                approach!("Sorted Set: ZREVRANGE", Nothing, ask::top_by_sorted_set, Salaries),
            ],
            Self::CityAndDepartment => &[
                approach!("HMGET of everybody", Nothing, ask::both_by_reading_everyone, numbers),
                approach!("SMEMBERS both, intersect", Nothing, ask::both_in_client, numbers),
                approach!("SINTER", TWO_SETS, ask::both_by_sinter, numbers),
                approach!("stored before: SMEMBERS", TWO_SETS, ask::both_by_stored_set, numbers),
                approach!("FT.SEARCH", Search("FT.SEARCH"), search::in_city_and_department, numbers),
            ],
            Self::CountCityAndDepartment => &[
                approach!("SMEMBERS of both, count", Nothing, ask::both_in_client, count),
                approach!("SINTER, count in client", TWO_SETS, ask::both_by_sinter, count),
                approach!("SINTERCARD", Sintercard, ask::count_by_sintercard, Count),
                approach!("FT.SEARCH LIMIT 0 0", Search("FT.SEARCH"), search::count_matches, Count),
            ],
            Self::DeepPage => &[
                approach!("ZRANGE 0 -1, cut in client", Nothing, ask::deep_from_the_whole_list, Salaries),
                approach!("offset: BYSCORE LIMIT", Nothing, ask::deep_by_score_offset, Salaries),
                approach!("offset: by rank", Nothing, ask::deep_by_rank, Salaries),
                approach!("cursor: score and member", Nothing, ask::deep_by_cursor, Salaries),
            ],
            Self::WholeSet => &[
                approach!("SMEMBERS, all at once", Nothing, ask::members_at_once, numbers),
                approach!("SSCAN COUNT 100, in steps", Nothing, ask::members_by_sscan, numbers),
            ],
            Self::AverageSalary => &[
                approach!("HMGET of everybody", Nothing, ask::average_by_reading_everyone, cents),
                approach!("SMEMBERS, HMGET each", Nothing, ask::average_by_reading_the_city, cents),
                approach!("script over both indexes", SCRIPT, ask::average_by_script, cents),
                approach!("FT.AGGREGATE", Search("FT.AGGREGATE"), search::sum_city_salaries, cents),
                approach!("kept sum and count: HMGET", Nothing, ask::average_by_kept_sum, cents),
            ],
        }
    }

    /// The right answer, computed from who the users are.
    pub fn right_answer(self, users: &Users) -> Answer {
        match self {
            Self::OneValue => {
                let [_, _, email, ..] = users.all().next().map(|user| user.values()).unwrap_or_default();
                Answer::Text(email)
            }
            Self::UsersOfCity | Self::WholeSet => Answer::Numbers(users.in_city(false)),
            Self::UsersByNumber => Answer::Users(users.selected_values()),
            Self::TopSalaries => {
                Answer::Salaries(users.by_salary().into_iter().rev().take(ask::TOP).collect())
            }
            Self::CityAndDepartment => Answer::Numbers(users.in_city(true)),
            Self::CountCityAndDepartment => Answer::Count(users.in_city(true).len() as u64),
            Self::DeepPage => {
                Answer::Salaries(users.by_salary().into_iter().skip(users.deep_start()).take(PAGE).collect())
            }
            Self::AverageSalary => Answer::Cents(users.average_cents()),
        }
    }
}

/// SSCAN may return a member twice.
fn numbers(mut numbers: Vec<u64>) -> Answer {
    numbers.sort_unstable();
    numbers.dedup();
    Answer::Numbers(numbers)
}

#[expect(clippy::needless_pass_by_value, reason = "an answer is made of what an approach returns")]
fn count(numbers: Vec<u64>) -> Answer {
    Answer::Count(numbers.len() as u64)
}

fn cents((dollars, count): (u64, u64)) -> Answer {
    Answer::Cents(average_in_cents(dollars, count))
}

impl QueryApproach {
    /// Why this server cannot, or must not, get this approach; `None` if it can.
    pub fn obstacle(self, server: ServerFeatures) -> Option<String> {
        let keys =
            "KEYS blocks all other clients while it looks at every key; it is sent only to a private server";
        match self.needs {
            Needs::Nothing => None,
            Needs::PrivateServer => (!server.private).then(|| keys.into()),
            Needs::OneNode(why) => server.cluster.then(|| why.into()),
            Needs::Sintercard if server.cluster => Self { needs: TWO_SETS, ..self }.obstacle(server),
            Needs::Sintercard => (!server.sintercard)
                .then(|| "this server has no SINTERCARD; to see it, use --server redis-7.0 or newer".into()),
            Needs::Search(_) if server.cluster => {
                Some("the index of a node has only the users of that node".into())
            }
            Needs::Search(command) => (!server.search)
                .then(|| format!("this server has no {command}; to see it, use --server redis-8.2-modules")),
        }
    }
}

/// What a server is and can do, as far as approaches care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerFeatures {
    /// This run started it, so nobody else waits for it.
    pub private: bool,
    /// Keys are spread over slots.
    pub cluster: bool,
    /// It has SINTERCARD, added in Redis 7.0.
    pub sintercard: bool,
    /// It has the search module, and an index over the users.
    pub search: bool,
}

/// Asks what the server can do. Where it has the search module, indexes the users, which must have been written.
pub async fn prepare(target: &Target, users: &Users) -> ServerFeatures {
    let cluster = target.is_cluster();
    let mut redis = Redis::Plain(target.connection());
    // If the server does not build the index, the lesson goes on without it.
    let search =
        !cluster && target.can("FT.SEARCH").await && search::create_index(users, &mut redis).await.is_ok();
    let sintercard = target.can("SINTERCARD").await;
    ServerFeatures { private: target.private().is_some(), cluster, sintercard, search }
}
