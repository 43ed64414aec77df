//! The lesson on sorted sets, and what its approaches promise.
#![expect(clippy::unwrap_used, reason = "functions of a test, which clippy does not take for one")]

use std::sync::{Arc, Mutex};

use complex_structures::keys::Keys;
use complex_structures::sorted_sets::{AskStanding, DeepPage, Disturbance, LESSON, Season, Walk};
use lab_connection::{Target, TargetArgs, own_keys};
use lab_runner::block::Block;
use lab_runner::{Approach, Comparison, Page};

async fn single() -> Target {
    TargetArgs::private().open().await.unwrap()
}

async fn cluster() -> Target {
    TargetArgs { cluster: true, ..TargetArgs::private() }.open().await.unwrap()
}

/// Takes the lesson and returns its page; a broken claim fails the test.
async fn take(target: &Target) -> Vec<Block> {
    let written = Arc::new(Mutex::new(Vec::new()));
    let notebook = Arc::clone(&written);
    let mut page = Page::new(target.clone(), move |block| notebook.lock().unwrap().push(block));
    if let Err(error) = (LESSON.teach)(&mut page).await {
        panic!("on {}: {error}\nlast on its page: {:#?}", target.describe(), written.lock().unwrap().last());
    }
    written.lock().unwrap().clone()
}

async fn stored_keys(target: &Target) -> Vec<String> {
    let keys = own_keys::matching(&mut target.connection(), "*", 10_000).await.unwrap();
    keys.into_iter().map(|key| String::from_utf8(key).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_passes_twice_and_counts_what_paging_by_rank_loses() {
    let target = single().await;
    take(&target).await;
    let page = take(&target).await;
    let rows = page.iter().find_map(|block| match block {
        Block::Facts(facts) if facts.title == "Turning all pages" => Some(facts.rows.clone()),
        _ => None,
    });
    let numbers: Vec<Vec<String>> = rows.unwrap().into_iter().map(|row| row[2..].to_vec()).collect();
    assert_eq!(numbers, [["111", "11", "0"], ["91", "0", "9"], ["100", "0", "0"], ["100", "0", "0"]]);
    let named =
        page.iter().find_map(|block| if let Block::Keys { names } = block { Some(names) } else { None });
    let stored = stored_keys(&target).await;
    assert!(named.unwrap().iter().all(|name| stored.contains(name)), "{named:?}, {stored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_passes_on_a_cluster() {
    take(&cluster().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_writes_only_behind_its_prefix() {
    let target = TargetArgs { prefix: Some("lab:".into()), ..TargetArgs::private() }.open().await.unwrap();
    take(&target).await;
    let strays: Vec<String> =
        stored_keys(&target).await.into_iter().filter(|key| !key.starts_with("lab:")).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[tokio::test]
async fn all_ways_of_asking_see_the_same_standing_and_the_same_pages() {
    for target in [single().await, cluster().await] {
        let season = Season::of(500, &Keys::new(""));
        let connection = target.connection();
        let standings = Comparison { title: "", approaches: &AskStanding::ALL, subject: &season };
        standings.verify(&connection).await.unwrap();
        let pages = Comparison { title: "", approaches: &DeepPage::ALL, subject: &season };
        pages.verify(&connection).await.unwrap();
    }
}

#[tokio::test]
async fn rank_and_deep_pages_are_those_of_the_sorted_players() {
    let target = single().await;
    let mut connection = target.connection();
    let season = Season::of(500, &Keys::new(""));
    season.write_board(&mut connection).await.unwrap();
    let me = &season.players()[0];
    let place = season.ranked().iter().position(|player| player == me);
    let standing = AskStanding::AskForRank.run(&season, &mut connection).await.unwrap();
    assert_eq!(standing.rank, place);
    assert_eq!(standing.top, season.ranked()[..10]);

    let last_fifty: Vec<&str> = season.ranked()[450..].iter().map(|(player, _)| player.as_str()).collect();
    for approach in DeepPage::ALL {
        assert_eq!(approach.run(&season, &mut connection).await.unwrap(), last_fifty, "{}", approach.label());
    }
}

#[tokio::test]
async fn only_paging_by_rank_repeats_and_misses_players() {
    for target in [single().await, cluster().await] {
        let mut connection = target.connection();
        let mut turn = async |walk: Walk, disturbance| {
            let pages = walk.turn_all(&mut connection, "board", disturbance).await.unwrap();
            (pages.twice, pages.missed)
        };
        assert_eq!(turn(Walk::ByRank, Disturbance::Enters).await, (11, 0));
        assert_eq!(turn(Walk::ByRank, Disturbance::Leaves).await, (0, 9));
        assert_eq!(turn(Walk::ByCursor, Disturbance::Enters).await, (0, 0));
        assert_eq!(turn(Walk::ByCursor, Disturbance::Leaves).await, (0, 0));
    }
}

#[tokio::test]
async fn a_page_by_cursor_walks_through_more_ties_than_fit_on_it() {
    let target = single().await;
    let season = Season::of(300, &Keys::new(""));
    let mut connection = target.connection();
    // Everybody has the same score.
    let mut zadd = redis::cmd("ZADD");
    zadd.arg(season.board());
    for (player, _) in season.players() {
        zadd.arg(7).arg(player);
    }
    zadd.exec_async(&mut connection).await.unwrap();
    let pages =
        complex_structures::sorted_sets::all_pages(&mut connection, season.board(), 10).await.unwrap();
    let mut expected: Vec<String> = season.players().iter().map(|(player, _)| player.clone()).collect();
    expected.reverse();
    assert_eq!(pages, expected);
}
