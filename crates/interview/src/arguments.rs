//! The command line: clap derive, so the doc comments are the help.

use clap::Parser;
use lab_connection::TargetArgs;
use lab_runner::start::Cli;

use crate::guide::Level;

/// Asks the questions of REDIS_GUIDE.md: you think, Enter shows the answer and runs its example live, you grade yourself.
/// What you missed comes back sooner.
///
/// Grades: again brings a question back in this run, and is due in a minute; hard is due in a day; good in a day, and from
/// then on in twice the time of the last one. Where that is kept: on your server, when one is named (--url, -h, -p,
/// REDIS_URL); else in a file of your own. Examples always run on a private server.
///
/// Where the output is not a terminal, questions and answers are printed and nothing is asked.
#[derive(Parser, Debug)]
#[command(name = "interview", version, disable_help_flag = true)]
pub struct Arguments {
    /// Only topics whose title contains this
    #[arg(long, value_name = "TEXT")]
    pub topic: Option<String>,

    /// Only questions of this level
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<Level>,

    /// Only the question with this number, due or not
    #[arg(long, value_name = "N")]
    pub question: Option<usize>,

    /// Only the questions that lead to this lesson of the tour
    #[arg(long, value_name = "NAME")]
    pub lesson: Option<String>,

    /// Ask also what is not due yet
    #[arg(long)]
    pub all: bool,

    /// List the questions and end
    #[arg(long)]
    pub list: bool,

    /// Print one JSON document: questions, answers, and what the examples really gave
    #[arg(long)]
    pub json: bool,

    /// Which server to use
    #[command(flatten)]
    pub target: TargetArgs,
}

impl Cli for Arguments {
    fn json(&self) -> bool {
        self.json
    }
}
