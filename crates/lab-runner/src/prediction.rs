//! A question about what comes next, and what came.

use crate::block::Block;
use crate::error::{LessonError, Outcome};
use crate::screen::Screen;

/// A question that waits for its answer.
#[must_use = "say what the answer was, with `answer`"]
pub struct Prediction<'a> {
    screen: &'a Screen,
    choices: Vec<String>,
    guess: Option<usize>,
}

impl<'a> Prediction<'a> {
    /// Asks. In a terminal, it waits for the learner's guess, which may be none.
    pub(crate) async fn ask(
        screen: &'a Screen,
        question: String,
        choices: Vec<String>,
    ) -> Result<Self, LessonError> {
        let block = Block::Question { question, choices: choices.clone() };
        let guess = screen.presenter.ask(block, choices.len()).await?;
        Ok(Self { screen, choices, guess })
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
            let mut guesses = self.screen.guesses();
            guesses.all += 1;
            guesses.right += usize::from(guess == right);
        }
        let guess = self.guess.map(|guess| self.choices[guess].clone());
        self.screen.write(Block::Answer { answer, guess });
        Ok(())
    }
}
