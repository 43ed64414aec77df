//! Watch: check the learner's file each time it is saved, and go on to the next exercise when it is solved.

use std::fs;
use std::io::stdin;
use std::path::Path;
use std::time::Duration;

use lab_connection::Failure;
use lab_runner::Terminal;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::sleep;

use super::{Session, cannot_write, show};
use crate::catalog::EXERCISES;
use crate::exercise::Exercise;

/// How often the file is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
const KEYS: &str = "Checked each time you save it. h: hint · n: next · l: list · q: quit, each with Enter";

/// Why a check of an exercise ends.
enum Event {
    /// The file has another content.
    Saved,
    /// The learner typed this.
    Typed(String),
}

/// Until all exercises are done, or the learner quits.
pub async fn watch(session: &Session, first: &'static Exercise) -> Result<(), Failure> {
    let mut typed = lines();
    let mut exercise = first;
    loop {
        let file =
            session.work.begin(exercise).map_err(|error| cannot_write(&exercise.file_name(), &error))?;
        show::task(exercise, &file);
        let Some(next) = until_it_is_solved(session, exercise, &file, &mut typed).await? else {
            return Ok(());
        };
        exercise = next;
    }
}

/// Returns the exercise to go on with; `None` at the end.
async fn until_it_is_solved(
    session: &Session,
    exercise: &'static Exercise,
    file: &Path,
    typed: &mut UnboundedReceiver<String>,
) -> Result<Option<&'static Exercise>, Failure> {
    loop {
        // Read before the check, because the file may be saved again while that runs.
        let seen = content(file);
        let verdict = session.check(exercise).await?;
        show::verdict(exercise, &verdict, file);
        if verdict.is_ok() {
            let next = session.first_to_do();
            if next.is_none() {
                Terminal.paragraph("All exercises are done.");
            }
            return Ok(next);
        }
        Terminal.paragraph(KEYS);
        loop {
            match event(file, seen.as_deref(), typed).await {
                Event::Saved => break,
                Event::Typed(key) => match key.trim() {
                    "h" => session.hint(exercise)?,
                    "l" => session.list(),
                    "n" => return Ok(Some(after(exercise))),
                    "q" => return Ok(None),
                    _ => Terminal.paragraph(KEYS),
                },
            }
        }
    }
}

/// The exercise behind this one; behind the last comes the first.
fn after(exercise: &Exercise) -> &'static Exercise {
    let at = EXERCISES.iter().position(|other| other.name == exercise.name).unwrap_or_default();
    &EXERCISES[(at + 1) % EXERCISES.len()]
}

async fn event(file: &Path, seen: Option<&[u8]>, typed: &mut UnboundedReceiver<String>) -> Event {
    loop {
        tokio::select! {
            Some(line) = typed.recv() => return Event::Typed(line),
            () = sleep(BETWEEN_LOOKS) => {
                let now = content(file);
                if now.is_some() && now.as_deref() != seen {
                    return Event::Saved;
                }
            }
        }
    }
}

/// What is in the file; `None` while an editor replaces it.
fn content(file: &Path) -> Option<Vec<u8>> {
    fs::read(file).ok()
}

/// What the learner types. The thread waits for input until the program ends.
fn lines() -> UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let _ = stdin().lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
    });
    receiver
}
