//! Every lesson passes: on one server, on a cluster, behind a prefix, and where the server has JSON.
#![expect(clippy::unwrap_used, reason = "functions of a test, which clippy does not take for one")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use lab_connection::{Target, TargetArgs, own_keys};
use lab_runner::block::Block;
use lab_runner::{Course, Lesson, Page};
use lab_server::Release;
use simple_ops::SimpleLesson;

/// Takes one lesson and returns its page; a broken claim fails the test.
async fn take(target: &Target, lesson: &'static Lesson) -> Vec<Block> {
    let written = Arc::new(Mutex::new(Vec::new()));
    let notebook = Arc::clone(&written);
    let mut page = Page::new(target.clone(), move |block| notebook.lock().unwrap().push(block));
    if let Err(error) = (lesson.teach)(&mut page).await {
        let read = written.lock().unwrap();
        panic!("{} on {}: {error}\nlast on its page: {:#?}", lesson.name, target.describe(), read.last());
    }
    written.lock().unwrap().clone()
}

async fn take_all(target: &Target) -> Vec<Block> {
    let mut pages = Vec::new();
    for lesson in SimpleLesson::lessons() {
        pages.extend(take(target, lesson).await);
    }
    pages
}

fn table<'a>(pages: &'a [Block], title: &str) -> &'a [Vec<String>] {
    let found = pages.iter().find_map(|block| match block {
        Block::Facts(facts) if facts.title == title => Some(&facts.rows),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no table '{title}'"))
}

fn named_keys(pages: &[Block]) -> Vec<String> {
    let names =
        pages.iter().filter_map(|block| if let Block::Keys { names } = block { Some(names) } else { None });
    names.flatten().cloned().collect()
}

async fn stored_keys(target: &Target) -> BTreeSet<String> {
    let keys = own_keys::matching(&mut target.connection(), "*", 10_000).await.unwrap();
    keys.into_iter().map(|key| String::from_utf8(key).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_twice_in_a_row_and_leave_the_keys_they_name() {
    let target = TargetArgs::private().open().await.unwrap();
    take_all(&target).await;
    let pages = take_all(&target).await;
    let stored = stored_keys(&target).await;
    for key in named_keys(&pages) {
        assert!(stored.contains(&key), "{key} is named on a page and not stored: {stored:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_pass_on_a_cluster() {
    let target = TargetArgs { cluster: true, ..TargetArgs::private() }.open().await.unwrap();
    take_all(&target).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lessons_write_only_behind_their_prefix() {
    let target = TargetArgs { prefix: Some("lab:".into()), ..TargetArgs::private() }.open().await.unwrap();
    let pages = take_all(&target).await;
    let strays: Vec<String> =
        stored_keys(&target).await.into_iter().filter(|key| !key.starts_with("lab:")).collect();
    assert!(strays.is_empty(), "{strays:?}");
    assert!(named_keys(&pages).iter().all(|key| key.starts_with("lab:")), "{:?}", named_keys(&pages));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lesson_shows_the_commands_it_teaches() {
    let target = TargetArgs::private().open().await.unwrap();
    for lesson in SimpleLesson::lessons() {
        let page = take(&target, lesson).await;
        let shown: Vec<String> = page
            .into_iter()
            .filter_map(
                |block| {
                    if let Block::Exchange(spoken) = block { Some(spoken.commands) } else { None }
                },
            )
            .flatten()
            .collect();
        for command in lesson.teaches {
            let seen = shown.iter().any(|line| line == command || line.starts_with(&format!("{command} ")));
            let elsewhere = command.starts_with("JSON.") && !target.can(command).await;
            assert!(seen || elsewhere, "{} teaches {command} and does not show it", lesson.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_counters_lesson_shows_what_is_lost() {
    let target = TargetArgs::private().open().await.unwrap();
    let page = take(&target, SimpleLesson::Counters.lesson()).await;
    let rows = table(&page, "Lost updates");
    assert_eq!(rows[0][1..], ["1,600", "50", "1,550", "0"]);
    assert_eq!(rows[2][1..4], ["1,600", "1,600", "0"]);
    assert_eq!(rows[3][1..], ["1,600", "1,600", "0", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_values_are_taught_where_the_server_has_them() {
    let args =
        TargetArgs { server: Some(Release::Redis82Modules), server_program: None, ..TargetArgs::private() };
    let target = match args.open().await {
        Ok(target) => target,
        Err(failure) => {
            println!("skipped: there is no redis-8.2-modules here: {failure}");
            return;
        }
    };
    let page = take(&target, SimpleLesson::Json.lesson()).await;
    let skipped = page.iter().any(|block| matches!(block, Block::Skipped { .. }));
    assert!(!skipped, "nothing is skipped on a server with JSON commands");
    let lost = table(&page, "Lost changes");
    assert_eq!(lost.last().unwrap()[..4], ["JSON value: JSON.NUMINCRBY", "225", "225", "0"]);
    assert_eq!(table(&page, "Bytes in memory per product").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_json_commands_the_lesson_says_who_has_them() {
    let target = TargetArgs::private().open().await.unwrap();
    if target.can("JSON.SET").await {
        println!("skipped: this server has JSON commands");
        return;
    }
    let page = take(&target, SimpleLesson::Json.lesson()).await;
    let reason =
        page.iter().find_map(|block| if let Block::Skipped { reason } = block { Some(reason) } else { None });
    assert!(reason.unwrap().contains("--server redis-8.2-modules"), "{reason:?}");
}
