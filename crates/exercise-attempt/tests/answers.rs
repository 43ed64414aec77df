//! Every Rust exercise: the starter fails for the reason given, the solution passes, wrong answers are refused for their fault, and
//! other right ones pass. All of them are compiled into this one program.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach what they share or await"
)]

use exercises::answers;
use exercises::catalog::EXERCISES;
use exercises::{Kind, Lab};
use lab_server::Choice;
use tokio::task::spawn_blocking;

#[tokio::test(flavor = "multi_thread")]
async fn every_rust_answer_has_the_verdict_it_should() {
    let lab = Lab::new(Choice::from_env().unwrap());
    let rust = EXERCISES.iter().filter(|exercise| exercise.kind == Kind::Rust);
    let verdicts = answers::of(rust, async |exercise, answer| {
        let (lab, name, variant) = (lab.clone(), exercise.name, answer.variant.clone());
        // On threads of its own, as in the program: an answer that hogs its thread delays no other check.
        let check = spawn_blocking(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(exercise_attempt::check(name, &variant, &lab))
        });
        check.await.unwrap()
    });
    verdicts.await;
}
