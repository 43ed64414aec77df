use clap::ValueEnum;
use ecommerce_patterns::PatternLesson;
use lab_runner::{Course, Lesson};
use lab_testing::lessons::*;
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mine {
    Recommendations,
    RealTime,
    Search,
    Analytics,
}
impl Course for Mine {
    const TITLE: &'static str = "mine";
    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Recommendations => PatternLesson::Recommendations,
            Self::RealTime => PatternLesson::RealTime,
            Self::Search => PatternLesson::Search,
            Self::Analytics => PatternLesson::Analytics,
        }
        .lesson()
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn mine_reads_well() {
    assert_read_well::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn mine_announces() {
    assert_show_or_announce_what_they_send::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn mine_twice() {
    assert_pass_twice::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn mine_resp3() {
    assert_pass_over_resp3::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn mine_cluster() {
    assert_pass_on_a_cluster::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn mine_prefix() {
    assert_write_only_behind_their_prefix::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn mine_show() {
    assert_show_what_they_teach::<Mine>().await;
}
