//! All exercises, in the order of the lessons.

use crate::checks;
use crate::commands::Commands;
use crate::exercise::{Exercise, Kind};
use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Verdict};

macro_rules! file {
    ($name:literal, $file:literal) => {
        include_str!(concat!("../exercises/", $name, "/", $file))
    };
}

macro_rules! exercise {
    (Commands, $name:literal, $lesson:literal) => {
        exercise!(Commands, $name, $lesson, "starter.redis", "solution.redis")
    };
    (Lua, $name:literal, $lesson:literal) => {
        exercise!(Lua, $name, $lesson, "starter.lua", "solution.lua")
    };
    (Rust, $name:literal, $lesson:literal) => {
        exercise!(Rust, $name, $lesson, "starter.rs", "solution.rs")
    };
    ($kind:ident, $name:literal, $lesson:literal, $starter:literal, $solution:literal) => {
        Exercise {
            name: $name,
            kind: Kind::$kind,
            lesson: $lesson,
            text: file!($name, "exercise.md"),
            starter: file!($name, $starter),
            solution: file!($name, $solution),
        }
    };
}

/// All exercises.
pub static EXERCISES: &[Exercise] = &[
    exercise!(Commands, "sell-one-ticket", "counters"),
    exercise!(Rust, "read-many-users", "lists"),
    exercise!(Lua, "release-a-lock", "locks"),
];

/// Checks an answer. Rust is compiled by [`rust`](crate::rust) first, so it is not checked here.
pub async fn check(exercise: &Exercise, answer: &str, lab: &Lab) -> Verdict {
    match exercise.kind {
        Kind::Commands => {
            let commands = Commands::parse(answer)?;
            match exercise.name {
                "sell-one-ticket" => checks::sell_one_ticket::check(&commands, lab).await,
                _ => Err(missing(exercise)),
            }
        }
        Kind::Lua => {
            let script = Lua::new(answer);
            match exercise.name {
                "release-a-lock" => checks::release_a_lock::check(&script, lab).await,
                _ => Err(missing(exercise)),
            }
        }
        Kind::Rust => Err(missing(exercise)),
    }
}

fn missing(exercise: &Exercise) -> Fault {
    Fault::new(format!("{} has no check", exercise.name))
}

/// The exercise of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Exercise> {
    EXERCISES.iter().find(|exercise| exercise.name == name)
}
