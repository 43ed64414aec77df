//! How does one rank thousands of players, and turn the pages of a board that changes?
//!
//! `cargo complex sorted-sets`

mod leaderboard;
mod packed_score;
mod paging;
mod ranges;
mod season;
mod standing;
mod ties;
mod turn_page;
mod window;

use lab_runner::{Lesson, Need, Outcome, Page};

pub use self::packed_score::PackedScore;
pub use self::paging::{Disturbance, Pages, Walk, all_pages};
pub use self::season::Season;
pub use self::standing::{AskStanding, Standing};
pub use self::turn_page::DeepPage;
use crate::keys::Keys;

/// Leaderboards, ranks, ranges, paging and time windows.
pub static LESSON: Lesson = Lesson {
    name: "sorted-sets",
    title: "Sorted sets",
    asks: "Who leads, who is near me, and what happened in the last hour?",
    teaches: &[
        "ZADD",
        "ZINCRBY",
        "ZSCORE",
        "ZCARD",
        "ZRANGE",
        "ZRANK",
        "ZREVRANK",
        "ZCOUNT",
        "ZREMRANGEBYSCORE",
    ],
    // ZRANGESTORE came with Redis 6.2, and so did ZADD with GT and LT, and ZRANGE with REV and BYSCORE.
    needs: &[Need { command: "ZRANGESTORE", had_by: "--server valkey-9.1" }],
    teach: |page| Box::pin(teach(page)),
};

/// How many players the comparison ranks that reads all of them.
pub const PLAYERS: usize = 10_000;
/// How many the comparison ranks that goes deep down.
pub const DEEP: usize = 100_000;

async fn teach(page: &mut Page) -> Outcome {
    let keys = Keys::new(page.prefix());
    page.start_clean(&[
        keys.week_board(),
        keys.lap_board(),
        keys.tied_board(),
        keys.packed_board(),
        keys.busy_board(),
        keys.season_board(),
        keys.season_points(),
        keys.recent_logins(),
        keys.collided_logins(),
    ])
    .await?;

    leaderboard::rank_players(page, &keys).await?;
    leaderboard::look_around(page, &keys).await?;
    leaderboard::keep_the_best(page, &keys).await?;
    ranges::choose_by_score(page, &keys).await?;
    ties::order_equals(page, &keys).await?;
    paging::turn_pages(page, &keys).await?;
    window::count_the_last_hour(page, &keys).await?;

    standing::compare(page, &Season::of(PLAYERS, &keys)).await?;
    turn_page::compare(page, &Season::of(DEEP, &keys)).await?;

    page.keys([
        keys.week_board(),
        keys.lap_board(),
        keys.packed_board(),
        keys.busy_board(),
        keys.season_board(),
        keys.recent_logins(),
    ]);
    Ok(())
}
