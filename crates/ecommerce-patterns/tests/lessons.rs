//! Every lesson passes: twice in a row, on a cluster, behind a prefix. The server is that of `REDIS_LAB_SERVER`, as in all
//! tests.

mod school;

use ecommerce_patterns::PatternLesson;
use lab_connection::TargetArgs;
use lab_runner::{Course, course};
use school::{commands, open, stored_keys, take_all};

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_twice_in_a_row_leave_the_keys_they_name_and_show_what_they_teach() {
    let target = open(false).await;
    take_all::<PatternLesson>(&target).await;
    let taught = take_all::<PatternLesson>(&target).await;
    let stored = stored_keys(&target).await;
    for key in course::keys_of(&taught) {
        assert!(stored.contains(&key), "{key} is named on a page and not stored: {stored:?}");
    }
    for (page, lesson) in taught.iter().zip(PatternLesson::lessons()) {
        let shown = commands(page);
        for command in lesson.teaches {
            let seen = shown.iter().any(|line| line == command || line.starts_with(&format!("{command} ")));
            let elsewhere = !target.can(command.split(' ').next().unwrap()).await;
            assert!(seen || elsewhere, "{} teaches {command} and does not show it", lesson.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_on_a_cluster() {
    take_all::<PatternLesson>(&open(true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_write_only_behind_their_prefix() {
    for cluster in [false, true] {
        let args = TargetArgs { prefix: Some("lab:".into()), cluster, ..TargetArgs::private() };
        let target = args.open().await.unwrap();
        let taught = take_all::<PatternLesson>(&target).await;
        let stored = stored_keys(&target).await;
        let strays: Vec<&String> = stored.iter().filter(|key| !key.starts_with("lab:")).collect();
        assert!(strays.is_empty(), "{strays:?}");
        let named = course::keys_of(&taught);
        assert!(named.iter().all(|key| key.starts_with("lab:")), "{named:?}");
    }
}
