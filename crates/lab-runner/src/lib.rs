//! Runs and shows lessons and comparisons.
//!
//! In reading order:
//!
//! 1. [`lesson`]: what a lesson is, and the register of a crate's lessons; [`register`] tells what is wrong with one.
//! 2. [`page`]: what a lesson writes on: paragraphs, traced commands, checks, tables.
//! 3. [`block`]: the parts of a page as plain data.
//! 4. [`harness`]: the one loop that measures. [`comparison`]: approaches, verified before they are timed; [`measurement`] is
//!    what it finds. [`statistics`] and [`caveat`] say how far to believe the numbers, [`environment`] what they hold for.
//!    [`spent`] tells what a piece of work cost both sides.
//! 5. [`render`] and [`table`]: data becomes text. [`terminal`] writes it,
//!    [`progress`] shows how far long work has come.
//! 6. [`course`]: the command line of a demo, paging, `--list`, `--json`. [`entry`] asks and reads a line.
//! 7. [`start`]: parse, run, and turn the result into an exit code.

pub mod block;
pub mod caveat;
pub mod comparison;
pub mod course;
pub mod entry;
pub mod environment;
pub mod error;
pub mod harness;
pub mod lesson;
pub mod measurement;
pub mod need;
pub mod page;
mod patience;
mod pause;
pub mod progress;
pub mod register;
pub mod render;
pub mod spent;
pub mod start;
pub mod statistics;
pub mod table;
pub mod terminal;
mod turn;

pub use comparison::{Approach, Comparison, Wire};
pub use course::LessonArgs;
pub use error::{LessonError, Outcome};
pub use lesson::{Course, Lesson};
pub use need::Need;
pub use page::Page;
pub use patience::Patience;
pub use terminal::Terminal;
