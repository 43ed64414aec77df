//! An example: a `redis-cli` session, as the guide writes it.

mod action;
mod environment;

pub use action::Action;
pub use environment::{Environment, Layout};

use crate::words;

/// One deviation from the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The line of the guide.
    pub line: usize,
    /// What is expected there.
    pub problem: String,
}

impl FormatError {
    pub(crate) fn at(line: usize, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into() }
    }
}

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of the guide on which it begins.
    pub line: usize,
    /// Where it is executed.
    pub environment: Environment,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The line of the guide.
    pub line: usize,
    /// Whose connection: empty for the plain prompt.
    pub client: String,
    /// Whether the command is repeated until the reply is the expected one: `~> `.
    pub retried: bool,
    /// What to send; none where only the next reply is read.
    pub command: Option<Command>,
    /// What is done to a server instead: `! `.
    pub action: Option<Action>,
    /// The lines of the reply; none where it is not waited for. Some may be of certain servers only: `text  # Redis 7.0`.
    pub expected: Vec<String>,
}

/// A command as it was typed, and as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The line without its prompt; more lines if a quote stays open, as in a script.
    pub text: String,
    /// Its words; at least one.
    pub words: Vec<Vec<u8>>,
}

impl Command {
    /// Whether the word at `index` is one of these, in any case.
    pub(crate) fn has_word(&self, index: usize, any_of: &[&str]) -> bool {
        let word = self.words.get(index);
        word.is_some_and(|word| any_of.iter().any(|one| word.eq_ignore_ascii_case(one.as_bytes())))
    }
}

