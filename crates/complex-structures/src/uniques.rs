//! How many different visitors came, how exactly do you know, and in how many bytes?
//!
//! `cargo complex uniques`

mod counting;

use lab_connection::{Connection, own_keys};
use lab_runner::concurrent::try_join_all;
use lab_runner::table::{Table, bytes, thousands};
use lab_runner::{Comparison, Keys, Lesson, LessonContext, Outcome, source};
use redis::{AsyncTypedCommands, RedisResult};

pub use self::counting::{AddVisits, Counting, Visits};
use crate::encoding::memory_usage;

/// Set, bitmap, and HyperLogLog side by side.
pub static LESSON: Lesson = Lesson {
    name: "uniques",
    title: "Uniques",
    question: "How many different visitors came, and what does the answer cost?",
    commands: &[
        "SADD", "SCARD", "SETBIT", "GETBIT", "BITCOUNT", "BITOP", "BITPOS", "PFADD", "PFCOUNT", "PFMERGE",
    ],
    needs: &[],
    sources: &[source!("src/uniques.rs"), source!("src/uniques/counting.rs")],
    rule: "Use a Set while it is small or you must know who came, a bitmap for dense numbers, and a HyperLogLog when the \
           count is enough and one percent is close enough.",
    takeaways: &[
        "A HyperLogLog takes at most about 12 kB, however many visitors there are.",
        "A bitmap is as long as its highest number, so IDs from outside do not belong in it.",
        "A HyperLogLog cannot say who came, remove a visitor, or count an intersection.",
    ],
    quiz: &[8, 104],
    run: |ctx| Box::pin(run(ctx)),
};

const MONDAY: &str = "2024-01-01";
const TUESDAY: &str = "2024-01-02";
/// How many visitors are in the rows of the table.
const SIZES: [u32; 3] = [100, 10_000, 100_000];
/// How many visits the comparison adds.
const VISITS: u32 = 2_000;
/// The length of the longest HyperLogLog: 16,384 registers of 6 bits, and a header of 16 bytes.
const LONGEST_HYPERLOGLOG: usize = 16_384 * 6 / 8 + 16;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let set = Counting::Set.key(&keys, MONDAY);
    let bits = [MONDAY, TUESDAY, "either", "returning"].map(|day| Counting::Bitmap.key(&keys, day));
    let estimates = [MONDAY, TUESDAY, "both"].map(|day| Counting::HyperLogLog.key(&keys, day));
    let sparse = keys.key("{visitors}:sparse:bitmap");
    let visits = Visits::new("bench", VISITS, &keys);
    let sizes = all_keys(&keys);
    let used =
        [vec![set.clone(), sparse.clone()], bits.to_vec(), estimates.to_vec(), sizes, visits.keys().to_vec()];
    ctx.start_clean(&used.concat()).await?;

    count_exactly(ctx, &set).await?;
    count_bits(ctx, &bits).await?;
    estimate(ctx, &estimates).await?;
    compare_sizes(ctx, &keys).await?;
    set_a_far_bit(ctx, &sparse).await?;
    ask_too_much(ctx, &estimates).await?;
    compare(ctx, &visits).await?;

    let [monday_bits, _, _, returning] = bits;
    let [monday, _, both] = estimates;
    ctx.keys([set, monday_bits, returning, monday, both]);
    Ok(())
}

async fn count_exactly(ctx: &LessonContext, visitors: &str) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("There were five visits, but how many visitors? A Set holds each member once. SADD returns how many were new, \
              and SCARD how many there are.").await?;
    let new = redis.sadd(visitors, &[7, 12, 7, 3, 12]).await?;
    let all = redis.scard(visitors).await?;
    ctx.check("five visits by three visitors", (new, all) == (3, 3))
}

async fn count_bits(ctx: &LessonContext, [monday, tuesday, either, returning]: &[String; 4]) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("If visitors have numbers, one bit each is enough. SETBIT sets the bit with the visitor's number and returns \
              the bit before: 0 means a first visit. BITCOUNT counts the bits, and GETBIT reads one.").await?;
    let mut visits = redis::pipe();
    for visitor in [7, 12, 7, 3] {
        visits.setbit(monday, visitor, true);
    }
    let before: [u8; 4] = visits.query_async(&mut redis).await?;
    let visitors = redis.bitcount(monday).await?;
    let (twelve, four) = (redis.getbit(monday, 12).await?, redis.getbit(monday, 4).await?);
    ctx.check("7 came twice and counts once", before == [0, 0, 1, 0] && visitors == 3)?;
    ctx.check("12 was there, 4 was not", twelve && !four)?;

    ctx.step("BITPOS finds the first bit that is 1, or the first that is 0.").await?;
    let first: u64 = redis::cmd("BITPOS").arg(monday).arg(1).query_async(&mut redis).await?;
    let absent: u64 = redis::cmd("BITPOS").arg(monday).arg(0).query_async(&mut redis).await?;
    ctx.check("the lowest number that came is 3; the lowest that did not is 0", (first, absent) == (3, 0))?;

    ctx.step("BITOP combines whole days on the server: OR for visitors who came at least once, AND for those who came back.")
        .await?;
    let mut visits = redis::pipe();
    for visitor in [12, 20, 3] {
        visits.setbit(tuesday, visitor, true);
    }
    visits.exec_async(&mut redis).await?;
    redis.bit_or(either, &[monday, tuesday]).await?;
    redis.bit_and(returning, &[monday, tuesday]).await?;
    let (any, both) = (redis.bitcount(either).await?, redis.bitcount(returning).await?);
    ctx.check("four visitors in all, and two came back", (any, both) == (4, 2))?;
    ctx.say("On a cluster, the keys of one BITOP or PFMERGE must be in one slot. The {visitors} in their names ensures that, \
             because the slot is computed from the part in braces.");
    Ok(())
}

