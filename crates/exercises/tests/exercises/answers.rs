//! Every exercise of commands and Lua: the starter fails for the reason given, the solution passes, wrong answers are refused for their
//! fault, and other right ones pass. (Those in Rust are checked by the package `exercise-attempt`.)

use std::collections::HashSet;

use exercises::catalog::{self, EXERCISES};
use exercises::{Kind, Lab, answers};
use lab_runner::practice;
use lab_server::Choice;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_verdict_it_should() {
    let lab = Lab::new(Choice::from_env().unwrap());
    let exercises = EXERCISES.iter().filter(|exercise| exercise.kind != Kind::Rust);
    answers::of(exercises, async |exercise, answer| catalog::check(exercise, &answer.text, &lab).await).await;
}

#[test]
fn every_exercise_is_complete() {
    for exercise in EXERCISES {
        let name = exercise.name;
        assert!(!exercise.title().is_empty() && !exercise.task().is_empty(), "{name}");
        assert!(!exercise.refused().is_empty(), "{name}");
        assert!(!exercise.lesson().is_empty(), "{name} belongs to no lesson: see practice.rs of lab-runner");
        for level in 1..=3 {
            assert!(exercise.hint(level).is_some_and(|hint| !hint.is_empty()), "{name}: hint {level}");
        }
        assert_eq!(exercise.hint(4), None, "{name}");
        assert!(!exercise.why().is_empty(), "{name}");
        assert_ne!(exercise.starter, exercise.solution, "{name}");
    }
}

/// In the same order, and none twice.
#[test]
fn lessons_and_the_quiz_name_each_exercise_once_and_no_others() {
    let named: Vec<&str> = practice::EXERCISES.iter().flat_map(|(_, names)| *names).copied().collect();
    let there: Vec<&str> = EXERCISES.iter().map(|exercise| exercise.name).collect();
    assert_eq!(named, there, "see practice.rs of lab-runner");
    let different: HashSet<&str> = there.iter().copied().collect();
    assert_eq!(different.len(), there.len(), "two have the same name");
}
