//! How fast can records be written, and what is the time usage on? `cargo bulk insert`

mod approach;
mod content;
mod input;
mod kind;
mod measure;
mod reading;
mod table;

use clap::Args;
use lab_connection::{Failure, TargetArgs};
use lab_runner::course::{self, OutputArgs};
use lab_runner::table::thousands;
use lab_runner::{Lesson, LessonContext, Outcome};

pub use self::approach::InsertMany;
pub use self::input::Input;
pub use self::kind::Kind;
pub use self::measure::{Cost, Verified, time, verify};
use crate::keys::Keys;
use crate::people::{CITIES, DEPARTMENTS};

/// The lesson: the command in small sizes.
pub static LESSON: Lesson = Lesson {
    name: "insert",
    title: "Writing many records",
    question: "How fast can records be written, and what is the time spent on?",
    commands: &["HSET", "MULTI", "EXEC", "EVALSHA"],
    needs: &[],
    sources: &[lab_runner::source!("src/insert.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx, Options::short())),
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

impl Options {
    /// Sizes for the lesson.
    fn short() -> Self {
        Self { records: 2_000, rounds: 3, kind: Kind::Users }
    }
}

/// Opens the server and runs the command.
pub(crate) async fn command(args: &TargetArgs, options: Options, output: OutputArgs) -> Result<(), Failure> {
    let target = course::open(args).await?;
    course::run_with(&target, &LESSON, output, |ctx| Box::pin(run(ctx, options))).await
}

/// The lesson in any size.
pub async fn run(ctx: &mut LessonContext, options: Options) -> Outcome {
    let Options { records, rounds, kind } = options;
    let approaches = InsertMany::all(kind, records, ctx.target().is_cluster());
    ctx.step(
        "Programs that write many records are often slow for one reason: they send a command, wait until the answer is \
         here, and only then send the next. The server has long finished and waits too. Every approach below writes the \
         same records; they differ in how often somebody waits, and in what client and server do for each record.",
    ).await?;
    let input = Input::open(ctx.target(), kind, records, InsertMany::pool_of(&approaches)).await?;
    show(ctx, &input).await?;
    if ctx.target().is_cluster() {
        about_clusters(ctx, kind);
    }

    ctx.table(table::approaches(&approaches));
    ctx.step(format!(
        "Now {} {}, by every approach. First each of them runs once, without a clock, and what it left is read back: \
         an approach that loses a record must not look fast.",
        thousands(records as f64),
        kind.records(),
    )).await?;
    let verified = verify(&input, &approaches).await?;
    reading::check_content(ctx, &verified)?;

    let costs = time(&input, &approaches, rounds.into()).await?;
    let title = format!("Writing {} {}", thousands(records as f64), kind.records());
    ctx.table(table::table(&title, &verified, &costs));
    table::foot(ctx, &verified, &costs, rounds.into());
    reading::check_traffic(ctx, kind, &verified)?;
    reading::explain(ctx, kind, &verified, &costs);
    if kind == Kind::Users {
        ctx.step(
            "No command writes two Hashes. Other types have commands that take many values, which leaves less to send, to \
             read and to answer: see --kind strings for MSET, --kind list for LPUSH, --kind indexes for SADD and ZADD.",
        ).await?;
    }
    leave(ctx, &input).await
}

/// One record, and a few in a pipeline, as they travel.
async fn show(ctx: &LessonContext, input: &Input) -> Outcome {
    let Input { keys, people, kind, records, .. } = input;
    let mut redis = ctx.redis();
    ctx.step("This is what one record takes:").await?;
    for command in kind.commands(keys, people, 1) {
        command.exec_async(&mut redis).await?;
    }
    if *records >= 3 {
        ctx.step("The next two in a pipeline: both leave together, and both answers are awaited together.")
            .await?;
        let mut pipeline = redis::pipe();
        for command in (2..=3).flat_map(|number| kind.commands(keys, people, number)) {
            pipeline.add_command(command);
        }
        pipeline.exec_async(&mut redis).await?;
    }
    if *records >= 6 && *kind != Kind::Users {
        ctx.step(
            "Three more, with commands that take many values: fewer commands to send, to read and to answer.",
        )
        .await?;
        kind.commands_of_many(keys, people, 4..=6).exec_async(&mut redis).await?;
    }
    Ok(())
}

fn about_clusters(ctx: &LessonContext, kind: Kind) {
    ctx.say(
        "On a cluster, redis-rs cannot send one pipeline to many slots. So each pipeline here travels as one small \
         pipeline for each slot in it, all at once, and is answered when the last of them is.",
    );
    match kind {
        Kind::Users => ctx.say(
            "Left out on a cluster: MULTI/EXEC and the script. The keys of a transaction or a script must lie in one slot, \
             and users lie in all of them.",
        ),
        Kind::Strings => ctx.say("MSET is taken apart as well, so there it is no longer a single step."),
        Kind::List | Kind::Indexes => {}
    }
}

/// The records stay, to be looked at.
async fn leave(ctx: &LessonContext, input: &Input) -> Outcome {
    let approach = InsertMany::Pipelined { depth: 1_000 };
    approach.reset(input).await?;
    approach.run(input).await?;
    let (found, expected) = (input.content().await?, input.expected(input.records));
    ctx.check_eq("the records are there to be looked at", &found, &expected)?;
    ctx.keys(left(&input.keys, input.kind, input.records));
    Ok(())
}

fn left(keys: &Keys, kind: Kind, records: u64) -> Vec<String> {
    let mut names = match kind {
        Kind::Users => vec![keys.user(1), keys.user(records)],
        Kind::Strings => vec![keys.user_text(1), keys.user_text(records)],
        Kind::List => vec![keys.biglist()],
        // User 1 lives in New York; everybody has a salary.
        Kind::Indexes => vec![keys.city(CITIES[0]), keys.users_by_salary()],
    };
    if kind == Kind::Indexes && records >= 1_000 {
        names.push(keys.department(DEPARTMENTS[0]));
    }
    names.dedup();
    names.push(keys.loaded(kind.name()));
    names
}
