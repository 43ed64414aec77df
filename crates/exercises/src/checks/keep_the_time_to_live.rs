//! The session changes, and still ends.

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
const SESSION: &str = "session:7";
const LONGEST: i64 = 30 * 60 * 1_000;

pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let commands = commands.with("$session", "language=fr");
    for sent in 1..=commands.lines().len() {
        redis::cmd("SET").arg(SESSION).arg("language=en").arg("EX").arg(1_500).exec_async(&mut redis).await?;
        let mut shop = Player::connect(&server, "shop").await?;
        commands.first(sent).play(&mut shop).await?;
        let left: i64 = redis::cmd("PTTL").arg(SESSION).query_async(&mut redis).await?;
        ensure(left != -1, || {
            let dies = if sent < commands.lines().len() {
                format!("If a client that dies sent only line 1 to {sent}: the")
            } else {
                "The".into()
            };
            Fault::new(format!("{dies} session has no time to live.")).observed(shop.log.clone())
        })?;
        ensure(left <= LONGEST, || {
            Fault::new(format!("The session ends in {left} ms, which is longer than 30 minutes."))
        })?;
    }
    let value: Option<String> = redis::cmd("GET").arg(SESSION).query_async(&mut redis).await?;
    ensure(value.as_deref() == Some("language=fr"), || {
        Fault::new(format!(
            "The session holds {}, which is not the new one.",
            value.as_deref().unwrap_or("nothing")
        ))
    })?;
    Ok(Passed::with("The session is the new one, and it ends in time."))
}
