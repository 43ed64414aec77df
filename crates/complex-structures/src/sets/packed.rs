//! How the server stores a small Set, watched as it changes.

use lab_runner::table::{Facts, thousands};
use lab_runner::{Outcome, Page};
use redis::{AsyncTypedCommands, Cmd};

use crate::hashes::encoding::{LARGEST, Turn};
use crate::keys::Keys;

pub(super) async fn watch(page: &Page, keys: &Keys) -> Outcome {
    let mut redis = page.redis();
    let (numbers, words) = (keys.growing_numbers(), keys.growing_words());

    page.say(
        "How large is a Set? That depends on what is in it. Whole numbers are kept as an intset: sorted, side by side, in \
         2, 4 or 8 bytes each. One member that is no number ends that.",
    );
    redis.sadd(&numbers, &[3, 1, 2]).await?;
    let before = redis.object_encoding(&numbers).await?.unwrap_or_default();
    redis.sadd(&numbers, "four").await?;
    let after = redis.object_encoding(&numbers).await?.unwrap_or_default();
    page.check(format!("one word, and {before} became {after}"), before == "intset" && after != before)?;

    page.say(
        "Other members are packed as a listpack while there are few of them and they are short (since Redis 7.2). What is \
         larger is a hash table. We add one member after the other and look, until that happens:",
    );
    page.start_clean(std::slice::from_ref(&numbers)).await?;
    let mut quietly = page.quietly();
    let number =
        Turn::wait(&mut quietly, &numbers, 1, LARGEST, |size| add(&numbers, size.to_string())).await?;
    let word =
        Turn::wait(&mut quietly, &words, 1, LARGEST, |size| add(&words, format!("word:{size}"))).await?;
    let mut facts =
        Facts::new("The moment when it happens", &["members", "count", "encoding", "bytes in memory"]);
    for (what, turn) in [("numbers", &number), ("words", &word)] {
        for look in turn.iter().flat_map(|turn| [&turn.before, &turn.after]) {
            facts = facts.row([
                what.to_owned(),
                look.size.to_string(),
                look.encoding.clone(),
                thousands(look.bytes as f64),
            ]);
        }
    }
    page.facts(facts);
    if word.is_none() {
        page.say("On this server a Set of words is a hash table from the first word on, or it is configured otherwise.");
    }
    if let Some(Turn { before, after }) = number {
        page.check(
            format!("one number more than {}, and the Set takes more memory", before.size),
            before.encoding == "intset" && after.bytes > before.bytes,
        )?;
    }
    page.say(
        "The limits are set-max-intset-entries and, from Redis 7.2 on, set-max-listpack-entries. So a number is a better \
         member than 'customer:123': smaller, and where there are few, much smaller.",
    );
    Ok(())
}

fn add(key: &str, member: String) -> Cmd {
    redis::cmd("SADD").arg(key).arg(member).take()
}
