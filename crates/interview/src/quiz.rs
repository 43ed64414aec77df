//! The quiz in a terminal.

mod dialog;
mod follow_up;
pub(crate) mod mock;
mod order;
mod queue;
mod score;

use indicatif::HumanDuration;
use lab_connection::Failure;
use lab_runner::Terminal;
use lab_server::Choice;

use self::dialog::Dialog;
use self::queue::Queue;
use crate::progress::{Grade, Progress};
use crate::{Arguments, ChosenQuestion, page};

/// Asks until nothing is due or you quit.
pub(crate) async fn run(
    chosen: &[ChosenQuestion],
    choice: &Choice,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let progress = Progress::open(&arguments.target, choice).await?;
    let mut queue =
        Queue::of(chosen, &progress.due_times().await?, arguments.all || !arguments.question.is_empty());
    Terminal.line(&opening(&queue));
    let dialog = Dialog::default();
    let mut grades = Vec::new();
    while let Some(index) = queue.next() {
        let asked = chosen[index];
        Terminal.line(&page::question(&asked));
        match dialog.think().await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(_) => break,
        }
        let servers = choice.clone();
        crate::blocking(move || page::answer(asked.1, &servers)).await?;
        let grade = match dialog.grade().await {
            Ok(Some(grade)) => grade,
            Ok(None) => continue,
            Err(_) => break,
        };
        let due = progress.grade(&asked.1.slug, grade).await?;
        grades.push(grade);
        if grade == Grade::Again {
            queue.again(index);
            Terminal.line("It comes back in a moment.");
        } else {
            Terminal.line(&format!("It comes back in {}.", HumanDuration(due)));
        }
    }
    let due_times = progress.due_times().await?;
    Terminal.line(&farewell(&grades, &Queue::of(chosen, &due_times, false)));
    Ok(())
}

fn opening(queue: &Queue<'_>) -> String {
    let Queue { due, new, later, .. } = queue;
    let counts = format!("{due} due, {new} new, {later} for later.");
    match (queue.is_empty(), queue.next_due) {
        (true, Some(next)) => {
            format!("{counts} The next one is due in {}; --all asks now.", HumanDuration(next))
        }
        _ => counts,
    }
}

fn farewell(grades: &[Grade], rest: &Queue<'_>) -> String {
    let [good, hard, again] = [Grade::Good, Grade::Hard, Grade::Again]
        .map(|wanted| grades.iter().filter(|grade| **grade == wanted).count());
    let Queue { due, new, .. } = rest;
    let summary = format!("\nGraded: {good} good, {hard} hard, {again} again. Left: {due} due, {new} new.");
    match rest.next_due {
        Some(next) => format!("{summary} The next one is due in {}.", HumanDuration(next)),
        None => summary,
    }
}
