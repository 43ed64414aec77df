//! How do you find a record among many, and what does the wrong way cost?
//!
//! `cargo bulk query --records 100000`

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use lab_measure::query::users::{CITY, DEPARTMENT, PAGE, SELECTED};
use lab_measure::query::{
    self, Latency, Question, Redis, ServerFeatures, TimingPlan, Users, approaches, search,
};
use lab_runner::caveat::Caveat;
use lab_runner::environment::environment;
use lab_runner::measurement::{Measured, MeasuredRow};
use lab_runner::table::{Table, bytes, duration, percent, thousands};
use lab_runner::{Lesson, LessonContext, LessonError, Outcome, activity, source};
use redis::AsyncTypedCommands;

use crate::keys::Keys;
use crate::people::{CITIES, DEPARTMENTS};
use crate::stored;

/// The lesson: the command in small sizes.
pub static LESSON: Lesson = Lesson {
    name: "query",
    title: "Finding records",
    question: "How do you find a record among many, and what does the wrong way cost?",
    commands: &["HGETALL", "HGET", "SISMEMBER", "ZREVRANGE", "ZRANGE", "ZADD", "SINTERSTORE", "TTL", "HMGET"],
    needs: &[],
    sources: &[source!("src/query.rs")],
    rule: "Give every question a key that holds its answer, because without a search index, Redis finds a value only by its key.",
    takeaways: &[
        "An index is work done once per write instead of once per question; keep it in the transaction of the write.",
        "N+1 reads cost N+1 round trips: use a pipeline, or MGET for Strings.",
        "KEYS, SORT, and long scripts make every other client wait; SCAN and SSCAN do not, but they are no less work.",
    ],
    quiz: &[11, 52, 54],
    run: |ctx| {
        let options =
            Options { records: None, repeat: 10, default_records: SHORT_RECORDS, slice: SHORT_SLICE };
        Box::pin(run(ctx, options))
    },
};

/// The most users you can ask for: naive approaches hold all of them in memory.
const MOST_RECORDS: u64 = 10_000_000;
/// Users without `--records`.
const RECORDS: u64 = 100_000;
const SHORT_RECORDS: u64 = 5_000;
/// On a slow network, this many users, at least: one pipeline reads all of them.
const ONE_PIPELINE: usize = 1_000;
/// The most approaches to a question, and what each one takes, in round trips of all questions.
const APPROACHES: (usize, f64) = (5, 27.0);
/// What all approaches together take, in round trips: per user of a larger data set, per user that is read by number, and per
/// round.
const ROUND_TRIPS: [f64; 3] = [0.03, 8.0, 40.0];
/// In each round, a quick approach answers for this long.
const SLICE: Duration = Duration::from_millis(30);
const SHORT_SLICE: Duration = Duration::from_millis(6);

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Users to search among [default: 100000, or fewer on a slow network]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_RECORDS))]
    pub records: Option<u64>,

    /// Rounds; in each, every approach answers once, and quick ones for 30 ms
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub repeat: u32,

    /// Users if `records` is not given
    #[arg(skip = RECORDS)]
    pub default_records: u64,

    /// How long quick approaches go on in each round
    #[arg(skip = SLICE)]
    pub slice: Duration,
}

/// The lesson in any size: writes the users, asks every question, and leaves the users for you to look at.
pub async fn run(ctx: &mut LessonContext, options: Options) -> Outcome {
    let (users, plan) = size(ctx, &options);
    write_users(ctx, &users).await?;
    introduce(ctx, &users).await?;
    let server = query::prepare(ctx.target(), &users).await;
    if server.search {
        ctx.announce(
            "FT.CREATE builds an index over the users, FT._LIST and FT.INFO watch it, and FT.DROPINDEX drops it at the end.",
        );
    }
    let asking = Asking { ctx, users: &users, server, plan };
    let outcome = ask_everything(&asking).await;
    if server.search {
        search::drop_index(&users, &mut Redis::Plain(ctx.target().connection())).await?;
    }
    outcome?;
    look_afterward(ctx, &users).await
}

