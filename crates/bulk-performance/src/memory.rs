//! What does a record take in memory, by the way it is stored? `cargo bulk memory`

mod codes;
mod columns;
mod compression;
mod encoding;
mod form;
mod limits;
mod price;
mod store;
mod weight;

use clap::Args;
use lab_connection::{Failure, TargetArgs};
use lab_runner::course::{self, Showing};
use lab_runner::{Lesson, Outcome, Page};

pub use self::compression::Zstd;
pub use self::encoding::Encoding;
pub use self::form::Values;
pub use self::limits::{Limit, Limits};
pub use self::price::{ChangeOne, ReadOne, ReadWhole, check_changes};
pub use self::store::Store;
pub use self::weight::{Growth, Weight, kept_as, usage};

/// The lesson: the command in small sizes.
pub const LESSON: Lesson = Lesson {
    name: "memory",
    title: "Bytes per record",
    asks: "What does a record take in memory, by the way it is stored?",
    teaches: &[],
    needs: &[],
    teach: |page| Box::pin(teach(page, Options::short())),
};

/// What the command line can set.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Users to weigh in each encoding
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub records: u64,
}

impl Options {
    /// Sizes for the lesson.
    fn short() -> Self {
        Self { records: 2_000 }
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
