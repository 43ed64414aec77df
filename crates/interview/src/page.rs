//! Questions and answers as text.

mod inline;

use anstyle::{AnsiColor, Style};
use lab_runner::Terminal;
use lab_runner::practice::exercises_of;
use lab_runner::render::wrap;
use lab_runner::table::Table;
use lab_server::Choice;
use textwrap::core::display_width;

use crate::ChosenQuestion;
use crate::block::{Block, Entry, Layout, Step};
use crate::execution::ExampleRunner;
use crate::guide::{Example, Paragraph, Question};
use crate::matching::Row;
use crate::session::{Answer, Event, NotExecuted, is_redirection};

const HEADING: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const COMMAND: Style = AnsiColor::Cyan.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();

/// Prints questions and answers, one after the other; the examples are executed.
pub(crate) fn print(chosen: &[ChosenQuestion], choice: &Choice) {
    for asked in chosen {
        Terminal.line(&question(asked));
        answer(asked.1, choice);
    }
}

/// What there is, topic by topic.
pub(crate) fn list(chosen: &[ChosenQuestion]) -> String {
    let width = Terminal.text_width();
    let mut lines = Vec::new();
    let mut before = None;
    for (topic, question) in chosen {
        if before != Some(&topic.title) {
            let gap = if before.is_some() { "\n" } else { "" };
            lines.push(format!("{gap}{HEADING}{}{HEADING:#}", topic.title));
            before = Some(&topic.title);
        }
        lines.push(title(question, width));
    }
    lines.join("\n")
}

/// The number, the title, and the level of a question, for a list.
pub(crate) fn title(question: &Question, width: usize) -> String {
    let title = format!("{} {DIM}{}{DIM:#}", inline::styled(&question.title), question.level.name());
    wrap(&title, width, &format!("{:>4}. ", question.number), "      ")
}

/// The question, with its number, its topic and its level.
pub(crate) fn question((topic, question): &ChosenQuestion) -> String {
    let width = Terminal.text_width();
    let place = format!("{} · {}", topic.title, question.level.name());
    let rule = "─".repeat(width.saturating_sub(display_width(&place) + 4));
    let number = format!("{}. ", question.number);
    let title = inline::styled(&format!("**{number}{}**", question.title));
    let title = wrap(&title, width, "", &" ".repeat(number.len()));
    format!("\n{DIM}── {place} {rule}{DIM:#}\n\n{title}")
}

/// Prints the answer; its examples are executed as they are printed.
pub(crate) fn answer(asked: &'static Question, choice: &Choice) {
    Terminal.line(&answer_in_words(asked));
    execute(asked, choice);
    let links =
        [("They will ask next", &asked.follow_ups), ("Read more", &asked.read_more), ("See", &asked.see)];
    for (label, paragraphs) in links.into_iter().filter(|(_, paragraphs)| !paragraphs.is_empty()) {
        Terminal.line(&part(label, paragraphs));
    }
    let lessons = asked.lessons();
    if !lessons.is_empty() {
        Terminal.line(&labeled("Lesson", &format!("`cargo tour {}`", lessons.join(" "))));
    }
    let exercises: Vec<&str> = lessons.iter().flat_map(|lesson| exercises_of(lesson)).copied().collect();
    if let Some(first) = exercises.first() {
        let practice = format!("{} (`cargo exercises watch {first}`)", exercises.join(", "));
        Terminal.line(&labeled("Practice", &practice));
    }
}

/// The answer without its examples.
pub(crate) fn answer_in_words(asked: &Question) -> String {
    let parts = [("Say", &asked.say), ("Why", &asked.why), ("Trap", &asked.trap)];
    parts.map(|(label, paragraphs)| part(label, paragraphs)).join("\n")
}

/// A text behind its name.
pub(crate) fn labeled(label: &str, text: &str) -> String {
    part(label, &[Paragraph::Text(text.to_owned())])
}

/// A part of the answer behind its name.
fn part(label: &str, paragraphs: &[Paragraph]) -> String {
    let label = format!("{HEADING}{label}:{HEADING:#}");
    let mut lines = vec![String::new()];
    for (index, shown) in paragraphs.iter().enumerate() {
        match (index, shown) {
            (0, Paragraph::Text(text)) => {
                let labelled = format!("{label} {}", inline::styled(text));
                lines.push(wrap(&labelled, Terminal.text_width(), "", ""));
                continue;
            }
            (0, _) => lines.push(label.clone()),
            // Entries of a list stand together.
            (_, Paragraph::Item(..)) => {}
            _ => lines.push(String::new()),
        }
        lines.push(paragraph(shown));
    }
    lines.join("\n")
}

