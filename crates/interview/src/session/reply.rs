//! A reply as `redis-cli` prints it on a terminal.

use lab_connection::transcript::{for_terminal, whole_reply_text};
use redis::Value;

use crate::block::Command;

/// The lines of a reply; `command` is what it answers, if anything.
pub(super) fn lines(command: Option<&Command>, reply: &Value) -> Vec<String> {
    let raw = match reply {
        Value::BulkString(bytes) if command.is_some_and(prints_raw) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    };
    match raw {
        Some(text) => text.trim_end().lines().map(|line| for_terminal(line).into_owned()).collect(),
        None => whole_reply_text(reply).lines().map(str::to_owned).collect(),
    }
}

/// The commands whose text redis-cli prints as it is, without quotes.
fn prints_raw(command: &Command) -> bool {
    let is = |first: &str, second: &[&str]| {
        command.says(0, first) && (second.is_empty() || second.iter().any(|word| command.says(1, word)))
    };
    is("INFO", &[])
        || is("LOLWUT", &[])
        || is("DEBUG", &["HTSTATS", "HTSTATS-KEY"])
        || is("MEMORY", &["MALLOC-STATS", "DOCTOR"])
        || is("CLUSTER", &["NODES", "INFO"])
        || is("CLIENT", &["LIST", "INFO"])
        || is("LATENCY", &["GRAPH", "DOCTOR"])
}

/// How many replies a command gets: SUBSCRIBE and its kin one for each channel.
pub(super) fn count(command: &Command) -> usize {
    if subscribes(command) { (command.words.len() - 1).max(1) } else { 1 }
}

/// Whether the command's replies are push messages in RESP3.
pub(super) fn subscribes(command: &Command) -> bool {
    let kin = ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"];
    kin.iter().any(|name| command.says(0, name))
}

/// Where MOVED and ASK send one: the slot, the address, its port, and whether it is ASK.
pub(super) struct Redirection {
    pub(super) asks: bool,
    pub(super) slot: String,
    pub(super) address: String,
    pub(super) port: u16,
}

impl Redirection {
    pub(super) fn of(reply: &Value) -> Option<Self> {
        let Value::ServerError(error) = reply else {
            return None;
        };
        let asks = match error.code() {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let (slot, address) = error.details()?.split_once(' ')?;
        let port = address.rsplit_once(':')?.1.parse().ok()?;
        Some(Self { asks, slot: slot.to_owned(), address: address.to_owned(), port })
    }

    /// What redis-cli prints about it.
    pub(super) fn line(&self) -> String {
        format!("-> Redirected to slot [{}] located at {}", self.slot, self.address)
    }
}
