//! A Hash is packed as long as it is small: watched as it stops to be.

use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, Outcome};
use redis::{AsyncTypedCommands, Cmd};

use super::encoding::{LARGEST, RunLock};
use crate::keys::Keys;

pub(super) async fn watch(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(
        "Why are small Hashes so small? The server packs them: field, value, field, value, in one piece of memory, a \
         listpack (before Redis 7 a ziplist). Finding a field means reading through all of them, which is quick while \
         there are few. When it gets too large, the server rebuilds it as a hash table, with pointers. We add one field \
         after the other and look, until that happens.",
    ).await?;
    let (growing, lengthening) = (keys.growing_hash(), keys.lengthening_hash());
    let many =
        RunLock::wait(&mut ctx.untraced("TODO"), &growing, 1, LARGEST, |size| add_field(&growing, size))
            .await?;
    let long = RunLock::wait(&mut ctx.untraced("TODO"), &lengthening, 1, LARGEST, |size| {
        lengthen(&lengthening, size)
    })
    .await?;
    let (Some(many), Some(long)) = (many, long) else {
        let limit = thousands(LARGEST as f64);
        ctx.step(format!("This server is configured otherwise: nothing changed up to a size of {limit}."))
            .await?;
        return fill(ctx, keys, 1).await;
    };

    let mut table =
        Table::new("The moment when it happens", &["what grows", "size", "encoding", "bytes in memory"]);
    for (what, turn) in [("fields", &many), ("bytes of one value", &long)] {
        for look in [&turn.before, &turn.after] {
            table = table.row([
                what.to_owned(),
                look.size.to_string(),
                look.encoding.clone(),
                thousands(look.bytes as f64),
            ]);
        }
    }
    ctx.table(table);
    ctx.step(format!(
        "So this server packs up to {} fields with values of up to {} bytes: its hash-max-listpack-entries and \
         hash-max-listpack-value. Both are configuration, which releases and operators change; so look, and don't \
         assume.",
        many.before.size, long.before.size,
    )).await?;

    ctx.step("Once more, slowly. Here is a Hash with as many fields as it may have; one more is too many:")
        .await?;
    fill(ctx, keys, many.before.size).await?;
    let mut redis = ctx.redis();
    let before = redis.object_encoding(&growing).await?.unwrap_or_default();
    let packed = bytes_of(ctx, &growing).await?;
    add_field(&growing, many.after.size).exec_async(&mut redis).await?;
    let after = redis.object_encoding(&growing).await?.unwrap_or_default();
    let spread = bytes_of(ctx, &growing).await?;
    ctx.check(
        format!("one field more: {before} became {after}"),
        before == many.before.encoding && after == "hashtable" && before != after,
    )?;
    ctx.check(
        format!("and takes {:.1} times the memory", spread as f64 / packed.max(1) as f64),
        spread > packed,
    )?;

    ctx.step("The way back does not exist: a Hash that was large once is not packed again when fields go.")
        .await?;
    redis.hdel(&growing, format!("setting:{}", many.after.size)).await?;
    let again = redis.object_encoding(&growing).await?;
    ctx.check("still a hash table", again.as_deref() == Some("hashtable"))
}

fn add_field(key: &str, number: usize) -> Cmd {
    redis::cmd("HSET").arg(key).arg(format!("setting:{number}")).arg("on").take()
}

fn lengthen(key: &str, length: usize) -> Cmd {
    redis::cmd("HSET").arg(key).arg("note").arg("n".repeat(length)).take()
}

/// The growing Hash anew, with this many fields.
async fn fill(ctx: &LessonContext, keys: &Keys, fields: usize) -> Outcome {
    let key = keys.growing_hash();
    ctx.start_clean(std::slice::from_ref(&key)).await?;
    let mut pipeline = redis::pipe();
    for number in 1..=fields {
        pipeline.add_command(add_field(&key, number)).ignore();
    }
    pipeline.exec_async(&mut ctx.untraced("TODO")).await?;
    Ok(())
}

async fn bytes_of(ctx: &LessonContext, key: &str) -> redis::RedisResult<usize> {
    let mut usage = redis::cmd("MEMORY");
    usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0).query_async(&mut ctx.redis()).await
}