async fn estimate(ctx: &LessonContext, [monday, tuesday, both]: &[String; 3]) -> Outcome {
    let mut redis = ctx.redis();

    ctx.step("A HyperLogLog does not store the visitors. It hashes each one and remembers, in 16,384 small registers, how \
              rare the rarest hash was. From that PFCOUNT estimates how many different visitors there were, with a standard \
              error of 0.81%. PFADD returns 1 if a register changed.").await?;
    let changed = redis.pfadd(monday, &[7, 12, 3]).await?;
    let changed_again = redis.pfadd(monday, 7).await?;
    let count = redis.pfcount(monday).await?;
    ctx.check("7 came twice and counts once", changed && !changed_again && count == 3)?;

    let mut other = ctx
        .untraced("A client sends PFADD with visitors 1 to 6,000 on Monday and 5,001 to 11,000 on Tuesday.");
    Counting::HyperLogLog.add(&mut other, monday, 1..=6_000).await?;
    Counting::HyperLogLog.add(&mut other, tuesday, 5_001..=11_000).await?;
    ctx.step("Now two days with 6,000 visitors each, 1,000 of whom came on both. PFMERGE makes one estimate of several and \
              counts visitors of both days once. PFCOUNT of several keys does the same without storing the result.").await?;
    redis.pfmerge(both, &[monday, tuesday]).await?;
    let merged = redis.pfcount(both).await?;
    let unstored = redis.pfcount(&[monday, tuesday]).await?;
    ctx.check(
        "11,000 different visitors, within three standard errors",
        Counting::HyperLogLog.is_right(merged, 11_000) && merged == unstored,
    )
}

async fn compare_sizes(ctx: &LessonContext, keys: &Keys) -> Outcome {
    ctx.step("All three side by side, with visitors 1 to N in each. The bytes are those of MEMORY USAGE with SAMPLES 0, \
              which counts every element, the key's name, and the server's overhead. (A bitmap that grows bit by bit \
              reserves memory ahead, so it takes up to twice its N / 8 bytes.)").await?;
    ctx.function("add_chunk");
    let mut other = ctx.untraced(
        "A client sends SADD, SETBIT, and PFADD in pipelines, then SCARD, BITCOUNT, or PFCOUNT, \
                                  MEMORY USAGE, and STRLEN for each row. At the end UNLINK removes the keys.",
    );
    let mut table = Table::new("Different visitors", &["visitors", "kept in", "counted", "error", "bytes"]);
    let (mut exact, mut near, mut short) = (true, true, true);
    let rows = SIZES.into_iter().flat_map(|size| Counting::ALL.map(|counting| (size, counting)));
    let measured = rows.map(async |(size, counting)| -> RedisResult<_> {
        let (mut redis, key) = (other.clone(), counting.key(keys, &size.to_string()));
        counting.add(&mut redis, &key, 1..=size).await?;
        let (count, memory) = counting.count_and_memory(&mut redis, &key).await?;
        let length = if counting == Counting::HyperLogLog { redis.strlen(&key).await? } else { 0 };
        Ok((size, counting, count, memory, length))
    });
    for (size, counting, count, memory, length) in try_join_all(measured.collect::<Vec<_>>()).await? {
        let error = format!("{:.2}%", 100.0 * counting::error_of(count, size as usize));
        let cells = [counting.label().to_owned(), thousands(count as f64), error, bytes(memory)];
        table = table.labeled(thousands(size.into()), cells);
        let right = counting.is_right(count, size as usize);
        if counting == Counting::HyperLogLog {
            near &= right;
            short &= length <= LONGEST_HYPERLOGLOG;
        } else {
            exact &= right;
        }
    }
    ctx.table(table);
    ctx.check("Set and bitmap are exact", exact)?;
    ctx.check("the HyperLogLog is within three standard errors, 2.4%", near)?;
    ctx.check("and its value is never longer than 12,304 bytes (STRLEN)", short)?;
    own_keys::unlink(&mut other, &all_keys(keys)).await?;
    Ok(())
}

