//! The command line of a demo, and the teaching of its lessons in order.

use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use serde::Serialize;
use serde_json::json;

use crate::block::Block;
use crate::error::{LessonError, Outcome};
use crate::lesson::{Course, Lesson, Teaching};
use crate::need::Need;
use crate::page::Page;
use crate::pause::{Go, Pause};
use crate::render;
use crate::start::Cli;
use crate::table::Facts;
use crate::terminal::Terminal;
use crate::turn::Turn;

/// The arguments of every demo.
#[derive(Args, Clone, Debug)]
pub struct LessonArgs<L: Course> {
    /// The lessons to take, by name [default: all, in order]
    #[arg(value_enum, value_name = "LESSON")]
    pub lessons: Vec<L>,

    /// How to show them
    #[command(flatten)]
    pub showing: Showing,

    /// Which server to use
    #[command(flatten)]
    pub target: TargetArgs,
}

/// How lessons are shown.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Showing {
    /// List the lessons and end
    #[arg(long)]
    pub list: bool,

    /// Print one JSON document instead of pages
    #[arg(long)]
    pub json: bool,

    /// Do not wait for Enter between lessons
    #[arg(long)]
    pub no_pause: bool,
}

impl<L: Course> LessonArgs<L> {
    /// Lists or teaches what was asked for.
    pub async fn run(&self) -> Result<(), Failure> {
        let chosen: Vec<&Lesson> = if self.lessons.is_empty() {
            L::lessons()
        } else {
            self.lessons.iter().map(|name| name.lesson()).collect()
        };
        if self.showing.list {
            list(&chosen, self.showing.json);
            return Ok(());
        }
        let target = open(&self.target).await?;
        teach(&target, &chosen, self.showing).await.map(|_taught| ())
    }
}

impl<L: Course> Cli for LessonArgs<L> {
    fn json(&self) -> bool {
        self.showing.json
    }
}

/// Opens the server and says in one line which one it is.
pub async fn open(args: &TargetArgs) -> Result<Target, Failure> {
    let target = args.open().await?;
    Terminal.note(&format!("Server: {}", target.describe()));
    Ok(target)
}

/// Prints which lessons there are.
pub fn list(lessons: &[&Lesson], as_json: bool) {
    if as_json {
        let rows = lessons.iter().map(|lesson| {
            json!({"name": lesson.name, "title": lesson.title, "asks": lesson.asks, "teaches": lesson.teaches})
        });
        Terminal.document(&rows.collect());
        return;
    }
    let mut facts = Facts::new("", &["lesson", "asks", "commands"]);
    for lesson in lessons {
        facts = facts.row([lesson.name, lesson.asks, &lesson.teaches.join(" ")]);
    }
    Terminal.line(&facts.to_text(Terminal.text_width()));
}

/// How one lesson went.
#[derive(Clone, Debug, Serialize)]
pub struct Taught {
    /// The lesson's name.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Its question.
    pub asks: &'static str,
    /// "passed", "skipped" or "failed".
    pub outcome: &'static str,
    /// What was on its page.
    pub page: Vec<Block>,
}

/// Teaches one lesson with another function than its own: with options from the command line, say.
pub async fn teach_with<F>(
    target: &Target,
    lesson: &'static Lesson,
    showing: Showing,
    teach: F,
) -> Result<(), Failure>
where
    F: for<'a> FnOnce(&'a mut Page) -> Teaching<'a>,
{
    let turn = Turn::take(target).await?;
    if !showing.json {
        Terminal.line(&render::heading(1, lesson, Terminal.text_width()));
    }
    let (record, outcome) = teach_one(target, lesson, |page| turn.hold(teach(page)), !showing.json).await;
    turn.end().await;
    let ended = outcome.map_err(|error| explained(error, lesson, target));
    document(target, &[record], &ended, showing);
    ended
}

/// Teaches one lesson without showing it, and tells what was on its page: for tests.
pub async fn take(target: &Target, lesson: &'static Lesson) -> (Taught, Outcome) {
    take_with(target, lesson, lesson.teach).await
}

