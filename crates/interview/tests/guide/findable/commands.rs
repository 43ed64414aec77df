//! Which questions use which command.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use interview::block::Block;
use interview::guide::{Guide, Paragraph, Question};

use super::Index;

/// The commands of the servers here and of those that the guide describes, with their subcommands, one a line.
static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("../commands.txt").lines().collect());

/// Commands whose names in prose usually mean something else: a time to live, an error, access rules.
const MEANS_MORE: [&str; 3] = ["TTL", "READONLY", "ACL"];

/// For each command, the questions that name it in the title or in the short answer.
pub fn main_questions(guide: &Guide) -> Index {
    numbers_by_command(guide, |question| in_prose(&short(question)))
}

/// Every command that an example sends, or that the text names, with the questions.
pub fn index(guide: &Guide) -> Index {
    numbers_by_command(guide, |question| &sent(question) | &in_prose(&prose(question)))
}

fn numbers_by_command(guide: &Guide, commands: impl Fn(&Question) -> BTreeSet<String>) -> Index {
    let mut index = Index::new();
    for (_, question) in guide.questions() {
        for command in commands(question) {
            index.entry(command).or_default().insert(question.number);
        }
    }
    index
}

/// The commands of the examples.
fn sent(question: &Question) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for step in question.blocks().flat_map(Block::steps).filter(|step| !step.is_raw()) {
        let Some(command) = &step.command else { continue };
        let word = |at: usize| command.words.get(at).map(|word| String::from_utf8_lossy(word).to_uppercase());
        let name = word(0).unwrap_or_default();
        let with_subcommand = format!("{name} {}", word(1).unwrap_or_default());
        if KNOWN.contains(with_subcommand.as_str()) {
            found.insert(with_subcommand);
        } else if KNOWN.contains(name.as_str()) {
            found.insert(name);
        } else {
            let refused = step.expected.iter().any(|line| line.contains("unknown command"));
            assert!(refused, "tests/guide/commands.txt does not have {name}, REDIS_GUIDE.md:{}", step.line);
        }
    }
    found
}

/// The title and the short answer.
pub fn short(question: &Question) -> String {
    let say: Vec<String> = question.say.iter().map(Paragraph::text).collect();
    format!("{}\n{}", question.title, say.join("\n"))
}

/// All that a question says outside its examples.
pub fn prose(question: &Question) -> String {
    let texts: Vec<String> = question.prose().map(Paragraph::text).collect();
    format!("{}\n{}", question.title, texts.join("\n"))
}

/// The commands that a text names in capitals.
pub fn in_prose(text: &str) -> BTreeSet<String> {
    let is_of_a_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    let words: Vec<&str> = text.split(|c| !is_of_a_name(c)).map(|word| word.trim_end_matches('.')).collect();
    // Lua's KEYS and ARGV come in pairs, and KEYS is then no command.
    let is_lua = words.contains(&"ARGV");
    let mut found = BTreeSet::new();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let with_subcommand = format!("{word} {next}");
        let means_more = MEANS_MORE.contains(word) || is_lua && *word == "KEYS";
        if KNOWN.contains(with_subcommand.as_str()) {
            found.insert(with_subcommand);
        } else if KNOWN.contains(word) && !means_more {
            found.insert((*word).to_owned());
        }
    }
    found
}

#[test]
fn names_in_capitals_are_commands_where_they_mean_one() {
    let found = in_prose(
        "SCRIPT KILL ends it, FCALL. JSON.SET; a TTL, `GETEX`, a Set, SET and READONLY errors (ACL LOG).",
    );
    let expected = ["ACL LOG", "FCALL", "GETEX", "JSON.SET", "SCRIPT KILL", "SET"];
    assert!(found.iter().eq(expected), "{found:?}");
    assert!(!in_prose("pass keys in KEYS and values in ARGV").contains("KEYS"));
}
