//! What the lesson on security counts.

use lab_testing::lessons::{commands, open, run_lesson, skipped, table};
use operations::OperationsLesson;
use operations::advisories::{ADVISORIES, Product};

#[tokio::test(flavor = "multi_thread")]
async fn rights_decide_what_a_mistake_and_a_thief_can_do() {
    let target = open(false).await;
    let report = run_lesson(&target, OperationsLesson::Security).await;
    let lost = table(&report, "Keys of others lost, of 600");
    assert_eq!(lost, [["everything", "600", "600"], ["own-keys", "0", "600"], ["smallest", "0", "0"]]);

    let stolen = table(&report, "With a stolen password");
    let open_to = |column: usize| stolen.iter().filter(|row| row[column] == "yes").count();
    assert_eq!([open_to(1), open_to(2), open_to(3)], [9, 8, 1], "{stolen:?}");
    let log = table(&report, "In ACL LOG");
    assert_eq!(log, [["the key", "50"], ["the command", "3"], ["the password", "3"]]);

    let titles = table_titles(&report);
    let read = table(&report, "What the relay read");
    assert_eq!(read[0][..3], ["without TLS", "1", "20"]);
    if titles.iter().filter(|title| **title == "What the relay read").count() == 1 {
        let reasons = skipped(&report).join("\n");
        assert!(reasons.contains("was built without TLS"), "{reasons}");
    } else {
        let got: Vec<&str> = table(&report, "At the TLS port").iter().map(|row| row[1].as_str()).collect();
        assert_eq!(got, ["no connection", "no connection", "no connection", "NOAUTH", "PONG"]);
    }

    let products =
        [("Vulnerabilities of Valkey", Product::Valkey), ("Vulnerabilities of Redis", Product::Redis)];
    let (title, product) = products.into_iter().find(|(title, _)| titles.contains(title)).unwrap();
    let known = ADVISORIES.iter().filter(|advisory| !advisory.fixed_in(product).is_empty()).count();
    assert_eq!(table(&report, title).len(), known);

    for shown in commands(&report) {
        let setuser = shown.contains("SETUSER") || shown.contains("AUTH ") || shown.contains("requirepass");
        assert!(!setuser || shown.contains("redacted"), "a password is shown: {shown}");
    }
}

fn table_titles(report: &lab_runner::course::LessonReport) -> Vec<&str> {
    let titles = report.blocks.iter().filter_map(|block| match block {
        lab_runner::block::Block::Table(table) => Some(table.title.as_str()),
        _ => None,
    });
    titles.collect()
}
