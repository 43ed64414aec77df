//! Temporary.
use clap::ValueEnum;
use ecommerce_patterns::{caching, inventory, rate_limits, sessions};
use lab_runner::{Course, Lesson};
use lab_testing::lessons::*;
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mine {
    Sessions,
    Caching,
    Inventory,
    RateLimits,
}
impl Course for Mine {
    const TITLE: &'static str = "x";
    fn lesson(self) -> &'static Lesson {
        match self {
            Self::Sessions => &sessions::LESSON,
            Self::Caching => &caching::LESSON,
            Self::Inventory => &inventory::LESSON,
            Self::RateLimits => &rate_limits::LESSON,
        }
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn twice() {
    assert_pass_twice::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn cluster() {
    assert_pass_on_a_cluster::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn resp3() {
    assert_pass_over_resp3::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn prefix() {
    assert_write_only_behind_their_prefix::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn teach() {
    assert_show_what_they_teach::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn read_well() {
    assert_read_well::<Mine>().await;
}
#[tokio::test(flavor = "multi_thread")]
async fn announce() {
    assert_show_or_announce_what_they_send::<Mine>().await;
}
