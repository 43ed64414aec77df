//! The lines of a block.

use super::{Command, Entry, Step};
use crate::words;

/// Reads the lines of a block, the first of which is line `first` of the guide.
pub(super) fn parse(first: usize, lines: &[&str]) -> Result<Vec<Entry>, (usize, String)> {
    let mut entries: Vec<Entry> = Vec::new();
    for (line, text) in (first..).zip(lines.iter().copied()) {
        if let Some(comment) = text.strip_prefix("# ") {
            entries.push(Entry::Comment(comment.to_owned()));
        } else if let Some(step) = prompt(line, text).map_err(|problem| (line, problem))? {
            entries.push(Entry::Step(step));
        } else if let Some(Entry::Step(step)) = entries.last_mut() {
            step.expected.push(text.to_owned());
        } else if !text.trim().is_empty() {
            return Err((
                line,
                "a block begins with a prompt, `> COMMAND` or `NAME> COMMAND`; a reply follows its command"
                    .into(),
            ));
        }
    }
    for entry in &mut entries {
        if let Entry::Step(step) = entry {
            check(step)?;
        }
    }
    if !entries.iter().any(|entry| matches!(entry, Entry::Step(_))) {
        return Err((first, "a block needs a command: `> COMMAND`".into()));
    }
    Ok(entries)
}

/// Blank lines before the next prompt only separate.
fn check(step: &mut Step) -> Result<(), (usize, String)> {
    while step.expected.last().is_some_and(|line| line.trim().is_empty()) {
        step.expected.pop();
    }
    if step.expected.is_empty() && step.command.is_none() {
        return Err((step.line, "a prompt without a command reads a reply, which has to follow".into()));
    }
    if step.retried && (step.expected.is_empty() || step.command.is_none()) {
        return Err((step.line, "`~> COMMAND` is repeated until its reply fits, which has to follow".into()));
    }
    Ok(())
}

/// A line that begins with a prompt: an optional `~`, letters and digits, `>`, and then a space or the end.
fn prompt(line: usize, text: &str) -> Result<Option<Step>, String> {
    let (retried, rest) = text.strip_prefix('~').map_or((false, text), |rest| (true, rest));
    let Some((client, command)) = rest.split_once('>') else {
        return Ok(None);
    };
    let is_name = client.chars().all(|c| c.is_ascii_alphanumeric());
    if !is_name || !(command.is_empty() || command.starts_with(' ')) {
        return Ok(None);
    }
    let command = match command.trim() {
        "" => None,
        text => {
            let words = words::split(text)
                .ok_or("the quotes of the command do not match, as redis-cli reads them")?;
            Some(Command { text: text.to_owned(), words })
        }
    };
    Ok(Some(Step { line, client: client.to_owned(), retried, command, expected: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_replies_and_comments_are_told_apart() {
        let text =
            "> SET k \"a b\"\nOK\n\n# A comment.\nA1> BLPOP q 0\n~> GET k\n(nil)\nA1>\n1) \"q\"\n2) \"> x\"";
        let entries = parse(10, &text.lines().collect::<Vec<_>>()).unwrap();
        let shown: Vec<_> = entries
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
    fn what_is_no_session_is_refused_with_its_line() {
        for (text, line) in
            [("OK", 5), ("> GET k\n\"v\"\n>", 7), ("~> GET k", 5), ("# only", 5), ("> SET k \"v", 5), ("", 5)]
        {
            assert_eq!(parse(5, &text.lines().collect::<Vec<_>>()).unwrap_err().0, line, "{text}");
        }
    }
}
