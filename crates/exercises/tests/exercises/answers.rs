//! Every exercise of commands and Lua: the starter fails for the reason given, the solution passes, wrong answers are refused for their
//! fault, and other right ones pass. (Those in Rust are checked by the package `exercise-attempt`.)

use std::collections::BTreeSet;

use exercises::catalog::{self, EXERCISES};
use exercises::{Kind, Lab, answers};
use lab_runner::practice::exercises_of;
use lab_server::Choice;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_verdict_it_should() {
    let lab = Lab::new(Choice::from_env().unwrap());
    let exercises = EXERCISES.iter().copied().filter(|exercise| exercise.kind != Kind::Rust);
    answers::of(exercises, async |exercise, answer| catalog::check(exercise, &answer.text, &lab).await).await;
}

#[test]
fn every_exercise_is_complete() {
    for exercise in EXERCISES.iter() {
        let name = exercise.name;
        assert!(!exercise.title().is_empty() && !exercise.task().is_empty(), "{name}");
        assert!(!exercise.refused().is_empty(), "{name}");
        assert!(catalog::LESSONS.contains(&exercise.lesson), "{name}: {}", exercise.lesson);
        for level in 1..=3 {
            assert!(exercise.hint(level).is_some_and(|hint| !hint.is_empty()), "{name}: hint {level}");
        }
        assert_eq!(exercise.hint(4), None, "{name}");
        assert!(!exercise.why().is_empty(), "{name}");
        assert_ne!(exercise.starter, exercise.solution, "{name}");
    }
    let mut names: Vec<_> = EXERCISES.iter().map(|exercise| exercise.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), EXERCISES.len(), "two have the same name");
}

#[test]
fn lessons_and_the_quiz_name_the_exercises_of_each_lesson() {
    for lesson in catalog::LESSONS {
        let named: BTreeSet<&str> = exercises_of(lesson).iter().copied().collect();
        let of_lesson = EXERCISES.iter().filter(|exercise| exercise.lesson == *lesson);
        assert_eq!(
            named,
            of_lesson.map(|exercise| exercise.name).collect(),
            "{lesson}: see practice.rs of lab-runner"
        );
    }
}
