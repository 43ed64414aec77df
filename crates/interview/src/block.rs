//! An example: a `redis-cli` session, as the guide writes it.

mod info;
mod steps;

pub use info::{Layout, Place};

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of the guide on which it begins.
    pub line: usize,
    /// Where it is executed.
    pub place: Place,
    /// Comments and commands, in order.
    pub entries: Vec<Entry>,
}

/// One thing of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// What stands behind `# `.
    Comment(String),
    /// A command, its reply, or both.
    Step(Step),
}

/// A prompt and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line of the guide.
    pub line: usize,
    /// Whose connection: empty for the plain prompt.
    pub client: String,
    /// Whether the command is repeated until the reply is the expected one: `~> `.
    pub retried: bool,
    /// What to send; none where only the next reply is read.
    pub command: Option<Command>,
    /// The lines of the reply; none where it is not waited for.
    pub expected: Vec<String>,
}

/// A command as it was typed, and as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The line without its prompt.
    pub text: String,
    /// Its words; at least one.
    pub words: Vec<Vec<u8>>,
}

impl Command {
    /// Whether the word at `index` is `word`, in any case.
    #[must_use]
    pub fn says(&self, index: usize, word: &str) -> bool {
        self.words.get(index).is_some_and(|said| said.eq_ignore_ascii_case(word.as_bytes()))
    }
}

impl Step {
    /// The prompt with the command, as the guide writes it.
    #[must_use]
    pub fn line_of_session(&self) -> String {
        let mark = if self.retried { "~" } else { "" };
        let command = self.command.as_ref().map(|command| format!(" {}", command.text)).unwrap_or_default();
        format!("{mark}{}>{command}", self.client)
    }
}

impl Block {
    /// Reads a block: the info string of its fence, and the lines between the fences.
    /// The error is the line of what is wrong, and what is expected there.
    pub fn parse(line: usize, info: &str, lines: &[&str]) -> Result<Self, (usize, String)> {
        let place = Place::parse(info).map_err(|problem| (line, problem))?;
        let entries = steps::parse(line + 1, lines)?;
        let block = Self { line, place, entries };
        for step in block.steps() {
            block.place.may_have(&step.client).map_err(|problem| (step.line, problem))?;
        }
        Ok(block)
    }

    /// The steps, without the comments.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Step(step) => Some(step),
            Entry::Comment(_) => None,
        })
    }
}
