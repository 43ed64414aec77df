//! How do two servers share a long list, and how does the reader know that it is complete? `cargo bulk biglist`

use clap::Args;
use lab_connection::{Failure, TargetArgs};
use lab_runner::course::{self, Showing};
use lab_runner::{Lesson, Outcome, Page};

/// The lesson: the command in small sizes.
pub const LESSON: Lesson = Lesson {
    name: "biglist",
    title: "Server A and Server B",
    asks: "How do two servers share a long list, and how does the reader know that it is complete?",
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
