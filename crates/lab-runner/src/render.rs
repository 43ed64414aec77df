//! Blocks become text.

use anstyle::{AnsiColor, Style};
use lab_connection::transcript::for_terminal;
use textwrap::core::{Word, display_width};

use crate::block::{Block, Code, ShownExchange, Summary};
use crate::measurement::ComparisonResult;
use crate::table::thousands;
use crate::wrapping::options;

pub use crate::wrapping::wrap;

const HEADING: Style = Style::new().bold();
const QUESTION: Style = Style::new().italic();
const COMMAND: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();
const CODE: Style = AnsiColor::Magenta.on_default();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default();

/// The heading of a lesson: its number in the course, title, commands, question.
#[must_use]
pub fn heading(
    number: Option<usize>,
    title: &str,
    commands: &[&str],
    question: &str,
    width: usize,
) -> String {
    let title = number.map_or_else(|| title.to_owned(), |number| format!("{number}. {title}"));
    let rule = "─".repeat(width.saturating_sub(display_width(&title) + 4));
    let commands = wrap(&commands.join(" "), width, "", "");
    let question = wrap(question, width, "", "");
    format!(
        "\n{HEADING}── {title} {HEADING:#}{DIM}{rule}{DIM:#}\n{DIM}{commands}{DIM:#}\n\n{QUESTION}{question}{QUESTION:#}"
    )
}

/// One block, ready to be printed.
#[must_use]
pub fn block(block: &Block, width: usize) -> String {
    match block {
        Block::Say { text } => format!("\n{}", wrap(&for_terminal(text), width, "", "")),
        // What begins it separates it already.
        Block::Step => String::new(),
        Block::Code(code) => code_text(code, width),
        Block::Listing { text } => listing(text, width),
        Block::Announcement { text } => {
            format!("{DIM}{}{DIM:#}", wrap(&for_terminal(text), width, "· ", "  "))
        }
        Block::Exchange(exchange) => exchange_text(exchange, width),
        Block::Check { claim, held: true } => {
            format!("{GOOD}✓{GOOD:#} {}", wrap(&for_terminal(claim), width, "  ", "  ").trim_start())
        }
        Block::Check { claim, held: false } => {
            format!("{BAD}✗ {}{BAD:#}", wrap(&for_terminal(claim), width, "  ", "  ").trim_start())
        }
        Block::Question { question, choices } => question_text(question, choices, width),
        Block::Answer { answer, guess } => {
            let answer = for_terminal(answer);
            let text = match guess {
                None => format!("= {answer}"),
                Some(guess) if *guess == answer => format!("= {answer}, as you said"),
                Some(guess) => format!("= {answer}, and you said {guess}"),
            };
            format!("{QUESTION}{}{QUESTION:#}", wrap(&text, width, "", "  "))
        }
        Block::Skipped { reason } => {
            format!(
                "\n{WARN}{}{WARN:#}",
                wrap(&format!("Skipped: {}", for_terminal(reason)), width, "", "  ")
            )
        }
        Block::Table(table) => {
            format!("\n{HEADING}{}{HEADING:#}\n{}", for_terminal(&table.title), table.to_text(width))
        }
        Block::Comparison(measured) => comparison(measured, width),
        Block::Summary(summary) => summary_text(summary, width),
        Block::Keys { names } => {
            let names: Vec<String> = names.iter().map(|name| for_terminal(name).into_owned()).collect();
            format!(
                "\n{DIM}{}{DIM:#}",
                wrap(&format!("Keys to open in Redis Insight: {}", names.join("  ")), width, "", "  ")
            )
        }
    }
}

/// Where the lines are, then the lines. One that is too long goes on in the next line, further in.
fn code_text(code: &Code, width: usize) -> String {
    let Code { name, path, line, text } = code;
    let place = format!("{path}:{line}");
    let heading = if name.is_empty() { place } else { format!("{name} ({place})") };
    let mut lines = vec![format!("\n{DIM}{}{DIM:#}", wrap(&heading, width, "", "  "))];
    for line in text.lines() {
        let line = for_terminal(line);
        let indent = 2 + line.len() - line.trim_start().len();
        lines.extend(
            wrap_code(line.trim_start(), width, indent).iter().map(|line| format!("{CODE}{line}{CODE:#}")),
        );
    }
    lines.join("\n")
}