/// What the network allows.
fn size(ctx: &LessonContext, options: &Options) -> (Users, TimingPlan) {
    let [per_user, per_selected, per_round] = ROUND_TRIPS;
    let records = options.records.unwrap_or_else(|| {
        let wanted = usize::try_from(options.default_records).unwrap_or(usize::MAX);
        ctx.fit("users", wanted, ONE_PIPELINE, per_user) as u64
    });
    let selected = ctx.fit("users by number", SELECTED, 2, per_selected);
    let rounds = ctx.fit("rounds", options.repeat as usize, 3, per_round);
    let approaches = ctx.fit("approaches to each question", APPROACHES.0, 2, APPROACHES.1);
    let users = Users::new(&Keys::new(ctx.prefix()), records, selected);
    (users, TimingPlan { rounds, slice: options.slice, approaches })
}

/// Removes what the last run left, and nothing else: it noted how many users it was going to write.
async fn write_users(ctx: &LessonContext, users: &Users) -> Outcome {
    let mut redis = ctx.untraced(format!(
        "Start clean: HGET {} tells how many users the last run wrote, and UNLINK removes them. HSET, SADD, ZADD, HINCRBY, \
         and SET write {} new users, their indexes, and a few as JSON texts.",
        users.keys.loaded("users"),
        thousands(users.records as f64),
    ));
    activity::set("removing the last run's users");
    let last_run = stored::noted(&users.keys, "users", &mut redis).await?;
    Users::new(&users.keys, last_run, SELECTED).remove(&mut redis).await?;
    // Before the first write, so that an interrupted run is cleaned up too.
    stored::note(&users.keys, "users", users.records, &mut redis).await?;
    activity::set(format!("writing {} users", thousands(users.records as f64)));
    Ok(users.write(&mut redis).await?)
}

async fn introduce(ctx: &LessonContext, users: &Users) -> Outcome {
    let mut redis = ctx.redis();
    let key = users.keys.user(1);

    ctx.step(format!(
        "{} users are Hashes. Without a search index (the lesson 'search'), Redis finds a value only by its key. So every other \
         question needs a key that was made for it: a Set of user numbers for each city and department, a Sorted Set of all users by salary, and for each \
         city a Hash with the sum and the count of its salaries. They were written together with the users.",
        thousands(users.records as f64),
    ))
    .await?;
    let user = redis.hgetall(&key).await?;
    ctx.check("user 1 is Parker Perry", user["firstname"] == "Parker" && user["lastname"] == "Perry")?;

    ctx.step(
        "How to read the tables: every approach gave the right answer before it was timed. Half of its answers came within \
         p50, 99 of 100 within p99, and 999 of 1,000 within p99.9; a dash means too few answers to tell. Spread is the width of \
         the middle half of the rounds. Trips and bytes (both directions) are those of one answer.",
    )
    .await?;
    for caveat in Caveat::about(&[], ctx.target().is_near()) {
        ctx.say(caveat.advice());
    }
    Ok(())
}

/// What it takes to ask a question.
struct Asking<'a> {
    ctx: &'a LessonContext,
    users: &'a Users,
    server: ServerFeatures,
    plan: TimingPlan,
}

impl Asking<'_> {
    /// Times every approach that this server allows, and says which ones are left out.
    async fn table(&self, question: Question, title: &str, claim: &str) -> Result<Vec<Latency>, LessonError> {
        let Self { ctx, users, server, plan } = *self;
        let latencies = query::measure(ctx.target(), question, users, server, plan).await?;
        show(ctx, title, &latencies);
        // A wrong answer would have ended the lesson, and so would one of an approach that is not timed.
        ctx.check(claim, true)?;
        for approach in question.approaches() {
            if let Some(obstacle) = approach.obstacle(server) {
                ctx.say(format!("Left out: '{}', because {obstacle}.", approach.label));
            }
        }
        Ok(latencies)
    }
}

async fn ask_everything(asking: &Asking<'_>) -> Outcome {
    one_value(asking).await?;
    users_of_city(asking).await?;
    users_by_number(asking).await?;
    top_salaries(asking).await?;
    city_and_department(asking).await?;
    deep_page(asking).await?;
    whole_set(asking).await?;
    average_salary(asking).await
}

