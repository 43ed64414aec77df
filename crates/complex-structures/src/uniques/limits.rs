//! Where each way ends: a bitmap with a huge number, and questions that a HyperLogLog cannot answer.

use lab_runner::table::{Table, bytes, thousands};
use lab_runner::{LessonContext, Outcome};

use super::count::{Counting, error_of, memory_usage};
use super::{MONDAY, TUESDAY};
use crate::keys::Keys;

/// The visitor with a large number, and one whose bitmap nobody wants here.
const FAR: usize = 1_000_000;
const VERY_FAR: usize = 100_000_000;

pub(super) async fn set_a_far_bit(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let sparse = keys.sparse_bits();

    ctx.step(
        "The trap of the bitmap: it is as long as its highest number, and all zeros before that take room too. One visitor, \
         number 1,000,000:",
    ).await?;
    redis::cmd("SETBIT").arg(&sparse).arg(FAR).arg(1).exec_async(&mut redis).await?;
    let length: usize = redis::cmd("STRLEN").arg(&sparse).query_async(&mut redis).await?;
    let usage = memory_usage(&mut ctx.untraced("TODO"), &sparse).await?;
    ctx.start_clean(&[sparse]).await?;
    ctx.check("one visitor takes 125,001 bytes", length == bytes_of_bitmap(FAR) && length == 125_001)?;
    ctx.check(format!("and they are real memory: MEMORY USAGE says {}", bytes(usage)), usage >= length)?;
    ctx.step(format!(
        "The arithmetic is number / 8 + 1. Visitor {} alone would take {}, and all of it is allocated and zeroed while \
         everybody waits. So the numbers must be dense, given out by INCR, say. Identifiers that come from outside or \
         at random do not belong into a bitmap.",
        thousands(VERY_FAR as f64),
        bytes(bytes_of_bitmap(VERY_FAR)),
    )).await?;
    Ok(())
}

fn bytes_of_bitmap(highest: usize) -> usize {
    highest / 8 + 1
}

pub(super) async fn ask_too_much(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.untraced("TODO");
    let (monday, tuesday) = (keys.visitor_estimate(MONDAY), keys.visitor_estimate(TUESDAY));
    let estimate = Counting::HyperLogLog;

    ctx.step(
        "What a HyperLogLog cannot do. It cannot say who was there: the 0 of PFADD means that no register changed, not that \
         the visitor is known. It cannot forget one: there is no command for it. And it cannot intersect: \
         those who came back are Monday + Tuesday - both, and the errors of three large numbers land on a small one.",
    ).await?;
    let strangers = 1_000_u32;
    let mut asked = redis::pipe();
    for stranger in 0..strangers {
        asked.cmd("PFADD").arg(&monday).arg(900_000 + stranger);
    }
    // Asking changes it, which is one more reason not to ask.
    let changed: Vec<bool> = asked.query_async(&mut redis).await?;
    let mistaken = changed.iter().filter(|changed| !**changed).count();
    ctx.start_clean(std::slice::from_ref(&monday)).await?;
    estimate.add(&mut redis, &monday, 1, 6_000).await?;

    let (first, second) =
        (estimate.count(&mut redis, &monday).await?, estimate.count(&mut redis, &tuesday).await?);
    let both: u64 = redis::cmd("PFCOUNT").arg(&monday).arg(&tuesday).query_async(&mut redis).await?;
    let returning = (first + second).saturating_sub(both);
    ctx.table(
        Table::new("Recording of a HyperLogLog", &["question", "right", "answered", "error"])
            .row(["strangers, of 1,000, taken for known", "0", &mistaken.to_string(), ""])
            .row([
                "visitors on both days, by subtraction",
                "1,000",
                &thousands(returning as f64),
                &format!("{:.1} %", 100.0 * error_of(returning, 1_000)),
            ]),
    );
    ctx.check(format!("{mistaken} of 1,000 strangers look known"), mistaken > 0)?;
    ctx.check("the count of both days together is right all the same", estimate.is_right(both, 11_000))
}
