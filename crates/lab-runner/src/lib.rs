//! Runs and shows lessons and comparisons.
//!
//! In reading order:
//!
//! 1. [`lesson`]: what a lesson is, and the list of a crate's lessons; [`registry`] finds what is wrong with one.
//! 2. [`context`]: what a lesson speaks and sends through: steps, traced commands, checks, tables. [`source`](mod@source) takes the lines of
//!    Rust from the file itself; [`lua`](mod@lua) labels the calls of scripts, and [`pattern_scripts`] takes those of `patterns`.
//! 3. [`block`]: the parts of a lesson as plain data.
//! 4. [`harness`]: the one loop that measures. [`comparison`]: approaches, verified before they are timed; [`measurement`] is
//!    what it finds. [`statistics`] and [`caveat`] say how far to believe the numbers, [`environment`] what they hold for.
//!    [`resource_usage`] tells what a piece of work cost both sides. [`concurrent`], [`clients`], and [`round_trips`] are for code that is measured.
//! 5. [`render`] and [`table`]: data becomes text. `presenter` and `stepper` show it, all at once or one step at a time, and `console` opens
//!    a console at a step; [`report`] writes the results to an HTML file. [`terminal`] writes, `keyboard` reads keys, [`input`] reads lines,
//!    [`progress`] and [`activity`] show that work goes on.
//! 6. [`course`]: the command line of a demo, `--list`, `--json`, and the way from lesson to lesson. [`completed`] keeps which
//!    ones are done; the run lock keeps two runs apart.
//! 7. [`start`]: parse, run, and turn the result into an exit code.

pub mod activity;
pub mod block;
pub mod caveat;
pub mod clients;
pub mod comparison;
pub mod completed;
pub mod concurrent;
mod console;
pub mod context;
pub mod course;
pub mod environment;
pub mod error;
pub mod harness;
pub mod input;
mod keyboard;
mod keys;
pub mod lesson;
pub mod lua;
pub mod measurement;
mod mutex;
pub mod need;
pub mod pattern_scripts;
pub mod practice;
pub mod prediction;
mod presenter;
pub mod progress;
pub mod registry;
pub mod render;
pub mod report;
pub mod resource_usage;
mod retry;
pub mod round_trips;
mod run_lock;
mod screen;
pub mod source;
pub mod start;
pub mod statistics;
pub mod step;
mod stepper;
pub mod table;
pub mod terminal;
mod wrapping;

pub use comparison::{AnyConnection, Approach, Comparison};
pub use context::LessonContext;
pub use course::LessonArgs;
pub use error::{BoxError, LessonError, Outcome, into_redis_error, outcome};
pub use keys::Keys;
pub use lesson::{Course, Lesson, LessonFuture};
pub use lua::{LuaScript, ScriptFile, ScriptInFile};
pub use need::Need;
pub use retry::Retry;
pub use source::Source;
pub use stepper::Go;
pub use terminal::Terminal;
