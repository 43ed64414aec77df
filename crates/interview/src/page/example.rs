//! An example, printed while it is executed.

use lab_runner::Terminal;
use lab_runner::render::wrap;
use lab_server::Choice;

use super::{COMMAND, DIM, WARN, paragraph};
use crate::block::{Block, Entry, Layout, Step};
use crate::execution::{Examples, Outcome};
use crate::guide::{Example, Question};
use crate::matching::Row;
use crate::session::{Answer, Heard, Unable};

/// Of the lines that `…` stands for, so many are shown.
const SHOWN_OF_ANY: usize = 2;

/// Executes the examples of a question and prints what really comes, as it comes.
pub(super) fn execute(question: &'static Question, choice: &Choice) {
    let mut examples = Examples::of(question, choice);
    for part in &question.examples {
        match part {
            Example::Text(text) => Terminal.line(&format!("\n{}", paragraph(text))),
            Example::Block(block) => {
                Terminal.line(&announced(block));
                let execution = examples.execute(block, &mut |heard| print(heard));
                match execution.outcome {
                    Outcome::Executed(_) => {}
                    Outcome::Unable(Unable::Skipped(reason)) => {
                        as_written(block, &format!("Not executed: {reason}."));
                    }
                    Outcome::Unable(Unable::Failed(reason)) => {
                        as_written(block, &format!("It failed: {reason}"));
                    }
                }
            }
        }
    }
}

/// An empty line, and where the example runs, when that is not just a server.
fn announced(block: &Block) -> String {
    let place = &block.place;
    let mut words: Vec<String> = match place.layout {
        Layout::One => Vec::new(),
        Layout::Replica => vec!["a primary with a replica".into()],
        Layout::Cluster => vec!["a cluster of three primaries".into()],
    };
    words.extend(place.release.map(|release| release.to_string()));
    words.extend(place.config.iter().map(|(key, value)| format!("{key} {value}")));
    if words.is_empty() { String::new() } else { format!("\n{DIM}{}:{DIM:#}", words.join(", ")) }
}

fn print(heard: &Heard<'_>) {
    match heard {
        Heard::Comment(text) => comment(text),
        Heard::Asked(step) => asked(step),
        Heard::Answered(answer) => answered(answer),
    }
}

fn comment(text: &str) {
    Terminal.line(&format!("{DIM}{}{DIM:#}", wrap(text, Terminal.text_width(), "# ", "# ")));
}

fn asked(step: &Step) {
    let typed = step.line_of_session();
    // The mark is the guide's own; redis-cli knows none.
    let typed = typed.strip_prefix('~').unwrap_or(&typed);
    let line = wrap(typed, Terminal.text_width(), "", "    ");
    let repeated =
        if step.retried { format!("{DIM}  (again and again, until it is so){DIM:#}") } else { String::new() };
    Terminal.line(&format!("{COMMAND}{line}{COMMAND:#}{repeated}"));
}

fn answered(answer: &Answer<'_>) {
    let redirections = answer.lines.iter().take_while(|line| line.starts_with("-> Redirected"));
    let expects_them = answer.step.expected.first().is_some_and(|line| line.starts_with("-> Redirected"));
    if !expects_them {
        redirections.for_each(|line| reply(line));
    }
    let mut any = 0;
    let rows = answer.alignment.rows();
    for (index, row) in rows.iter().enumerate() {
        match row {
            Row::Same(line) | Row::Extra(line) => reply(line),
            Row::Missing(_) => {}
            Row::Any(line) => {
                any += 1;
                if any <= SHOWN_OF_ANY {
                    reply(line);
                }
            }
        }
        if !matches!(rows.get(index + 1), Some(Row::Any(_))) {
            if any > SHOWN_OF_ANY {
                Terminal.line(&format!("{DIM}… {} more lines{DIM:#}", any - SHOWN_OF_ANY));
            }
            any = 0;
        }
    }
    if !answer.fits() {
        Terminal.line(&format!("{WARN}! The guide says otherwise:{WARN:#}"));
        answer.step.expected.iter().for_each(|line| Terminal.line(&format!("{WARN}!{WARN:#} {line}")));
    }
}

fn reply(line: &str) {
    Terminal.line(&wrap(line, Terminal.text_width(), "", "   "));
}

/// The block as it stands in the guide, where it cannot be executed.
fn as_written(block: &Block, why: &str) {
    let why = format!("{why} This is what the guide has:");
    Terminal.line(&format!("{WARN}{}{WARN:#}", wrap(&why, Terminal.text_width(), "", "  ")));
    for entry in &block.entries {
        match entry {
            Entry::Comment(text) => comment(text),
            Entry::Step(step) => {
                asked(step);
                step.expected.iter().for_each(|line| reply(line));
            }
        }
    }
}
