//! Blocks become text.

use anstyle::{AnsiColor, Style};
use lab_connection::transcript::for_terminal;
use textwrap::core::display_width;

use crate::block::{Block, Spoken};
use crate::lesson::Lesson;
use crate::measurement::Measured;

const HEADING: Style = Style::new().bold();
const QUESTION: Style = Style::new().italic();
const COMMAND: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default();

/// The heading of a lesson: number, title, commands, question.
#[must_use]
pub fn heading(number: usize, lesson: &Lesson, width: usize) -> String {
    let title = format!("{number}. {}", lesson.title);
    let rule = "─".repeat(width.saturating_sub(display_width(&title) + 4));
    let commands = wrap(&lesson.teaches.join(" "), width, "", "");
    let asks = wrap(lesson.asks, width, "", "");
    format!(
        "\n{HEADING}── {title} {HEADING:#}{DIM}{rule}{DIM:#}\n{DIM}{commands}{DIM:#}\n\n{QUESTION}{asks}{QUESTION:#}"
    )
}

/// One block, ready to be printed.
#[must_use]
pub fn block(block: &Block, width: usize) -> String {
    match block {
        Block::Say { text } => format!("\n{}", wrap(&for_terminal(text), width, "", "")),
        Block::Listing { text } => listing(text),
        Block::Exchange(spoken) => exchange(spoken, width),
        Block::Check { claim, held: true } => {
            format!("{GOOD}✓{GOOD:#} {}", wrap(&for_terminal(claim), width, "  ", "  ").trim_start())
        }
        Block::Check { claim, held: false } => {
            format!("{BAD}✗ {}{BAD:#}", wrap(&for_terminal(claim), width, "  ", "  ").trim_start())
        }
        Block::Skipped { reason } => {
            format!(
                "\n{WARN}{}{WARN:#}",
                wrap(&format!("Skipped: {}", for_terminal(reason)), width, "", "  ")
            )
        }
        Block::Facts(facts) => {
            format!("\n{HEADING}{}{HEADING:#}\n{}", for_terminal(&facts.title), facts.to_text(width))
        }
        Block::Comparison(measured) => comparison(measured, width),
        Block::Keys { names } => {
            let names: Vec<String> = names.iter().map(|name| for_terminal(name).into_owned()).collect();
            format!(
                "\n{DIM}{}{DIM:#}",
                wrap(&format!("Keys to open in Redis Insight: {}", names.join("  ")), width, "", "  ")
            )
        }
    }
}

/// Indented and not wrapped, so that it can be copied.
fn listing(text: &str) -> String {
    text.trim_end()
        .lines()
        .map(|line| format!("\n    {}", for_terminal(line)).trim_end_matches(' ').to_owned())
        .collect()
}

/// A command and its reply; a pipeline or transaction with a line of its own that says so, then each command with
/// its reply, though all were sent before the first reply came.
fn exchange(spoken: &Spoken, width: usize) -> String {
    let time = format!("{:.2} ms", spoken.micros as f64 / 1e3);
    let mut lines = Vec::new();
    if spoken.shape == "command" {
        let command = spoken.commands.first().map(|command| command_text(command, width)).unwrap_or_default();
        lines.push(with_time(&command, COMMAND, &time, width));
        lines.extend(spoken.replies.iter().map(|reply| reply_text(reply, width)));
    } else {
        let announced = format!("a {} of {} commands, sent together:", spoken.shape, spoken.sent);
        lines.push(with_time(&announced, DIM, &time, width));
        for (index, command) in spoken.commands.iter().enumerate() {
            lines.push(format!("{COMMAND}{}{COMMAND:#}", command_text(command, width)));
            lines.extend(spoken.replies.get(index).map(|reply| reply_text(reply, width)));
        }
    }
    format!("\n{}", lines.join("\n"))
}

fn command_text(command: &str, width: usize) -> String {
    wrap(command, width, "> ", "    ")
}

fn reply_text(reply: &str, width: usize) -> String {
    reply.lines().map(|line| wrap(line, width, "", "   ")).collect::<Vec<_>>().join("\n")
}

/// The time stands at the right of the last line, where there is room.
fn with_time(text: &str, style: Style, time: &str, width: usize) -> String {
    let last = text.lines().next_back().map_or(0, display_width);
    match width.saturating_sub(last + time.len()) {
        0 | 1 => format!("{style}{text}{style:#}"),
        gap => format!("{style}{text}{style:#}{}{DIM}{time}{DIM:#}", " ".repeat(gap)),
    }
}

fn comparison(measured: &Measured, width: usize) -> String {
    let Measured { title, operations, rounds, environment, caveats, .. } = measured;
    let foot = format!(
        "{operations} operations a run, {rounds} interleaved rounds; median; spread is the middle half. {}.",
        environment.join(", ")
    );
    let mut lines = vec![
        format!("\n{HEADING}{}{HEADING:#}", for_terminal(title)),
        measured.to_text(width),
        format!("{DIM}{}{DIM:#}", wrap(&for_terminal(&foot), width, "", "")),
    ];
    let advice = caveats.iter().map(|caveat| wrap(&for_terminal(&caveat.advice()), width, "! ", "  "));
    lines.extend(advice.map(|text| format!("{WARN}{text}{WARN:#}")));
    lines.join("\n")
}

/// Wraps at spaces only, not at hyphens either; a word longer than the line is left whole, so that it can be copied.
/// `first` stands before the first line, `rest` before all others.
#[must_use]
pub fn wrap(text: &str, width: usize, first: &str, rest: &str) -> String {
    let options = textwrap::Options::new(width)
        .initial_indent(first)
        .subsequent_indent(rest)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(text, options)
}
