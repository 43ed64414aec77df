//! What the lesson on the social graph counts, and what it leaves.

use lab_runner::course;
use lab_testing::lessons::{open, run_lesson};
use work_patterns::WorkLesson;
use work_patterns::social_graph::{Paged, Way, page_through, unknown_followers};

use crate::assert_no_key_is_left;

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_followers_are_lost_and_pages_shift_and_with_the_pattern_they_do_not() {
    for cluster in [false, true] {
        let target = open(cluster).await;
        assert_eq!(unknown_followers(Way::ByHand, &target, 20).await.unwrap(), 5);
        assert_eq!(unknown_followers(Way::Pattern, &target, 20).await.unwrap(), 0);
        let by_hand = page_through(Way::ByHand, &target, 40, 5).await.unwrap();
        assert_eq!(by_hand, Paged { twice: 8, missed: 8 });
        let by_pattern = page_through(Way::Pattern, &target, 40, 5).await.unwrap();
        assert_eq!(by_pattern, Paged { twice: 0, missed: 0 });
        assert_no_key_is_left(&target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_leaves_whom_ann_follows_and_who_follows_bob() {
    let target = open(false).await;
    let report = run_lesson(&target, WorkLesson::SocialGraph).await;
    assert_eq!(course::keys_of(&[report]), ["following:ann", "followers:bob"]);
}
