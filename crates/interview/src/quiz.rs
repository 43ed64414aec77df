//! The quiz in a terminal.

mod queue;

use std::time::Duration;

use lab_connection::Failure;
use lab_runner::Terminal;
use lab_runner::input::ask;
use lab_server::Choice;

use self::queue::Queue;
use crate::Arguments;
use crate::ChosenQuestion;
use crate::page;
use crate::progress::{Grade, Progress};

const SHOW: &str = "\nEnter shows the answer, s skips it, q quits: ";
const HOW_WAS_IT: &str = "\nHow was it? g good, h hard, a again, s skip, q quit [g]: ";

/// Asks until nothing is due or you quit.
pub(crate) async fn run(
    chosen: &[ChosenQuestion],
    choice: &Choice,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let progress = Progress::open(&arguments.target, choice).await?;
    let due_times = progress.due_times().await?;
    let slugs: Vec<&str> = chosen.iter().map(|(_, question)| question.slug.as_str()).collect();
    let mut queue = Queue::of(&slugs, &due_times, arguments.all || arguments.question.is_some());
    Terminal.line(&opening(&queue));
    let mut grades = GradeCounts::default();
    while let Some(index) = queue.next() {
        let asked = chosen[index];
        Terminal.line(&page::question(&asked));
        match entry(SHOW, &[("", Some(())), ("s", None)]).await {
            Entry::Quit => break,
            Entry::Chosen(None) => continue,
            Entry::Chosen(Some(())) => {}
        }
        let servers = choice.clone();
        crate::blocking(move || page::answer(asked.1, &servers)).await?;
        let choices = [
            ("", Some(Grade::Good)),
            ("g", Some(Grade::Good)),
            ("h", Some(Grade::Hard)),
            ("a", Some(Grade::Again)),
            ("s", None),
        ];
        match entry(HOW_WAS_IT, &choices).await {
            Entry::Quit => break,
            Entry::Chosen(None) => {}
            Entry::Chosen(Some(grade)) => {
                let due = progress.grade(&asked.1.slug, grade).await?;
                grades.count(grade);
                if grade == Grade::Again {
                    queue.again(index);
                    Terminal.line("It comes back in a moment.");
                } else {
                    Terminal.line(&format!("It comes back in {}.", in_words(due)));
                }
            }
        }
    }
    let due_times = progress.due_times().await?;
    Terminal.line(&farewell(&grades, &Queue::of(&slugs, &due_times, false)));
    Ok(())
}

/// What you typed.
enum Entry<T> {
    Chosen(T),
    Quit,
}

/// Asks until the entry is one of these, or `q`, which the end of input is, too. A whole word counts as its first letter.
async fn entry<T: Copy>(question: &str, choices: &[(&str, T)]) -> Entry<T> {
    loop {
        let Some(entered) = ask(question).await else { return Entry::Quit };
        let entered = entered.to_lowercase();
        let letter = match entered.as_str() {
            "good" | "hard" | "again" | "skip" | "quit" => &entered[..1],
            other => other,
        };
        if letter == "q" {
            return Entry::Quit;
        }
        if let Some((_, chosen)) = choices.iter().find(|(name, _)| *name == letter) {
            return Entry::Chosen(*chosen);
        }
        Terminal.line("That is none of them.");
    }
}

/// How often each grade was given.
#[derive(Default)]
struct GradeCounts {
    good: usize,
    hard: usize,
    again: usize,
}

impl GradeCounts {
    fn count(&mut self, grade: Grade) {
        match grade {
            Grade::Good => self.good += 1,
            Grade::Hard => self.hard += 1,
            Grade::Again => self.again += 1,
        }
    }
}

fn opening(queue: &Queue) -> String {
    let Queue { due, new, later, .. } = queue;
    let counts = format!("{due} due, {new} new, {later} for later.");
    match (queue.is_empty(), queue.next_due) {
        (true, Some(next)) => format!("{counts} The next one is due in {}; --all asks now.", in_words(next)),
        _ => counts,
    }
}

fn farewell(grades: &GradeCounts, rest: &Queue) -> String {
    let GradeCounts { good, hard, again } = grades;
    let Queue { due, new, .. } = rest;
    let summary = format!("\nGraded: {good} good, {hard} hard, {again} again. Left: {due} due, {new} new.");
    match rest.next_due {
        Some(next) => format!("{summary} The next one is due in {}.", in_words(next)),
        None => summary,
    }
}

/// A duration in its largest unit, rounded: "1 minute", "2 days".
fn in_words(time: Duration) -> String {
    let units = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)];
    let rounded = |unit: u64| (time.as_secs() + unit / 2) / unit;
    // A day less a moment is a day, not 24 hours.
    let fits = units.into_iter().find(|(_, unit)| rounded(*unit) >= 1 && time.as_secs() + unit / 24 >= *unit);
    let (name, unit) = fits.unwrap_or(("second", 1));
    let count = rounded(unit).max(1);
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_words() {
        for (seconds, words) in [
            (0, "1 second"),
            (59, "1 minute"),
            (30, "30 seconds"),
            (60, "1 minute"),
            (3_599, "1 hour"),
            (7_000, "2 hours"),
            (86_399, "1 day"),
            (80_000, "22 hours"),
            (129_600, "2 days"),
            (15_552_000, "180 days"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words, "{seconds} s");
        }
    }
}