async fn one_value(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    let (mut redis, key) = (ctx.redis(), users.keys.user(1));

    ctx.step(
        "1. One value of one user. This is what Redis is made for: one key, one round trip, hardly any work.",
    )
    .await?;
    let email = redis.hget(&key, "email").await?;
    ctx.check("it is Parker's address", email.is_some_and(|email| email.starts_with("parker.perry.")))?;
    let claim = "both approaches read the same address";
    let latencies = asking.table(Question::OneValue, "One value of one user", claim).await?;
    let slowest = latencies.iter().filter_map(|latency| latency.quantile(0.99)).max();
    let verdict = match slowest {
        Some(p99) if p99 < Duration::from_millis(1) => "Here, 99 of 100 take less.",
        Some(_) => "On this machine and network, now, more than 1 of 100 takes longer.",
        None => "Here were too few answers to tell.",
    };
    ctx.say(format!("This project was asked for 'sub-millisecond response times'. {verdict}"));
    Ok(())
}

async fn users_of_city(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    let (mut redis, index) = (ctx.redis(), users.keys.city(CITIES[CITY]));

    ctx.step(format!(
        "2. Who lives in {}? KEYS looks at every key while all other clients wait, and then you read every user to learn the \
         city. SCAN takes steps, so other clients get their turn, but it is no less work. A Set of numbers answers at once: the \
         work was done when the user was written.",
        CITIES[CITY]
    ))
    .await?;
    let is_member = redis.sismember(&index, 1).await?;
    ctx.check("user 1 is in the index", is_member)?;
    ctx.code(approaches::SOURCE.function("city_by_keys"));
    ctx.code(approaches::SOURCE.function("city_by_index"));
    let claim =
        format!("all approaches found the same {} users", thousands(users.in_city(false).len() as f64));
    asking.table(Question::UsersOfCity, "Users in a city", &claim).await?;
    Ok(())
}

async fn users_by_number(asking: &Asking<'_>) -> Outcome {
    let (ctx, count) = (asking.ctx, asking.users.selected.len());

    ctx.step(format!(
        "3. {count} users whose numbers you know. One after the other takes {count} round trips, and nearly all of that time is \
         spent waiting. This is the N+1 problem: one query for a list, and then one more for each of its N items. Here is such a loop, and a pipeline:",
    ))
    .await?;
    ctx.code(approaches::SOURCE.function("hgetall_one_by_one"));
    ctx.code(approaches::SOURCE.function("hgetall_in_a_pipeline"));

    let guess = ctx
        .step(
            "A script can read many keys with one command. While a long script runs, all other clients wait.",
        )
        .predict(
            format!("How many round trips do {count} users take, at least?"),
            ["one", "a few", "one for each user"],
        )
        .await?;
    if !asking.server.cluster {
        ctx.script(&approaches::READ_USERS.shown()).await?;
    }
    let title = format!("{count} users by number");
    let latencies =
        asking.table(Question::UsersByNumber, &title, "all approaches read the same users").await?;
    let fewest = latencies.iter().map(|latency| latency.traffic.round_trips).min();
    guess.answer(match fewest {
        Some(1) => "one",
        Some(trips) if trips < count => "a few",
        _ => "one for each user",
    })?;
    ctx.say("A pipeline sends all commands before it waits for the first reply.");
    Ok(())
}

async fn top_salaries(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    let mut redis = Redis::Traced(ctx.redis());

    ctx.step("4. Who earns the most? A Sorted Set is always in order, so you just read its end.").await?;
    let top = approaches::top_by_sorted_set(users, &mut redis).await?;
    ctx.check("the highest salary comes first", top.is_sorted_by_key(|user| Reverse(user.salary)))?;
    ctx.code(approaches::SOURCE.function("top_by_sorted_set"));

    ctx.step(
        "Without it, everybody travels to the client and all but ten are thrown away. SORT avoids the transfer, but all \
         other clients wait while it looks up and sorts the salaries.",
    )
    .await?;
    ctx.code(approaches::SOURCE.function("top_by_sorting_in_the_client"));
    let claim = "all approaches name the same ten, in the same order";
    asking.table(Question::TopSalaries, "The ten highest salaries", claim).await?;
    Ok(())
}

