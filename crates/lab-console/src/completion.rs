//! What Tab offers: commands, the words of their syntax, and the keys that there are.

use std::io;
use std::time::{Duration, Instant};

use lab_connection::raw_client::{Client, RawAddress};
use lab_connection::transcript::{command_line, words};
use redis::Value;

use crate::command_docs::CommandDocs;
use crate::syntax;

/// More keys than this nobody reads.
const MOST_KEYS: usize = 100;
/// A longer name is not offered.
const LONGEST_KEY: usize = 100;
/// How long Tab may search for keys.
const SEARCH: Duration = Duration::from_millis(500);
/// Keys of our own that no lesson is about.
const OWN_KEYS: [&str; 2] = ["redis-lab:marker", "redis-lab:run-lock"];
/// The words that the console itself understands.
pub(crate) const OWN_WORDS: [&str; 5] = ["back", "clear", "exit", "help", "quit"];

/// Where a word begins, and what it can become, with the space behind it.
pub(crate) fn complete(line: &str, docs: &CommandDocs, keys: &mut Keys) -> (usize, Vec<String>) {
    let start = line
        .rfind(char::is_whitespace)
        .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
    let (before, begun) = line.split_at(start);
    let Some(typed) = words::split(before) else { return (start, Vec::new()) };
    let typed = without_repetition(&typed);
    let helps = typed.first().is_some_and(|word| word.eq_ignore_ascii_case(b"help"));
    let typed = if helps { &typed[1..] } else { typed };
    if typed.is_empty() {
        let own = OWN_WORDS.into_iter().filter(|_| !helps);
        return (start, matching(docs.names().chain(own), begun));
    }
    let mut found = Vec::new();
    if typed.len() == 1 {
        let command = String::from_utf8_lossy(&typed[0]).into_owned();
        found = matching(docs.subcommands(&command), begun);
        if !found.is_empty() || helps {
            return (start, found);
        }
    }
    let Some((of_name, command)) = docs.find(typed) else {
        return (start, if begun.is_empty() { found } else { keys.beginning_with(begun) });
    };
    let arguments: Vec<String> =
        typed[of_name..].iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if syntax::next_is_a_key(&command.arguments, &arguments) || command.arguments.is_empty() {
        return (start, keys.beginning_with(begun));
    }
    let left = syntax::remaining(&command.arguments, &arguments).unwrap_or_default();
    let is_left = |token: &&str| left.split([' ', '[', ']', '|']).any(|word| word == *token);
    found = matching(syntax::tokens(&command.arguments).into_iter().filter(is_left), begun);
    if found.is_empty() && !begun.is_empty() {
        found = keys.beginning_with(begun);
    }
    (start, found)
}

/// The command behind a number, which repeats it.
pub(crate) fn without_repetition(words: &[Vec<u8>]) -> &[Vec<u8>] {
    let repeats = |word: &Vec<u8>| !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    if words.first().is_some_and(repeats) { &words[1..] } else { words }
}

/// The names that begin so, in the case in which the person types.
fn matching<'a>(names: impl Iterator<Item = &'a str>, begun: &str) -> Vec<String> {
    let lower = begun.chars().any(char::is_lowercase);
    let begins = |name: &&str| name.get(..begun.len()).is_some_and(|head| head.eq_ignore_ascii_case(begun));
    let mut found: Vec<String> = names
        .filter(begins)
        .map(|name| if lower { name.to_lowercase() } else { name.to_owned() } + " ")
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Looks for keys on connections of its own, so that the console's transaction is left alone.
pub(crate) struct Keys {
    address: RawAddress,
    cluster: bool,
    prefix: String,
    /// The database that the console has selected.
    pub(crate) db: i64,
    nodes: Vec<Client>,
}

impl Keys {
    pub(crate) fn new(address: RawAddress, cluster: bool, prefix: String) -> Self {
        Self { db: address.db(), address, cluster, prefix, nodes: Vec::new() }
    }

    /// The keys whose names begin so, with or without the lesson's prefix. None if the server does not answer in time.
    fn beginning_with(&mut self, begun: &str) -> Vec<String> {
        if begun.starts_with(['"', '\'']) {
            return Vec::new();
        }
        let mut patterns = vec![begun.to_owned()];
        if !self.prefix.is_empty() && !begun.starts_with(&self.prefix) && !self.prefix.starts_with(begun) {
            patterns.push(format!("{}{begun}", self.prefix));
        }
        let mut found = Vec::new();
        for pattern in patterns {
            match self.search(&pattern) {
                Ok(keys) => found.extend(keys),
                // It connects again the next time.
                Err(_) => self.nodes.clear(),
            }
        }
        found.sort();
        found.dedup();
        found.truncate(MOST_KEYS);
        found
    }

    fn search(&mut self, begun: &str) -> io::Result<Vec<String>> {
        if self.nodes.is_empty() {
            self.nodes = self.connect()?;
        }
        let deadline = Instant::now() + SEARCH;
        let pattern = escaped(begun) + "*";
        let db = self.db.to_string();
        let mut found = Vec::new();
        for node in &mut self.nodes {
            if !self.cluster {
                node.ask(&["SELECT", &db])?;
            }
            let mut cursor = "0".to_owned();
            loop {
                let reply = node.ask(&["SCAN", &cursor, "MATCH", &pattern, "COUNT", "1000"])?;
                let Value::Array(parts) = reply else { break };
                let [Value::BulkString(next), Value::Array(keys)] = parts.as_slice() else { break };
                found.extend(keys.iter().filter_map(|key| offered(key, &self.prefix)));
                cursor = String::from_utf8_lossy(next).into_owned();
                if cursor == "0" || found.len() >= MOST_KEYS || Instant::now() > deadline {
                    break;
                }
            }
        }
        Ok(found)
    }

    fn connect(&self) -> io::Result<Vec<Client>> {
        let mut first = self.address.connect()?;
        if !self.cluster {
            first.set_reply_timeout(Some(SEARCH))?;
            return Ok(vec![first]);
        }
        let mut nodes: Vec<(String, u16)> = Vec::new();
        if let Value::Array(ranges) = first.ask(&["CLUSTER", "SLOTS"])? {
            for range in ranges {
                let Value::Array(parts) = range else { continue };
                if let Some(Value::Array(primary)) = parts.get(2)
                    && let [Value::BulkString(host), Value::Int(port), ..] = primary.as_slice()
                    && let Ok(port) = u16::try_from(*port)
                {
                    nodes.push((String::from_utf8_lossy(host).into_owned(), port));
                }
            }
        }
        nodes.sort();
        nodes.dedup();
        let connect = |(host, port): (String, u16)| {
            let node = self.address.node(&host, port).connect()?;
            node.set_reply_timeout(Some(SEARCH))?;
            Ok(node)
        };
        nodes.into_iter().map(connect).collect()
    }
}

/// A key as it is typed, if it is one to offer.
fn offered(key: &Value, prefix: &str) -> Option<String> {
    let Value::BulkString(key) = key else { return None };
    let own = OWN_KEYS.iter().any(|own| *key == format!("{prefix}{own}").into_bytes());
    (!own && key.len() <= LONGEST_KEY).then(|| command_line(redis::Cmd::new().arg(key.as_slice())) + " ")
}

/// Text in which no character means something else to SCAN.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if "*?[]\\^".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
