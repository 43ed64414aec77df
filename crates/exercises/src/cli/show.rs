//! What the learner reads.

use std::collections::BTreeSet;
use std::path::Path;

use lab_runner::Terminal;
use lab_runner::table::Table;

use crate::catalog::EXERCISES;
use crate::exercise::Exercise;
use crate::verdict::Verdict;

/// The most lines of observations.
const SHOWN_LINES: usize = 24;

/// All exercises.
pub fn list(done: &BTreeSet<String>) {
    let table =
        EXERCISES.iter().fold(Table::new("", &["", "exercise", "kind", "lesson"]), |table, exercise| {
            let mark = if done.contains(exercise.name) { "✓" } else { "" };
            table.row([mark, exercise.name, exercise.kind.name(), exercise.lesson])
        });
    Terminal.line(&table.to_text(Terminal.width()));
    let solved = EXERCISES.iter().filter(|exercise| done.contains(exercise.name)).count();
    Terminal
        .paragraph(&format!("{solved} of {} done. `cargo exercises` shows the next one.", EXERCISES.len()));
}

/// The task of an exercise, and which file to edit.
pub fn task(exercise: &Exercise, file: &Path) {
    Terminal.line("");
    Terminal.line(&format!("── {} ({}, lesson {})", exercise.title(), exercise.kind.name(), exercise.lesson));
    prose(exercise.task());
    Terminal.line("");
    Terminal.line(&format!("Edit {}", file.display()));
}

/// What a check found.
pub fn verdict(exercise: &Exercise, verdict: &Verdict, file: &Path) {
    Terminal.line("");
    match verdict {
        Ok(passed) => {
            Terminal.line(&format!("✓ {} is solved", exercise.name));
            passed.0.iter().for_each(|line| Terminal.paragraph(&format!("  {line}")));
            Terminal.paragraph(&format!(
                "A solution and why it is right: cargo exercises solution {}",
                exercise.name
            ));
        }
        Err(fault) => {
            Terminal.paragraph(&format!("✗ {}: {}", exercise.name, fault.what));
            for line in fault.observed.iter().take(SHOWN_LINES) {
                Terminal.line(&format!("  {line}"));
            }
            if let Some(more) = fault.observed.len().checked_sub(SHOWN_LINES).filter(|&more| more > 0) {
                Terminal.line(&format!("  … and {more} lines more"));
            }
            Terminal.line(&format!("  Your file: {}", file.display()));
        }
    }
}

/// A right answer and its reason.
pub fn solution(exercise: &Exercise) {
    Terminal.line(exercise.solution.trim_end());
    Terminal.line("");
    prose(exercise.why());
}

/// Paragraphs of Markdown, wrapped.
pub fn prose(text: &str) {
    for paragraph in text.split("\n\n") {
        Terminal.paragraph(&paragraph.replace('\n', " "));
    }
}
