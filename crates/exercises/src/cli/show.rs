//! What the learner reads.

use std::collections::BTreeSet;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use lab_runner::Terminal;
use lab_runner::render::wrap;
use lab_runner::table::Table;

use crate::catalog::EXERCISES;
use crate::exercise::Exercise;
use crate::verdict::Verdict;

/// The most lines of observations.
const SHOWN_LINES: usize = 24;
const HEADING: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// All exercises.
pub fn list(done: &BTreeSet<String>) {
    let table =
        EXERCISES.iter().fold(Table::new("", &["", "exercise", "kind", "lesson"]), |table, exercise| {
            let mark = if done.contains(exercise.name) { "✓" } else { "" };
            table.row([mark, exercise.name, exercise.kind.name(), exercise.lesson()])
        });
    Terminal.line(&table.to_text(Terminal.width()));
    let solved = EXERCISES.iter().filter(|exercise| done.contains(exercise.name)).count();
    Terminal
        .paragraph(&format!("{solved} of {} done. `cargo exercises` shows the next one.", EXERCISES.len()));
}

/// The task of an exercise, and which file to edit.
pub fn task(exercise: &Exercise, file: &Path) {
    Terminal.line("");
    Terminal.line(&format!("{HEADING}── {}{HEADING:#}", exercise.title()));
    let about = format!("{}, {}, lesson {}", exercise.name, exercise.kind.name(), exercise.lesson());
    Terminal.line(&format!("{DIM}{about}{DIM:#}\n"));
    prose(exercise.task());
    Terminal.line(&format!("\nEdit {}", file.display()));
}

/// What a check found.
pub fn verdict(exercise: &Exercise, verdict: &Verdict, file: &Path) {
    Terminal.line("");
    match verdict {
        Ok(passed) => {
            Terminal.line(&format!("{GOOD}✓ {} is solved{GOOD:#}", exercise.name));
            passed.0.iter().for_each(|line| indented(line));
            let solution = format!("cargo exercises solution {}", exercise.name);
            Terminal.paragraph(&format!("A solution, and why it is right: {solution}"));
        }
        Err(fault) => {
            let what = format!("✗ {}: {}", exercise.name, fault.what);
            Terminal.line(&format!("{BAD}{}{BAD:#}", wrap(&what, Terminal.text_width(), "", "  ")));
            fault.observed.iter().take(SHOWN_LINES).for_each(|line| indented(line));
            if fault.observed.len() > SHOWN_LINES {
                Terminal.line(&format!("  … and {} lines more", fault.observed.len() - SHOWN_LINES));
            }
            Terminal.line(&format!("{DIM}  Your file: {}{DIM:#}", file.display()));
        }
    }
}

/// A right answer and its reason.
pub fn solution(exercise: &Exercise) {
    Terminal.line(exercise.solution.trim_end());
    Terminal.line("");
    prose(exercise.why());
}

/// Paragraphs and lists of Markdown, wrapped.
pub fn prose(text: &str) {
    let width = Terminal.text_width();
    for (index, paragraph) in text.split("\n\n").enumerate() {
        if index > 0 {
            Terminal.line("");
        }
        for (index, part) in paragraph.split("\n- ").enumerate() {
            let (first, rest) = if index == 0 { ("", "") } else { ("- ", "  ") };
            Terminal.line(&wrap(&part.replace('\n', " "), width, first, rest));
        }
    }
}

/// A line of observations. What fits stays as it is: a compiler's message has its columns.
fn indented(line: &str) {
    let width = Terminal.text_width();
    let fits = line.chars().count() + 2 <= width;
    Terminal.line(&if fits { format!("  {line}") } else { wrap(line, width, "  ", "    ") });
}