/// Breaks a line of code before a method or at a space, as rustfmt would. A comment goes on as a comment.
fn wrap_code(code: &str, width: usize, indent: usize) -> Vec<String> {
    let first = format!("{:indent$}", "");
    let mut lines = vec![first.clone()];
    // A reference stays with what it refers to.
    let words = code.replace("&mut ", "&mut\u{a0}");
    let (comment, marker) = comment_in(&words).unwrap_or((words.len(), ""));
    let mut at = 0;
    for part in words.split_inclusive(' ').flat_map(before_methods) {
        let line = lines.last_mut().map_or(0, |line| display_width(line));
        if line > indent && line + display_width(part.trim_end()) > width {
            let more = match at {
                // The whole line is a comment.
                _ if comment == 0 => marker.to_owned(),
                at if at > comment => format!("    {marker}"),
                _ => "    ".to_owned(),
            };
            lines.push(format!("{first}{more}{part}"));
        } else if let Some(line) = lines.last_mut() {
            line.push_str(part);
        }
        at += part.len();
    }
    lines.iter().map(|line| line.trim_end().replace('\u{a0}', " ")).collect()
}

/// Where the comment of a line of Rust or Lua begins, and how.
fn comment_in(code: &str) -> Option<(usize, &'static str)> {
    ["// ", "-- "].into_iter().find_map(|marker| {
        let start = if code.starts_with(marker) { 0 } else { code.find(&format!(" {marker}"))? + 1 };
        // Otherwise it is in a text.
        code[..start].matches('"').count().is_multiple_of(2).then_some((start, marker))
    })
}

/// `first().second().await` as `first()`, `.second().await`.
fn before_methods(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in word.match_indices([')', '?']) {
        let next = &word[at + 1..];
        if next.starts_with('.') && !next.starts_with(".await") {
            parts.push(&word[start..=at]);
            start = at + 1;
        }
    }
    parts.push(&word[start..]);
    parts
}

/// The question, and its choices with their numbers.
fn question_text(question: &str, choices: &[String], width: usize) -> String {
    let numbered = choices.iter().enumerate().map(|(index, choice)| format!("{}: {choice}", index + 1));
    let choices = numbered.collect::<Vec<_>>().join("   ");
    format!(
        "\n{QUESTION}{}{QUESTION:#}\n{}",
        wrap(&format!("? {}", for_terminal(question)), width, "", "  "),
        wrap(&for_terminal(&choices), width, "  ", "  ")
    )
}

fn summary_text(summary: &Summary, width: usize) -> String {
    let Summary { name, rule, takeaways, source, quiz, exercises, guessed } = summary;
    let mut lines = Vec::new();
    if !rule.is_empty() {
        lines.push(format!("\n{HEADING}{}{HEADING:#}", wrap(&format!("Rule: {rule}"), width, "", "  ")));
    }
    lines.extend(takeaways.iter().map(|text| wrap(text, width, "• ", "  ")));
    if let Some((guessed, right)) = guessed {
        lines.push(format!("You guessed {right} of {guessed} answers."));
    }
    let mut more = format!("Source: {}", source.join(", "));
    if !quiz.is_empty() {
        let numbers: Vec<String> = quiz.iter().map(u16::to_string).collect();
        let noun = if quiz.len() == 1 { "question" } else { "questions" };
        more = format!("{more}. Quiz: {noun} {} (cargo interview --lesson {name})", numbers.join(", "));
    }
    if let Some(first) = exercises.first() {
        more = format!("{more}. Exercises: {} (cargo exercises watch {first})", exercises.join(", "));
    }
    lines.push(format!("{DIM}{}{DIM:#}", wrap(&more, width, "", "  ")));
    lines.join("\n")
}

/// Indented, and wrapped only where a line is too long.
fn listing(text: &str, width: usize) -> String {
    let wrapped =
        |line| wrap_values(&for_terminal(line), width, "    ", "      ", false).trim_end().to_owned();
    let lines: Vec<String> = text.trim_end().lines().map(wrapped).collect();
    format!("\n{}", lines.join("\n"))
}

