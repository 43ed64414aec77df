//! The command line of the tour.

use clap::Parser;
use clap::builder::PossibleValuesParser;
use lab_connection::TargetArgs;
use lab_runner::Lesson;
use lab_runner::course::Showing;
use lab_runner::start::Cli;

use crate::register;

/// Takes you through every lesson in order, against a real server: yours, or a private one that is gone afterwards.
#[derive(Parser, Debug)]
#[command(name = "tour", version, disable_help_flag = true)]
pub(crate) struct Tour {
    /// The lessons to take, by name [default: all, in order]
    #[arg(value_name = "LESSON", value_parser = PossibleValuesParser::new(register::all().iter().map(|l| l.name)))]
    lessons: Vec<String>,

    #[command(flatten)]
    pub(crate) showing: Showing,

    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

impl Tour {
    /// The lessons to teach, in the order asked for.
    pub(crate) fn chosen(&self) -> Vec<&'static Lesson> {
        let all = register::all();
        if self.lessons.is_empty() {
            return all;
        }
        let named = |name: &String| all.iter().copied().find(|lesson| lesson.name == name);
        self.lessons.iter().filter_map(named).collect()
    }
}

impl Cli for Tour {
    fn json(&self) -> bool {
        self.showing.json
    }
}