/// [`take`] with another function than the lesson's own.
pub async fn take_with<F>(target: &Target, lesson: &'static Lesson, teach: F) -> (Taught, Outcome)
where
    F: for<'a> FnOnce(&'a mut Page) -> Teaching<'a>,
{
    teach_one(target, lesson, teach, false).await
}

/// Teaches lessons in order; in a terminal, waits between them. Ends at the first broken claim.
pub async fn teach(
    target: &Target,
    lessons: &[&'static Lesson],
    showing: Showing,
) -> Result<Vec<Taught>, Failure> {
    let turn = Turn::take(target).await?;
    let mut pause = Pause::between(lessons, !showing.no_pause && !showing.json && Terminal.interactive());
    let mut taught = Vec::new();
    let mut ended = Ok(());
    let mut index = 0;
    while let Some(lesson) = lessons.get(index) {
        if !showing.json {
            Terminal.line(&render::heading(index + 1, lesson, Terminal.text_width()));
        }
        let (record, outcome) =
            teach_one(target, lesson, |page| turn.hold((lesson.teach)(page)), !showing.json).await;
        taught.push(record);
        if let Err(error) = outcome {
            ended = Err(explained(error, lesson, target));
            break;
        }
        index = match pause.after(index).await {
            Go::To(next) => next,
            Go::Quit => break,
        };
    }
    turn.end().await;
    document(target, &taught, &ended, showing);
    ended.map(|()| taught)
}

fn document(target: &Target, taught: &[Taught], ended: &Result<(), Failure>, showing: Showing) {
    if showing.json {
        let document = json!({
            "server": target.info(), "address": target.address(), "lessons": taught,
            "error": ended.as_ref().err(),
        });
        Terminal.document(&document);
    }
}

/// The keys that the pages name, each once, in the order of the lessons.
#[must_use]
pub fn keys_of(taught: &[Taught]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for block in taught.iter().flat_map(|lesson| &lesson.page) {
        if let Block::Keys { names } = block {
            keys.extend(names.iter().filter(|name| !keys.contains(name)).cloned().collect::<Vec<_>>());
        }
    }
    keys
}

async fn teach_one<F>(target: &Target, lesson: &'static Lesson, teach: F, print: bool) -> (Taught, Outcome)
where
    F: for<'a> FnOnce(&'a mut Page) -> Teaching<'a>,
{
    let written = Arc::new(Mutex::new(Vec::new()));
    let notebook = Arc::clone(&written);
    let mut page = Page::new(target.clone(), move |block| {
        if print {
            Terminal.line(&render::block(&block, Terminal.text_width()));
        }
        notebook.lock().unwrap_or_else(PoisonError::into_inner).push(block);
    });
    let (outcome, word) = match missing(target, lesson).await {
        Ok(Some(need)) => {
            page.skip(need);
            (Ok(()), "skipped")
        }
        Ok(None) => match teach(&mut page).await {
            Ok(()) => (Ok(()), "passed"),
            Err(error) => (Err(error), "failed"),
        },
        Err(error) => (Err(error), "failed"),
    };
    let page = std::mem::take(&mut *written.lock().unwrap_or_else(PoisonError::into_inner));
    let Lesson { name, title, asks, .. } = lesson;
    (Taught { name, title, asks, outcome: word, page }, outcome)
}

/// The first command that the lesson cannot do without and this server does not have.
async fn missing(target: &Target, lesson: &Lesson) -> Result<Option<Need>, LessonError> {
    let commands: Vec<&str> = lesson.needs.iter().map(|need| need.command).collect();
    let missing = target.missing(&commands).await?;
    Ok(lesson.needs.iter().find(|need| missing.contains(&need.command)).copied())
}

fn explained(error: LessonError, lesson: &Lesson, target: &Target) -> Failure {
    match error {
        LessonError::Redis(error) => target.explain(&error),
        LessonError::Failure(failure) => failure,
        LessonError::Check(claim) => Failure::new(
            Class::CheckFailed,
            format!("Lesson '{}' claims what is not so: {claim}", lesson.name),
            "Either the server behaves differently from what the lesson says, or somebody else wrote its keys.",
        )
        .try_next(format!("cargo tour {} --server valkey-9.1: it alone, on a private server", lesson.name)),
    }
}
