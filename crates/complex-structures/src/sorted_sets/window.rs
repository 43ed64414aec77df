//! How often within the last hour? A Sorted Set with the time as score.

use lab_runner::{LessonContext, Outcome};
use redis::RedisResult;
use redis::aio::ConnectionLike;

use crate::keys::Keys;

/// Seconds and milliseconds of the window.
const WINDOW_SECONDS: i64 = 3_600;
const WINDOW_MILLIS: i64 = WINDOW_SECONDS * 1_000;

pub(super) async fn count_the_last_hour(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (logins, collided) = (keys.recent_logins(), keys.collided_logins());

    ctx.step(
        "With the time as score, a Sorted Set answers: how many within the last hour? Every event is a member, ZCOUNT counts \
         from an hour ago, ZREMRANGEBYSCORE forgets what is older. The clock is the server's (TIME), because the clocks of \
         many clients differ.",
    ).await?;
    let now = server_millis(&mut redis).await?;
    let events = [
        (now - WINDOW_MILLIS - 5_000, "a1"),
        (now - WINDOW_MILLIS + 60_000, "b2"),
        (now, "c3"),
        (now, "d4"),
        (now, "e5"),
    ];

    ctx.step(
        "Break it: the member must be different for each event. With the time itself as member, three logins in the same \
         millisecond are one, since ZADD of a member that is there adds nothing.",
    ).await?;
    let mut zadd = redis::cmd("ZADD").arg(&collided).take();
    for (millis, _) in events {
        zadd.arg(millis).arg(millis);
    }
    let added: usize = zadd.query_async(&mut redis).await?;
    ctx.check("five logins, and only three were counted", added == 3)?;

    ctx.step(
        "Fix it: the member ends in something that no other event has, such as the number of the request.",
    )
    .await?;
    let mut zadd = redis::cmd("ZADD").arg(&logins).take();
    for (millis, request) in events {
        zadd.arg(millis).arg(format!("{millis}-{request}"));
    }
    let added: usize = zadd.query_async(&mut redis).await?;
    ctx.check("five logins were counted", added == 5)?;
    let recent: usize = redis::cmd("ZCOUNT")
        .arg(&logins)
        .arg(format!("({}", now - WINDOW_MILLIS))
        .arg("+inf")
        .query_async(&mut redis)
        .await?;
    ctx.check("four of them within the hour", recent == 4)?;

    ctx.step(
        "Without forgetting, it grows for ever. Each new event therefore removes the old ones, in one transaction; and EXPIRE \
         removes the key of a user who never comes back.",
    ).await?;
    let (forgotten, added, left): (usize, usize, usize) = redis::pipe()
        .atomic()
        .cmd("ZREMRANGEBYSCORE")
        .arg(&logins)
        .arg("-inf")
        .arg(now - WINDOW_MILLIS)
        .cmd("ZADD")
        .arg(&logins)
        .arg(now)
        .arg(format!("{now}-f6"))
        .cmd("ZCARD")
        .arg(&logins)
        .cmd("EXPIRE")
        .arg(&logins)
        .arg(WINDOW_SECONDS)
        .ignore()
        .query_async(&mut redis)
        .await?;
    ctx.check("one was forgotten, one was added, five are left", (forgotten, added, left) == (1, 1, 5))?;
    let ttl: i64 = redis::cmd("TTL").arg(&logins).query_async(&mut ctx.untraced("TODO")).await?;
    ctx.check("the key ends an hour after its last event", (1..=WINDOW_SECONDS).contains(&ttl))
}

/// The server's clock, in milliseconds since 1970.
async fn server_millis(redis: &mut impl ConnectionLike) -> RedisResult<i64> {
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(redis).await?;
    Ok(seconds * 1_000 + micros / 1_000)
}
