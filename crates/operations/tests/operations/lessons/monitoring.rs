//! What the lesson on monitoring counts.

use lab_testing::lessons::{commands, open, run_lesson, skipped, table};
use operations::OperationsLesson;

#[tokio::test(flavor = "multi_thread")]
async fn each_tool_finds_what_was_planted() {
    let report = run_lesson(&open(false).await, OperationsLesson::Monitoring).await;
    assert_eq!(table(&report, "Six numbers of INFO").len(), 6);

    let lists: Vec<(&str, &str)> =
        table(&report, "The biggest List").iter().map(|row| (row[0].as_str(), row[1].as_str())).collect();
    assert_eq!(lists, [("elements", "queue:mail"), ("memory", "export:2026")]);

    let cost = table(&report, "The cost of MONITOR");
    let seen: Vec<&str> = cost.iter().map(|row| row[4].as_str()).collect();
    assert_eq!(seen, ["0", "20,000"], "{cost:?}");

    // A server lacks COMMANDLOG, HOTKEYS, or both, and what it has is used.
    let (sent, skipped) = (commands(&report), skipped(&report));
    for command in ["COMMANDLOG", "HOTKEYS"] {
        let used = sent.iter().any(|line| line.starts_with(&format!("{command} ")));
        let missing = skipped.iter().any(|reason| reason.contains(command));
        assert!(used != missing, "{command}: {skipped:?}");
    }
}
