//! Runs lessons in order: the command line that all demos share, `--list`, `--json`, and the way from lesson to lesson.

use clap::Args;
use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use serde::Serialize;
use serde_json::json;

use crate::activity;
use crate::block::{Block, Summary};
use crate::completed::Completed;
use crate::context::LessonContext;
use crate::environment::environment;
use crate::error::{LessonError, Outcome};
use crate::lesson::{Course, Lesson, LessonFuture};
use crate::need::Need;
use crate::practice::exercises_of;
use crate::presenter::{Presenter, Show};
use crate::render;
use crate::report::{Report, ReportArgs};
use crate::run_lock::RunLock;
use crate::start::Cli;
use crate::stepper::Go;
use crate::table::Table;
use crate::terminal::Terminal;

/// The arguments of every demo.
#[derive(Args, Clone, Debug)]
pub struct LessonArgs<L: Course> {
    /// The lessons to run, by name [default: all, in order]
    #[arg(value_enum, value_name = "LESSON")]
    pub lessons: Vec<L>,

    /// How to show them
    #[command(flatten)]
    pub output: OutputArgs,

    /// Which server to use
    #[command(flatten)]
    pub target: TargetArgs,
}

/// How lessons are shown.
#[derive(Args, Clone, Debug, Default)]
pub struct OutputArgs {
    /// List the lessons, and which of them you have completed
    #[arg(long)]
    pub list: bool,

    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,

    /// Show everything at once instead of one step at a time
    #[arg(long)]
    pub no_pause: bool,

    /// What to write besides
    #[command(flatten)]
    pub report: ReportArgs,
}

impl OutputArgs {
    fn show(&self) -> Show {
        if self.json {
            Show::Nothing
        } else if self.no_pause || !Terminal.interactive() {
            Show::Everything
        } else {
            Show::OneStepAtATime
        }
    }
}

impl<L: Course> LessonArgs<L> {
    /// Lists or runs the chosen lessons.
    pub async fn run(&self) -> Result<(), Failure> {
        let chosen: Vec<&'static Lesson> = self.lessons.iter().map(|name| name.lesson()).collect();
        let course = L::lessons();
        if self.output.list {
            list(&course, &chosen, self.output.json);
            return Ok(());
        }
        let target = open(&self.target).await?;
        run(&target, &course, &chosen, &self.output).await.map(|_reports| ())
    }
}

impl<L: Course> Cli for LessonArgs<L> {
    fn json(&self) -> bool {
        self.output.json
    }
}

/// What every run sends that no lesson shows.
const OPENING: &str = "The lessons show or announce every command except for housekeeping: the handshake of each connection (HELLO or AUTH, SELECT, \
                       CLIENT, READONLY), questions about the server (INFO, COMMAND INFO, PING, ROLE, TYPE, SCAN, CLUSTER), and two keys that keep two \
                       runs apart (GET and SET of redis-lab:marker and redis-lab:run-lock, and EVALSHA, which renews the lock).";

/// Opens the server, and says which one it is and what is sent besides the lessons.
pub async fn open(args: &TargetArgs) -> Result<Target, Failure> {
    if args.cluster && args.prefix.as_ref().is_some_and(|prefix| prefix.contains('{')) {
        let why = "On a cluster, the lessons show keys in several slots.";
        let failure = Failure::new(Class::Usage, "This prefix puts all keys into one slot.", why);
        return Err(failure.try_next("leave the braces out of --prefix"));
    }
    let target = connect(args).await?;
    Terminal.note(&render::wrap(OPENING, Terminal.text_width(), "", ""));
    Ok(target)
}

/// Opens the server for commands that are no lessons, and says which one it is.
pub async fn connect(args: &TargetArgs) -> Result<Target, Failure> {
    let target = args.open().await?;
    let server = format!("Server: {}", target.describe());
    Terminal.note(&render::wrap(&server, Terminal.text_width(), "", "  "));
    Ok(target)
}

/// Prints the chosen lessons of a course, or all of them, with their numbers in it.
pub fn list(course: &[&Lesson], chosen: &[&Lesson], as_json: bool) {
    let lessons = if chosen.is_empty() { course } else { chosen };
    let completed = Completed::load();
    if as_json {
        let rows = lessons.iter().map(|lesson| {
            json!({
                "name": lesson.name, "title": lesson.title, "asks": lesson.question, "teaches": lesson.commands,
                "completed": completed.has(lesson.name),
            })
        });
        Terminal.document(&rows.collect());
        return;
    }
    let mut table = Table::new("", &["done", "no.", "lesson", "asks", "commands"]);
    for lesson in lessons {
        let done = if completed.has(lesson.name) { "✓" } else { "" };
        let number = course.iter().position(|other| other.name == lesson.name).map_or(0, |index| index + 1);
        table =
            table.row([done, &number.to_string(), lesson.name, lesson.question, &lesson.commands.join(" ")]);
    }
    Terminal.line(&table.to_text(Terminal.text_width()));
}