async fn city_and_department(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    let (city, department) = (CITIES[CITY], DEPARTMENTS[DEPARTMENT]);

    ctx.step(format!(
        "5. Who works in {department} and lives in {city}? Two index Sets hold the answer: SINTER walks the smaller one and \
         looks each member up in the other. If the question is frequent, store the answer with a TTL. Then it can be as \
         old as that.",
    ))
    .await?;
    if !asking.server.cluster {
        ctx.code(approaches::SOURCE.function("store_both"));
        let mut redis = Redis::Traced(ctx.redis());
        let stored = approaches::store_both(users, &mut redis).await?;
        let ttl = redis.ttl(approaches::stored_both_key(users)).await?.raw() as i64;
        ctx.check(
            "the stored answer will expire by itself (an empty one is not stored at all)",
            if stored == 0 { ttl == -2 } else { (0..=approaches::STORED_TTL).contains(&ttl) },
        )?;
    }

    let count = thousands(users.in_city(true).len() as f64);
    ctx.step("Here are all approaches. Filtering in the client moves everybody to find a few.").await?;
    ctx.code(approaches::SOURCE.function("both_by_reading_everyone"));
    ctx.code(approaches::SOURCE.function("both_by_sinter"));
    let title = format!("Users in {department} and {city}");
    let claim = format!("all approaches found the same {count} users");
    asking.table(Question::CityAndDepartment, &title, &claim).await?;

    ctx.step(
        "How many are they? A client that counts them has to read them first. SINTERCARD counts on the server, and with LIMIT \
         it stops when there are enough.",
    )
    .await?;
    ctx.code(approaches::SOURCE.function("count_by_sintercard"));
    let title = format!("How many work in {department} and live in {city}");
    let claim = format!("all approaches counted {count}");
    asking.table(Question::CountCityAndDepartment, &title, &claim).await?;
    Ok(())
}

async fn deep_page(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    ctx.step(format!(
        "6. The list by salary has pages of {PAGE}, and a client wants the one after nine tenths of it. It can ask by position: by \
         rank, or with LIMIT and an offset, which servers before Redis 7.4 and Valkey 8 reach step by step. Or it asks by cursor: \
         the last score and member that it has seen. It needs both, because salaries are often equal. The cursor takes a second \
         request here. Why it is worth that comes next.",
    ))
    .await?;
    ctx.code(approaches::SOURCE.function("page_after"));
    asking.table(Question::DeepPage, "A page deep in the list", "all approaches read the same page").await?;
    change_between_pages(ctx, users).await
}

/// Reads two small pages while a user is added in front of both.
async fn change_between_pages(ctx: &LessonContext, users: &Users) -> Outcome {
    /// Nobody: hired between two pages at the lowest salary, and removed afterward.
    const NEW_HIRE: u64 = 0;
    let rows = usize::try_from(users.records / 2).unwrap_or(3).min(3);
    if rows == 0 {
        ctx.say("With one user, there is no second page.");
        return Ok(());
    }
    let (mut redis, by_salary) = (Redis::Traced(ctx.redis()), users.keys.users_by_salary());

    let guess = ctx
        .step(
            "What if the list changes between two pages? Here a user is hired at the lowest salary of all, after the first page was read.",
        )
        .predict(
            "Who comes first on the second page, by offset?",
            ["the user who is next", "the last user of the first page", "the new user"],
        )
        .await?;
    let first = approaches::page_by_rank(users, 0, rows, &mut redis).await?;
    redis.zadd(&by_salary, NEW_HIRE, 1).await?;
    let by_offset = approaches::page_by_rank(users, rows, rows, &mut redis).await;
    let by_cursor = approaches::page_after(users, first.last().copied(), rows, &mut redis).await;
    redis.zrem(&by_salary, NEW_HIRE).await?;
    let by_offset = by_offset?;
    guess.answer(match by_offset.first() {
        again if again == first.last() => "the last user of the first page",
        Some(user) if user.number == NEW_HIRE => "the new user",
        _ => "the user who is next",
    })?;
    ctx.check_eq(
        "the offset shows the last user of the first page again",
        &by_offset.first(),
        &first.last(),
    )?;
    let order = users.by_salary();
    ctx.check_eq(
        "the cursor continues where the first page ended",
        &by_cursor?.as_slice(),
        &order.get(rows..2 * rows).unwrap_or_default(),
    )
}

