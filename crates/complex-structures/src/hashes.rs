//! How do you store an object, and read or change a part of it?
//!
//! `cargo complex hashes`

mod read_fields;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lab_connection::{Connection, own_keys};
use lab_runner::clients::{connect, run_clients};
use lab_runner::table::{Table, thousands};
use lab_runner::{Comparison, Keys, Lesson, LessonContext, Need, Outcome, Retry, labeled, source};
use redis::aio::ConnectionLike;
use redis::{AsyncCommands, Cmd, ExpireOption, RedisResult};
use tokio::sync::Barrier;

pub use self::read_fields::{Profiles, ReadFields, WANTED, profile};
use crate::encoding::{EncodingChange, LARGEST, memory_usage};

/// Objects as Hashes: partial reads, counters in fields, fields with a TTL, and what a small Hash saves.
pub static LESSON: Lesson = Lesson {
    name: "hashes",
    title: "Hashes",
    question: "How do you store an object, and read or change a part of it?",
    #[rustfmt::skip]
    commands: &[
        "HSET", "HGET", "HMGET", "HGETALL", "HKEYS", "HLEN", "HINCRBY", "HSETNX", "HDEL", "HEXPIRE", "HTTL",
        "HPERSIST", "OBJECT ENCODING", "MEMORY USAGE",
    ],
    needs: &[],
    sources: &[source!("src/hashes.rs"), source!("src/hashes/read_fields.rs"), source!("src/encoding.rs")],
    rule: "Store an object as a Hash, read the fields you need by name, and read many objects in one pipeline.",
    takeaways: &[
        "A field can expire on its own since Redis 7.4 and Valkey 9; before, what has a TTL of its own needs a key of its own.",
        "HSETNX and HINCRBY decide on the server; HEXISTS followed by HSET is a race.",
        "A small Hash is packed and takes about half the memory of one key per property.",
    ],
    quiz: &[1, 4, 15],
    run: |ctx| Box::pin(run(ctx)),
};

/// User 1, as the loader of `cargo bulk` writes it too.
const PARKER: [(&str, &str); 8] = [
    ("firstname", "Parker"),
    ("lastname", "Perry"),
    ("email", "parker.perry.1@example.com"),
    ("age", "59"),
    ("city", "New York"),
    ("department", "Finance"),
    ("salary", "72300"),
    ("signup", "2020-07-09"),
];
/// How many clients claim the same field at once.
const CLIENTS: usize = 16;
/// How many profiles the comparison reads.
const PROFILES: usize = 50;
/// Valkey has it since 9.0, Redis since 7.4.
const FIELD_TTL: Need =
    Need { command: "HEXPIRE", available_in: "--server valkey-9.1 (Valkey 9 has it, and Redis since 7.4)" };
/// How long the lesson waits for a field whose TTL has ended, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(5);

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let user = keys.key("user:1");
    let (growing, lengthening) = (keys.key("settings:growing"), keys.key("settings:lengthening"));
    let claims = Claim::ALL.map(|claim| claim.key(&keys));
    let profiles = Profiles::new(PROFILES, &keys);
    let lesson_keys = [user.clone(), keys.key("user:1:draft"), growing.clone(), lengthening.clone()];
    ctx.start_clean(&[&lesson_keys[..], &claims, &profiles.hash_keys()].concat()).await?;

    store_and_read(ctx, &user).await?;
    change_parts(ctx, &user, &keys.key("user:1:draft")).await?;
    claim_once(ctx, &user, &keys).await?;
    expire_fields(ctx, &user).await?;
    finish(ctx, &user).await?;
    watch_the_encoding(ctx, &growing, &lengthening).await?;
    compare_reads(ctx, &keys).await?;
    compare_memory(ctx, &profiles).await?;

    ctx.keys([user, growing, profiles.hash_keys().swap_remove(0)].into_iter().chain(claims));
    Ok(())
}