fn heading(number: Option<usize>, lesson: &Lesson) -> String {
    let Lesson { title, commands, question, .. } = lesson;
    render::heading(number, title, commands, question, Terminal.text_width())
}

/// What happened in a lesson.
#[derive(Clone, Debug, Serialize)]
pub struct LessonReport {
    /// The lesson's name.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Its question.
    #[serde(rename = "asks")]
    pub question: &'static str,
    /// "passed", "skipped", "failed", or "left".
    pub outcome: &'static str,
    /// Everything it showed.
    #[serde(rename = "page")]
    pub blocks: Vec<Block>,
}

/// Runs one lesson with another function than its own: with options from the command line, for example.
pub async fn run_with<F>(
    target: &Target,
    lesson: &'static Lesson,
    output: &OutputArgs,
    run: F,
) -> Result<(), Failure>
where
    F: for<'a> FnOnce(&'a mut LessonContext) -> LessonFuture<'a>,
{
    let lock = RunLock::take(target).await?;
    if !output.json {
        Terminal.line(&heading(None, lesson));
    }
    let presenter = Presenter::with_console(vec![lesson.name], output.show(), target);
    let (report, outcome) = run_one(target, lesson, |ctx| lock.hold(run(ctx)), &presenter).await;
    lock.end().await;
    let ended = match outcome {
        Ok(()) => presenter.pause_at_the_end("the end").await,
        Err(error) => Err(error),
    };
    let ended = ended.or_else(|error| explained(error, lesson, target));
    document(target, &[report], ended, output)
}

/// Runs work that is no lesson while no other run uses the database. The work ends if another run takes the database over.
pub async fn alone<T: Send>(
    target: &Target,
    work: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    let lock = RunLock::take(target).await?;
    let mut result = None;
    let held = lock.hold(Box::pin(async {
        result = Some(work.await?);
        Ok(())
    }));
    let outcome = held.await;
    lock.end().await;
    match (outcome, result) {
        (Err(error), _) => Err(error.explain(target, "The work did not come to its end.")),
        (Ok(()), Some(result)) => Ok(result),
        (Ok(()), None) => {
            Err(Failure::new(Class::Other, "The work did not come to its end.", "Nothing says why."))
        }
    }
}

/// Runs one lesson without printing anything, and returns what it would have shown. For tests.
pub async fn record(target: &Target, lesson: &'static Lesson) -> (LessonReport, Outcome) {
    record_with(target, lesson, lesson.run).await
}

/// [`record`] with another function than the lesson's own.
pub async fn record_with<F>(target: &Target, lesson: &'static Lesson, run: F) -> (LessonReport, Outcome)
where
    F: for<'a> FnOnce(&'a mut LessonContext) -> LessonFuture<'a>,
{
    run_one(target, lesson, run, &Presenter::new(Vec::new(), Show::Nothing)).await
}

