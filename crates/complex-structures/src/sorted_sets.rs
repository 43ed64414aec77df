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

use lab_runner::{Lesson, LessonContext, Need, Outcome};

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
    question: "Who leads, who is near me, and what happened in the last hour?",
    commands: &[
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
    needs: &[Need { command: "ZRANGESTORE", available_in: "--server valkey-9.1" }],
    sources: &[lab_runner::source!("src/sorted_sets.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// How many players the comparison ranks that reads all of them.
pub const PLAYERS: usize = 10_000;
/// How many the comparison ranks that goes deep down.
pub const DEEP: usize = 100_000;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    ctx.start_clean(&[
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

    leaderboard::rank_players(ctx, &keys).await?;
    leaderboard::look_around(ctx, &keys).await?;
    leaderboard::keep_the_best(ctx, &keys).await?;
    ranges::choose_by_score(ctx, &keys).await?;
    ties::order_equals(ctx, &keys).await?;
    paging::turn_pages(ctx, &keys).await?;
    window::count_the_last_hour(ctx, &keys).await?;

    standing::compare(ctx, &Season::of(PLAYERS, &keys)).await?;
    turn_page::compare(ctx, &Season::of(DEEP, &keys)).await?;

    ctx.keys([
        keys.week_board(),
        keys.lap_board(),
        keys.packed_board(),
        keys.busy_board(),
        keys.season_board(),
        keys.recent_logins(),
    ]);
    Ok(())
}
