//! How many operations at once does a server need, and what do they wait for? `cargo bulk concurrency`

use clap::Args;
use lab_connection::{Failure, TargetArgs};
use lab_runner::course::{self, Showing};
use lab_runner::{Lesson, Outcome, Page};

/// The lesson: the command in small sizes.
pub const LESSON: Lesson = Lesson {
    name: "concurrency",
    title: "Many operations in flight",
    asks: "How many operations at once does a server need, and what do they wait for?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page, Options::short())),
};

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {}

impl Options {
    /// Sizes for the lesson.
    fn short() -> Self {
        Self {}
    }
}

/// Opens the server and runs the command.
pub(crate) async fn command(args: &TargetArgs, options: Options, showing: Showing) -> Result<(), Failure> {
    let target = course::open(args).await?;
    course::teach_with(&target, &LESSON, showing, |page| Box::pin(teach(page, options))).await
}

async fn teach(_page: &mut Page, _options: Options) -> Outcome {
    Ok(())
}
