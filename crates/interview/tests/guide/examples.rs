//! Every example of the guide, executed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use interview::execution::{ExampleRunner, Execution};
use interview::guide::Guide;
use lab_server::{Choice, Program};

/// Questions executed at a time; each has up to three servers.
const AT_A_TIME: usize = 8;

#[test]
fn every_reply_of_the_guide_is_the_real_one() {
    let guide = Guide::built_in().unwrap_or_else(|errors| panic!("{errors}"));
    let choice = Choice::from_env().unwrap();
    let executions = execute_all(guide, &choice);

    let mut skipped: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for execution in &executions {
        if let Some(reason) = execution.skipped() {
            skipped.entry(reason.to_owned()).or_default().push(execution.question.number.to_string());
        }
    }
    let executed = executions.len() - skipped.values().map(Vec::len).sum::<usize>();
    let share = executed as f64 / executions.len() as f64 * 100.0;
    let server = Program::find(&choice).unwrap().describe();
    let mut summary = format!(
        "REDIS_GUIDE.md on {server}: {} questions, {} blocks, {executed} executed ({share:.1}%)",
        guide.questions().count(),
        executions.len(),
    );
    for (reason, questions) in &skipped {
        let (count, questions) = (questions.len(), questions.join(", "));
        write!(summary, "\n  skipped {count}: {reason} (questions {questions})").unwrap();
    }
    // Past the test harness, which shows what a test prints only when it fails.
    writeln!(std::io::stderr(), "{summary}").unwrap();

    let wrong: Vec<String> = executions.iter().filter_map(Execution::complaint).collect();
    assert!(wrong.is_empty(), "{summary}\n\n{} blocks are wrong:\n\n{}", wrong.len(), wrong.join("\n"));
    // Some blocks show commands that only Redis has. On Redis 8.10 they are executed.
    if server.starts_with("valkey-server 9.1") {
        assert!(share >= 90.0, "{summary}\nAt least 90% of all blocks are to be executed on Valkey 9.1.");
    }
}

#[test]
fn there_are_at_least_eighty_questions() {
    let guide = Guide::built_in().unwrap_or_else(|errors| panic!("{errors}"));
    let questions = guide.questions().count();
    assert!(questions >= 80, "{questions} questions");
}

/// Each question in turn, several at a time; in the order of the guide.
fn execute_all(guide: &'static Guide, choice: &Choice) -> Vec<Execution<'static>> {
    let questions: Vec<_> = guide.questions().map(|(_, question)| question).collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(question) = questions.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let executions = ExampleRunner::of(question, choice).execute_all();
                    done.lock().unwrap_or_else(PoisonError::into_inner).extend(executions);
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|execution| (execution.question.number, execution.number));
    done
}
