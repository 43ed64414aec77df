//! How many different visitors were there, how exactly, and in how many bytes?
//!
//! `cargo complex uniques`

mod add_visitors;
mod bitmap;
mod count;
mod estimate;
mod limits;
mod visitors;

use lab_runner::table::thousands;
use lab_runner::{Comparison, Lesson, LessonContext, Outcome};

pub use self::add_visitors::AddVisitors;
pub use self::count::Counting;
pub use self::visitors::Visitors;
use crate::keys::Keys;

/// Set, bitmap and HyperLogLog side by side.
pub static LESSON: Lesson = Lesson {
    name: "uniques",
    title: "Uniques",
    question: "How many different visitors came, and what does the answer cost?",
    commands: &[
        "SADD", "SCARD", "SETBIT", "GETBIT", "BITCOUNT", "BITOP", "BITPOS", "PFADD", "PFCOUNT", "PFMERGE",
    ],
    needs: &[],
    sources: &[lab_runner::source!("src/uniques.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// The days of the lesson.
pub const MONDAY: &str = "2024-01-01";
/// The day after it.
pub const TUESDAY: &str = "2024-01-02";
/// Both days together.
const BOTH: &str = "both";
/// Those who came on both days.
const RETURNING: &str = "returning";
/// How many visits the comparison adds.
const VISITS: u32 = 2_000;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    let sizes = count::SIZES.map(|size| size.to_string());
    for day in [MONDAY, TUESDAY, BOTH, RETURNING].into_iter().chain(sizes.iter().map(String::as_str)) {
        ctx.start_clean(&[keys.visitor_set(day), keys.visitor_bits(day), keys.visitor_estimate(day)]).await?;
    }
    ctx.start_clean(&[keys.sparse_bits()]).await?;

    count::count_visits(ctx, &keys).await?;
    bitmap::count_bits(ctx, &keys).await?;
    estimate::count_roughly(ctx, &keys).await?;
    count::compare_sizes(ctx, &keys).await?;
    limits::set_a_far_bit(ctx, &keys).await?;
    limits::ask_too_much(ctx, &keys).await?;

    let visitors = Visitors::on("bench", VISITS, &keys);
    ctx.start_clean(&visitors.keys()).await?;
    ctx.step(format!(
        "And the time? {} visits, every second of them somebody's second visit. SADD and PFADD take many members in \
         one command; SETBIT takes one bit, so a pipeline carries them.",
        thousands(f64::from(VISITS)),
    )).await?;
    let comparison =
        Comparison { title: "Adding visits to a day", approaches: &AddVisitors::ALL, input: &visitors };
    ctx.compare(comparison).await?;
    ctx.start_clean(&visitors.keys()).await?;

    ctx.step(
        "Rule: a Set while it is small, or when you must know who it was; a bitmap for dense numbers; a HyperLogLog when \
         only the count matters and one percent is near enough.",
    ).await?;
    ctx.keys([
        keys.visitor_set(MONDAY),
        keys.visitor_bits(MONDAY),
        keys.visitor_bits(RETURNING),
        keys.visitor_estimate(MONDAY),
        keys.visitor_estimate(BOTH),
    ]);
    Ok(())
}
