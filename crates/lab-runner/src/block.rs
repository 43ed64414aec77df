//! The parts of a page as plain data. Text and JSON are two renderings of it.

use lab_connection::transcript::{Exchange, Shape};
use serde::Serialize;

use crate::measurement::Measured;
use crate::table::Facts;

/// One part of a page.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Block {
    /// A paragraph.
    Say {
        /// One paragraph, unwrapped.
        text: String,
    },
    /// Source text, line by line as it is: a script, a configuration.
    Listing {
        /// Its lines; narrow ones, because they are not wrapped.
        text: String,
    },
    /// Commands that were sent, and what came back.
    Exchange(Spoken),
    /// A claim that was verified.
    Check {
        /// What the learner should see.
        claim: String,
        /// Whether it was so; with what was seen instead, if not.
        held: bool,
    },
    /// A part that this server cannot show.
    Skipped {
        /// What is missing, and who has it.
        reason: String,
    },
    /// A small table of facts.
    Facts(Facts),
    /// Approaches side by side.
    Comparison(Measured),
    /// Keys to open in Redis Insight.
    Keys {
        /// Their names.
        names: Vec<String>,
    },
}

/// An [`Exchange`] as data.
#[derive(Clone, Debug, Serialize)]
pub struct Spoken {
    /// "command", "pipeline" or "transaction".
    pub shape: &'static str,
    /// As one would type them in `redis-cli`.
    pub commands: Vec<String>,
    /// As `redis-cli` prints them.
    pub replies: Vec<String>,
    /// How many commands went out, those not listed included; MULTI and EXEC count.
    pub sent: usize,
    /// From sending to the whole answer, microseconds.
    pub micros: u64,
}

impl From<Exchange> for Spoken {
    fn from(exchange: Exchange) -> Self {
        let shape = match exchange.shape {
            Shape::Command => "command",
            Shape::Pipeline => "pipeline",
            Shape::Transaction => "transaction",
        };
        let micros = u64::try_from(exchange.elapsed.as_micros()).unwrap_or(u64::MAX);
        Self {
            shape,
            commands: exchange.commands,
            replies: exchange.replies,
            sent: exchange.command_count,
            micros,
        }
    }
}