async fn store_and_read(ctx: &LessonContext, user: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("A user has a name, an email address, and a city. If you store all of it as one string, all of it travels \
              whenever you need one part, and two clients that change different parts overwrite each other. A Hash is a key \
              with fields, and you can read and change each field by itself. HSET writes any number of fields and returns \
              how many are new.").await?;
    let new: usize = redis::cmd("HSET").arg(user).arg(&PARKER).query_async(&mut redis).await?;
    let new_again: usize = redis.hset(user, "city", "Boston").await?;
    ctx.check("eight fields were new, then none: HSET overwrites", new == 8 && new_again == 0)?;

    ctx.step("HGET reads one field. HMGET reads several, in the order you name them, with nil for a field that does not \
              exist. A field has no type: the age comes back as text.").await?;
    let city: Option<String> = redis.hget(user, "city").await?;
    let some: [Option<String>; 3] = redis.hmget(user, &["lastname", "phone", "age"]).await?;
    ctx.check("HGET read one field", city.as_deref() == Some("Boston"))?;
    let some = some.each_ref().map(Option::as_deref);
    ctx.check_eq("the missing field is nil, in its place", &some, &[Some("Perry"), None, Some("59")])?;

    ctx.step("HGETALL reads all fields, HKEYS only their names, and HLEN only their number. HGETALL and HKEYS take longer \
              the more fields there are, and all other clients wait meanwhile. For a user that is nothing. Read a Hash of a \
              million fields in parts, with HSCAN.").await?;
    let all: HashMap<String, String> = redis.hgetall(user).await?;
    let names: Vec<String> = redis.hkeys(user).await?;
    let count: usize = redis.hlen(user).await?;
    ctx.check("all three agree on eight fields", (all.len(), names.len(), count) == (8, 8, 8))
}

async fn change_parts(ctx: &LessonContext, user: &str, draft: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("HINCRBY adds to a number in a field, in one step on the server, as INCR does with a key. A negative number \
              subtracts. A missing field counts from 0.").await?;
    let raised: i64 = redis.hincr(user, "salary", 700).await?;
    let lowered: i64 = redis.hincr(user, "salary", -700).await?;
    let visits: i64 = redis.hincr(user, "visits", 1).await?;
    ctx.check("72,300 + 700 - 700, and a first visit", (raised, lowered, visits) == (73_000, 72_300, 1))?;

    ctx.step("A field that is not a whole number stays as it is, and you get an error.").await?;
    let refused = redis.hincr::<_, _, _, i64>(user, "city", 1).await.is_err();
    let city: Option<String> = redis.hget(user, "city").await?;
    ctx.check(
        "Boston plus 1 is refused, and Boston is still there",
        refused && city.as_deref() == Some("Boston"),
    )?;

    let guess = ctx.step("HDEL removes fields. Here it removes two fields of the user, but only 'visits' is there. Then it removes \
                          the only field of a draft.")
        .predict("What is the draft without its only field?", ["an empty Hash", "gone"])
        .await?;
    let removed: usize = redis.hdel(user, &["visits", "phone"]).await?;
    let new: usize = redis.hset(draft, "note", "call back").await?;
    let last: usize = redis.hdel(draft, "note").await?;
    let exists: bool = redis.exists(draft).await?;
    guess.answer(if exists { "an empty Hash" } else { "gone" })?;
    ctx.say("A Hash without fields does not exist: when the last field goes, the key goes.");
    ctx.check("the user had one of the two fields", removed == 1)?;
    ctx.check(
        "the draft was created with its first field and gone with its last",
        (new, last, exists) == (1, 1, false),
    )
}

async fn claim_once(ctx: &LessonContext, user: &str, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("Some fields are set only once, and the first client wins. HSETNX sets a field only if it does not exist.").await?;
    let first: bool = redis.hset_nx(user, "nickname", "ace").await?;
    let second: bool = redis.hset_nx(user, "nickname", "parky").await?;
    let nickname: Option<String> = redis.hget(user, "nickname").await?;
    ctx.check("the first nickname stays", first && !second && nickname.as_deref() == Some("ace"))?;

    ctx.step("Break it: ask with HEXISTS, and call HSET if the field is missing. Fix it with HSETNX, which asks and writes in \
              one step.")
        .await?;
    ctx.function("claim");

    let guess = ctx.step(format!("Now {CLIENTS} clients set the nickname of the same user at the same time, and only the first may \
                                  succeed. If they ask first, all of them ask before any of them writes."))
        .predict("How many believe that they got it, if they ask first?", ["none", "one", "all"])
        .await?;
    ctx.announce(format!("{CLIENTS} clients send HEXISTS and HSET, or HSETNX, to claim one field"));
    let mut table = Table::new("Who got the nickname?", &["approach", "clients", "winners"]);
    let mut winners = Vec::new();
    let clients = connect(ctx.target(), CLIENTS).await?;
    for claim in Claim::ALL {
        let count = claim.race(&clients, &claim.key(keys)).await?;
        table = table.labeled(claim.label(), [CLIENTS, count]);
        winners.push(count);
    }
    ctx.table(table);
    guess.answer(match winners[..] {
        [0, _] => "none",
        [1, _] => "one",
        _ => "all",
    })?;
    ctx.check_eq("if clients ask first, all win; with HSETNX, one does", &winners, &vec![CLIENTS, 1])
}