fn paragraph(shown: &Paragraph) -> String {
    let width = Terminal.text_width();
    match shown {
        Paragraph::Text(text) => wrap(&inline::styled(text), width, "", ""),
        Paragraph::Item(mark, text) => {
            let first = format!("  {mark} ");
            wrap(&inline::styled(text), width, &first, &" ".repeat(first.len()))
        }
        // As it is, so that it can be copied.
        Paragraph::Listing(lines) => lines
            .iter()
            .map(|line| format!("    {line}").trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n"),
        Paragraph::Table(rows) => {
            let plain = |row: &Vec<String>| row.iter().map(|cell| inline::plain(cell)).collect::<Vec<_>>();
            let header = rows.first().map(plain).unwrap_or_default();
            let header: Vec<&str> = header.iter().map(String::as_str).collect();
            let table = rows.iter().skip(1).fold(Table::new("", &header), |table, row| table.row(plain(row)));
            table.to_text(width)
        }
    }
}

/// Of the lines that `…` stands for, so many are shown.
const SHOWN_OF_ANY: usize = 2;

/// Executes the examples of a question and prints what really comes, as it comes.
fn execute(question: &'static Question, choice: &Choice) {
    let mut examples = ExampleRunner::of(question, choice);
    for part in &question.examples {
        match part {
            Example::Text(text) => Terminal.line(&format!("\n{}", paragraph(text))),
            Example::Block(block) => {
                Terminal.line(&announced(block));
                let execution = examples.execute(block, &mut |event| match event {
                    Event::Comment(text) => comment(text),
                    Event::Sending(step) => command(step),
                    Event::Replied(answer) => replied(answer),
                });
                if let Err(why) = execution.outcome {
                    as_written(block, &why);
                }
            }
        }
    }
}

/// An empty line, and where the example runs, when that is not just a server.
fn announced(block: &Block) -> String {
    let environment = &block.environment;
    let mut words: Vec<String> = match environment.layout {
        Layout::One => Vec::new(),
        Layout::Replica => vec!["a primary with a replica".into()],
        Layout::Sentinel => vec!["a primary with a replica, and three Sentinels".into()],
        Layout::Cluster => vec!["a cluster of three primaries".into()],
        Layout::ClusterReplicas => vec!["a cluster of three primaries, each with a replica".into()],
    };
    words.extend(environment.release.map(|release| release.to_string()));
    words.extend(environment.config.iter().map(|(key, value)| format!("{key} {value}")));
    if words.is_empty() { String::new() } else { format!("\n{DIM}{}:{DIM:#}", words.join(", ")) }
}

fn comment(text: &str) {
    Terminal.line(&format!("{DIM}{}{DIM:#}", wrap(text, Terminal.text_width(), "# ", "# ")));
}

fn command(step: &Step) {
    let typed = step.line_of_session();
    // The mark is the guide's own; redis-cli knows none.
    let typed = typed.strip_prefix('~').unwrap_or(&typed);
    let line = wrap(typed, Terminal.text_width(), "", "    ");
    let repeated =
        if step.retried { format!("{DIM}  (again and again, until it is so){DIM:#}") } else { String::new() };
    Terminal.line(&format!("{COMMAND}{line}{COMMAND:#}{repeated}"));
}

fn replied(answer: &Answer<'_>) {
    let redirections = answer.lines.iter().take_while(|line| is_redirection(line));
    let expects_them = answer.step.expected.first().is_some_and(|line| is_redirection(line));
    if !expects_them {
        redirections.for_each(|line| reply(line));
    }
    for row in &answer.alignment.rows {
        match row {
            Row::Same(line) | Row::Extra(line) => reply(line),
            Row::Missing(_) => {}
            Row::Any(lines) => {
                lines.iter().take(SHOWN_OF_ANY).for_each(|line| reply(line));
                if lines.len() > SHOWN_OF_ANY {
                    Terminal.line(&format!("{DIM}… {} more lines{DIM:#}", lines.len() - SHOWN_OF_ANY));
                }
            }
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
fn as_written(block: &Block, why: &NotExecuted) {
    let why = match why {
        NotExecuted::Skipped(reason) => format!("Not executed: {reason}. This is what the guide has:"),
        NotExecuted::Failed(reason) => format!("It failed: {reason} This is what the guide has:"),
    };
    Terminal.line(&format!("{WARN}{}{WARN:#}", wrap(&why, Terminal.text_width(), "", "  ")));
    for entry in &block.entries {
        match entry {
            Entry::Comment(text) => comment(text),
            Entry::Step(step) => {
                command(step);
                step.expected.iter().for_each(|line| reply(line));
            }
        }
    }
}
