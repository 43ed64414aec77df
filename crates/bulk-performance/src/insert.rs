//! How fast can you write many records, and where does the time go?
//!
//! `cargo bulk insert`

mod measure;
mod table;
mod writer;

use std::time::Duration;

use clap::Args;
use lab_runner::table::thousands;
use lab_runner::{Lesson, LessonContext, Outcome};

pub use self::measure::{Cost, Verified, time, verify};
pub use self::writer::Writer;
use crate::people::CITIES;
use lab_measure::insert::{INSERT_USERS, SOURCE as APPROACHES};
pub use lab_measure::insert::{Input, InsertMany, Kind};

/// A round trip that takes longer makes every approach slow.
const SLOW: Duration = Duration::from_millis(5);
/// How long noisy approaches are repeated, all together.
const REPEAT: Duration = Duration::from_secs(5);

/// The lesson: the command with few records.
pub static LESSON: Lesson = Lesson {
    name: "insert",
    title: "Writing many records",
    question: "How fast can you write many records, and where does the time go?",
    commands: &["HSET", "EVALSHA"],
    needs: &[],
    sources: &[lab_runner::source!("src/insert.rs")],
    rule: "Send many commands before you wait for the first reply.",
    takeaways: &[
        "A pipeline sends the same bytes as single commands; it only waits less.",
        "A pipeline is not a transaction: other clients' commands run between its commands.",
        "A pipeline of 100 to 1,000 is deep enough; a deeper one mostly fills memory on both sides.",
    ],
    quiz: &[20, 43, 113, 141],
    run: |ctx| Box::pin(run(ctx, Options { records: 2_000, rounds: 3, kind: Kind::Users })),
};

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Records that every approach writes
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub records: u64,

    /// Timed rounds of each approach
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub rounds: u16,

    /// What is written for each record
    #[arg(long, value_enum, default_value_t)]
    pub kind: Kind,
}

/// The lesson with any number of records.
pub async fn run(ctx: &mut LessonContext, options: Options) -> Outcome {
    let Options { records, rounds, kind } = options;
    let cluster = ctx.target().is_cluster();
    let (records, writers, repeat) = if ctx.round_trip() < SLOW {
        (records, Writer::all(kind, records, cluster), REPEAT)
    } else {
        // The pipeline of 10 waits once for ten records, in every round and when it is verified.
        let round_trips = f64::from(rounds + 1) / 6.0;
        let records =
            ctx.fit("records", usize::try_from(records).unwrap_or(usize::MAX), 30, round_trips) as u64;
        ctx.say("On a network this slow, the table has fewer approaches.");
        (records, Writer::few(kind, records, cluster), Duration::ZERO)
    };
    ctx.announce(
        "Start clean: HGET reads how many records the last run wrote, UNLINK removes them, and HSET notes how many follow. \
         SCRIPT LOAD loads a script.",
    );
    let connections = Writer::connections(&writers);
    let input = Input::open(ctx.target(), kind, records, connections).await?;

    one_and_many(ctx, &input).await?;
    approaches(ctx, &input, &writers).await?;
    let guess = ctx
        .step(format!(
            "Now every approach writes {} {}. Each runs once without a clock, and what it left is read back: an approach that \
             loses a record must not look fast. Then they are timed in turns.",
            thousands(records as f64),
            kind.records(),
        ))
        .predict("How many bytes does a deeper pipeline send?", ["fewer", "the same", "more"])
        .await?;
    ctx.announce(announcement(kind));
    let verified = verify(ctx.target(), &input, &writers).await?;
    guess.answer(table::bytes_of_deeper_pipelines(&verified))?;
    table::check_content(ctx, &verified)?;
    let costs = time(ctx.target(), &input, &writers, rounds.into(), repeat).await?;
    let title = format!("Writing {} {}", thousands(records as f64), kind.records());
    ctx.table(table::costs(&title, &verified, &costs));
    table::foot(ctx, &verified, &costs, rounds.into());

    ctx.step("Where does the time go?").await?;
    table::explain(ctx, kind, &verified, &costs);
    table::check_traffic(ctx, kind, &verified)?;
    if kind == Kind::Users {
        ctx.say(
            "No command writes two Hashes. Other types have commands that take many values, so there is less to send, to \
             parse, and to answer. Try --kind strings for MSET, --kind list for LPUSH, --kind indexes for SADD and ZADD.",
        );
    }
    leave(ctx, &input).await
}

