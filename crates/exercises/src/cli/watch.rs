//! Watch: check the learner's file each time it is saved, and go on to the next exercise when it is solved.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lab_connection::Failure;
use lab_runner::Terminal;
use tokio::time::sleep;

use super::{Session, cannot_write, show};
use crate::exercise::Exercise;

/// How often the file is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Until all exercises are done, or Ctrl-C.
pub async fn watch(session: &Session, first: &'static Exercise) -> Result<(), Failure> {
    let mut exercise = first;
    loop {
        let file =
            session.work.begin(exercise).map_err(|error| cannot_write(&exercise.file_name(), &error))?;
        show::task(exercise, &file);
        Terminal.line("It is checked each time you save it. Ctrl-C ends this; `cargo exercises hint` in another window helps.");
        let mut seen = content(&file);
        loop {
            let verdict = session.check(exercise).await?;
            show::verdict(exercise, &verdict, &file);
            if verdict.is_ok() {
                break;
            }
            // The file may have been saved while its check ran.
            while content(&file) == seen {
                sleep(BETWEEN_LOOKS).await;
            }
            seen = content(&file);
        }
        let Some(next) = session.first_to_do() else {
            Terminal.paragraph("All exercises are done.");
            return Ok(());
        };
        exercise = next;
    }
}

/// What is in the file. An editor that replaces the file removes it for a moment; then it is empty.
fn content(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_default()
}
