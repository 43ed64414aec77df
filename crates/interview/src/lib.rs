//! REDIS_GUIDE.md: its examples executed, its questions asked.
//!
//! In reading order:
//!
//! 1. [`guide`]: the Markdown becomes topics, questions and examples; every deviation from its format is an error.
//! 2. [`block`]: an example, a `redis-cli` session; [`words`] splits its command lines.
//! 3. [`session`] executes a block on servers of its own, [`matching`] compares the replies with the expected ones,
//!    [`execution`] does that for all examples of a question and says what is wrong.
//! 4. `page`: questions and answers as text; `document`: as JSON.
//! 5. [`progress`]: what is due when, kept in Redis. `quiz` asks, and holds the mock interview.

#![expect(clippy::must_use_candidate, reason = "nobody outside this workspace calls it")]

pub mod block;
mod document;
pub mod execution;
pub mod guide;
pub mod matching;
mod page;
pub mod progress;
mod quiz;
pub mod session;
pub use lab_connection::transcript::words;

/// The guide's Rust is compiled with the documentation's examples.
#[cfg(doctest)]
#[expect(
    rustdoc::invalid_codeblock_attributes,
    reason = "rustdoc does not know what examples may need: `key=value`"
)]
#[doc = include_str!("../../../REDIS_GUIDE.md")]
struct RustOfTheGuide;

use std::time::Duration;

use clap::{Parser, ValueEnum};
use lab_connection::address::no_server;
use lab_connection::failure::Class;
use lab_connection::{Failure, TargetArgs};
use lab_runner::Terminal;
use lab_runner::start::Cli;
use lab_server::Choice;

use crate::guide::{Guide, Level, Question, Topic};

/// Asks the questions of REDIS_GUIDE.md: you think, Enter shows the answer and runs its example live, you grade yourself.
/// What you missed comes back sooner. Topics are mixed.
///
/// Grade a question `again`, and it comes back in this run, or is due in a minute. `hard` makes it due in a day. `good` makes it
/// due in a day, and then each time after twice as long. Grades are kept on your server if you name one (--url, -h, -p,
/// REDIS_URL), and otherwise in a file of your own. Examples always run on a private server.
///
/// --mock is an interview against the clock: questions at random, each with its follow-ups, and a score by topic at the end.
///
/// Where the output is not a terminal, questions and answers are printed and nothing is asked. A mock interview reads its keys
/// from a pipe, too.
#[derive(Parser, Debug)]
#[command(name = "interview", bin_name = "cargo interview", version, disable_help_flag = true)]
pub struct Arguments {
    /// Only topics whose title contains this
    #[arg(long, value_name = "TEXT")]
    pub topic: Option<String>,

    /// Only questions of this level
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<AskedLevel>,

    /// Only the questions with these numbers, due or not: 3 or 3,17,42
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub question: Vec<usize>,

    /// Only the questions that lead to this lesson of the tour
    #[arg(long, value_name = "NAME")]
    pub lesson: Option<String>,

    /// Also ask what is not due yet
    #[arg(long)]
    pub all: bool,

    /// A mock interview that takes this long: 45m, 1h30m
    #[arg(long, value_name = "TIME", value_parser = quiz::mock::time, allow_hyphen_values = true, conflicts_with_all = ["all", "list"])]
    pub mock: Option<Duration>,

    /// A number that fixes what a mock interview asks; the same number asks the same questions
    #[arg(long, value_name = "N", requires = "mock")]
    pub seed: Option<u64>,

    /// List the questions and end
    #[arg(long)]
    pub list: bool,

    /// Print one JSON document: questions, answers, and what the examples really gave; or the result of a mock interview
    #[arg(long)]
    pub json: bool,

    /// Which server to use
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Which levels `--level` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AskedLevel {
    /// For people who have used Redis for a week; also called junior
    #[value(alias = "junior")]
    Beginner,
    /// For people who run a service on it; also called mid
    #[value(alias = "mid")]
    Intermediate,
    /// For people who design systems with it
    Advanced,
    /// For people who are called when it breaks
    Expert,
    /// Advanced and expert
    Senior,
}

impl AskedLevel {
    fn includes(self, level: Level) -> bool {
        match self {
            Self::Beginner => level == Level::Beginner,
            Self::Intermediate => level == Level::Intermediate,
            Self::Advanced => level == Level::Advanced,
            Self::Expert => level == Level::Expert,
            Self::Senior => level >= Level::Advanced,
        }
    }
}

impl Cli for Arguments {
    fn json(&self) -> bool {
        self.json
    }
}

/// Lists, prints or asks the questions that were chosen.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let guide = Guide::built_in().map_err(|errors| {
        let why = errors
            .0
            .first()
            .map_or_else(String::new, |error| format!("line {}: {}", error.line, error.problem));
        Failure::new(Class::Other, "The guide that this program was built with is not in its format.", why)
            .try_next("cargo test -p interview: tells everything that is wrong with it")
    })?;
    let chosen = chosen_questions(guide, &arguments)?;
    if arguments.list {
        if arguments.json {
            Terminal.document(&document::list(&chosen));
        } else {
            Terminal.line(&page::list(&chosen));
        }
        return Ok(());
    }
    let choice = examples_choice(&arguments)?;
    if let Some(time) = arguments.mock {
        quiz::mock::run(&chosen, time, &choice, &arguments).await
    } else if arguments.json {
        let document = blocking(move || document::answers(&chosen, &choice)).await?;
        Terminal.document(&document);
        Ok(())
    } else if Terminal.interactive() {
        quiz::run(&chosen, &choice, &arguments).await
    } else {
        blocking(move || page::print(&chosen, &choice)).await
    }
}

/// A question and its topic.
type ChosenQuestion = (&'static Topic, &'static Question);

/// Those that fit all flags, in the order of the guide; at least one.
fn chosen_questions(guide: &'static Guide, arguments: &Arguments) -> Result<Vec<ChosenQuestion>, Failure> {
    let Arguments { topic, level, question: numbers, lesson, .. } = arguments;
    let fits = |(of, question): &ChosenQuestion| {
        topic.as_ref().is_none_or(|text| is_about(of, text))
            && level.is_none_or(|level| level.includes(question.level))
            && (numbers.is_empty() || numbers.contains(&question.number))
            && lesson.as_ref().is_none_or(|name| question.lessons().contains(name))
    };
    let chosen: Vec<ChosenQuestion> = guide.questions().filter(fits).collect();
    if chosen.is_empty() {
        let topics: Vec<_> = guide.topics.iter().map(|topic| topic.title.as_str()).collect();
        let count = guide.questions().count();
        let why = format!("There are {count} questions, about: {}.", topics.join("; "));
        return Err(
            Failure::new(Class::Usage, "No question fits these flags.", why).try_next("--list: all of them")
        );
    }
    Ok(chosen)
}

fn is_about(topic: &Topic, text: &str) -> bool {
    let text = text.trim_start_matches('#').to_lowercase();
    topic.anchor == text || topic.title.to_lowercase().contains(&text)
}

/// The servers of the examples are always private: examples write any keys.
fn examples_choice(arguments: &Arguments) -> Result<Choice, Failure> {
    let TargetArgs { server, server_program, no_fetch, .. } = &arguments.target;
    Choice::from_flags(*server, server_program.clone(), *no_fetch).map_err(|error| no_server(&error))
}

/// Work that waits for servers, on a thread of its own: so that Ctrl-C is heard.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::new(Class::Other, "An example could not be executed.", error.to_string()))
}