/// One record, and a few in a pipeline, as they are sent.
async fn one_and_many(ctx: &LessonContext, input: &Input) -> Outcome {
    let mut redis = ctx.redis();
    ctx.step(
        "Many programs write slowly for one reason. They send a command, wait for the reply, and only then send the next. \
         The server finished long ago and waits too. This is one record:",
    )
    .await?;
    for command in input.commands(1) {
        command.exec_async(&mut redis).await?;
    }
    ctx.say("The client waited once for one record.");
    if input.records >= 3 {
        in_a_pipeline(ctx, input).await?;
    }
    if input.records >= 6 && input.kind != Kind::Users {
        ctx.step("Three more, with commands that take many values:").await?;
        input.commands_of_many(4..=6).exec_async(&mut redis).await?;
    }
    Ok(())
}

async fn in_a_pipeline(ctx: &LessonContext, input: &Input) -> Outcome {
    let mut redis = ctx.redis();
    let guess = ctx
        .step("The next two go in a pipeline: the commands are sent together.")
        .predict("How many replies does the server send?", ["one", "one for each command"])
        .await?;
    let mut pipeline = redis::pipe();
    for command in (2..=3).flat_map(|number| input.commands(number)) {
        pipeline.add_command(command);
    }
    let replies: Vec<redis::Value> = pipeline.query_async(&mut redis).await?;
    guess.answer(if replies.len() == 1 { "one" } else { "one for each command" })?;
    ctx.say("The client reads them together, so it waited once for two records.");
    Ok(())
}

/// The source of the ones that matter, and what each does.
async fn approaches(ctx: &LessonContext, input: &Input, writers: &[Writer]) -> Outcome {
    ctx.step("Two of the approaches, as they are timed below. `batches` splits 1 to N.").await?;
    ctx.code(APPROACHES.function("one_by_one"));
    ctx.code(APPROACHES.function("pipelined"));
    if writers.iter().any(|writer| matches!(writer, Writer::Client(InsertMany::Script { .. }))) {
        ctx.step("A script writes many users in one call. The field names are sent once for all of them.")
            .await?;
        ctx.script(&INSERT_USERS.shown()).await?;
        ctx.code(APPROACHES.function("script"));
        let two = Input { records: 2, ..input.with(ctx.redis()) };
        InsertMany::Script { size: 2 }.run_traced(&two).await?;
    }
    ctx.step("All approaches write the same records. They differ in how often they wait.").await?;
    ctx.table(table::approaches(writers));
    if ctx.target().is_cluster() {
        ctx.say(
            "On a cluster, redis-rs splits a pipeline into one pipeline per slot, sends all of them at once, and waits for \
             the last reply.",
        );
        match input.kind {
            Kind::Users => ctx.say(
                "Left out on a cluster: MULTI/EXEC and the script. All their keys must be in one slot, and users are in all slots.",
            ),
            Kind::Strings => ctx.say("MSET is split as well, so on a cluster it is not atomic."),
            Kind::List | Kind::Indexes => {}
        }
    }
    Ok(())
}

fn announcement(kind: Kind) -> &'static str {
    match kind {
        Kind::Users => {
            "HSET, MULTI, EXEC, EVALSHA, and RESTORE write the users, UNLINK removes them before each run, and HGETALL reads \
             them back. INFO asks the server how busy it is. The loader also sends ECHO, SCAN, HGETALL, HMSET, GET, SET, DEL, DUMP, \
             OBJECT, and EVAL to find the fastest command and to be able to resume."
        }
        Kind::Strings => {
            "SET and MSET write the strings, UNLINK removes them before each run, MGET reads back, INFO asks the \
             server how busy it is."
        }
        Kind::List => {
            "LPUSH writes the list, UNLINK removes them before each run, LLEN and LRANGE read back, INFO asks the \
             server how busy it is."
        }
        Kind::Indexes => {
            "SADD and ZADD write the indexes, UNLINK removes them before each run, SCARD, SMEMBERS, ZCARD, and \
             ZRANGE read back, INFO asks the server how busy it is."
        }
    }
}

/// The records stay for you to open.
async fn leave(ctx: &LessonContext, input: &Input) -> Outcome {
    ctx.announce(
        "The last approach that ran may have written only part: a pipeline writes all records again.",
    );
    input.reset().await?;
    InsertMany::Pipelined { depth: 1_000 }.run(input).await?;
    let (found, expected) = (input.content().await?, input.expected(input.records));
    ctx.check_eq("all records are there for you to open", &found, &expected)?;
    let keys = &input.keys;
    let mut names = match input.kind {
        Kind::Users => vec![keys.user(1), keys.user(input.records)],
        Kind::Strings => vec![keys.user_text(1), keys.user_text(input.records)],
        Kind::List => vec![keys.biglist()],
        Kind::Indexes => vec![keys.city(CITIES[0]), keys.users_by_salary()],
    };
    names.dedup();
    names.push(keys.loaded(input.kind.name()));
    ctx.keys(names);
    Ok(())
}
