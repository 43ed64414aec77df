//! Exercises: code that is wrong in the way people get it wrong, to repair. `cargo exercises`
//!
//! A learner edits a file in `exercises-work`: commands, a Lua script, or a Rust function. On save, the check of that exercise runs it on
//! private servers, under concurrency and faults where these are the point, and says what it observed.
//!
//! # Reading order
//!
//! [`Exercise`] and its text; [`catalog`], all of them in the order of the lessons; [`verdict`]; [`Lab`], which starts servers; [`gate`], which holds a
//! learner's messages back;
//! [`commands`] and [`lua`], how answers run; `checks`, one file each; [`rust`], which compiles an answer together with its check
//! (`exercises/NAME/check.rs`); [`work`], the learner's folder.

pub mod answers;
pub mod catalog;
mod checks;
pub mod cli;
pub mod commands;
pub mod exercise;
pub mod gate;
pub mod lab;
pub mod lua;
pub mod rust;
pub mod verdict;
pub mod work;

pub use self::exercise::{Exercise, Kind};
pub use self::lab::{Lab, LabServer};
pub use self::verdict::{Fault, Passed, Verdict, ensure};

/// What the check of a Rust exercise needs.
pub mod check_prelude {
    pub use crate::gate::{Action, Gate, Message};
    pub use crate::lab::{Lab, LabServer, connect, in_time};
    pub use crate::verdict::{Fault, Passed, Verdict, ensure};
}
