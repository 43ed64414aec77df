//! The guide as data: topics, questions, answers, examples.
//!
//! # An example
//!
//! A block that begins with ```` ```redis ```` is a session of `redis-cli`, see [`block`](crate::block). Words after `redis` say how it
//! runs, see [`Environment`](crate::block::Environment): `replica`, `sentinel`, `cluster`, or `cluster-replicas`; `aof`, `tls`, or
//! `power-cut`; a setting as `key=value`; `needs=COMMAND`; `server=RELEASE`; `same` for the servers of the block before it; `no-run="REASON"` for
//! one that is only shown.
//!
//! | Line | Meaning |
//! |---|---|
//! | `> COMMAND` | a command; it goes on in the next lines while a quote is open |
//! | `A> COMMAND` | the same from another client; `primary`, `replica`, `sentinel`, `node1` to `node6` are connected to these servers |
//! | `~> COMMAND` | repeated until the reply is the expected one |
//! | `A>` | reads the next message that the server sends to A |
//! | `wire> "BYTES"` | whole commands, sent as they are; the reply is the bytes that come back |
//! | `! ACTION` | happens to a server itself, see [`Action`](crate::block::Action); `! kill node2` names one of several |
//! | `# TEXT` | a comment |
//! | any other | a line of the reply |
//!
//! In a reply, `…` stands for any text, and a line of only `…` for any lines. `text  # Redis 7.0, Valkey 9.1` is a line of these two
//! servers; on a server that none of the lines names, they stand for anything. In commands, `<node2>` is the ID of that node. In commands
//! and replies, `<node2:port>` is its port (`<primary:port>` and so on, too), and in commands `<password>` is the servers' password.

mod parse;
mod prose;

use std::fmt;
use std::sync::LazyLock;

use serde::Serialize;

use crate::block::Block;
pub use crate::block::FormatError;

pub use prose::{Link, Paragraph, links};

/// The crates with the lessons of the tour. Each lesson is a file in `src`, and a link to it has its name.
const LESSON_CRATES: [&str; 7] = [
    "simple-ops",
    "complex-structures",
    "bulk-performance",
    "shopping-cart",
    "ecommerce-patterns",
    "work-patterns",
    "operations",
];

/// The whole guide.
#[derive(Clone, Debug)]
pub struct Guide {
    /// The topics, in order.
    pub topics: Vec<Topic>,
    /// What follows the last topic: the index and its companions.
    pub appendices: Vec<Appendix>,
}

/// A section after the last topic. It asks nothing, and the quiz leaves it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appendix {
    /// Its heading.
    pub title: String,
    /// The lines under the heading, as they are.
    pub lines: Vec<String>,
}

/// A heading of the second level, and the questions under it.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its heading.
    pub title: String,
    /// Where a link to it leads, without `#`.
    pub anchor: String,
    /// Its questions, at least one.
    pub questions: Vec<Question>,
}

/// One question with its answer.
#[derive(Clone, Debug)]
pub struct Question {
    /// The line of the guide.
    pub line: usize,
    /// From 1, through the whole guide.
    pub number: usize,
    /// The question itself.
    pub title: String,
    /// A stable name, made from its title. Progress is kept under it, so that questions can be numbered anew.
    pub slug: String,
    /// Who should know the answer.
    pub level: Level,
    /// The short answer, as you would say it aloud.
    pub say: Vec<Paragraph>,
    /// The reasons.
    pub why: Vec<Paragraph>,
    /// The mistake that interviewers look for.
    pub trap: Vec<Paragraph>,
    /// What interviewers ask next, with the answers; empty where the guide has none.
    pub follow_ups: Vec<Paragraph>,
    /// The official pages about it; empty where the guide names none.
    pub read_more: Vec<Paragraph>,
    /// Blocks, at least one, and what is said between them.
    pub examples: Vec<Example>,
    /// Where the workspace shows it.
    pub see: Vec<Paragraph>,
}

/// A part of an example.
#[derive(Clone, Debug)]
pub enum Example {
    /// A session.
    Block(Block),
    /// What is said before or after it.
    Text(Paragraph),
}

/// Who should know the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For people who have used Redis for a week
    Beginner,
    /// For people who run a service on it
    Intermediate,
    /// For people who design systems with it
    Advanced,
    /// For people who are called when it breaks
    Expert,
}

impl Level {
    /// Every level, the easiest first.
    pub const ALL: [Self; 4] = [Self::Beginner, Self::Intermediate, Self::Advanced, Self::Expert];

    /// As the guide writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beginner => "beginner",
            Self::Intermediate => "intermediate",
            Self::Advanced => "advanced",
            Self::Expert => "expert",
        }
    }
}

impl Guide {
    /// Reads a guide. Every deviation from the format is an error. Only one is reported per question.
    pub fn parse(text: &str) -> Result<Self, FormatErrors> {
        parse::guide(text)
    }

    /// The guide that this program was built with.
    pub fn built_in() -> Result<&'static Self, &'static FormatErrors> {
        static BUILT_IN: LazyLock<Result<Guide, FormatErrors>> =
            LazyLock::new(|| Guide::parse(include_str!("../../../REDIS_GUIDE.md")));
        BUILT_IN.as_ref()
    }

    /// Every question with its topic, in order.
    pub fn questions(&self) -> impl Iterator<Item = (&Topic, &Question)> {
        self.topics.iter().flat_map(|topic| topic.questions.iter().map(move |question| (topic, question)))
    }
}

impl Question {
    /// Its blocks, in order.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.examples.iter().filter_map(|part| match part {
            Example::Block(block) => Some(block),
            Example::Text(_) => None,
        })
    }

    /// All that it says outside its blocks.
    pub fn prose(&self) -> impl Iterator<Item = &Paragraph> {
        let between = self.examples.iter().filter_map(|part| match part {
            Example::Text(paragraph) => Some(paragraph),
            Example::Block(_) => None,
        });
        [&self.say, &self.why, &self.trap, &self.follow_ups].into_iter().flatten().chain(between)
    }

    /// Its links, those of `See` first, and those of `Read more` last.
    pub fn links(&self) -> Vec<Link> {
        let all = self.see.iter().chain(self.prose()).chain(&self.read_more);
        all.flat_map(|paragraph| links(&paragraph.text())).collect()
    }

    /// The lessons of the tour that show it: the names in its links to the files of lessons.
    pub fn lessons(&self) -> Vec<String> {
        let mut lessons: Vec<String> = Vec::new();
        for link in self.links() {
            let parts: Vec<&str> = link.target.split('/').collect();
            // `load.rs` is the loader, not a lesson.
            let is_lesson = matches!(parts.as_slice(),
                ["crates", name, "src", file] if LESSON_CRATES.contains(name) && *file != "load.rs");
            if is_lesson && !lessons.contains(&link.text) {
                lessons.push(link.text);
            }
        }
        lessons
    }
}

/// Everything that is wrong, in the order of the lines; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatErrors(pub Vec<FormatError>);

impl fmt::Display for FormatErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.iter().map(|error| format!("REDIS_GUIDE.md:{}: {}", error.line, error.problem));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for FormatErrors {}

/// Where a link to this heading leads on GitHub, without `#`: lower case, spaces become hyphens, letters, digits, hyphens, and
/// underscores stay, everything else goes. (A second heading of the same text would get a number; the guide has none.)
pub fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().flat_map(char::to_lowercase).filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect()
}
