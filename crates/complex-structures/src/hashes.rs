//! How does one store an object, and read or change a part of it?
//!
//! `cargo complex hashes`

mod claim;
mod cost;
pub(crate) mod crowd;
pub mod encoding;
mod field_ttl;
mod packed;
mod profiles;
mod read_fields;

use lab_runner::table::Table;
use lab_runner::{Lesson, LessonContext, Outcome};
use redis::AsyncTypedCommands;

pub use self::claim::Claim;
pub use self::profiles::{Fields, Profiles, WANTED, profile};
pub use self::read_fields::ReadFields;
use crate::keys::Keys;

/// Profiles as Hashes: parts of them, counters and deadlines in them, and what a small one saves.
pub static LESSON: Lesson = Lesson {
    name: "hashes",
    title: "Hashes",
    question: "How does one store an object, and read or change a part of it?",
    commands: &[
        "HSET",
        "HGET",
        "HMGET",
        "HGETALL",
        "HKEYS",
        "HLEN",
        "HINCRBY",
        "HSETNX",
        "HDEL",
        "HEXPIRE",
        "HTTL",
        "HPERSIST",
        "OBJECT ENCODING",
        "MEMORY USAGE",
    ],
    needs: &[],
    sources: &[lab_runner::source!("src/hashes.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// The customer of the lesson.
const ID: u64 = 1;
/// How many clients claim the same field at once.
const CLAIMANTS: usize = 16;
/// How many profiles the comparison reads.
const PROFILES: usize = 50;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let profiles = Profiles::with(PROFILES, &keys);
    let property_keys = profiles.property_keys(&profiles.properties());
    ctx.start_clean(&[keys.profile(ID), keys.growing_hash(), keys.lengthening_hash()]).await?;
    ctx.start_clean(&Claim::ALL.map(|claim| keys.claimed_profile(claim.name()))).await?;
    ctx.start_clean(&profiles.hashes()).await?;
    ctx.start_clean(&property_keys).await?;

    store_and_read(ctx, &keys).await?;
    change_parts(ctx, &keys).await?;
    claim_once(ctx, &keys).await?;
    field_ttl::run(ctx, &keys.profile(ID)).await?;
    packed::watch(ctx, &keys).await?;
    cost::compare(ctx, &profiles).await?;
    cost::weigh(ctx, &profiles).await?;

    // A key for each property was only there to be compared with.
    ctx.start_clean(&property_keys).await?;
    let claimed = Claim::ALL.map(|claim| keys.claimed_profile(claim.name()));
    ctx.keys(
        [keys.profile(ID), keys.growing_hash(), profiles.hashes().swap_remove(0)].into_iter().chain(claimed),
    );
    Ok(())
}

async fn store_and_read(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let key = keys.profile(ID);

    ctx.step(
        "An object has properties. Stored as one text, it travels as a whole whenever one property is read, and two who \
         change it overwrite each other. A Hash is a key with fields, and each field can be read and changed on its own. \
         HSET writes any number of them and answers how many are new.",
    ).await?;
    let new: usize = redis::cmd("HSET")
        .arg(&key)
        .arg(&[("firstname", "Parker"), ("lastname", "Perry"), ("city", "New York"), ("visits", "41")])
        .query_async(&mut redis)
        .await?;
    let overwritten = redis.hset(&key, "city", "Boston").await?;
    ctx.check("four fields were new, then none: HSET overwrites", new == 4 && overwritten == 0)?;

    ctx.step(
        "HGET reads one field, HMGET several, in the order of the question and with nil for what is not there. HGETALL \
         reads all, HKEYS only the names, HLEN only their number. There are no types: 41 comes back as text.",
    ).await?;
    let city = redis.hget(&key, "city").await?;
    ctx.check("HGET read one field", city.as_deref() == Some("Boston"))?;
    let some: Vec<Option<String>> =
        redis::cmd("HMGET").arg(&key).arg(&["lastname", "phone", "visits"]).query_async(&mut redis).await?;
    let seen: Vec<Option<&str>> = some.iter().map(Option::as_deref).collect();
    ctx.check_eq(
        "a field that is not there is nil, at its place",
        &seen,
        &vec![Some("Perry"), None, Some("41")],
    )?;
    let all = redis.hgetall(&key).await?;
    let names = redis.hkeys(&key).await?;
    let count = redis.hlen(&key).await?;
    ctx.check("HGETALL, HKEYS and HLEN tell of the same four", (all.len(), names.len(), count) == (4, 4, 4))?;

    ctx.step(
        "HGETALL and HKEYS take time in proportion to the fields, and keep everybody else waiting meanwhile. For a \
         profile that is nothing. A Hash with a million fields is walked with HSCAN.",
    ).await?;
    Ok(())
}

async fn change_parts(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let key = keys.profile(ID);

    ctx.step(
        "HINCRBY counts within a field, in one step on the server, as INCR does with a key. A field that is no number is \
         refused and stays as it is.",
    ).await?;
    let visits: i64 = redis::cmd("HINCRBY").arg(&key).arg("visits").arg(1).query_async(&mut redis).await?;
    let points: i64 = redis::cmd("HINCRBY").arg(&key).arg("points").arg(10).query_async(&mut redis).await?;
    ctx.check("41 and 1 are 42; a missing field counts from 0", (visits, points) == (42, 10))?;
    let refused = redis::cmd("HINCRBY").arg(&key).arg("city").arg(1).exec_async(&mut redis).await.is_err();
    let city = redis.hget(&key, "city").await?;
    ctx.check("Boston cannot be counted, and is still there", refused && city.as_deref() == Some("Boston"))?;

    ctx.step(
        "HDEL removes fields. A Hash without fields does not exist: with the last field the key is gone.",
    )
    .await?;
    let removed = redis.hdel(&key, &["points", "phone"]).await?;
    ctx.check("one of the two was there", removed == 1)?;
    let left = redis.hdel(&key, &["firstname", "lastname", "city", "visits"]).await?;
    let exists = redis.exists(&key).await?;
    ctx.check("the last field took the key along", left == 4 && !exists)?;
    let whole = profile(ID);
    redis::cmd("HSET").arg(&key).arg(&whole).exec_async(&mut redis).await?;
    Ok(())
}

async fn claim_once(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let key = keys.profile(ID);

    ctx.step("Some fields are to be set once: the first who comes wins. HSETNX sets a field only if it is not there.").await?;
    let first = redis.hset_nx(&key, "nickname", "ace").await?;
    let second = redis.hset_nx(&key, "nickname", "parky").await?;
    let nickname = redis.hget(&key, "nickname").await?;
    ctx.check("the first nickname stays", first && !second && nickname.as_deref() == Some("ace"))?;

    ctx.step(format!(
        "Break it: ask with HEXISTS, and HSET if the field is not there. {CLAIMANTS} clients do so at the same moment, and \
         all of them ask before any of them writes. Fix it with HSETNX, which asks and writes in one step.",
    )).await?;
    let mut table = Table::new("Who got the nickname?", &["approach", "clients", "believe that they got it"]);
    let mut winners = Vec::new();
    for claim in Claim::ALL {
        let key = keys.claimed_profile(claim.name());
        let believe = claim.crowd(ctx.target(), &key, CLAIMANTS).await?;
        table = table.row([claim.label().to_owned(), CLAIMANTS.to_string(), believe.to_string()]);
        winners.push(believe);
    }
    ctx.table(table);
    ctx.check_eq("all who ask first believe it; of HSETNX there is one winner", &winners, &vec![CLAIMANTS, 1])
}
