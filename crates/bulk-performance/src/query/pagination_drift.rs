//! What an offset does when the list changes between two pages, and what a cursor does.

use lab_runner::{LessonContext, Outcome};

use super::paging::{after, by_rank};
use super::users::Users;

/// Small pages, so that they can be read here.
const ROWS: usize = 3;
/// Not a user: somebody who is hired between two pages, at the lowest salary, and gone again afterwards.
const NEWCOMER: u64 = 0;

/// Reads two pages while somebody is added in front of both.
pub(super) async fn show(ctx: &LessonContext, users: &Users) -> Outcome {
    let rows = ROWS.min(usize::try_from(users.records() / 2).unwrap_or(ROWS));
    if rows == 0 {
        ctx.step("With one user there is no second page.").await?;
        return Ok(());
    }
    let mut redis = ctx.redis();
    ctx.step("The first page, by offset. Then somebody is hired at the lowest salary of all, and the second page is read both ways.").await?;
    let first = by_rank(users, 0, rows, &mut redis).await?;
    let key = users.keys().users_by_salary();
    redis::cmd("ZADD").arg(&key).arg(1).arg(NEWCOMER).exec_async(&mut redis).await?;
    let by_offset = by_rank(users, rows, rows, &mut redis).await;
    let by_cursor = after(users, first.last().copied(), rows, &mut redis).await;
    // Whatever came of it, the list is as before.
    redis::cmd("ZREM").arg(&key).arg(NEWCOMER).exec_async(&mut ctx.untraced("TODO")).await?;

    let order = users.by_salary();
    ctx.check_eq(
        "the offset showed the last user of the first page again",
        &by_offset?.first(),
        &first.last(),
    )?;
    ctx.check_eq(
        "the cursor went on where the first page ended",
        &by_cursor?.as_slice(),
        &order.get(rows..2 * rows).unwrap_or_default(),
    )
}
