//! What one client sends, and which replies are right. The commands are built once: building them is not what is measured.

use redis::{Cmd, RedisResult, Value};

use super::stats::Verdict;
use crate::keys::Keys;

/// One SET, then this many GETs.
const GETS: usize = 3;

/// The commands of one client on a key that nobody else writes, so it knows what every GET has to return.
pub(super) struct ClientWorkload {
    values: [Vec<u8>; 2],
    sets: [Cmd; 2],
    get: Cmd,
}

/// One operation.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    /// Writes one of the two values.
    Set(usize),
    Get,
}

impl ClientWorkload {
    pub(super) fn new(keys: &Keys, client: usize) -> Self {
        let key = keys.concurrency(client);
        let values = ["one", "two"].map(|word| format!("client {client}, value {word}").into_bytes());
        let sets = [0, 1].map(|value: usize| Cmd::set(&key, &values[value]));
        Self { values, sets, get: Cmd::get(&key) }
    }

    /// The operation with this number, from 0.
    pub(super) fn operation(number: usize) -> Operation {
        if number.is_multiple_of(GETS + 1) { Operation::Set(number / (GETS + 1) % 2) } else { Operation::Get }
    }

    pub(super) fn command(&self, operation: Operation) -> &Cmd {
        match operation {
            Operation::Set(value) => &self.sets[value % 2],
            Operation::Get => &self.get,
        }
    }

    /// Judges a reply. `written` is the value that the key holds, unknown before the first SET.
    pub(super) fn judge(
        &self,
        operation: Operation,
        written: Option<usize>,
        reply: RedisResult<Value>,
    ) -> Verdict {
        let right = match (operation, reply.and_then(Value::extract_error)) {
            (_, Err(error)) => return Verdict::Failed(error.to_string()),
            (Operation::Set(_), Ok(reply)) => reply == Value::Okay,
            (Operation::Get, Ok(Value::BulkString(found))) => match written {
                Some(value) => self.values[value % 2] == found,
                None => self.values.contains(&found),
            },
            (Operation::Get, Ok(reply)) => reply == Value::Nil && written.is_none(),
        };
        if right { Verdict::Right } else { Verdict::Wrong }
    }
}
