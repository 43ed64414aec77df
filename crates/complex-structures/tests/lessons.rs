//! Every lesson passes: on one server, on a cluster, behind a prefix, and on the releases that lack or have something.
//! The server is that of `REDIS_LAB_SERVER`, as in all tests.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "functions of a test, which clippy does not take for one"
)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use complex_structures::StructureLesson;
use lab_connection::{Target, TargetArgs, own_keys};
use lab_runner::block::Block;
use lab_runner::{Course, Lesson, Page};
use lab_server::Release;

/// Takes one lesson and returns its page; a broken claim fails the test. A lesson for which the server lacks a command
/// has no page, as on the command line.
async fn take(target: &Target, lesson: &'static Lesson) -> Vec<Block> {
    let needs: Vec<&str> = lesson.needs.iter().map(|need| need.command).collect();
    let missing = target.missing(&needs).await.unwrap();
    if !missing.is_empty() {
        println!("skipped: {} on {}, which lacks {missing:?}", lesson.name, target.describe());
        return Vec::new();
    }
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
    for lesson in StructureLesson::lessons() {
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

fn skipped(pages: &[Block]) -> Vec<&str> {
    let reasons = pages
        .iter()
        .filter_map(|block| if let Block::Skipped { reason } = block { Some(reason.as_str()) } else { None });
    reasons.collect()
}

async fn stored_keys(target: &Target) -> BTreeSet<String> {
    let keys = own_keys::matching(&mut target.connection(), "*", 100_000).await.unwrap();
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
    for cluster in [false, true] {
        let args = TargetArgs { prefix: Some("lab:".into()), cluster, ..TargetArgs::private() };
        let target = args.open().await.unwrap();
        let pages = take_all(&target).await;
        let stored = stored_keys(&target).await;
        let strays: Vec<&String> = stored.iter().filter(|key| !key.starts_with("lab:")).collect();
        assert!(strays.is_empty(), "{strays:?}");
        assert!(named_keys(&pages).iter().all(|key| key.starts_with("lab:")), "{:?}", named_keys(&pages));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_lesson_shows_the_commands_it_teaches() {
    let target = TargetArgs::private().open().await.unwrap();
    for lesson in StructureLesson::lessons() {
        let page = take(&target, lesson).await;
        if page.is_empty() {
            continue;
        }
        let shown: Vec<&String> = page
            .iter()
            .filter_map(
                |block| if let Block::Exchange(spoken) = block { Some(&spoken.commands) } else { None },
            )
            .flatten()
            .collect();
        for command in lesson.teaches {
            let seen = shown.iter().any(|line| *line == command || line.starts_with(&format!("{command} ")));
            let name = command.split(' ').next().unwrap();
            let elsewhere = !target.can(name).await;
            assert!(seen || elsewhere, "{} teaches {command} and does not show it", lesson.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_lesson_shows_what_is_lost_and_what_is_done_again() {
    let target = TargetArgs::private().open().await.unwrap();
    let page = take(&target, StructureLesson::Lists.lesson()).await;
    let rows = table(&page, "When workers die");
    assert_eq!(rows[0][1..], ["100", "20", "90", "10", "0"]);
    assert_eq!(rows[1][1..5], ["100", "20", "100", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lessons_show_the_damage_of_asking_first() {
    let target = TargetArgs::private().open().await.unwrap();
    let page = take(&target, StructureLesson::Sets.lesson()).await;
    let rows = table(&page, "New visitors");
    assert_eq!(rows[0][1..], ["25", "200", "175"]);
    assert_eq!(rows[1][1..], ["25", "25", "0"]);
    let page = take(&target, StructureLesson::Hashes.lesson()).await;
    let rows = table(&page, "Who got the nickname?");
    assert_eq!((&rows[0][2][..], &rows[1][2][..]), ("16", "1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_lacks_is_skipped_with_who_has_it() {
    let target = TargetArgs::private().open().await.unwrap();
    let parts =
        [(StructureLesson::Hashes.lesson(), "HEXPIRE"), (StructureLesson::Sets.lesson(), "SINTERCARD")];
    for (lesson, command) in parts {
        let page = take(&target, lesson).await;
        let reasons = skipped(&page);
        if target.can(command).await {
            assert!(reasons.is_empty(), "{reasons:?}");
        } else {
            assert!(
                reasons[0].contains(command) && reasons[0].contains("--server valkey-9.1"),
                "{reasons:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn field_deadlines_are_taught_on_redis_too() {
    let args = TargetArgs { server: Some(Release::Redis82), server_program: None, ..TargetArgs::private() };
    let target = match args.open().await {
        Ok(target) => target,
        Err(failure) => {
            println!("skipped: there is no redis-8.2 here: {failure}");
            return;
        }
    };
    let page = take(&target, StructureLesson::Hashes.lesson()).await;
    assert!(skipped(&page).is_empty(), "nothing is skipped on a server with HEXPIRE");
}
