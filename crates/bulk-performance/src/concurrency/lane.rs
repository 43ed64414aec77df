//! What one client says, and what it has to hear. The commands are built once: building them is not what is measured.

use redis::{Cmd, RedisResult, Value};

use super::tally::Verdict;
use crate::keys::Keys;

/// One SET, then as many GETs.
const GETS: usize = 3;

/// The commands of one client on a key that nobody else writes, so that it knows what every GET has to return.
pub(crate) struct Lane {
    values: [Vec<u8>; 2],
    sets: [Cmd; 2],
    get: Cmd,
}

/// A step of a lane.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Set(usize),
    Get,
}

impl Lane {
    pub(crate) fn new(keys: &Keys, client: usize) -> Self {
        let key = keys.concurrency(client);
        let values = ["one", "two"].map(|word| format!("client {client}, value {word}").into_bytes());
        let sets = [0, 1].map(|value: usize| {
            let mut set = redis::cmd("SET");
            set.arg(&key).arg(&values[value]);
            set
        });
        let mut get = redis::cmd("GET");
        get.arg(&key);
        Self { values, sets, get }
    }

    /// The step with this number, from 0.
    pub(crate) fn step(number: usize) -> Step {
        if number.is_multiple_of(GETS + 1) { Step::Set(number / (GETS + 1) % 2) } else { Step::Get }
    }

    pub(crate) fn command(&self, step: Step) -> &Cmd {
        match step {
            Step::Set(value) => &self.sets[value % 2],
            Step::Get => &self.get,
        }
    }

    /// Judges a reply; `written` is which value the key holds; not known before the first SET.
    pub(crate) fn judge(&self, step: Step, written: Option<usize>, reply: RedisResult<Value>) -> Verdict {
        let right = match (step, reply.and_then(Value::extract_error)) {
            (_, Err(error)) => return Verdict::Failed(error.to_string()),
            (Step::Set(_), Ok(reply)) => reply == Value::Okay,
            (Step::Get, Ok(Value::BulkString(found))) => match written {
                Some(value) => self.values[value % 2] == found,
                None => self.values.contains(&found),
            },
            (Step::Get, Ok(reply)) => reply == Value::Nil && written.is_none(),
        };
        if right { Verdict::Right } else { Verdict::Wrong }
    }
}
