//! The beginning of a step, and a question about what it will show.

use std::future::IntoFuture;
use std::pin::Pin;

use crate::block::Block;
use crate::error::{LessonError, Outcome};
use crate::prediction::Prediction;
use crate::screen::Screen;
use crate::source::Excerpt;

/// The beginning of a step: `ctx.step("…").await?`, or with a question,
/// `let guess = ctx.step("…").predict("How many are left?", ["7", "8", "9"]).await?`.
#[must_use = "a step begins when it is awaited"]
pub struct Step<'a> {
    pub(crate) screen: &'a Screen,
    pub(crate) text: String,
    pub(crate) excerpt: Option<Excerpt>,
}

impl<'a> Step<'a> {
    /// Asks the learner what the commands of this step will bring about, below the Rust that sends them. In a terminal it waits for an
    /// answer, which may be none. [`Prediction::answer`] says what it was.
    pub async fn predict<const N: usize>(
        self,
        question: impl Into<String>,
        choices: [&str; N],
    ) -> Result<Prediction<'a>, LessonError> {
        let screen = self.screen;
        self.await?;
        Prediction::ask(screen, question.into(), choices.map(str::to_owned).to_vec()).await
    }

    async fn begin(self) -> Outcome {
        self.screen.presenter.begin_step().await?;
        self.screen.write(Block::Say { text: self.text });
        if let Some(excerpt) = self.excerpt {
            self.screen.write(Block::Code(excerpt.into()));
        }
        Ok(())
    }
}

impl<'a> IntoFuture for Step<'a> {
    type Output = Outcome;
    type IntoFuture = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}