labeled! {
    /// How a client claims the field `nickname`.
    pub enum Claim {
        /// All clients ask before any of them writes.
        AskThenSet => "HEXISTS, then HSET",
        /// In one step.
        SetIfNew => "HSETNX",
    }
}

impl Claim {
    /// Its Hash.
    pub fn key(self, keys: &Keys) -> String {
        keys.key(match self {
            Self::AskThenSet => "profile:claimed:ask-then-set",
            Self::SetIfNew => "profile:claimed:set-if-new",
        })
    }

    /// Lets the clients claim the field of the same Hash. Returns how many of them believe that they got it.
    pub async fn race(self, clients: &[Connection], key: &str) -> RedisResult<usize> {
        let all = Arc::new(Barrier::new(clients.len()));
        let work = |_, redis| self.claim(redis, key.to_owned(), Arc::clone(&all));
        Ok(run_clients(clients, work).await?.into_iter().filter(|&won| won).count())
    }

    async fn claim(self, mut redis: Connection, key: String, all: Arc<Barrier>) -> RedisResult<bool> {
        match self {
            Self::AskThenSet => {
                let taken: bool = redis.hexists(&key, "nickname").await?;
                all.wait().await; // the worst case: all have asked, and no one has written
                if !taken {
                    let _: usize = redis.hset(&key, "nickname", "ace").await?;
                }
                Ok(!taken)
            }
            Self::SetIfNew => redis.hset_nx(&key, "nickname", "ace").await,
        }
    }
}

async fn expire_fields(ctx: &LessonContext, user: &str) -> Outcome {
    let mut redis = ctx.redis();
    let expires = ctx.can(FIELD_TTL.command).await;

    ctx.step(
        "EXPIRE gives a whole key a TTL. A login code that lives for five minutes would need its own key.",
    )
    .await?;
    if !expires {
        ctx.skip(FIELD_TTL);
        return Ok(());
    }
    ctx.step("Since Valkey 9 and Redis 7.4, a field can have a TTL. HEXPIRE answers for each field: 1 means set, -2 \
              means no such field. HTTL returns the seconds left, or -1 without a TTL. HPERSIST removes the TTL.").await?;
    let _: usize = redis.hset(user, "login_code", "4711").await?;
    let set: [i64; 2] = redis.hexpire(user, 300, ExpireOption::NONE, &["login_code", "fax"]).await?;
    let left: [i64; 2] = redis.httl(user, &["login_code", "city"]).await?;
    let kept: [i64; 1] = redis.hpersist(user, "login_code").await?;
    let left_then: [i64; 1] = redis.httl(user, "login_code").await?;
    ctx.check("the code got a TTL; a field 'fax' does not exist", set == [1, -2])?;
    ctx.check(
        "the code has at most 300 seconds, the city stays",
        matches!(left, [code, -1] if (1..=300).contains(&code)),
    )?;
    ctx.check("after HPERSIST the code stays too", (kept, left_then) == ([1], [-1]))?;

    let guess = ctx
        .step("Then there is a new code. HSET writes it into the same field.")
        .predict("What is the TTL of the new code?", ["that of the old one", "none"])
        .await?;
    let _: [i64; 1] = redis.hexpire(user, 300, ExpireOption::NONE, "login_code").await?;
    let _: usize = redis.hset(user, "login_code", "0815").await?;
    let left: [i64; 1] = redis.httl(user, "login_code").await?;
    guess.answer(if left == [-1] { "none" } else { "that of the old one" })?;
    ctx.say("A mistake to avoid: HSET writes a new value and removes the TTL, as SET does for a key.");
    ctx.check("the new code would stay forever", left == [-1])?;

    if ctx.can("HSETEX").await {
        ctx.step("HSETEX (Valkey 9, Redis 8) writes value and TTL in one step.").await?;
        let fields = ["EX", "300", "FIELDS", "1", "login_code", "1234"];
        let set: i64 = redis::cmd("HSETEX").arg(user).arg(&fields).query_async(&mut redis).await?;
        let left: [i64; 1] = redis.httl(user, "login_code").await?;
        ctx.check("value and TTL are there", set == 1 && left[0] > 0)?;
    }

    ctx.step(
        "When the TTL ends, the field goes, and the rest of the Hash stays. This code has 50 milliseconds.",
    )
    .await?;
    let _: [i64; 1] = redis.hpexpire(user, 50, ExpireOption::NONE, "login_code").await?;
    wait_until_gone(ctx, user, "login_code").await?;
    let code: Option<String> = redis.hget(user, "login_code").await?;
    let city: Option<String> = redis.hget(user, "city").await?;
    ctx.check("the code is gone, the city is there", code.is_none() && city.is_some())
}