/// A command and its reply; a pipeline or transaction with a line of its own that says so, then each command with
/// its reply, though all were sent before the first reply came.
fn exchange_text(exchange: &ShownExchange, width: usize) -> String {
    let time = format!("{:.2} ms", exchange.micros as f64 / 1e3);
    let mut lines = vec![String::new()];
    let alone = exchange.shape == "command";
    if !alone {
        let announced = format!("a {} of {} commands, sent together:", exchange.shape, exchange.sent);
        lines.push(with_time(&announced, DIM, &time, width));
    }
    for (index, command) in exchange.commands.iter().enumerate() {
        let server = exchange.server.as_deref().unwrap_or_default();
        let command = wrap_values(command, width, &format!("{server}> "), "    ", false);
        lines.push(if alone {
            with_time(&command, COMMAND, &time, width)
        } else {
            format!("{COMMAND}{command}{COMMAND:#}")
        });
        let note = exchange.notes.get(index);
        lines.extend(note.and_then(|note| note_text(&note.call, width)));
        lines.extend(exchange.replies.get(index).map(|reply| reply_text(reply, width)));
        lines.extend(note.and_then(|note| note_text(&note.reply, width)));
    }
    lines.join("\n")
}

/// What a call of a script, or its reply, means.
fn note_text(note: &str, width: usize) -> Option<String> {
    (!note.is_empty()).then(|| format!("{DIM}{}{DIM:#}", wrap(&for_terminal(note), width, "  ^ ", "    ")))
}

fn reply_text(reply: &str, width: usize) -> String {
    reply.lines().map(|line| wrap_values(line, width, "", "   ", true)).collect::<Vec<_>>().join("\n")
}

/// Wraps at spaces and after commas; `breaks` also wraps within a word that is longer than the line.
fn wrap_values(text: &str, width: usize, first: &str, rest: &str, breaks: bool) -> String {
    let separator = textwrap::WordSeparator::Custom(words_and_items);
    textwrap::fill(text, options(width, first, rest).word_separator(separator).break_words(breaks))
}

/// A line may also end after a comma, because JSON has few spaces.
fn words_and_items(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let bytes = line.as_bytes();
    let ends = (1..line.len()).filter(|&end| matches!(bytes[end - 1], b' ' | b',') && bytes[end] != b' ');
    let mut start = 0;
    Box::new(
        ends.chain([line.len()]).map(move |end| Word::from(&line[std::mem::replace(&mut start, end)..end])),
    )
}

/// The time stands at the right of the last line, where there is room.
fn with_time(text: &str, style: Style, time: &str, width: usize) -> String {
    let last = text.lines().next_back().map_or(0, display_width);
    match width.saturating_sub(last + time.len()) {
        0 | 1 => format!("{style}{text}{style:#}"),
        gap => format!("{style}{text}{style:#}{}{DIM}{time}{DIM:#}", " ".repeat(gap)),
    }
}

fn comparison(measured: &ComparisonResult, width: usize) -> String {
    let ComparisonResult { title, operations, rounds, commands, environment, caveats, .. } = measured;
    let runs = if *operations == 1 { "operation" } else { "operations" };
    let foot = format!(
        "{} {runs} a run, {rounds} interleaved rounds. ops/s: the median. spread: how far apart the middle half of the rounds is, \
         as a share of the median. ratio: to the first row. trips: round trips of a run. Sent: {}. {}.",
        thousands(*operations as f64),
        commands.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_breaks_before_a_method() {
        let code = "let sum: i64 = redis::cmd(\"INCR\").arg(&views).query_async(&mut redis).await?;";
        let lines = wrap_code(code, 60, 2);
        assert_eq!(
            lines,
            ["  let sum: i64 = redis::cmd(\"INCR\").arg(&views)", "      .query_async(&mut redis).await?;"]
        );
        assert_eq!(wrap_code("redis.incr(&views, 1).await?;", 60, 2), ["  redis.incr(&views, 1).await?;"]);
    }

    #[test]
    fn a_comment_goes_on_as_a_comment() {
        assert_eq!(
            wrap_code("-- Takes a unit, once, and says how many there are.", 30, 2),
            ["  -- Takes a unit, once, and", "  -- says how many there are."]
        );
        assert_eq!(
            wrap_code("all.wait().await; // all have read, and no one has written", 41, 2),
            ["  all.wait().await; // all have read, and", "      // no one has written"]
        );
    }

    #[test]
    fn a_reply_without_spaces_is_broken_after_a_comma() {
        let reply = "1) \"{\\\"sku\\\":\\\"mug-1\\\",\\\"level\\\":7,\\\"version\\\":17}\"";
        assert_eq!(
            reply_text(reply, 32),
            "1) \"{\\\"sku\\\":\\\"mug-1\\\",\n   \\\"level\\\":7,\\\"version\\\":17}\""
        );
    }
}