fn all_keys(keys: &Keys) -> Vec<String> {
    let of_size = |size: u32| Counting::ALL.map(|counting| counting.key(keys, &size.to_string()));
    SIZES.into_iter().flat_map(of_size).collect()
}

async fn set_a_far_bit(ctx: &LessonContext, sparse: &str) -> Outcome {
    let mut redis = ctx.redis();

    let guess = ctx
        .step("A bitmap has a trap. Here is one visitor, number 1,000,000.")
        .predict("How many bytes long is the bitmap?", ["1", "125,001", "1,000,001"])
        .await?;
    redis.setbit(sparse, 1_000_000, true).await?;
    let length = redis.strlen(sparse).await?;
    let memory = memory_usage(&mut redis, sparse).await?;
    redis.unlink(sparse).await?;
    guess.answer(thousands(length as f64))?;
    ctx.say("A bitmap is as long as its highest number, and all zeros before that take memory too.");
    ctx.check("one visitor takes 125,001 bytes", length == 125_001)?;
    ctx.check(format!("and MEMORY USAGE says {}", bytes(memory)), memory >= length)?;
    ctx.say(format!(
        "The length is number / 8 + 1. Visitor 100,000,000 alone would take {}, and the server allocates and clears it while \
         all clients wait. So the numbers must be dense, for example from INCR. IDs that are random or come from outside do \
         not belong in a bitmap.",
        bytes(100_000_000 / 8 + 1),
    ));
    Ok(())
}

async fn ask_too_much(ctx: &LessonContext, [monday, tuesday, _]: &[String; 3]) -> Outcome {
    ctx.step("Two questions that a HyperLogLog cannot answer: is this visitor new, and how many visitors came on both days? People \
              try it with the reply of PFADD, and with Monday + Tuesday - both:")
        .await?;
    ctx.function("strangers_that_look_known");
    ctx.function("returning_by_subtraction");

    let guess = ctx.step("Monday had visitors 1 to 6,000. Now 1,000 strangers come, one after the other, and we look at what PFADD \
                          returns for each.")
        .predict("For how many of the 1,000 does PFADD return 1?", ["none", "some", "all"])
        .await?;
    ctx.announce("A client sends PFADD with 1,000 strangers to see what it returns, then UNLINK and PFADD to \
                                  write Monday again without them, and PFCOUNT of Monday, of Tuesday, and of both.");
    let mut other = ctx.target().connection();
    let known = strangers_that_look_known(&mut other, monday).await?;
    guess.answer(match known {
        0 => "all",
        1_000 => "none",
        _ => "some",
    })?;
    ctx.say("When PFADD returns 0, no register changed, but the visitor may be new. You can't remove a visitor, either. And in a \
             difference, the errors of three large numbers end up in a small one.");
    other.unlink(monday).await?;
    Counting::HyperLogLog.add(&mut other, monday, 1..=6_000).await?;
    let (returning, both) = returning_by_subtraction(&mut other, monday, tuesday).await?;
    let error = format!("{:.1}%", 100.0 * counting::error_of(returning, 1_000));
    ctx.table(
        Table::new("What a HyperLogLog answers", &["question", "right", "answer", "error"])
            .row(["strangers, of 1,000, taken for known", "0", &known.to_string(), ""])
            .row(["visitors on both days, by subtraction", "1,000", &thousands(returning as f64), &error]),
    );
    ctx.check(format!("{known} of 1,000 strangers look known"), known > 0)?;
    ctx.check("the count of both days together is still right", Counting::HyperLogLog.is_right(both, 11_000))
}

async fn strangers_that_look_known(redis: &mut Connection, monday: &str) -> RedisResult<usize> {
    let mut pipeline = redis::pipe();
    for stranger in 900_001..=901_000 {
        pipeline.pfadd(monday, stranger);
    }
    let changed: Vec<bool> = pipeline.query_async(redis).await?;
    Ok(changed.iter().filter(|changed| !**changed).count())
}

async fn returning_by_subtraction(
    redis: &mut Connection,
    monday: &str,
    tuesday: &str,
) -> RedisResult<(usize, usize)> {
    let both = redis.pfcount(&[monday, tuesday]).await?;
    let sum = redis.pfcount(monday).await? + redis.pfcount(tuesday).await?;
    Ok((sum.saturating_sub(both), both))
}

async fn compare(ctx: &LessonContext, visits: &Visits) -> Outcome {
    ctx.step(format!(
        "And how long does it take? {} visits, every second one by a visitor who was there before. SADD and PFADD take many \
         members in one command. SETBIT sets one bit, so a pipeline sends many.",
        thousands(VISITS.into()),
    )).await?;
    ctx.function("add_each");
    let comparison = Comparison { title: "Adding visits", approaches: &AddVisits::ALL, input: visits };
    ctx.compare(comparison).await?;
    own_keys::unlink(&mut ctx.untraced("UNLINK removes the visits of the comparison."), &visits.keys())
        .await?;
    Ok(())
}
