//! How the server stores a small Set, watched as it changes.

use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, Outcome};
use redis::{AsyncTypedCommands, Cmd};

use crate::hashes::encoding::{LARGEST, RunLock};
use crate::keys::Keys;

pub(super) async fn watch(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (numbers, words) = (keys.growing_numbers(), keys.growing_words());

    ctx.step(
        "How large is a Set? That depends on what is in it. Whole numbers are kept as an intset: sorted, side by side, in \
         2, 4 or 8 bytes each. One member that is no number ends that.",
    ).await?;
    redis.sadd(&numbers, &[3, 1, 2]).await?;
    let before = redis.object_encoding(&numbers).await?.unwrap_or_default();
    redis.sadd(&numbers, "four").await?;
    let after = redis.object_encoding(&numbers).await?.unwrap_or_default();
    ctx.check(format!("one word, and {before} became {after}"), before == "intset" && after != before)?;

    ctx.step(
        "Other members are packed as a listpack while there are few of them and they are short (since Redis 7.2). What is \
         larger is a hash table. We add one member after the other and look, until that happens:",
    ).await?;
    ctx.start_clean(std::slice::from_ref(&numbers)).await?;
    let mut quietly = ctx.untraced("TODO");
    let number =
        RunLock::wait(&mut quietly, &numbers, 1, LARGEST, |size| add(&numbers, size.to_string())).await?;
    let word =
        RunLock::wait(&mut quietly, &words, 1, LARGEST, |size| add(&words, format!("word:{size}"))).await?;
    let mut table =
        Table::new("The moment when it happens", &["members", "count", "encoding", "bytes in memory"]);
    for (what, turn) in [("numbers", &number), ("words", &word)] {
        for look in turn.iter().flat_map(|turn| [&turn.before, &turn.after]) {
            table = table.row([
                what.to_owned(),
                look.size.to_string(),
                look.encoding.clone(),
                thousands(look.bytes as f64),
            ]);
        }
    }
    ctx.table(table);
    if word.is_none() {
        ctx.step("On this server a Set of words is a hash table from the first word on, or it is configured otherwise.").await?;
    }
    if let Some(RunLock { before, after }) = number {
        ctx.check(
            format!("one number more than {}, and the Set takes more memory", before.size),
            before.encoding == "intset" && after.bytes > before.bytes,
        )?;
    }
    ctx.step(
        "The limits are set-max-intset-entries and, from Redis 7.2 on, set-max-listpack-entries. So a number is a better \
         member than 'customer:123': smaller, and where there are few, much smaller.",
    ).await?;
    Ok(())
}

fn add(key: &str, member: String) -> Cmd {
    redis::cmd("SADD").arg(key).arg(member).take()
}
