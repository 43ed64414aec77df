//! How is a record found among many, and what does the wrong way cost? `cargo bulk query --records 100000`
//!
//! Each question is an enum of ways to answer it ([`Way`]); all ways of one must give the same answer before one of
//! them is timed ([`latency`]).

mod average;
mod by_number;
mod city;
mod intersection;
pub mod latency;
mod pagination_drift;
mod paging;
mod point;
mod questions;
pub mod search;
mod top;
mod transfer;
mod users;
mod way;

use std::time::Duration;

use clap::Args;
use lab_connection::{Failure, TargetArgs};
use lab_runner::caveat::Caveat;
use lab_runner::course::{self, OutputArgs};
use lab_runner::{Lesson, LessonContext, Outcome};
use redis::AsyncTypedCommands;

pub use self::average::AverageSalary;
pub use self::by_number::ByNumber;
pub use self::city::UsersOfCity;
pub use self::intersection::{CountBoth, InBoth};
use self::latency::Plan;
pub use self::paging::{DeepPage, WholeSet};
pub use self::point::Point;
use self::questions::Asking;
pub use self::top::TopSalaries;
pub use self::users::{CITY, DEPARTMENT, Place, Users, Values};
pub use self::way::{Able, Obstacle, Search, Way};
use crate::keys::Keys;
use crate::people::CITIES;
use crate::stored;

/// The lesson: the command in small sizes.
pub static LESSON: Lesson = Lesson {
    name: "query",
    title: "Finding records",
    question: "How is a record found among many, and what does the wrong way cost?",
    commands: &["HGETALL", "HGET", "SISMEMBER", "ZREVRANGE", "ZRANGE", "ZADD", "SINTERSTORE", "TTL", "HMGET"],
    needs: &[],
    sources: &[lab_runner::source!("src/query.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx, Options::short())),
};

/// The most users that one can ask for: naive ways hold all of them in memory.
const MOST_RECORDS: u64 = 10_000_000;
/// In each round, a quick way answers for this long.
const SLICE: Duration = Duration::from_millis(30);
const SHORT_SLICE: Duration = Duration::from_millis(6);

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Users to search among
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=MOST_RECORDS))]
    pub records: u64,

    /// Rounds; in each, every way answers once, and quick ones for 30 ms
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub repeat: u32,

    /// How long quick ways go on in each round
    #[arg(skip = SLICE)]
    pub slice: Duration,
}

impl Options {
    /// Sizes for the lesson.
    fn short() -> Self {
        Self { records: 5_000, repeat: 10, slice: SHORT_SLICE }
    }
}

/// Opens the server and runs the command.
pub(crate) async fn command(args: &TargetArgs, options: Options, output: OutputArgs) -> Result<(), Failure> {
    let target = course::open(args).await?;
    course::run_with(&target, &LESSON, output, |ctx| Box::pin(run(ctx, options))).await
}

/// The lesson in any size: writes the users, asks every question, and leaves the users to be looked at.
pub async fn run(ctx: &mut LessonContext, options: Options) -> Outcome {
    let users = Users::new(&Keys::new(ctx.prefix()), options.records);
    start_clean(ctx, &users).await?;
    users.write(&mut ctx.untraced("TODO")).await?;
    introduce(ctx, &users).await?;

    let mut able = Able::of(ctx.target()).await;
    if !able.cluster && ctx.can("FT.SEARCH").await {
        able.search = match search::create_index(&users, &mut ctx.untraced("TODO")).await {
            Ok(()) => Search::Ready,
            Err(_) => Search::Refused,
        };
    }
    let plan = Plan { rounds: options.repeat, slice: options.slice };
    let asked = questions::ask_all(&Asking { ctx, users: &users, able, plan }).await;
    if able.search == Search::Ready {
        search::drop_index(&users, &mut ctx.untraced("TODO")).await?;
    }
    asked?;
    leave(ctx, &users).await
}

/// Removes what the last run left, and nothing else: it wrote down how many users it was going to write.
async fn start_clean(ctx: &LessonContext, users: &Users) -> Outcome {
    let mut redis = ctx.untraced("TODO");
    let left = stored::noted(users.keys(), "users", &mut redis).await?;
    Users::new(users.keys(), left).remove(&mut redis).await?;
    // Before the first write, so that an interrupted run is cleaned up too.
    Ok(stored::note(users.keys(), "users", users.records(), &mut redis).await?)
}

async fn introduce(ctx: &LessonContext, users: &Users) -> Outcome {
    let mut redis = ctx.redis();
    ctx.step(format!(
        "{} users stand in Hashes. Beside them stand indexes, written together with them: a Set of numbers for each city and \
         each department, a Sorted Set of all by salary, and for each city a Hash with sum and count of its salaries. \
         Redis answers by key and by nothing else; whatever else one wants to ask needs a key that was made for it.",
        lab_runner::table::thousands(users.records() as f64),
    )).await?;
    let first = redis.hgetall(users.keys().user(1)).await?;
    ctx.check("user 1 is Parker Perry", name(&first) == "Parker Perry")?;

    ctx.step(
        "How to read the tables: every way gave the same answer before it was timed. Half of the answers came within p50, \
         99 of 100 within p99, 999 of 1,000 within p99.9; a dash where there were too few answers to tell. Trips and \
         bytes (both directions) are those of one answer. Rounds are interleaved.",
    ).await?;
    for caveat in Caveat::about(&[], ctx.target().is_near()) {
        ctx.step(caveat.advice()).await?;
    }
    Ok(())
}

async fn leave(ctx: &LessonContext, users: &Users) -> Outcome {
    let (mut redis, keys) = (ctx.untraced("TODO"), users.keys());
    let city = keys.city(CITIES[CITY]);
    ctx.step(
        "The users stay, to be looked at in redis-cli or Redis Insight; the next run removes exactly these:",
    )
    .await?;
    ctx.listing(format!(
        "HGETALL {}\nSMEMBERS \"{city}\"\nZREVRANGE {} 0 9 WITHSCORES",
        keys.user(1),
        keys.users_by_salary()
    ));
    let first = redis.hgetall(keys.user(1)).await?;
    let there = redis.scard(&city).await?;
    let listed = redis.zcard(keys.users_by_salary()).await?;
    ctx.check(
        "each of these finds data",
        name(&first) == "Parker Perry" && there > 0 && listed as u64 == users.records(),
    )?;
    ctx.keys([keys.user(1), city, keys.users_by_salary(), keys.city_salaries(CITIES[CITY])]);
    Ok(())
}

fn name(user: &std::collections::HashMap<String, String>) -> String {
    let field = |name| user.get(name).map(String::as_str).unwrap_or_default();
    format!("{} {}", field("firstname"), field("lastname"))
}
