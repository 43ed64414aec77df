//! The command line of the tour.

use clap::Parser;
use clap::builder::PossibleValuesParser;
use lab_connection::TargetArgs;
use lab_runner::Lesson;
use lab_runner::course::OutputArgs;
use lab_runner::start::Cli;

use crate::path::Path;
use crate::registry;

/// Takes you through every lesson in order, against a real server: yours, or a private one that is gone afterward.
///
/// In a terminal, Enter shows the next step. Your progress is kept, so you continue where you stopped.
#[derive(Parser, Debug)]
#[command(name = "tour", version, disable_help_flag = true)]
pub(crate) struct Tour {
    /// The lessons to run, by name [default: all, in order]
    #[arg(value_name = "LESSON", value_parser = PossibleValuesParser::new(registry::all().iter().map(|l| l.name)))]
    lessons: Vec<String>,

    /// Only the lessons of a path
    #[arg(long, value_enum, value_name = "PATH", conflicts_with = "lessons")]
    path: Option<Path>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

impl Tour {
    /// The lessons that were chosen, in order; none if all are meant.
    pub(crate) fn chosen(&self) -> Vec<&'static Lesson> {
        let names: Vec<&str> = match self.path {
            Some(path) => path.lessons().to_vec(),
            None => self.lessons.iter().map(String::as_str).collect(),
        };
        let all = registry::all();
        names.iter().filter_map(|name| all.iter().copied().find(|lesson| lesson.name == *name)).collect()
    }
}

impl Cli for Tour {
    fn json(&self) -> bool {
        self.output.json
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_lesson_of_a_path_exists() {
        for path in Path::value_variants() {
            let tour = Tour::parse_from(["tour", "--path", path.to_possible_value().unwrap().get_name()]);
            assert_eq!(tour.chosen().len(), path.lessons().len(), "{path:?}");
        }
    }
}
