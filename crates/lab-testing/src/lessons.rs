//! Running lessons and reading what they show, and what every crate with lessons promises.

use std::collections::BTreeSet;
use std::path::Path;

use lab_connection::address::PrivateServer;
use lab_connection::{Target, TargetArgs, own_keys};
use lab_runner::block::Block;
use lab_runner::course::{self, LessonReport};
use lab_runner::{Course, Lesson, Outcome, registry};
use lab_server::{Choice, Program, Release};

/// A private server, or a private cluster.
pub async fn open(cluster: bool) -> Target {
    TargetArgs { cluster, ..TargetArgs::private() }.open().await.unwrap()
}

/// A private server of this release; without one here, says so.
#[expect(clippy::print_stdout, reason = "a test that skips says why")]
pub async fn open_release(release: Release, prefix: Option<String>) -> Option<Target> {
    let args = TargetArgs { server: Some(release), server_program: None, prefix, ..TargetArgs::private() };
    if let Err(error) = Program::find(&Choice::release(release)) {
        println!("skipped: there is no {release} here: {error}");
        return None;
    }
    Some(args.open().await.unwrap())
}

/// Runs one lesson. A broken claim fails the test. A lesson that needs what the server lacks is skipped, and says so.
pub async fn run_lesson<L: Course>(target: &Target, lesson: L) -> LessonReport {
    run(target, lesson.lesson()).await
}

/// Runs every lesson of a crate, in order.
pub async fn run_all<L: Course>(target: &Target) -> Vec<LessonReport> {
    let mut reports = Vec::new();
    for lesson in L::lessons() {
        reports.push(run(target, lesson).await);
    }
    reports
}

async fn run(target: &Target, lesson: &'static Lesson) -> LessonReport {
    held(target, course::record(target, lesson).await)
}

/// The report, if every claim held.
pub fn held(target: &Target, (report, outcome): (LessonReport, Outcome)) -> LessonReport {
    if let Err(error) = outcome {
        let last = report.blocks.last();
        panic!("{} on {}: {error}\nthe last it showed: {last:#?}", report.name, target.describe());
    }
    report
}

