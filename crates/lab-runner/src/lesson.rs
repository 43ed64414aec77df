//! What a lesson is, and the list of a crate's lessons.

use std::pin::Pin;

use clap::ValueEnum;

use crate::context::LessonContext;
use crate::error::Outcome;
use crate::need::Need;
use crate::source::Source;

/// One lesson: a static that says what it asks and shows, and the function that runs it. (As a `const` it would be compiled into
/// every program that names it, with everything that the lesson does.)
#[derive(Debug)]
pub struct Lesson {
    /// Its name on the command line: lower case, with hyphens.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// The question that it answers.
    pub question: &'static str,
    /// The commands that it teaches, as Redis names them.
    pub commands: &'static [&'static str],
    /// Commands that it cannot do without. A server that lacks one gets the lesson skipped.
    pub needs: &'static [Need],
    /// The source files whose lines it shows, its own first.
    pub sources: &'static [Source],
    /// The rule to remember, in one sentence.
    pub rule: &'static str,
    /// Three more things to remember.
    pub takeaways: &'static [&'static str],
    /// The questions of the quiz that belong to it, by number in REDIS_GUIDE.md.
    pub quiz: &'static [u16],
    /// Runs it: `|ctx| Box::pin(run(ctx))`.
    pub run: for<'a> fn(&'a mut LessonContext) -> LessonFuture<'a>,
}

/// The future of a lesson that runs.
pub type LessonFuture<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// The lessons of a crate, in order. The command line, `--list`, the tour, and the tests read it.
pub trait Course: ValueEnum + Copy + Send + Sync + 'static {
    /// What the course is called.
    const TITLE: &'static str;

    /// The lesson of this name.
    fn lesson(self) -> &'static Lesson;

    /// All lessons, in order.
    #[must_use]
    fn lessons() -> Vec<&'static Lesson> {
        Self::value_variants().iter().map(|entry| entry.lesson()).collect()
    }
}