async fn wait_until_gone(ctx: &LessonContext, key: &str, field: &str) -> Outcome {
    let mut other = ctx.untraced("Another client asks with HEXISTS until the code is gone.");
    let mut retry = Retry::within(TIMEOUT);
    while other.hexists(key, field).await? {
        retry.again("the field is gone soon after its TTL ended").await?;
    }
    Ok(())
}

async fn finish(ctx: &LessonContext, user: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("Parker moves back to New York and drops the nickname. This is what stays in user:1.").await?;
    let _: usize = redis.hset(user, "city", "New York").await?;
    let _: usize = redis.hdel(user, &["nickname", "login_code"]).await?;
    let parker: HashMap<String, String> = redis.hgetall(user).await?;
    let encoding: Option<String> =
        redis::cmd("OBJECT").arg("ENCODING").arg(user).query_async(&mut redis).await?;
    if encoding.as_deref() == Some("hashtable") {
        ctx.say(
            "The order has changed, and the Hash takes several times the memory: on this server, the first field with a TTL made a \
             hash table of it, and it stays one.",
        );
    }
    let as_written = PARKER.iter().all(|(field, value)| parker.get(*field).is_some_and(|kept| kept == value));
    ctx.check("the eight fields from the start", parker.len() == 8 && as_written)
}

async fn watch_the_encoding(ctx: &LessonContext, growing: &str, lengthening: &str) -> Outcome {
    ctx.step("Why is a small Hash so small? The server packs it into one piece of memory, field, value, field, value: a \
              listpack (a ziplist before Redis 7). To find a field it reads through all of them, which is fast while there \
              are few. When the Hash gets too large, the server rebuilds it as a hash table with pointers. We grow one Hash \
              by one field at a time, and the value of another by one byte at a time, until that happens.").await?;
    ctx.function("grow_and_look");
    let mut other = ctx.untraced("One client sends HSET, OBJECT ENCODING, and MEMORY USAGE for each size.");
    let more_fields = |size| set_field(growing, size);
    let longer_value = |size| redis::cmd("HSET").arg(lengthening).arg("note").arg("n".repeat(size)).take();
    let (fields, value) = tokio::try_join!(
        EncodingChange::find(other.clone(), growing, LARGEST, more_fields),
        EncodingChange::find(other.clone(), lengthening, LARGEST, longer_value),
    )?;
    let table = EncodingChange::table(&[("fields", &fields), ("bytes of one value", &value)]);
    let (Some(fields), Some(value)) = (fields, value) else {
        ctx.say(format!("This server is configured differently: nothing changed up to a size of {LARGEST}."));
        return Ok(());
    };
    let (most, longest) = (fields.before.size, value.before.size);
    ctx.table(table);
    ctx.say(format!("So this server packs up to {most} fields with values of up to {longest} bytes: its \
                     hash-max-listpack-entries and hash-max-listpack-value. Releases and operators change both, so look \
                     instead of assuming."));

    ctx.announce(format!(
        "For the next step, UNLINK {growing}, and a pipeline of HSET writes {most} fields."
    ));
    fill(&mut other, growing, most).await?;

    let mut redis = ctx.redis();
    ctx.step(format!(
        "Once more, slowly, with a new Hash of {most} fields, as many as fit. One more is too many."
    ))
    .await?;
    let before: String = redis.object_encoding(growing).await?;
    let packed = memory_usage(&mut redis, growing).await?;
    let _: usize = set_field(growing, most + 1).query_async(&mut redis).await?;
    let after: String = redis.object_encoding(growing).await?;
    let unpacked = memory_usage(&mut redis, growing).await?;
    ctx.check(
        format!("one more field, and {before} became {after}"),
        before == fields.before.encoding && after == "hashtable" && before != after,
    )?;
    ctx.check(
        format!("and it takes {:.1} times the memory", unpacked as f64 / packed.max(1) as f64),
        unpacked > packed,
    )?;

    let guess = ctx
        .step("Now the last field goes again, and as many are left as fit.")
        .predict("What is the encoding now?", ["packed again", "still a hash table"])
        .await?;
    let _: usize = redis.hdel(growing, format!("setting:{}", most + 1)).await?;
    let again: String = redis.object_encoding(growing).await?;
    guess.answer(if again == "hashtable" { "still a hash table" } else { "packed again" })?;
    ctx.say("There is no way back. The server does not pack a Hash again when fields go.");
    ctx.check("still a hash table", again == "hashtable")
}

