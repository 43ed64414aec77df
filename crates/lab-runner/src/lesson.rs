//! What a lesson is, and the register of a crate's lessons.

use std::pin::Pin;

use crate::error::Outcome;
use crate::need::Need;
use crate::page::Page;
use clap::ValueEnum;

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

/// The future of a lesson.
pub type Teaching<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

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
