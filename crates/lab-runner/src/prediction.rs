//! A question about what comes next, and what came.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::block::Block;
use crate::context::LessonContext;
use crate::error::{LessonError, Outcome};

/// A question that waits for its answer.
#[must_use = "say what the answer was, with `answer`"]
pub struct Prediction<'a> {
    ctx: &'a LessonContext,
    choices: Vec<String>,
    guess: Option<usize>,
}

impl<'a> Prediction<'a> {
    pub(crate) fn new(ctx: &'a LessonContext, choices: Vec<String>, guess: Option<usize>) -> Self {
        Self { ctx, choices, guess }
    }

    /// Shows what was seen, which must be one of the choices, and whether the learner guessed it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers pass a number or a word as it is: `guess.answer(7)?`"
    )]
    pub fn answer(self, seen: impl ToString) -> Outcome {
        let answer = seen.to_string();
        let Some(right) = self.choices.iter().position(|choice| *choice == answer) else {
            let claim =
                format!("{answer:?} is one of the answers to choose from: {}", self.choices.join(", "));
            return Err(LessonError::Check(claim));
        };
        if let Some(guess) = self.guess {
            self.ctx.predictions().count(guess == right);
        }
        let guess = self.guess.map(|guess| self.choices[guess].clone());
        self.ctx.write(Block::Answer { answer, guess });
        Ok(())
    }
}

/// How many answers a learner guessed in a lesson, and how many were right.
#[derive(Debug, Default)]
pub(crate) struct Predictions {
    guessed: AtomicUsize,
    right: AtomicUsize,
}

impl Predictions {
    fn count(&self, right: bool) {
        self.guessed.fetch_add(1, Ordering::Relaxed);
        self.right.fetch_add(usize::from(right), Ordering::Relaxed);
    }

    /// Guesses, and right ones; `None` if there was no guess.
    pub(crate) fn total(&self) -> Option<(usize, usize)> {
        let guessed = self.guessed.load(Ordering::Relaxed);
        (guessed > 0).then(|| (guessed, self.right.load(Ordering::Relaxed)))
    }
}