/// Runs the chosen lessons of a course in order, or all of them. In a terminal, it goes one step at a time, follows the learner to
/// other lessons, and without a choice continues after the last completed lesson. Ends at the first broken claim.
pub async fn run(
    target: &Target,
    course: &[&'static Lesson],
    chosen: &[&'static Lesson],
    output: &OutputArgs,
) -> Result<Vec<LessonReport>, Failure> {
    let mut completed = Completed::load();
    let mut queue: Vec<usize> = if chosen.is_empty() {
        (0..course.len()).collect()
    } else {
        let index = |lesson: &&Lesson| course.iter().position(|one| one.name == lesson.name);
        chosen.iter().filter_map(index).collect()
    };
    let steps = output.show() == Show::OneStepAtATime;
    let mut next = 0;
    if steps && chosen.is_empty() {
        next = queue.iter().position(|&index| !completed.has(course[index].name)).unwrap_or(0);
        if next > 0 {
            let name = course[queue[next]].name;
            let lessons = if next == 1 { "lesson" } else { "lessons" };
            Terminal.paragraph(&format!(
                "\nYou have completed {next} {lessons} and continue with {}. {name}. To start over, type :1.",
                next + 1
            ));
        }
    }
    let names: Vec<&'static str> = course.iter().map(|lesson| lesson.name).collect();
    let lock = RunLock::take(target).await?;
    let mut reports = Vec::new();
    let mut ended = Ok(());
    while let Some(&index) = queue.get(next) {
        let lesson = course[index];
        if !output.json {
            Terminal.line(&heading(Some(index + 1), lesson));
        }
        let presenter = Presenter::with_console(names.clone(), output.show(), target);
        let (report, outcome) = run_one(target, lesson, |ctx| lock.hold((lesson.run)(ctx)), &presenter).await;
        let passed = report.outcome == "passed";
        reports.push(report);
        if passed
            && steps
            && let Err(error) = completed.add(lesson.name)
        {
            Terminal.note(&format!(
                "Your progress cannot be kept: {error}. To keep it elsewhere, set XDG_DATA_HOME."
            ));
        }
        let following = queue.get(next + 1).map(|&index| format!("{}. {}", index + 1, course[index].name));
        let outcome = match (outcome, following) {
            (Ok(()), Some(following)) => presenter.pause_at_the_end(&following).await,
            (Ok(()), None) => presenter.pause_at_the_end("the end").await,
            (Err(error), _) => Err(error),
        };
        match outcome {
            Ok(()) => next += 1,
            Err(LessonError::Left(Go::To(index))) => {
                next = queue.iter().position(|&queued| queued == index).unwrap_or_else(|| {
                    queue.insert(next + 1, index);
                    next + 1
                });
            }
            Err(error) => {
                ended = explained(error, lesson, target);
                break;
            }
        }
    }
    lock.end().await;
    document(target, &reports, ended, output).map(|()| reports)
}

/// Prints the document, if it was asked for, and writes the report from it.
fn document(
    target: &Target,
    reports: &[LessonReport],
    ended: Result<(), Failure>,
    output: &OutputArgs,
) -> Result<(), Failure> {
    if !output.json && !output.report.is_wanted() {
        return ended;
    }
    let document = json!({
        "server": target.info(), "address": target.address(), "environment": environment(target), "lessons": reports,
        "error": ended.as_ref().err(),
    });
    if output.json {
        Terminal.document(&document);
    }
    let written = output.report.finish(Report::of_lessons(&document), output.json);
    ended.and(written)
}

/// The keys that the lessons name, each once, in order.
#[must_use]
pub fn keys_of(reports: &[LessonReport]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for block in reports.iter().flat_map(|report| &report.blocks) {
        if let Block::Keys { names } = block {
            keys.extend(names.iter().filter(|name| !keys.contains(name)).cloned().collect::<Vec<_>>());
        }
    }
    keys
}

async fn run_one<F>(
    target: &Target,
    lesson: &'static Lesson,
    run: F,
    presenter: &Presenter,
) -> (LessonReport, Outcome)
where
    F: for<'a> FnOnce(&'a mut LessonContext) -> LessonFuture<'a>,
{
    if presenter.shows() {
        activity::set("working");
        activity::resume();
    }
    let outcome = match missing(target, lesson).await {
        Ok(Some(need)) => {
            presenter.show(Block::skipped(need));
            Ok("skipped")
        }
        Ok(None) => run_to_the_end(target, lesson, run, presenter).await.map(|()| "passed"),
        Err(error) => Err(error),
    };
    activity::pause();
    let (word, outcome) = match outcome {
        Ok(word) => (word, Ok(())),
        Err(LessonError::Left(go)) => ("left", Err(LessonError::Left(go))),
        Err(error) => {
            presenter.show_rest();
            ("failed", Err(error))
        }
    };
    let blocks = presenter.take_blocks();
    let Lesson { name, title, question, .. } = lesson;
    (LessonReport { name, title, question, outcome: word, blocks }, outcome)
}

async fn run_to_the_end<F>(target: &Target, lesson: &'static Lesson, run: F, presenter: &Presenter) -> Outcome
where
    F: for<'a> FnOnce(&'a mut LessonContext) -> LessonFuture<'a>,
{
    let mut ctx = LessonContext::new(target.clone(), lesson.sources, presenter.clone()).await?;
    run(&mut ctx).await?;
    let Lesson { name, rule, takeaways, quiz, sources, .. } = lesson;
    presenter.begin_step().await?;
    let source = sources.iter().map(|source| source.path).collect();
    let exercises = exercises_of(name);
    let guessed = ctx.guessed();
    presenter.show(Block::Summary(Summary { name, rule, takeaways, source, quiz, exercises, guessed }));
    Ok(())
}

/// The first command that the lesson cannot do without and this server does not have.
async fn missing(target: &Target, lesson: &Lesson) -> Result<Option<Need>, LessonError> {
    let commands: Vec<&str> = lesson.needs.iter().map(|need| need.command).collect();
    let missing = target.missing(&commands).await?;
    Ok(lesson.needs.iter().find(|need| missing.contains(&need.command)).copied())
}

fn explained(error: LessonError, lesson: &Lesson, target: &Target) -> Result<(), Failure> {
    Err(match error {
        LessonError::Left(_) => return Ok(()),
        LessonError::Check(claim) => Failure::new(
            Class::CheckFailed,
            format!("A claim of lesson '{}' did not hold: {claim}", lesson.name),
            "Either the server behaves differently from what the lesson says, or another client wrote its keys.",
        )
        .try_next(format!("cargo tour {} --server valkey-9.1: this lesson alone, on a private server", lesson.name)),
        error => error.explain(target, "A check failed."),
    })
}
