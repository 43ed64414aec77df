//! A bit for each visitor.

use lab_runner::{LessonContext, Outcome};

use super::{MONDAY, RETURNING, TUESDAY};
use crate::keys::Keys;

pub(super) async fn count_bits(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let (monday, tuesday) = (keys.visitor_bits(MONDAY), keys.visitor_bits(TUESDAY));
    let returning = keys.visitor_bits(RETURNING);

    ctx.step(
        "Where visitors have numbers, one bit each is enough. SETBIT sets the bit with the visitor's number and answers \
         what it was before: 0 is a first visit. BITCOUNT counts the bits, GETBIT asks for one.",
    ).await?;
    let mut visits = redis::pipe();
    for visitor in [7, 12, 7, 3] {
        visits.cmd("SETBIT").arg(&monday).arg(visitor).arg(1);
    }
    let before: Vec<u8> = visits.query_async(&mut redis).await?;
    let visitors: usize = redis::cmd("BITCOUNT").arg(&monday).query_async(&mut redis).await?;
    let twelve: bool = redis::cmd("GETBIT").arg(&monday).arg(12).query_async(&mut redis).await?;
    let four: bool = redis::cmd("GETBIT").arg(&monday).arg(4).query_async(&mut redis).await?;
    ctx.check("7 came twice and counts once", before == [0, 0, 1, 0] && visitors == 3)?;
    ctx.check("12 was there, 4 was not", twelve && !four)?;

    ctx.step("BITPOS finds the first bit that is 1, or the first that is 0.").await?;
    let first: i64 = redis::cmd("BITPOS").arg(&monday).arg(1).query_async(&mut redis).await?;
    let absent: i64 = redis::cmd("BITPOS").arg(&monday).arg(0).query_async(&mut redis).await?;
    ctx.check("the lowest number that came is 3; 0 is the lowest that did not", (first, absent) == (3, 0))?;

    ctx.step("BITOP combines whole days on the server: AND for those who came back, OR for all who came at least once.").await?;
    let mut visits = redis::pipe();
    for visitor in [12, 20, 3] {
        visits.cmd("SETBIT").arg(&tuesday).arg(visitor).arg(1).ignore();
    }
    visits.exec_async(&mut ctx.untraced("TODO")).await?;
    let mut combined = async |operation: &str| {
        redis::cmd("BITOP")
            .arg(operation)
            .arg(&returning)
            .arg(&monday)
            .arg(&tuesday)
            .exec_async(&mut redis)
            .await?;
        redis::cmd("BITCOUNT").arg(&returning).query_async::<usize>(&mut redis).await
    };
    let either = combined("OR").await?;
    let both = combined("AND").await?;
    ctx.check("on Tuesday came 3, 12 and 20: four visitors in all, two came back", (either, both) == (4, 2))?;
    ctx.step(
        "Keys that one BITOP or PFMERGE touches must be in the same slot of a cluster. The {visitors} in the names sees to \
         that: only what stands in braces decides about the slot.",
    ).await?;
    Ok(())
}
