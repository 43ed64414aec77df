use lab_testing::lessons;
use work_patterns::WorkLesson;
use work_patterns::streams::{Crew, CrewResult, MESSAGES};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pattern_neither_loses_nor_doubles() {
    let target = lessons::open(false).await;
    let [no_ack, no_claim, claim, pattern] = {
        let mut results = Vec::new();
        for crew in Crew::ALL {
            results.push(crew.run(&target, MESSAGES).await.unwrap());
        }
        <[CrewResult; 4]>::try_from(results).unwrap()
    };
    assert!(no_ack.lost > 0 && no_claim.lost > 0 && no_ack.lost < MESSAGES);
    assert!((claim.lost, claim.doubled > 0) == (0, true));
    assert_eq!((pattern.lost, pattern.doubled), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_counts_the_crews() {
    let target = lessons::open(false).await;
    let report = lessons::run_lesson(&target, WorkLesson::Streams).await;
    assert_eq!(lessons::table(&report, "Workers that die").len(), 4);
}
