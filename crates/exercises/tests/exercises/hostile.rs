//! Answers that hurt: the learner gets a clear message, and the next run works.

use exercises::catalog::{check, find};
use exercises::{Lab, Verdict};
use lab_server::Choice;

async fn verdict(exercise: &str, answer: &str) -> Verdict {
    let lab = Lab::new(Choice::from_env().unwrap());
    check(find(exercise).unwrap(), answer, &lab).await
}

async fn refused(exercise: &str, answer: &str, message: &str) {
    let fault = verdict(exercise, answer).await.unwrap_err();
    assert!(fault.what.contains(message), "{answer}: {fault:?}");
    let solution = find(exercise).unwrap().solution;
    assert!(verdict(exercise, solution).await.is_ok(), "the next run works");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_does_not_end() {
    refused("release-a-lock", "while true do end", "did not answer within 2 seconds").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_allocates_without_end() {
    let script = "local kept = {} while true do kept[#kept + 1] = string.rep('x', 1000000) .. #kept end";
    let fault = verdict("release-a-lock", script).await.unwrap_err();
    // A slow machine does not come to the limit within the time.
    assert!(fault.what.contains("memory") || fault.what.contains("within 2 seconds"), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_with_an_error() {
    refused("release-a-lock", "return redis.call('DEL'", "Error compiling script").await;
    refused("release-a-lock", "return redis.call('NOSUCH')", "The server answered").await;
    refused("release-a-lock", "return 'one'", "not what the task asks for").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_end_or_empty_the_server() {
    refused("sell-one-ticket", "SHUTDOWN NOSAVE", "The server is gone").await;
    refused("sell-one-ticket", "FLUSHALL", "held nothing").await;
    refused("sell-one-ticket", "BLPOP nothing 0", "Line 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_commands() {
    refused("sell-one-ticket", "", "no command yet").await;
    refused("sell-one-ticket", "# nothing", "no command yet").await;
    refused("sell-one-ticket", "SET tickets \"9", "Line 1: a quote is not closed").await;
    refused("sell-one-ticket", "\u{0}\u{1b}[2J", "held 10").await;
}
