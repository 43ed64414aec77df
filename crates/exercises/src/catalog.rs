//! All exercises, in the order of the lessons.

mod commands;
mod lua;
mod rust;

use std::sync::LazyLock;

use lab_runner::practice;

use crate::commands::Commands;
use crate::exercise::{Exercise, Kind};
use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Verdict};

/// All exercises, in the order of the lessons.
pub static EXERCISES: LazyLock<Vec<&'static Exercise>> = LazyLock::new(|| {
    let mut exercises: Vec<_> = [commands::EXERCISES, lua::EXERCISES, rust::EXERCISES].concat();
    let names: Vec<&str> = practice::EXERCISES.iter().flat_map(|(_, names)| *names).copied().collect();
    exercises.sort_by_key(|exercise| names.iter().position(|name| *name == exercise.name));
    exercises
});

/// Checks an answer of commands or Lua. (One in Rust is compiled with its check: see [`rust`](crate::rust).)
pub async fn check(exercise: &Exercise, answer: &str, lab: &Lab) -> Verdict {
    match exercise.kind {
        Kind::Commands => commands::check(exercise.name, &Commands::parse(answer)?, lab).await,
        Kind::Lua => lua::check(exercise.name, &Lua::new(answer), lab).await,
        Kind::Rust => Err(no_check(exercise.name)),
    }
}

fn no_check(name: &str) -> Fault {
    Fault::new(format!("{name} has no check here."))
}

/// The exercise of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Exercise> {
    EXERCISES.iter().find(|exercise| exercise.name == name).copied()
}

/// An exercise from its folder.
macro_rules! exercise {
    ($kind:ident, $name:literal, $extension:literal) => {
        &$crate::exercise::Exercise {
            name: $name,
            kind: $crate::exercise::Kind::$kind,
            text: include_str!(concat!("../../exercises/", $name, "/exercise.md")),
            starter: include_str!(concat!("../../exercises/", $name, "/starter", $extension)),
            solution: include_str!(concat!("../../exercises/", $name, "/solution", $extension)),
        }
    };
}
use exercise;
