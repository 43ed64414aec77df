//! The lesson on sorted sets, and what its approaches promise.

use complex_structures::StructureLesson;
use complex_structures::sorted_sets::{AskStanding, Change, DeepPage, DeepPages, Paging, Season, page_after};
use lab_runner::{Approach, Comparison, Keys};

use lab_testing::lessons::{open, run_lesson, table};

#[tokio::test(flavor = "multi_thread")]
async fn the_lesson_counts_repeated_and_missed_players() {
    let report = run_lesson(&open(false).await, StructureLesson::SortedSets).await;
    let rows = table(&report, "Reading all pages");
    let numbers: Vec<&[String]> = rows.iter().map(|row| &row[2..]).collect();
    assert_eq!(numbers, [["111", "11", "0"], ["91", "0", "9"], ["100", "0", "0"], ["100", "0", "0"]]);
}

#[tokio::test]
async fn all_approaches_see_the_standing_and_the_pages_of_the_sorted_players() {
    for target in [open(false).await, open(true).await] {
        let mut connection = target.connection();
        let season = Season::new(500, &Keys::new(""));
        let standings = Comparison { title: "", approaches: &AskStanding::ALL, input: &season };
        standings.verify(&connection).await.unwrap();
        let standing = AskStanding::AskForRank.run(&season, &mut connection).await.unwrap();
        let place = season.ranked.iter().position(|player| *player == season.players[0]);
        assert_eq!(standing.rank, place);
        assert_eq!(standing.top, season.ranked[..10]);

        let input = DeepPages::new(season.clone(), 10);
        let pages = Comparison { title: "", approaches: &DeepPage::ALL, input: &input };
        pages.verify(&connection).await.unwrap();
        let last_fifty: Vec<&str> = season.ranked[450..].iter().map(|(_, player)| player.as_str()).collect();
        for approach in DeepPage::ALL {
            let shown = approach.run(&input, &mut connection).await.unwrap();
            assert_eq!(shown, last_fifty, "{}", approach.label());
        }
    }
}

#[tokio::test]
async fn only_paging_by_rank_repeats_and_misses_players() {
    for target in [open(false).await, open(true).await] {
        let read = async |paging: Paging, change| {
            let result = paging.read_all(target.connection(), "board", 100, change).await.unwrap();
            (result.twice, result.missed)
        };
        assert_eq!(read(Paging::ByRank, Change::Enters).await, (11, 0));
        assert_eq!(read(Paging::ByRank, Change::Leaves).await, (0, 9));
        assert_eq!(read(Paging::ByCursor, Change::Enters).await, (0, 0));
        assert_eq!(read(Paging::ByCursor, Change::Leaves).await, (0, 0));
    }
}

#[tokio::test]
async fn a_page_by_cursor_walks_through_more_ties_than_fit_on_it() {
    let target = open(false).await;
    let season = Season::new(300, &Keys::new(""));
    let mut connection = target.connection();
    // Everybody has the same score.
    let mut zadd = redis::cmd("ZADD");
    zadd.arg(&season.board);
    for (_, player) in &season.players {
        zadd.arg(7).arg(player);
    }
    zadd.exec_async(&mut connection).await.unwrap();
    let (mut names, mut last) = (Vec::new(), None);
    loop {
        let page = page_after(&mut connection, &season.board, last.as_ref(), 10).await.unwrap();
        let Some(player) = page.last() else { break };
        last = Some(player.clone());
        names.extend(page.into_iter().map(|player| player.name));
    }
    let mut expected: Vec<String> = season.players.iter().map(|(_, player)| player.clone()).collect();
    expected.reverse();
    assert_eq!(names, expected);
}
