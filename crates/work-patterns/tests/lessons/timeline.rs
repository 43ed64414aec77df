//! What the lesson on timelines counts, and what it leaves.

use lab_runner::course;
use lab_testing::lessons::{open, run_lesson};
use work_patterns::WorkLesson;
use work_patterns::timeline::{Copies, push_twice};

use crate::{assert_no_key_is_left, rows};

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_a_post_is_lost_and_then_there_twice() {
    let followers = ["eve", "gus", "hal", "ida", "joe"];
    for cluster in [false, true] {
        let target = open(cluster).await;
        let [first, both] = push_twice(&target, &followers, 3).await.unwrap();
        assert_eq!(first, Copies { none: 2, one: 3, two: 0 });
        assert_eq!(both, Copies { none: 0, one: 2, two: 3 });
        assert_no_key_is_left(&target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_takes_a_call_for_each_follower_and_a_pull_four() {
    let target = open(false).await;
    let report = run_lesson(&target, WorkLesson::Timeline).await;
    assert_eq!(rows(&report, "Calls for one post"), ["10 | 16 | 4", "100 | 106 | 4", "1000 | 1012 | 4"]);
    assert_eq!(course::keys_of(&[report]), ["following:eve", "followers:fay", "posts:fay", "timeline:eve"]);
}