async fn whole_set(asking: &Asking<'_>) -> Outcome {
    let ctx = asking.ctx;
    ctx.step(
        "A Set has no order, so it has no offset and no pages. SMEMBERS of a huge one makes every other client wait. SSCAN has a \
         cursor of its own and lets them in between, for more round trips. It returns a member that is there all the time at \
         least once, perhaps twice.",
    )
    .await?;
    ctx.code(approaches::SOURCE.function("members_by_sscan"));
    let claim = "both approaches read the same members";
    asking.table(Question::WholeSet, "All members of a Set", claim).await?;
    Ok(())
}

async fn average_salary(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    let (mut redis, salaries) = (ctx.redis(), users.keys.city_salaries(CITIES[CITY]));

    ctx.step(format!(
        "7. What is the average salary in {}? Nothing is cheaper than a sum and a count that every write keeps up to date, with \
         HINCRBY in the transaction that writes the user. But they answer only what you thought of in advance.",
        CITIES[CITY]
    ))
    .await?;
    let sum_and_count = redis.hmget(&salaries, &["sum", "count"]).await?;
    ctx.check(
        "it counts every user of the city",
        sum_and_count[1] == users.in_city(false).len().to_string(),
    )?;

    ctx.step("A client that adds them up has to read every number. A script adds them up on the server, and all other clients wait.")
        .await?;
    if !asking.server.cluster {
        ctx.script(&approaches::SUM_SALARIES.shown()).await?;
    }
    let right = users.average_cents();
    let claim =
        format!("all approaches say ${}.{:02}, to the cent", thousands((right / 100) as f64), right % 100);
    asking.table(Question::AverageSalary, "Average salary of a city", &claim).await?;
    Ok(())
}

async fn look_afterward(ctx: &LessonContext, users: &Users) -> Outcome {
    let (mut redis, keys) = (ctx.redis(), &users.keys);
    let (city, by_salary) = (keys.city(CITIES[CITY]), keys.users_by_salary());

    ctx.step("The users stay, for you to look at. The next run removes exactly these.").await?;
    let in_city = redis.scard(&city).await?;
    let in_order = redis.zcard(&by_salary).await?;
    ctx.check("the indexes hold data", in_city > 0 && in_order as u64 == users.records)?;
    ctx.listing(format!(
        "HGETALL {}\nSMEMBERS \"{city}\"\nZREVRANGE {by_salary} 0 9 WITHSCORES",
        keys.user(1)
    ));
    ctx.keys([keys.user(1), city, by_salary, keys.city_salaries(CITIES[CITY])]);
    Ok(())
}

/// Shows one row per approach, and below what was sent, what the numbers hold for, and which row is noisy.
fn show(ctx: &LessonContext, title: &str, latencies: &[Latency]) {
    let header = ["approach", "p50", "spread", "p99", "p99.9", "answers", "trips", "bytes"];
    let table = latencies.iter().fold(Table::new(title, &header), |table, latency| {
        table.row([
            latency.label.to_owned(),
            quantile(latency, 0.5),
            percent(latency.medians.spread),
            quantile(latency, 0.99),
            quantile(latency, 0.999),
            thousands(latency.times.len() as f64),
            thousands(latency.traffic.round_trips as f64),
            bytes(latency.traffic.bytes_sent + latency.traffic.bytes_received),
        ])
    });
    let rows = latencies.iter().map(|latency| {
        let row =
            MeasuredRow { label: latency.label.into(), rounds: latency.medians.clone(), latency: Vec::new() };
        row.with_latency(latency.times.len(), |share| latency.times.value_at_quantile(share))
    });
    ctx.table(table.with_rounds(Measured::times(rows)));
    let commands: BTreeSet<&str> =
        latencies.iter().flat_map(|latency| &latency.commands).map(String::as_str).collect();
    let commands = commands.into_iter().collect::<Vec<_>>().join(", ");
    ctx.announce(format!("Sent for this table: {commands}. {}.", environment(ctx.target()).join(", ")));
    let medians: Vec<_> = latencies.iter().map(|one| (one.label.to_owned(), one.medians.clone())).collect();
    let caveats = Caveat::about(&medians, false);
    if let Some(noisy) = caveats.iter().find(|caveat| matches!(caveat, Caveat::Noisy { .. })) {
        ctx.say(noisy.advice());
    }
}

fn quantile(latency: &Latency, share: f64) -> String {
    latency.quantile(share).map_or_else(|| "-".to_owned(), duration)
}
