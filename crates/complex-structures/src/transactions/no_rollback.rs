//! EXEC does not roll back; a command that cannot be queued stops all of them; DISCARD forgets them.

use lab_runner::{LessonContext, Need, Outcome};
use redis::{RedisResult, Value};

use crate::keys::Keys;

/// MULTI and DISCARD name no key, so on a cluster nobody knows to which node they go.
const ONE_NODE: Need = Need {
    command: "single node for MULTI and DISCARD, which name no key",
    available_in: "one server, without --cluster",
};

pub(super) async fn fail_inside(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let (mut redis, mut quietly) = (ctx.redis(), ctx.untraced("TODO"));
    let (status, total, changes) = (keys.order_status(), keys.order_total(), keys.order_changes());
    redis::cmd("MSET")
        .arg(&status)
        .arg("new")
        .arg(&total)
        .arg(4_999)
        .arg(&changes)
        .arg(0)
        .exec_async(&mut quietly)
        .await?;

    ctx.step(
        "In other databases a transaction that fails leaves no trace. Not here: EXEC runs every command, whatever becomes \
         of the others, and there is no rollback. The one in the middle treats a string as a list:",
    ).await?;
    let mut transaction = redis::pipe();
    transaction.atomic().ignore_errors();
    transaction.set(&status, "paid").lpush(&total, 1).incr(&changes, 1);
    let replies: Vec<RedisResult<Value>> = transaction.query_async(&mut redis).await?;
    let held: Vec<bool> = replies.iter().map(RedisResult::is_ok).collect();
    let after: (String, i64) =
        redis::cmd("MGET").arg(&status).arg(&changes).query_async(&mut quietly).await?;
    ctx.check_eq("one failed, the two others were done", &held, &vec![true, false, true])?;
    ctx.check("the order is paid, and was changed once", after == ("paid".to_owned(), 1))?;

    ctx.step(
        "It is different when a command cannot even be queued: an unknown command, or a wrong number of arguments. Then EXEC \
         refuses all of them (EXECABORT).",
    ).await?;
    let mut transaction = redis::pipe();
    transaction.atomic().set(&status, "sent").ignore();
    transaction.cmd("INCR").arg(&changes).arg("too many").ignore();
    let aborted = transaction.exec_async(&mut redis).await;
    let after: (String, i64) =
        redis::cmd("MGET").arg(&status).arg(&changes).query_async(&mut quietly).await?;
    let code = aborted.as_ref().err().and_then(redis::RedisError::code);
    ctx.check(
        "EXEC refused, and nothing was written",
        code == Some("EXECABORT") && after == ("paid".to_owned(), 1),
    )
}

pub(super) async fn give_up(ctx: &LessonContext, keys: &Keys) -> Outcome {
    if ctx.target().is_cluster() {
        ctx.skip(ONE_NODE);
        return Ok(());
    }
    let mut own = ctx.dedicated_redis().await?;
    let status = keys.order_status();

    ctx.step(
        "MULTI can also be sent on its own, on a connection of one's own; every command is then answered with QUEUED. \
         DISCARD forgets them. Note that a GET answers QUEUED too: within MULTI one cannot read and then decide.",
    ).await?;
    redis::cmd("MULTI").exec_async(&mut own).await?;
    let set: String = redis::cmd("SET").arg(&status).arg("lost").query_async(&mut own).await?;
    let get: String = redis::cmd("GET").arg(&status).query_async(&mut own).await?;
    redis::cmd("DISCARD").exec_async(&mut own).await?;
    let after: String = redis::cmd("GET").arg(&status).query_async(&mut own).await?;
    ctx.check(
        "both were only queued, and nothing was written",
        set == "QUEUED" && get == "QUEUED" && after == "paid",
    )
}