impl Block {
    /// Reads a block: the info string of its fence, and the lines between the fences.
    pub(crate) fn parse(line: usize, info: &str, lines: &[&str]) -> Result<Self, FormatError> {
        let environment = Environment::parse(info).map_err(|problem| FormatError::at(line, problem))?;
        let block = Self { line, environment, entries: entries(line + 1, lines)? };
        for step in block.steps() {
            let allowed = block.environment.check_client(&step.client);
            allowed.map_err(|problem| FormatError::at(step.line, problem))?;
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

impl Step {
    /// The prompt with the command, as the guide writes it.
    pub fn line_of_session(&self) -> String {
        if let Some(action) = &self.action {
            return format!("! {action}").trim_end().to_owned();
        }
        let mark = if self.retried { "~" } else { "" };
        let command = self.command.as_ref().map(|command| format!(" {}", command.text)).unwrap_or_default();
        format!("{mark}{}>{command}", self.client)
    }

    /// Whether its bytes are sent as they are, and those of the reply are shown.
    pub fn is_raw(&self) -> bool {
        self.client == "wire"
    }

    /// A line that begins with a prompt: an optional `~`, letters and digits, `>`, and then a space or the end. A command goes on in
    /// the next lines while one of its quotes is open.
    fn at_prompt<'a>(
        line: usize,
        text: &str,
        next_lines: &mut impl Iterator<Item = &'a str>,
    ) -> Result<Option<Self>, FormatError> {
        if let Some(action) = text.strip_prefix("! ") {
            let action = Action::parse(action).map_err(|problem| FormatError::at(line, problem))?;
            return Ok(Some(Self { line, action: Some(action), ..Self::default() }));
        }
        let (retried, rest) = text.strip_prefix('~').map_or((false, text), |rest| (true, rest));
        let Some((client, command)) = rest.split_once('>') else { return Ok(None) };
        let is_name = client.chars().all(|c| c.is_ascii_alphanumeric());
        if !is_name || !(command.is_empty() || command.starts_with(' ')) {
            return Ok(None);
        }
        let mut text = command.trim().to_owned();
        let words = loop {
            if let Some(words) = words::split(&text) {
                break words;
            }
            let next = next_lines.next().ok_or_else(|| {
                FormatError::at(line, "the quotes of the command do not match, as redis-cli reads them")
            })?;
            text = format!("{text}\n{next}");
        };
        let command = (!words.is_empty()).then_some(Command { text, words });
        Ok(Some(Self { line, client: client.to_owned(), retried, command, ..Self::default() }))
    }

    /// What is wrong with it, now that its reply is known.
    fn problem(&self) -> Option<&'static str> {
        match (&self.command, self.expected.is_empty()) {
            _ if self.action.is_some() => (!self.expected.is_empty()).then_some("`! ACTION` has no reply"),
            (Some(command), no_reply) if self.is_raw() && (no_reply || command.words.len() != 1) => {
                Some("`wire> \"BYTES\"` sends one string of whole commands, and its reply has to follow")
            }
            (None, true) => Some("a prompt without a command reads a reply, which has to follow"),
            (command, no_reply) if self.retried && (command.is_none() || no_reply) => {
                Some("`~> COMMAND` is repeated until its reply fits, which has to follow")
            }
            _ => None,
        }
    }
}

/// Reads the lines of a block, the first of which is line `first` of the guide.
fn entries(first: usize, lines: &[&str]) -> Result<Vec<Entry>, FormatError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut rest = (first..).zip(lines.iter().copied());
    while let Some((line, text)) = rest.next() {
        if let Some(comment) = text.strip_prefix("# ") {
            entries.push(Entry::Comment(comment.to_owned()));
        } else if let Some(step) = Step::at_prompt(line, text, &mut rest.by_ref().map(|(_, text)| text))? {
            entries.push(Entry::Step(step));
        } else if let Some(Entry::Step(step)) = entries.last_mut() {
            step.expected.push(text.to_owned());
        } else if !text.trim().is_empty() {
            let expected =
                "a block begins with a prompt, `> COMMAND` or `NAME> COMMAND`; a reply follows its command";
            return Err(FormatError::at(line, expected));
        }
    }
    let mut has_step = false;
    for entry in &mut entries {
        let Entry::Step(step) = entry else { continue };
        has_step = true;
        // Blank lines before the next prompt only separate.
        while step.expected.pop_if(|line| line.trim().is_empty()).is_some() {}
        if let Some(problem) = step.problem() {
            return Err(FormatError::at(step.line, problem));
        }
    }
    if has_step { Ok(entries) } else { Err(FormatError::at(first, "a block needs a command: `> COMMAND`")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_replies_and_comments_are_told_apart() {
        let text =
            "> SET k \"a b\"\nOK\n\n# A comment.\nA1> BLPOP q 0\n~> GET k\n(nil)\nA1>\n1) \"q\"\n2) \"> x\"";
        let found = entries(10, &text.lines().collect::<Vec<_>>()).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|entry| match entry {
                Entry::Comment(text) => format!("# {text}"),
                Entry::Step(step) => format!("{} {} {:?}", step.line, step.line_of_session(), step.expected),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "10 > SET k \"a b\" [\"OK\"]",
                "# A comment.",
                "14 A1> BLPOP q 0 []",
                "15 ~> GET k [\"(nil)\"]",
                "17 A1> [\"1) \\\"q\\\"\", \"2) \\\"> x\\\"\"]",
            ]
        );
    }

    #[test]
    fn a_command_goes_on_while_a_quote_is_open() {
        let text = "> EVAL \"\nlocal n = 1\n# no comment\nreturn n\n\" 0\n(integer) 1\n! kill";
        let found = entries(10, &text.lines().collect::<Vec<_>>()).unwrap();
        let [Entry::Step(script), Entry::Step(action)] = &found[..] else { panic!("{found:?}") };
        let command = script.command.as_ref().unwrap();
        assert_eq!(command.words[1], b"\nlocal n = 1\n# no comment\nreturn n\n");
        assert_eq!((script.expected.len(), action.line), (1, 16));
        assert_eq!(action.line_of_session(), "! kill");
    }

    #[test]
    fn what_is_no_session_is_refused_with_its_line() {
        for (text, line) in [
            ("OK", 5),
            ("> GET k\n\"v\"\n>", 7),
            ("~> GET k", 5),
            ("# only", 5),
            ("> SET k \"v", 5),
            ("", 5),
            ("> SET k \"v\nOK", 5),
            ("! kill\nOK", 5),
            ("! stop", 5),
            ("wire> \"PING\\r\\n\"", 5),
        ] {
            assert_eq!(entries(5, &text.lines().collect::<Vec<_>>()).unwrap_err().line, line, "{text}");
        }
    }
}
