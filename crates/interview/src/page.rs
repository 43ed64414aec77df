//! Questions and answers as text.

mod example;
mod inline;

use anstyle::{AnsiColor, Style};
use lab_runner::Terminal;
use lab_runner::render::wrap;
use lab_runner::table::Table;
use lab_server::Choice;
use textwrap::core::display_width;

use crate::chosen::Asked;
use crate::guide::{Paragraph, Question};

const HEADING: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const COMMAND: Style = AnsiColor::Cyan.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();

/// Prints questions and answers, one after the other; the examples are executed.
pub(crate) fn print(chosen: &[Asked], choice: &Choice) {
    for asked in chosen {
        Terminal.line(&question(asked));
        answer(asked.1, choice);
    }
}

/// What there is, topic by topic.
pub(crate) fn list(chosen: &[Asked]) -> String {
    let width = Terminal.text_width();
    let mut lines = Vec::new();
    let mut before = None;
    for (topic, question) in chosen {
        if before != Some(&topic.title) {
            let gap = if before.is_some() { "\n" } else { "" };
            lines.push(format!("{gap}{HEADING}{}{HEADING:#}", topic.title));
            before = Some(&topic.title);
        }
        let title = format!("{} {DIM}{}{DIM:#}", inline::styled(&question.title), question.level.name());
        lines.push(wrap(&title, width, &format!("{:>4}. ", question.number), "      "));
    }
    lines.join("\n")
}

/// The question, with its number, its topic and its level.
pub(crate) fn question((topic, question): &Asked) -> String {
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
    for (label, paragraphs) in [("Say", &asked.say), ("Why", &asked.why), ("Trap", &asked.trap)] {
        Terminal.line(&part(label, paragraphs));
    }
    example::execute(asked, choice);
    Terminal.line(&part("See", &asked.see));
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
