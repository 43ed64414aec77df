//! A Hash is packed as long as it is small: watched as it stops to be.

use lab_runner::table::{Facts, thousands};
use lab_runner::{Outcome, Page};
use redis::{AsyncTypedCommands, Cmd};

use super::encoding::{LARGEST, Turn};
use crate::keys::Keys;

pub(super) async fn watch(page: &Page, keys: &Keys) -> Outcome {
    page.say(
        "Why are small Hashes so small? The server packs them: field, value, field, value, in one piece of memory, a \
         listpack (before Redis 7 a ziplist). Finding a field means reading through all of them, which is quick while \
         there are few. When it gets too large, the server rebuilds it as a hash table, with pointers. We add one field \
         after the other and look, until that happens.",
    );
    let (growing, lengthening) = (keys.growing_hash(), keys.lengthening_hash());
    let many =
        Turn::wait(&mut page.quietly(), &growing, 1, LARGEST, |size| add_field(&growing, size)).await?;
    let long = Turn::wait(&mut page.quietly(), &lengthening, 1, LARGEST, |size| lengthen(&lengthening, size))
        .await?;
    let (Some(many), Some(long)) = (many, long) else {
        let limit = thousands(LARGEST as f64);
        page.say(format!("This server is configured otherwise: nothing changed up to a size of {limit}."));
        return fill(page, keys, 1).await;
    };

    let mut facts =
        Facts::new("The moment when it happens", &["what grows", "size", "encoding", "bytes in memory"]);
    for (what, turn) in [("fields", &many), ("bytes of one value", &long)] {
        for look in [&turn.before, &turn.after] {
            facts = facts.row([
                what.to_owned(),
                look.size.to_string(),
                look.encoding.clone(),
                thousands(look.bytes as f64),
            ]);
        }
    }
    page.facts(facts);
    page.say(format!(
        "So this server packs up to {} fields with values of up to {} bytes: its hash-max-listpack-entries and \
         hash-max-listpack-value. Both are configuration, which releases and operators change; so look, and don't \
         assume.",
        many.before.size, long.before.size,
    ));

    page.say("Once more, slowly. Here is a Hash with as many fields as it may have; one more is too many:");
    fill(page, keys, many.before.size).await?;
    let mut redis = page.redis();
    let before = redis.object_encoding(&growing).await?.unwrap_or_default();
    let packed = bytes_of(page, &growing).await?;
    add_field(&growing, many.after.size).exec_async(&mut redis).await?;
    let after = redis.object_encoding(&growing).await?.unwrap_or_default();
    let spread = bytes_of(page, &growing).await?;
    page.check(
        format!("one field more: {before} became {after}"),
        before == many.before.encoding && after == "hashtable" && before != after,
    )?;
    page.check(
        format!("and takes {:.1} times the memory", spread as f64 / packed.max(1) as f64),
        spread > packed,
    )?;

    page.say("The way back does not exist: a Hash that was large once is not packed again when fields go.");
    redis.hdel(&growing, format!("setting:{}", many.after.size)).await?;
    let again = redis.object_encoding(&growing).await?;
    page.check("still a hash table", again.as_deref() == Some("hashtable"))
}

fn add_field(key: &str, number: usize) -> Cmd {
    redis::cmd("HSET").arg(key).arg(format!("setting:{number}")).arg("on").take()
}

fn lengthen(key: &str, length: usize) -> Cmd {
    redis::cmd("HSET").arg(key).arg("note").arg("n".repeat(length)).take()
}

/// The growing Hash anew, with this many fields.
async fn fill(page: &Page, keys: &Keys, fields: usize) -> Outcome {
    let key = keys.growing_hash();
    page.start_clean(std::slice::from_ref(&key)).await?;
    let mut pipeline = redis::pipe();
    for number in 1..=fields {
        pipeline.add_command(add_field(&key, number)).ignore();
    }
    pipeline.exec_async(&mut page.quietly()).await?;
    Ok(())
}

async fn bytes_of(page: &Page, key: &str) -> redis::RedisResult<usize> {
    let mut usage = redis::cmd("MEMORY");
    usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0).query_async(&mut page.redis()).await
}