fn set_field(key: &str, number: usize) -> Cmd {
    redis::cmd("HSET").arg(key).arg(format!("setting:{number}")).arg("on").take()
}

async fn fill(redis: &mut impl ConnectionLike, key: &str, fields: usize) -> RedisResult<()> {
    let mut pipeline = redis::pipe();
    pipeline.unlink(key).ignore();
    for number in 1..=fields {
        pipeline.add_command(set_field(key, number)).ignore();
    }
    pipeline.exec_async(redis).await
}

async fn compare_reads(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step(format!(
        "Now many profiles of ten fields each. A screen shows three of them: {}. HGETALL reads all ten and you \
         throw seven away: look at the bytes received. HMGET reads the three. With one key per property, MGET reads them, \
         in a cluster from several nodes. And because the profiles do not depend on each other, all HMGETs can go in one pipeline.",
        WANTED.join(", "),
    )).await?;
    let profiles = Profiles::new(ctx.fit("profiles", PROFILES, 2, 20.0), keys);
    ctx.function("hmget_each");
    ctx.function("hmget_pipeline");
    let title = format!("Three fields of {} profiles", profiles.count());
    ctx.compare(Comparison { title: &title, approaches: &ReadFields::ALL, input: &profiles }).await
}

async fn compare_memory(ctx: &LessonContext, profiles: &Profiles) -> Outcome {
    let count = profiles.count();
    ctx.step("And memory? Every key costs the server an entry of its own, with its name, whatever it holds. A small Hash \
              pays for that once and then holds all fields.").await?;
    ctx.function("total_bytes");
    let mut other = ctx.untraced(format!("Pipelines of HSET and SET write {count} profiles as Hashes and as one key per \
                                          property, MEMORY USAGE asks for the size of each key, and UNLINK removes the keys \
                                          per property."));
    let mut another = other.clone();
    tokio::try_join!(profiles.write_hashes(&mut other), profiles.write_properties(&mut another))?;
    let properties = profiles.property_keys(&profile(0).iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let hashes = profiles.hash_keys();
    let (in_hashes, in_keys) =
        tokio::try_join!(total_bytes(other.clone(), &hashes), total_bytes(other.clone(), &properties))?;
    own_keys::unlink(&mut other, &properties).await?;
    let numbers = |keys: usize, bytes: usize| [keys, bytes, bytes / count].map(|it| thousands(it as f64));
    ctx.table(
        Table::new("Bytes in memory", &["stored as", "keys", "bytes", "per profile"])
            .labeled("one Hash per profile", numbers(count, in_hashes))
            .labeled("one key per property", numbers(properties.len(), in_keys)),
    );
    ctx.check(
        format!(
            "one key per property takes {:.1} times the memory",
            in_keys as f64 / in_hashes.max(1) as f64
        ),
        in_keys > in_hashes,
    )
}

async fn total_bytes(mut redis: impl ConnectionLike, keys: &[String]) -> RedisResult<usize> {
    let mut pipeline = redis::pipe();
    for key in keys {
        pipeline.cmd("MEMORY").arg(&["USAGE", key, "SAMPLES", "0"]);
    }
    let bytes: Vec<usize> = pipeline.query_async(&mut redis).await?;
    Ok(bytes.iter().sum())
}