/// The rows of the table with this title.
pub fn table<'a>(report: &'a LessonReport, title: &str) -> &'a [Vec<String>] {
    let found = report.blocks.iter().find_map(|block| match block {
        Block::Table(table) if table.title == title => Some(&table.rows),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{} has no table '{title}'", report.name))
}

/// Every command that a lesson showed.
pub fn commands(report: &LessonReport) -> Vec<&str> {
    let shown = report.blocks.iter().filter_map(|block| match block {
        Block::Exchange(exchange) => Some(&exchange.commands),
        _ => None,
    });
    shown.flatten().map(String::as_str).collect()
}

/// Why parts of a lesson were skipped.
pub fn skipped(report: &LessonReport) -> Vec<&str> {
    let reasons = report.blocks.iter().filter_map(|block| match block {
        Block::Skipped { reason } => Some(reason.as_str()),
        _ => None,
    });
    reasons.collect()
}

/// Every key on the server.
pub async fn stored_keys(target: &Target) -> BTreeSet<String> {
    let keys = own_keys::matching(&mut target.connection(), "*", 1_000_000).await.unwrap();
    keys.into_iter().map(|key| String::from_utf8(key).unwrap()).collect()
}

/// Every key that a lesson names is on the server.
pub async fn assert_stored(target: &Target, reports: &[LessonReport]) {
    let stored = stored_keys(target).await;
    for key in course::keys_of(reports) {
        assert!(stored.contains(&key), "{key} is named by a lesson and not stored: {stored:?}");
    }
}

/// No lesson is missing from the registry.
pub fn assert_all_in_registry<L: Course>(crate_directory: &str) {
    let problems = registry::problems::<L>(&Path::new(crate_directory).join("src")).unwrap();
    assert!(problems.is_empty(), "{problems:#?}");
}

/// All lessons pass over RESP3, with what the server answers differently there. They pass again over what they left, as on everybody's
/// private server, and their screens are complete. Then every key that they name is stored.
pub async fn assert_pass_twice<L: Course>(target: &Target) {
    let Some(PrivateServer::Single(server)) = target.private() else { panic!("needs one private server") };
    let over_resp3 = TargetArgs::at(format!("{}?protocol=resp3", server.url())).open().await.unwrap();
    run_all::<L>(&over_resp3).await;
    let reports = assert_screens_are_complete(target, &L::lessons()).await;
    assert_stored(target, &reports).await;
}

/// All lessons pass on a cluster.
pub async fn assert_pass_on_a_cluster<L: Course>() {
    run_all::<L>(&open(true).await).await;
}

/// With a prefix, nothing is written that lacks it, on a cluster. (The tour's own tests run all lessons behind one on a server.)
pub async fn assert_write_only_behind_their_prefix<L: Course>() {
    let args = TargetArgs { prefix: Some("lab:".into()), cluster: true, ..TargetArgs::private() };
    let target = args.open().await.unwrap();
    let reports = run_all::<L>(&target).await;
    let stored = stored_keys(&target).await;
    let strays: Vec<&String> = stored.iter().filter(|key| !key.starts_with("lab:")).collect();
    assert!(strays.is_empty(), "{strays:?}");
    let named = course::keys_of(&reports);
    assert!(named.iter().all(|key| key.starts_with("lab:")), "{named:?}");
}

/// The screens of all lessons of a crate are complete. Half of the lessons run on a second server at the same time.
pub async fn assert_screens_of_all_are_complete<L: Course>() {
    let lessons = L::lessons();
    let (some, others) = lessons.split_at(lessons.len() / 2);
    let on_a_server = async |lessons: &[&'static Lesson]| {
        assert_screens_are_complete(&open(false).await, lessons).await;
    };
    futures_util::future::join(on_a_server(some), on_a_server(others)).await;
}

/// What is on the screen of each lesson: the commands it teaches, the code that sends them, in short pieces, everything
/// that the server gets, and at least two questions. One run checks it all.
async fn assert_screens_are_complete(target: &Target, lessons: &[&'static Lesson]) -> Vec<LessonReport> {
    let mut reports = Vec::new();
    for lesson in lessons {
        let monitor = Monitor::start(target);
        let report = run(target, lesson).await;
        let sent = monitor.end(target).await;
        assert_shows_what_it_sends(&report, &sent);
        assert_shows_what_it_teaches(target, lesson, &report).await;
        assert_reads_well(lesson, &report);
        assert_asks(lesson, &report);
        reports.push(report);
    }
    reports
}

/// A lesson asks what will come, and says what came, at least twice. How many parts a server lacks makes no difference.
fn assert_asks(lesson: &Lesson, report: &LessonReport) {
    if report.outcome != "passed" {
        return;
    }
    let count = |kind: fn(&Block) -> bool| report.blocks.iter().filter(|block| kind(block)).count();
    let asked = count(|block| matches!(block, Block::Question { .. }));
    let answered = count(|block| matches!(block, Block::Answer { .. }));
    assert!(asked >= FEWEST_QUESTIONS, "{} asks {asked} questions of {FEWEST_QUESTIONS}", lesson.name);
    assert_eq!(asked, answered, "{} leaves a question without an answer", lesson.name);
    for block in &report.blocks {
        let Block::Question { question, choices } = block else { continue };
        let asks = question.ends_with('?') && (2..=4).contains(&choices.len());
        let different: BTreeSet<&String> = choices.iter().collect();
        assert!(asks && different.len() == choices.len(), "{}: {question:?}, {choices:?}", lesson.name);
    }
}

/// How often each lesson asks what will come.
const FEWEST_QUESTIONS: usize = 2;

/// Each command that the lesson teaches is shown, if the server has it.
async fn assert_shows_what_it_teaches(target: &Target, lesson: &Lesson, report: &LessonReport) {
    let shown = commands(report);
    for command in lesson.commands {
        let seen = shown.iter().any(|line| line == command || line.starts_with(&format!("{command} ")));
        let elsewhere = !target.can(command.split(' ').next().unwrap()).await;
        assert!(seen || elsewhere, "{} teaches {command} and does not show it", lesson.name);
    }
}

/// A lesson has a rule and three takeaways. Each step that sends commands shows code, in pieces of at most 24 lines of Rust or 60 of Lua.
fn assert_reads_well(lesson: &Lesson, report: &LessonReport) {
    assert!(lesson.rule.ends_with('.'), "{} needs a rule, a sentence", lesson.name);
    assert_eq!(lesson.takeaways.len(), 3, "{} needs three takeaways", lesson.name);
    if report.outcome != "passed" {
        return;
    }
    for step in report.blocks.split(|block| matches!(block, Block::Step)) {
        let sends = step.iter().any(|block| matches!(block, Block::Exchange(_)));
        let code = step.iter().filter_map(|block| match block {
            Block::Code(code) => Some(code),
            _ => None,
        });
        let text = step.iter().find_map(|block| match block {
            Block::Say { text } => Some(text.as_str()),
            _ => None,
        });
        let at = format!("{}, step {:?}", lesson.name, text.unwrap_or_default());
        assert!(!sends || code.clone().count() > 0, "{at}: commands without the Rust that sends them");
        for code in code {
            let lines = code.text.lines().count();
            let limit = if code.name.is_empty() { 24 } else { 60 };
            assert!((1..=limit).contains(&lines), "{at}: {lines} lines of {}:{}", code.path, code.line);
        }
    }
}

/// What the server got is shown, announced by the names of its commands, or part of the opening.
fn assert_shows_what_it_sends(report: &LessonReport, sent: &BTreeSet<String>) {
    let known = shown_and_announced(report);
    let silent: BTreeSet<&String> = sent.iter().filter(|name| !known.contains(*name)).collect();
    assert!(silent.is_empty(), "{} sends {silent:?}, and neither shows nor announces it", report.name);
}

/// What every run may send, because it is announced once at the start of the program.
const OPENING: &[&str] = &[
    "HELLO", "AUTH", "SELECT", "CLIENT", "INFO", "COMMAND", "PING", "TYPE", "SCAN", "CLUSTER", "READONLY",
    "ROLE",
];

fn shown_and_announced(report: &LessonReport) -> BTreeSet<String> {
    let mut known: BTreeSet<String> = OPENING.iter().map(|name| (*name).to_owned()).collect();
    for block in &report.blocks {
        match block {
            Block::Exchange(exchange) => {
                let names = exchange.commands.iter().filter_map(|command| command.split(' ').next());
                known.extend(names.map(str::to_uppercase));
            }
            Block::Announcement { text } => {
                let words = text.split(|c: char| !c.is_ascii_uppercase() && !matches!(c, '.' | '_'));
                known.extend(
                    words.filter(|word| word.len() > 1).map(|word| word.trim_matches('.').to_owned()),
                );
            }
            Block::Comparison(result) => known.extend(result.commands.iter().map(|name| name.to_uppercase())),
            _ => {}
        }
    }
    known
}

/// Listens with MONITOR, on its own connection and thread.
struct Monitor {
    listening: std::thread::JoinHandle<BTreeSet<String>>,
    mark: String,
}

impl Monitor {
    fn start(target: &Target) -> Self {
        let mark = format!("end-of-lesson-{}", std::process::id());
        let client = redis::Client::open(target.connection_info().clone()).unwrap();
        let mut connection = client.get_connection().unwrap();
        connection.send_packed_command(&redis::cmd("MONITOR").get_packed_command()).unwrap();
        let _ok = connection.recv_response().unwrap();
        let end = mark.clone();
        let listening = std::thread::spawn(move || {
            let mut names = BTreeSet::new();
            loop {
                let line: String = redis::from_redis_value(connection.recv_response().unwrap()).unwrap();
                if line.contains(&end) {
                    return names;
                }
                // `1700000000.123456 [0 127.0.0.1:1234] "GET" "key"`; a script's own calls come from `lua`.
                let Some((source, command)) = line.split_once("] ") else { continue };
                if !source.ends_with(" lua") && !command.contains("redis-lab:") {
                    names.extend(command.split('"').nth(1).map(str::to_uppercase));
                }
            }
        });
        Self { listening, mark }
    }

    /// What was heard until now.
    async fn end(self, target: &Target) -> BTreeSet<String> {
        let () = redis::cmd("ECHO").arg(&self.mark).query_async(&mut target.connection()).await.unwrap();
        tokio::task::spawn_blocking(move || self.listening.join().unwrap()).await.unwrap()
    }
}
