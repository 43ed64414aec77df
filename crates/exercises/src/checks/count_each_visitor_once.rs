//! Visitors are counted, and not visits.

use redis::aio::MultiplexedConnection;

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
const KEY: &str = "visitors:today";
const VISITORS: u64 = 400;
const VISITS: u64 = 1_000;

pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let mut page = Player::connect(&server, "page").await?;
    for visit in 0..VISITS {
        // 7 and 400 have no common factor: all visitors come, and then some come again.
        commands.with("$visitor", &format!("visitor-{}", visit * 7 % VISITORS)).play(&mut page).await?;
    }
    let counted = count(&mut redis).await?;
    // A HyperLogLog has a standard error of 0.81%; this is six of these.
    let near = counted.abs_diff(VISITORS) <= VISITORS / 20;
    ensure(near, || {
        Fault::new(format!("{VISITS} visits of {VISITORS} people: {counted} visitors were counted."))
            .observed(page.log.iter().take(4).cloned())
    })?;
    Ok(Passed::with(format!("{VISITS} visits of {VISITORS} people: {counted} visitors were counted.")))
}

/// What the key can tell, by its type.
async fn count(redis: &mut MultiplexedConnection) -> Result<u64, Fault> {
    let kind: String = redis::cmd("TYPE").arg(KEY).query_async(redis).await?;
    let command = match kind.as_str() {
        "set" => "SCARD",
        "zset" => "ZCARD",
        "hash" => "HLEN",
        "list" => "LLEN",
        "string" => "PFCOUNT",
        _ => return Err(Fault::new(format!("{KEY} does not exist, or is of a type that cannot tell."))),
    };
    if let Ok(count) = redis::cmd(command).arg(KEY).query_async(redis).await {
        return Ok(count);
    }
    // A String that is no HyperLogLog: a counter, or one visitor.
    let text: String = redis::cmd("GET").arg(KEY).query_async(redis).await?;
    Ok(text.parse().unwrap_or(1))
}
