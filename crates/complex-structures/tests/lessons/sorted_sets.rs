//! The lesson on sorted sets, and what its approaches promise.

use complex_structures::StructureLesson;
use complex_structures::keys::Keys;
use complex_structures::sorted_sets::{AskStanding, DeepPage, Disturbance, Season, Walk};
use lab_runner::{Approach, Comparison};

use lab_testing::lessons::{open, table, take};

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_counts_what_paging_by_rank_loses() {
    let reports = take(&open(false).await, StructureLesson::SortedSets).await;
    let rows = table(&reports, "Turning all pages");
    let numbers: Vec<&[String]> = rows.iter().map(|row| &row[2..]).collect();
    assert_eq!(numbers, [["111", "11", "0"], ["91", "0", "9"], ["100", "0", "0"], ["100", "0", "0"]]);
}

#[tokio::test]
async fn all_ways_of_asking_see_the_same_standing_and_the_same_pages() {
    for target in [open(false).await, open(true).await] {
        let season = Season::of(500, &Keys::new(""));
        let connection = target.connection();
        let standings = Comparison { title: "", approaches: &AskStanding::ALL, input: &season };
        standings.verify(&connection).await.unwrap();
        let pages = Comparison { title: "", approaches: &DeepPage::ALL, input: &season };
        pages.verify(&connection).await.unwrap();
    }
}

#[tokio::test]
async fn rank_and_deep_pages_are_those_of_the_sorted_players() {
    let target = open(false).await;
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
    for target in [open(false).await, open(true).await] {
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
    let target = open(false).await;
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
