//! A HyperLogLog: an estimate in at most 12 kB, however many there are.

use lab_runner::{LessonContext, Outcome};

use super::{BOTH, Counting, MONDAY, TUESDAY};
use crate::keys::Keys;

/// Visitors 1 to 6,000 on Monday, 5,001 to 11,000 on Tuesday.
const MONDAYS: (u32, u32) = (1, 6_000);
const TUESDAYS: (u32, u32) = (5_001, 11_000);
const BOTH_DAYS: u64 = 11_000;

pub(super) async fn count_roughly(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let (mut redis, mut quietly) = (ctx.redis(), ctx.untraced("TODO"));
    let (monday, tuesday) = (keys.visitor_estimate(MONDAY), keys.visitor_estimate(TUESDAY));
    let both = keys.visitor_estimate(BOTH);

    ctx.step(
        "A HyperLogLog does not store the visitors. It hashes each of them and remembers in 16,384 small registers how rare \
         the rarest hash was. From that PFCOUNT estimates how many different ones there were; a standard error is \
         0.81 %. PFADD answers 1 if a register changed.",
    ).await?;
    let changed: bool = redis::cmd("PFADD").arg(&monday).arg(&[7, 12, 3]).query_async(&mut redis).await?;
    let again: bool = redis::cmd("PFADD").arg(&monday).arg(7).query_async(&mut redis).await?;
    let counted: u64 = redis::cmd("PFCOUNT").arg(&monday).query_async(&mut redis).await?;
    ctx.check("7 came twice and counts once", changed && !again && counted == 3)?;

    ctx.step(
        "Two days with 6,000 visitors each, of whom 1,000 came on both. PFMERGE makes one estimate of several, and who is \
         in both is counted once. PFCOUNT of several keys does the same without storing it.",
    ).await?;
    let estimate = Counting::HyperLogLog;
    estimate.add(&mut quietly, &monday, MONDAYS.0, MONDAYS.1).await?;
    estimate.add(&mut quietly, &tuesday, TUESDAYS.0, TUESDAYS.1).await?;
    redis::cmd("PFMERGE").arg(&both).arg(&monday).arg(&tuesday).exec_async(&mut redis).await?;
    let merged: u64 = redis::cmd("PFCOUNT").arg(&both).query_async(&mut redis).await?;
    let unstored: u64 = redis::cmd("PFCOUNT").arg(&monday).arg(&tuesday).query_async(&mut redis).await?;
    ctx.check(
        "11,000 different visitors, within three standard errors",
        estimate.is_right(merged, BOTH_DAYS) && merged == unstored,
    )
}
