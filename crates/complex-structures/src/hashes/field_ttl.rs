//! Fields that expire while the rest of the Hash stays.

use std::time::Duration;

use lab_runner::{LessonContext, Need, Outcome, Retry};
use redis::{AsyncTypedCommands, RedisResult};

/// Valkey has it since 9.0, Redis since 7.4.
const FIELD_TTL: Need =
    Need { command: "HEXPIRE", available_in: "--server valkey-9.1 (Valkey 9 has it, and Redis from 7.4 on)" };
/// What a deadline may take at most, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn run(ctx: &LessonContext, key: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step(
        "EXPIRE gives a deadline to the key, so to all of its fields. What is known only for a while, such as a login \
         code, then needs a key of its own, or somebody who tidies up.",
    ).await?;
    if !ctx.can(FIELD_TTL.command).await {
        ctx.skip(FIELD_TTL);
        return Ok(());
    }
    ctx.step(
        "Since Valkey 9 and Redis 7.4 a field can have a deadline. HEXPIRE names the fields and answers for each: 1 set, \
         -2 no such field. HTTL tells the seconds left, -1 if there is no deadline; HPERSIST takes it away.",
    ).await?;
    redis.hset(key, "login_code", "4711").await?;
    let set = about_fields("HEXPIRE", key, Some(300), &["login_code", "fax"], &mut redis).await?;
    ctx.check_eq("one deadline was set, the other field does not exist", &set, &vec![1, -2])?;
    let left = about_fields("HTTL", key, None, &["login_code", "city"], &mut redis).await?;
    ctx.check(
        "the code has at most 300 seconds, the city stays",
        matches!(left[..], [code, -1] if (1..=300).contains(&code)),
    )?;
    let kept = about_fields("HPERSIST", key, None, &["login_code"], &mut redis).await?;
    let left = about_fields("HTTL", key, None, &["login_code"], &mut redis).await?;
    ctx.check("after HPERSIST the code stays too", (kept, left) == (vec![1], vec![-1]))?;

    ctx.step(
        "The mistake to know: HSET writes a new value and takes the deadline away, as SET does with a key.",
    )
    .await?;
    about_fields("HEXPIRE", key, Some(300), &["login_code"], &mut redis).await?;
    redis.hset(key, "login_code", "0815").await?;
    let left = about_fields("HTTL", key, None, &["login_code"], &mut redis).await?;
    ctx.check("the new code would stay for ever", left == vec![-1])?;

    if ctx.can("HSETEX").await {
        ctx.step("HSETEX (Valkey 9, Redis 8) writes the value and the deadline in one step:").await?;
        let written: i64 = redis::cmd("HSETEX")
            .arg(key)
            .arg(&["EX", "300", "FIELDS", "1", "login_code", "1234"])
            .query_async(&mut redis)
            .await?;
        let left = about_fields("HTTL", key, None, &["login_code"], &mut redis).await?;
        ctx.check("value and deadline are there", written == 1 && left.iter().all(|&left| left > 0))?;
    }

    ctx.step("And at the end? This code has 50 milliseconds.").await?;
    about_fields("HPEXPIRE", key, Some(50), &["login_code"], &mut redis).await?;
    until_gone(ctx, key, "login_code").await?;
    ctx.step("A moment later:").await?;
    let code = redis.hget(key, "login_code").await?;
    let city = redis.hget(key, "city").await?;
    ctx.check("the code is gone, the rest of the profile is there", code.is_none() && city.is_some())
}

/// Asks or sets something about fields; one number for each of them.
async fn about_fields(
    command: &str,
    key: &str,
    time: Option<i64>,
    fields: &[&str],
    redis: &mut impl redis::aio::ConnectionLike,
) -> RedisResult<Vec<i64>> {
    let mut command = redis::cmd(command);
    command.arg(key).arg(time).arg("FIELDS").arg(fields.len()).arg(fields);
    command.query_async(redis).await
}

/// Waits for the deadline of a field, off the page.
async fn until_gone(ctx: &LessonContext, key: &str, field: &str) -> Outcome {
    let (mut redis, mut retry) = (ctx.untraced("TODO"), Retry::within(PATIENCE));
    let claim = format!("{field} is gone soon after its deadline");
    while redis.hexists(key, field).await? {
        retry.again(&claim).await?;
    }
    Ok(())
}
