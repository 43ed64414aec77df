//! The parts of a lesson as plain data. Text and JSON are two renderings of it.

use lab_connection::transcript::{Exchange, Shape};
use serde::Serialize;

use crate::lua::Note;
use crate::measurement::ComparisonResult;
use crate::need::Need;
use crate::source::Excerpt;
use crate::table::Table;

/// One part of a lesson.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Block {
    /// A step begins.
    Step,
    /// A paragraph.
    Say {
        /// One paragraph, unwrapped.
        text: String,
    },
    /// Source code that runs, or a script that the server runs.
    Code(Code),
    /// Text that is shown line by line, such as a configuration.
    Listing {
        /// Its lines.
        text: String,
    },
    /// Commands that are sent without being shown one by one.
    Announcement {
        /// What is sent, by which clients, and why.
        text: String,
    },
    /// Commands that were sent, and what came back.
    Exchange(ShownExchange),
    /// A claim that was verified.
    Check {
        /// What the learner should see. If it did not hold, what was seen instead may follow in parentheses.
        claim: String,
        /// Whether it held.
        held: bool,
    },
    /// A question about what comes next.
    Question {
        /// What is asked.
        question: String,
        /// The answers to choose from.
        choices: Vec<String>,
    },
    /// The answer to the last question.
    Answer {
        /// What was seen: one of the choices.
        answer: String,
        /// What the learner chose.
        guess: Option<String>,
    },
    /// A part that this server cannot show.
    Skipped {
        /// What is missing, and who has it.
        reason: String,
    },
    /// A table.
    #[serde(rename = "facts")]
    Table(Table),
    /// Approaches side by side.
    Comparison(ComparisonResult),
    /// Keys to open in Redis Insight.
    Keys {
        /// Their names.
        names: Vec<String>,
    },
    /// What to remember at the end of a lesson.
    Summary(Summary),
}

impl Block {
    pub(crate) fn skipped(need: Need) -> Self {
        let Need { command, available_in } = need;
        Self::Skipped {
            reason: format!("This server has no {command}. To see this part, use {available_in}."),
        }
    }
}

/// Lines of a file of this project.
#[derive(Clone, Debug, Serialize)]
pub struct Code {
    /// The script's name; empty for Rust.
    pub name: String,
    /// The file's path from the root of the workspace.
    pub path: String,
    /// The number of the first line, from 1.
    pub line: usize,
    /// The lines.
    pub text: String,
}

impl From<Excerpt> for Code {
    fn from(Excerpt { path, line, text }: Excerpt) -> Self {
        Self { name: String::new(), path, line, text }
    }
}

/// An [`Exchange`] as data.
#[derive(Clone, Debug, Serialize)]
pub struct ShownExchange {
    /// The server's name in the lesson, if it is another one than the lesson's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// "command", "pipeline" or "transaction".
    pub shape: &'static str,
    /// As you would type them in `redis-cli`.
    pub commands: Vec<String>,
    /// As `redis-cli` prints them.
    pub replies: Vec<String>,
    /// For each command that calls a script of the lesson, what its arguments and the parts of its reply are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// How many commands went out, those not listed included; MULTI and EXEC count.
    pub sent: usize,
    /// From sending to the whole reply, in microseconds.
    pub micros: u64,
}

impl ShownExchange {
    pub(crate) fn new(server: Option<String>, exchange: Exchange, notes: Vec<Note>) -> Self {
        let shape = match exchange.shape {
            Shape::Command => "command",
            Shape::Pipeline => "pipeline",
            Shape::Transaction => "transaction",
        };
        let micros = u64::try_from(exchange.elapsed.as_micros()).unwrap_or(u64::MAX);
        Self {
            server,
            shape,
            commands: exchange.commands,
            replies: exchange.replies,
            notes,
            sent: exchange.command_count,
            micros,
        }
    }
}

/// What to remember of a lesson.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The lesson's name.
    pub name: &'static str,
    /// The rule, in one sentence.
    pub rule: &'static str,
    /// Three more things to remember.
    pub takeaways: &'static [&'static str],
    /// The files of the lesson, its own first.
    pub source: Vec<&'static str>,
    /// The questions of the quiz that belong to it, by number.
    pub quiz: &'static [u16],
    /// The exercises that belong to it, by name.
    pub exercises: &'static [&'static str],
    /// How many answers the learner guessed, and how many of these were right; none if nobody was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guessed: Option<(usize, usize)>,
}
