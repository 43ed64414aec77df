//! How does the loader compare with other tools? `cargo bulk peers`

use clap::Args;
use lab_connection::{Failure, TargetArgs};
use lab_runner::course::{self, Showing};
use lab_runner::{Lesson, Outcome, Page};

/// Not part of the tour: it takes long, and needs other people's programs.
const PAGE: Lesson = Lesson {
    name: "peers",
    title: "The loader and its peers",
    asks: "How does the loader compare with redis-cli --pipe, redis-benchmark, redis-rs and redis-py?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page, Options::short())),
};

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {}

impl Options {
    fn short() -> Self {
        Self {}
    }
}

/// Opens the server and runs the command.
pub(crate) async fn command(args: &TargetArgs, options: Options, showing: Showing) -> Result<(), Failure> {
    let target = course::open(args).await?;
    course::teach_with(&target, &PAGE, showing, |page| Box::pin(teach(page, options))).await
}

async fn teach(_page: &mut Page, _options: Options) -> Outcome {
    Ok(())
}
