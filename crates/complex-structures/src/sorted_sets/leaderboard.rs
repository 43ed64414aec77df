//! A small board: who leads, what is my rank, who is near me, and which result counts.

use lab_runner::{LessonContext, Need, Outcome};

use crate::keys::Keys;

/// ZRANK learnt WITHSCORE with Redis 7.2, the release that also brought WAITAOF.
const RANK_WITH_SCORE: Need =
    Need { command: "ZREVRANK with WITHSCORE", available_in: "--server valkey-9.1" };
const CAME_WITH_SCORE: &str = "WAITAOF";

/// The board to begin with.
pub(super) const WEEK: [(&str, i64); 8] = [
    ("ada", 1_200),
    ("ben", 950),
    ("cleo", 1_430),
    ("dan", 700),
    ("eva", 1_050),
    ("finn", 880),
    ("gita", 1_310),
    ("hugo", 400),
];

pub(super) async fn rank_players(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let board = keys.week_board();

    ctx.step(
        "A Sorted Set holds members, each of them once and with a score, always in the order of the scores. Whoever asks \
         for the first ten or for somebody's rank does not sort: the order is there already.",
    ).await?;
    let mut zadd = redis::cmd("ZADD").arg(&board).take();
    for (player, points) in WEEK {
        zadd.arg(points).arg(player);
    }
    let added: usize = zadd.query_async(&mut redis).await?;
    let players: usize = redis::cmd("ZCARD").arg(&board).query_async(&mut redis).await?;
    ctx.check("eight players were added", (added, players) == (8, 8))?;

    ctx.step("ZINCRBY adds to a score and returns the new one. The member moves to its new place by itself.")
        .await?;
    let points: f64 = redis::cmd("ZINCRBY").arg(&board).arg(200).arg("ada").query_async(&mut redis).await?;
    let stored: f64 = redis::cmd("ZSCORE").arg(&board).arg("ada").query_async(&mut redis).await?;
    ctx.check(
        "1,200 + 200 is 1,400",
        super::season::whole(points) == 1_400 && super::season::whole(stored) == 1_400,
    )?;

    ctx.step(
        "The order is from the lowest score to the highest. A leaderboard wants the highest first: REV.",
    )
    .await?;
    let top: Vec<(String, f64)> = redis::cmd("ZRANGE")
        .arg(&board)
        .arg(0)
        .arg(2)
        .arg("REV")
        .arg("WITHSCORES")
        .query_async(&mut redis)
        .await?;
    let names: Vec<&str> = top.iter().map(|(name, _)| name.as_str()).collect();
    ctx.check_eq("cleo leads, ada has become second", &names, &vec!["cleo", "ada", "gita"])?;

    ctx.step("ZREVRANK tells a member's place from the top, ZRANK from the bottom. Both count from 0; nil means: not there.").await?;
    let from_top: Option<usize> =
        redis::cmd("ZREVRANK").arg(&board).arg("ada").query_async(&mut redis).await?;
    let from_bottom: Option<usize> =
        redis::cmd("ZRANK").arg(&board).arg("ada").query_async(&mut redis).await?;
    let stranger: Option<usize> =
        redis::cmd("ZREVRANK").arg(&board).arg("zoe").query_async(&mut redis).await?;
    ctx.check(
        "the place from the top is the number of players with more points",
        from_top == Some(1) && from_bottom == Some(6) && stranger.is_none(),
    )?;

    if !ctx.can(CAME_WITH_SCORE).await {
        ctx.skip(RANK_WITH_SCORE);
        return Ok(());
    }
    ctx.step("Since Redis 7.2, WITHSCORE returns rank and score of the same moment. Two commands could tell of two moments.").await?;
    let (rank, points): (usize, f64) =
        redis::cmd("ZREVRANK").arg(&board).arg("ada").arg("WITHSCORE").query_async(&mut redis).await?;
    ctx.check("rank 1, 1,400 points", rank == 1 && super::season::whole(points) == 1_400)
}

pub(super) async fn look_around(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let board = keys.week_board();
    let mut between = async |first: i64, last: i64| {
        redis::cmd("ZRANGE")
            .arg(&board)
            .arg(first)
            .arg(last)
            .arg("REV")
            .query_async::<Vec<String>>(&mut redis)
            .await
    };

    ctx.step(
        "Players want to see whom they can overtake. From my rank, two up and two down; eva has rank 3:",
    )
    .await?;
    let around = between(1, 5).await?;
    ctx.check_eq(
        "two above eva, two below",
        &around,
        &["ada", "gita", "eva", "ben", "finn"].map(str::to_owned).to_vec(),
    )?;

    ctx.step(
        "The trap is near the top. Two above rank 1 is -1, and negative places count from the end: -1 is the last one. \
         The range is then empty. So no place below 0 is asked for.",
    ).await?;
    let trapped = between(-1, 3).await?;
    let around = between(0, 3).await?;
    ctx.check("from -1 nothing comes, from 0 four players", trapped.is_empty() && around.len() == 4)
}

pub(super) async fn keep_the_best(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (board, laps) = (keys.week_board(), keys.lap_board());

    ctx.step(
        "A plain ZADD overwrites the score. For a personal best that is wrong, and reading the old score first is a race. \
         ZADD decides by itself (since Redis 6.2): GT writes only a higher score, LT only a lower one. Both still add new \
         members. CH makes it answer how many members changed.",
    ).await?;
    let mut zadd = async |key: &str, words: &[&str], score: i64, member: &str| {
        redis::cmd("ZADD")
            .arg(key)
            .arg(words)
            .arg(score)
            .arg(member)
            .query_async::<Option<f64>>(&mut redis)
            .await
            .map(|reply| reply.map(super::season::whole))
    };
    let worse = zadd(&board, &["GT", "CH"], 300, "ben").await?;
    let better = zadd(&board, &["GT", "CH"], 990, "ben").await?;
    ctx.check("300 after 950 changed nothing, 990 did", (worse, better) == (Some(0), Some(1)))?;

    let first = zadd(&laps, &["LT", "CH"], 83_250, "ben").await?;
    let slower = zadd(&laps, &["LT", "CH"], 84_000, "ben").await?;
    ctx.check("of lap times the lower one stays", (first, slower) == (Some(1), Some(0)))?;

    ctx.step("NX only adds, and never touches a score that is there: points to start with, which nobody gets twice.").await?;
    let again = zadd(&board, &["NX"], 0, "ben").await?;
    let new = zadd(&board, &["NX"], 0, "ivy").await?;
    ctx.check("ben kept his points, ivy starts with 0", (again, new) == (Some(0), Some(1)))?;

    ctx.step(
        "INCR makes ZADD work as ZINCRBY, under the same conditions. It answers the new score, or nil if the condition did \
         not hold: XX adds points only for members who are on the board.",
    ).await?;
    let added = zadd(&board, &["XX", "INCR"], 10, "ben").await?;
    let stranger = zadd(&board, &["XX", "INCR"], 10, "zoe").await?;
    ctx.check("ben has 1,000 points, and zoe did not appear", (added, stranger) == (Some(1_000), None))
}
