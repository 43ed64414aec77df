//! What newer servers do in one command.

use lab_runner::{BoxError, LessonContext, Need};
use redis::{RedisResult, Value};

use super::raw;

const GROUP: &str = "billing";
const XACKDEL: Need = Need { command: "XACKDEL", available_in: "Redis 8.2" };
const CLAIM: Need = Need { command: "XREADGROUP CLAIM", available_in: "Redis 8.4" };
const IDMP: Need = Need { command: "XADD IDMP", available_in: "Redis 8.6" };
const XNACK: Need = Need { command: "XNACK", available_in: "Redis 8.8" };

/// Shows each of them, or says which server has it.
pub(super) async fn show(ctx: &LessonContext) -> Result<(), BoxError> {
    let (mut redis, key) = (ctx.redis(), raw(ctx.prefix()));
    ctx.start_clean(std::slice::from_ref(&key)).await?;
    ctx.announce("XGROUP CREATE and XADD make a stream with one message, which XREADGROUP gives to c1.");
    let mut quiet = ctx.target().connection();
    // COMMAND INFO does not tell options. XNACK is newer than IDMP and CLAIM.
    let knows_xnack = ctx.can("XNACK").await;
    let read = |consumer: &str| {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(consumer).arg("STREAMS").arg(&key).arg(">");
        read
    };
    redis::cmd("XGROUP")
        .arg("CREATE")
        .arg(&key)
        .arg(GROUP)
        .arg("0")
        .arg("MKSTREAM")
        .exec_async(&mut quiet)
        .await?;
    let entry: String =
        redis::cmd("XADD").arg(&key).arg("*").arg("id").arg("order-1").query_async(&mut quiet).await?;
    read("c1").exec_async(&mut quiet).await?;

    ctx.step(
        "Newer servers have parts of this as commands. XADD with IDMP adds a message once for each producer and ID, as the pattern's \
         Sorted Set does:",
    )
    .await?;
    let mut add = redis::cmd("XADD");
    add.arg(&key).arg("IDMP").arg("shop").arg("order-2").arg("*").arg("id").arg("order-2");
    if knows_xnack {
        let first: String = add.query_async(&mut redis).await?;
        let again: String = add.query_async(&mut redis).await?;
        ctx.check("both replies are one entry", first == again)?;
    } else {
        ctx.skip(IDMP);
    }

    ctx.step(
        "XREADGROUP with CLAIM brings what is idle first, with its idle time and delivery count, and then new messages. The pattern \
         needs XAUTOCLAIM, and XPENDING for each count:",
    )
    .await?;
    let mut claim = redis::cmd("XREADGROUP");
    claim.arg("GROUP").arg(GROUP).arg("c2").arg("CLAIM").arg(0).arg("STREAMS").arg(&key).arg(">");
    if knows_xnack {
        let claimed: RedisResult<Value> = claim.query_async(&mut redis).await;
        ctx.check("c2 has c1's message", format!("{claimed:?}").contains(&entry))?;
    } else {
        ctx.skip(CLAIM);
    }

    ctx.step("XNACK hands a message back at once, and says whether that counts as a delivery. The pattern's script uses XCLAIM:").await?;
    let mut nack = redis::cmd("XNACK");
    nack.arg(&key).arg(GROUP).arg("SILENT").arg("IDS").arg(1).arg(&entry);
    if knows_xnack {
        let returned: u32 = nack.query_async(&mut redis).await?;
        ctx.check_eq("the message is back", &returned, &1)?;
    } else {
        ctx.skip(XNACK);
    }

    ctx.step(
        "XACKDEL acknowledges a message and deletes it in one step, with ACKED only if all groups have acknowledged it. The stream \
         then holds only work that is left, and needs no trimming:",
    )
    .await?;
    let mut done = redis::cmd("XACKDEL");
    done.arg(&key).arg(GROUP).arg("ACKED").arg("IDS").arg(1).arg(&entry);
    if ctx.can("XACKDEL").await {
        let deleted: Vec<i64> = done.query_async(&mut redis).await?;
        ctx.check_eq("the entry is gone", &deleted, &vec![1])?;
    } else {
        ctx.skip(XACKDEL);
    }
    Ok(())
}
