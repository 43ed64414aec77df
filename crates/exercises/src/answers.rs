//! What the project's own answers to the exercises must give, for the tests.
//!
//! An exercise's folder has, beside the starter and the solution, at least three files `wrong-N` and two files `right-N`. A wrong
//! answer says in its first line, after `refused:`, what its verdict must say. One in Rust that differs in a few lines from the starter
//! or the solution is a `.diff`, which the build script of `exercise-attempt` applies.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use futures_util::stream::{self, StreamExt};

use crate::exercise::Exercise;
use crate::verdict::Verdict;

/// A file in an exercise's folder.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `starter`, `solution`, `wrong-1`, `right-2`.
    pub variant: String,
    /// What is in it.
    pub text: String,
    /// What its verdict must say, if it is wrong.
    pub refused: Option<String>,
}

/// The answers of an exercise that the project has.
#[must_use]
pub fn all(exercise: &Exercise) -> Vec<Answer> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("exercises").join(exercise.name);
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = paths
        .filter(|path| {
            let extension = path.extension().and_then(OsStr::to_str);
            [Some(exercise.kind.extension()), Some("diff")].contains(&extension)
                && !path.ends_with("check.rs")
        })
        .collect();
    paths.sort();
    paths.iter().map(|path| answer(exercise, path)).collect()
}

fn answer(exercise: &Exercise, path: &Path) -> Answer {
    let variant = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(path).unwrap_or_default();
    let refused = match variant.split('-').next() {
        Some("starter") => Some(exercise.refused().to_owned()),
        Some("wrong") => {
            text.lines().next().and_then(|line| line.split_once("refused: ")).map(|(_, said)| said.to_owned())
        }
        _ => None,
    };
    Answer { variant, text, refused }
}

/// Checks all answers of these exercises, a few at a time.
///
/// # Panics
///
/// If some do not get the verdict they should, with all of these.
pub async fn of<'a>(
    exercises: impl Iterator<Item = &'a Exercise>,
    check: impl AsyncFn(&'a Exercise, &Answer) -> Verdict,
) {
    const AT_ONCE: usize = 8;
    let mut wrong = Vec::new();
    let mut checks = Vec::new();
    for exercise in exercises {
        let answers = all(exercise);
        let count = |kind: &str| answers.iter().filter(|answer| answer.variant.starts_with(kind)).count();
        if (count("starter"), count("solution")) != (1, 1) || count("wrong-") < 3 || count("right-") < 2 {
            wrong.push(format!("{}: it needs three wrong answers and two other right ones", exercise.name));
        }
        checks.extend(answers.into_iter().map(|answer| (exercise, answer)));
    }
    let check = &check;
    let checked = stream::iter(checks).map(|(exercise, answer)| async move {
        let verdict = check(exercise, &answer).await;
        surprise(&answer, &verdict)
            .map(|surprise| format!("{}/{}: {surprise}", exercise.name, answer.variant))
    });
    wrong.extend(
        checked.buffer_unordered(AT_ONCE).filter_map(async |surprise| surprise).collect::<Vec<_>>().await,
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What is not as it should be.
fn surprise(answer: &Answer, verdict: &Verdict) -> Option<String> {
    let wrong = answer.variant.starts_with("wrong") || answer.variant == "starter";
    match (verdict, &answer.refused) {
        (Ok(_), None) if !wrong => None,
        (Ok(passed), _) => Some(format!("passed, though it is wrong: {:?}", passed.0)),
        (Err(fault), Some(said)) if !said.is_empty() && fault.what.contains(said) => None,
        (Err(fault), said) => {
            Some(format!("expected {said:?}, and was refused: {} {:#?}", fault.what, fault.observed))
        }
    }
}
