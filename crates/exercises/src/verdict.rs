//! What a check found.

use std::fmt::Display;

use redis::RedisError;
use serde::{Deserialize, Serialize};

/// What was observed if it is right, or the fault.
pub type Verdict = Result<Passed, Fault>;

/// What a check observed of a right answer, a line each.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Passed(pub Vec<String>);

impl Passed {
    /// One line.
    pub fn with(line: impl Into<String>) -> Self {
        Self(vec![line.into()])
    }
}

/// What is wrong with an answer. It says what happened, and never how to repair it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Fault {
    /// What went wrong, in a sentence or two.
    pub what: String,
    /// What was sent and counted, a line each.
    pub observed: Vec<String>,
}

impl Fault {
    /// A fault without observations.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), observed: Vec::new() }
    }

    /// The same with what was observed.
    #[must_use]
    pub fn observed(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.observed.extend(lines);
        self
    }
}

/// What is wrong is not the answer.
pub(crate) fn check_failed(error: impl Display) -> Fault {
    Fault::new(format!("The check itself failed: {error}"))
}

/// An error of the server that the check did not expect.
impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Self {
        let what = if error.is_timeout() {
            "The server did not answer within 2 seconds: a command waits for something that does not come, or a script does not end.".into()
        } else if error.is_connection_dropped() || error.is_io_error() {
            "The server is gone. A SHUTDOWN ends it, and so does a script that takes more memory than there is.".into()
        } else {
            format!("The server answered: {}", error_text(&error))
        };
        Self::new(what)
    }
}

/// An error as redis-cli shows it.
#[must_use]
pub fn error_text(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

/// `Err` with a fault unless the claim holds.
pub fn ensure(holds: bool, what: impl FnOnce() -> Fault) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(what()) }
}
