//! The command line of the tour.

use clap::Parser;
use clap::builder::{PossibleValue, PossibleValuesParser};
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
#[command(name = "tour", bin_name = "cargo tour", version, disable_help_flag = true)]
pub(crate) struct Tour {
    /// The lessons to run, by name or number [default: all, in order]
    #[arg(value_name = "LESSON", ignore_case = true, value_parser = names_and_numbers())]
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
        let lesson_called = |name: &&str| match name.parse::<usize>() {
            Ok(number) => all.get(number.checked_sub(1)?).copied(),
            Err(_) => all.iter().copied().find(|lesson| lesson.name.eq_ignore_ascii_case(name)),
        };
        names.iter().filter_map(lesson_called).collect()
    }
}

/// The names of all lessons. Their numbers stand for them; clap keeps these for as long as the program runs.
fn names_and_numbers() -> PossibleValuesParser {
    let lessons = registry::all().into_iter().enumerate();
    PossibleValuesParser::new(
        lessons
            .map(|(index, lesson)| PossibleValue::new(lesson.name).alias(&*(index + 1).to_string().leak())),
    )
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
    fn a_lesson_is_called_by_name_in_any_case_or_by_number() {
        let tour = Tour::parse_from(["tour", "3", "Expiry", "strings"]);
        assert_eq!(
            tour.chosen().iter().map(|lesson| lesson.name).collect::<Vec<_>>(),
            ["counters", "expiry", "strings"]
        );
        for bad in ["0", "999", "-1", "03", "count"] {
            assert!(Tour::try_parse_from(["tour", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_lesson_of_a_path_exists() {
        for path in Path::value_variants() {
            let tour = Tour::parse_from(["tour", "--path", path.to_possible_value().unwrap().get_name()]);
            assert_eq!(tour.chosen().len(), path.lessons().len(), "{path:?}");
        }
    }
}
