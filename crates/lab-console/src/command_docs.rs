//! What the server says about its commands: COMMAND and COMMAND DOCS.

use std::collections::BTreeMap;

use lab_connection::raw_client::Client;
use lab_connection::transcript::for_terminal;
use redis::Value;

use crate::syntax::{Argument, Kind};

/// A command, or a subcommand such as `CONFIG GET`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Command {
    /// What it does, in a sentence.
    pub(crate) summary: String,
    pub(crate) arguments: Vec<Argument>,
}

/// The commands of a server, by their names in capitals.
#[derive(Debug, Default)]
pub(crate) struct CommandDocs {
    commands: BTreeMap<String, Command>,
    /// Of each command that writes: the positions of its first and its last key and their distance, as COMMAND tells them.
    writes: BTreeMap<String, [i64; 3]>,
}

/// A server's reply is nested no deeper than this.
const MOST_LEVELS: usize = 16;

impl CommandDocs {
    /// Asks the server. What it does not tell is not there: before Redis 7.0 there is only the list of names.
    pub(crate) fn ask(client: &mut Client) -> Self {
        let mut docs = Self::default();
        if let Ok(Value::Array(commands)) = client.ask(&["COMMAND"]) {
            for command in &commands {
                docs.add_name(command);
            }
        }
        if let Ok(reply) = client.ask(&["COMMAND", "DOCS"]) {
            docs.add_docs(&reply, 0);
        }
        docs
    }

    /// The command that these words begin with, how many words its name has, and what is known of it.
    pub(crate) fn find(&self, words: &[Vec<u8>]) -> Option<(usize, &Command)> {
        let name = upper(words.first()?);
        let with_subcommand = words.get(1).map(|word| format!("{name} {}", upper(word)));
        if let Some(command) = with_subcommand.and_then(|name| self.commands.get(&name)) {
            return Some((2, command));
        }
        self.commands.get(&name).map(|command| (1, command))
    }

    /// The names of commands without subcommands.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.commands.keys().map(String::as_str).filter(|name| !name.contains(' '))
    }

    /// The names of the subcommands of a command.
    pub(crate) fn subcommands(&self, command: &str) -> impl Iterator<Item = &str> {
        let prefix = format!("{} ", command.to_uppercase());
        self.commands.keys().filter_map(move |name| name.strip_prefix(&prefix))
    }

    /// Whether a command writes. Of a command that is not known, it is assumed.
    pub(crate) fn writes(&self, words: &[Vec<u8>]) -> bool {
        let name = words.first().map(|word| upper(word)).unwrap_or_default();
        self.writes.contains_key(&name) || self.writes.is_empty()
    }

    /// The keys that a command writes, as far as COMMAND tells where they are.
    pub(crate) fn written_keys<'a>(&self, words: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
        let name = words.first().map(|word| upper(word)).unwrap_or_default();
        let Some(&[first, last, step]) = self.writes.get(&name) else { return Vec::new() };
        if crate::care::runs_a_script(words) {
            let count = words.get(2).and_then(|count| std::str::from_utf8(count).ok()?.parse().ok());
            return words.iter().skip(3).take(count.unwrap_or(0)).map(Vec::as_slice).collect();
        }
        let (Ok(first), Ok(step)) = (usize::try_from(first), usize::try_from(step)) else {
            return Vec::new();
        };
        let end = match usize::try_from(last) {
            Ok(last) => last + 1,
            // -1 is the last word, -2 the one before.
            Err(_) => words.len().saturating_sub(usize::try_from(-(last + 1)).unwrap_or(0)),
        };
        if first == 0 {
            return Vec::new();
        }
        let keys = words.iter().enumerate().take(end).skip(first).step_by(step.max(1));
        keys.map(|(_, key)| key.as_slice()).collect()
    }

    fn add_name(&mut self, command: &Value) {
        let Value::Array(fields) = command else { return };
        let Some(name) = fields.first().and_then(text) else { return };
        let name = name.to_uppercase();
        let flags = items(fields.get(2));
        let may_write = ["EVAL", "EVALSHA", "FCALL"].contains(&name.as_str());
        if may_write || flags.iter().any(|flag| text(flag).as_deref() == Some("write")) {
            let number = |index: usize| match fields.get(index) {
                Some(Value::Int(number)) => *number,
                _ => 0,
            };
            self.writes.insert(name.clone(), [number(3), number(4), number(5)]);
        }
        self.commands.entry(name).or_default();
    }

    fn add_docs(&mut self, docs: &Value, level: usize) {
        for (name, fields) in pairs(docs) {
            let Some(name) = text(&name) else { continue };
            let name = name.to_uppercase().replace('|', " ");
            let mut command = Command::default();
            for (field, value) in pairs(&fields) {
                match text(&field).as_deref() {
                    Some("summary") => command.summary = text(&value).unwrap_or_default(),
                    Some("arguments") => command.arguments = arguments(&value, 0),
                    Some("subcommands") if level < MOST_LEVELS => self.add_docs(&value, level + 1),
                    _ => {}
                }
            }
            self.commands.insert(name, command);
        }
    }
}

/// A word of a command in capitals.
pub(crate) fn upper(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_uppercase()
}

fn arguments(value: &Value, level: usize) -> Vec<Argument> {
    if level > MOST_LEVELS {
        return Vec::new();
    }
    items(Some(value)).iter().map(|argument| one_argument(argument, level)).collect()
}

fn one_argument(value: &Value, level: usize) -> Argument {
    let (mut name, mut display, mut kind) = (String::new(), None, String::new());
    let mut argument = Argument::default();
    let mut parts = Vec::new();
    for (field, value) in pairs(value) {
        match text(&field).as_deref() {
            Some("name") => name = text(&value).unwrap_or_default(),
            Some("display_text") => display = text(&value),
            Some("type") => kind = text(&value).unwrap_or_default(),
            Some("token") => argument.token = text(&value).filter(|token| !token.is_empty()),
            Some("flags") => {
                for flag in items(Some(&value)) {
                    match text(flag).as_deref() {
                        Some("optional") => argument.optional = true,
                        Some("multiple") => argument.multiple = true,
                        Some("multiple_token") => argument.repeats_token = true,
                        _ => {}
                    }
                }
            }
            Some("arguments") => parts = arguments(&value, level + 1),
            _ => {}
        }
    }
    argument.kind = match kind.as_str() {
        "pure-token" => Kind::Token,
        "oneof" => Kind::OneOf(parts),
        "block" => Kind::Block(parts),
        "key" => Kind::Key(display.unwrap_or(name)),
        _ => Kind::Value(display.unwrap_or(name)),
    };
    argument
}

/// The pairs of a map, which is a flat array in RESP2.
fn pairs(value: &Value) -> Vec<(Value, Value)> {
    match value {
        Value::Map(pairs) => pairs.clone(),
        Value::Array(items) => items.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
        _ => Vec::new(),
    }
}

fn items(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(items) | Value::Set(items)) => items,
        _ => &[],
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(for_terminal(&String::from_utf8_lossy(bytes)).into_owned()),
        Value::SimpleString(text) => Some(for_terminal(text).into_owned()),
        _ => None,
    }
}
