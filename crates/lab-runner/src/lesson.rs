//! What a lesson is, and the register of a crate's lessons.

use std::pin::Pin;

use clap::ValueEnum;
use lab_connection::Failure;
use redis::RedisError;

use crate::page::Page;

/// One lesson: a static that says what it asks and teaches, and the function that teaches it. (As a `const` it would be compiled
/// into every program that names it, with everything that the lesson does.)
#[derive(Debug)]
pub struct Lesson {
    /// How the command line calls it: lower case, hyphens.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// The question it answers.
    pub asks: &'static str,
    /// The commands it teaches, as Redis names them.
    pub teaches: &'static [&'static str],
    /// Commands without which there is nothing to teach; a server that lacks one gets the lesson skipped.
    pub needs: &'static [Need],
    /// Teaches it: `|page| Box::pin(teach(page))`.
    pub teach: for<'a> fn(&'a mut Page) -> Teaching<'a>,
}

/// A command that not every server has.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// The command, for example `JSON.SET`.
    pub command: &'static str,
    /// Who has it, as a hint for the learner, for example `--server redis-8.2-modules`.
    pub had_by: &'static str,
}

/// The future of a lesson.
pub type Teaching<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// How a lesson ends.
pub type Outcome = Result<(), LessonError>;

/// Why a lesson could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum LessonError {
    /// Redis refused, or could not be reached.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The lesson claimed something that did not hold.
    #[error("{0}")]
    Check(String),
    /// Anything else, already explained.
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// The register of a crate's lessons, in teaching order. Command line, listing, tour and tests all read it.
pub trait Course: ValueEnum + Copy + Send + Sync + 'static {
    /// What the course is called.
    const TITLE: &'static str;

    /// The lesson behind this name.
    fn lesson(self) -> &'static Lesson;

    /// All lessons, in order.
    #[must_use]
    fn lessons() -> Vec<&'static Lesson> {
        Self::value_variants().iter().map(|entry| entry.lesson()).collect()
    }
}
