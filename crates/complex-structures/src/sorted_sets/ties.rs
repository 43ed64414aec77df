//! Members with the same score: in which order, and how to make it a fair one.

use lab_runner::{LessonContext, Outcome};
use redis::RedisResult;
use redis::aio::ConnectionLike;

use super::packed_score::PackedScore;
use crate::keys::Keys;

/// Who reached 500 points, and when: milliseconds after the season began.
const REACHED: [(&str, u64); 3] = [("zoe", 60_000), ("Zed", 180_000), ("anna", 120_000)];
const POINTS: u64 = 500;

pub(super) async fn order_equals(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (tied, packed) = (keys.tied_board(), keys.packed_board());

    ctx.step(
        "Three players have 500 points each. Members with the same score are in the order of their bytes: capital letters \
         before small ones, whatever came first.",
    ).await?;
    let mut zadd = redis::cmd("ZADD").arg(&tied).take();
    for (player, _) in REACHED {
        zadd.arg(POINTS).arg(player);
    }
    zadd.exec_async(&mut redis).await?;
    let by_bytes: Vec<String> =
        redis::cmd("ZRANGE").arg(&tied).arg(0).arg(-1).query_async(&mut redis).await?;
    ctx.check_eq(
        "Zed, anna, zoe: bytes, not time",
        &by_bytes,
        &["Zed", "anna", "zoe"].map(str::to_owned).to_vec(),
    )?;

    ctx.step(
        "Fair is: who had the points first stands higher. So the score holds both: points x 2^32, plus the milliseconds \
         left until the end of the season. A score is a double, exact for whole numbers up to 2^53. 32 bits of \
         milliseconds are 49 days, which leaves 21 bits: points up to 2,097,151.",
    ).await?;
    let mut zadd = redis::cmd("ZADD").arg(&packed).take();
    for (player, millis) in REACHED {
        // The constants above fit.
        zadd.arg(PackedScore::new(POINTS, millis).map_or(0, PackedScore::score)).arg(player);
    }
    zadd.exec_async(&mut redis).await?;
    let fair: Vec<(String, f64)> = redis::cmd("ZRANGE")
        .arg(&packed)
        .arg(0)
        .arg(-1)
        .arg("REV")
        .arg("WITHSCORES")
        .query_async(&mut redis)
        .await?;
    let unpacked: Vec<(&str, u64, u64)> = fair
        .iter()
        .filter_map(|(player, score)| {
            let packed = PackedScore::from_score(*score)?;
            Some((player.as_str(), packed.points(), packed.millis_into_season()))
        })
        .collect();
    ctx.check_eq(
        "the first is first, and points and times come back exactly",
        &unpacked,
        &vec![("zoe", POINTS, 60_000), ("anna", POINTS, 120_000), ("Zed", POINTS, 180_000)],
    )?;

    ctx.step(
        "Beyond 2^53 a double skips every second number. Two scores that differ by 1 become the same, and nothing warns \
         you; so the program must refuse points and times that do not fit.",
    ).await?;
    let highest = PackedScore::HIGHEST.score();
    let kept = score_after(&mut redis, &packed, highest).await?;
    let too_high = score_after(&mut redis, &packed, highest + 2).await?;
    redis::cmd("ZREM").arg(&packed).arg("limit").exec_async(&mut redis).await?;
    let exact = |score: f64, sent: u64| format!("{score:.0}") == sent.to_string();
    ctx.check(
        "2^53 - 1 came back as it was, 2^53 + 1 did not",
        exact(kept, highest) && !exact(too_high, highest + 2),
    )?;
    ctx.check(
        "points or times that do not fit are refused before they are written",
        PackedScore::new(2_097_152, 0).is_none() && PackedScore::new(0, 1 << 32).is_none(),
    )
}

async fn score_after(redis: &mut impl ConnectionLike, key: &str, score: u64) -> RedisResult<f64> {
    redis::cmd("ZADD").arg(key).arg(score).arg("limit").exec_async(redis).await?;
    redis::cmd("ZSCORE").arg(key).arg("limit").query_async(redis).await
}
