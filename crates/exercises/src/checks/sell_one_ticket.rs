//! Three buyers, each of whom must get a ticket of its own.

use crate::commands::{Commands, Player, interleave, interleaving};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};

const TICKETS: i64 = 10;
const BUYERS: i64 = 3;

/// Every buyer sends the same commands.
pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;

    redis::cmd("SET").arg("tickets").arg(TICKETS).exec_async(&mut redis).await?;
    let mut alone = Player::connect(&server, "A").await?;
    commands.play(&mut alone).await?;
    let left: Option<i64> = redis::cmd("GET").arg("tickets").query_async(&mut redis).await?;
    ensure(left == Some(TICKETS - 1), || {
        let left = left.map_or("nothing".into(), |left| left.to_string());
        Fault::new(format!("One buyer bought one of {TICKETS} tickets, and then `tickets` held {left}."))
            .observed(alone.log)
    })?;

    redis::cmd("SET").arg("tickets").arg(TICKETS).exec_async(&mut redis).await?;
    let mut buyers = Vec::new();
    for name in ["A", "B", "C"] {
        buyers.push((commands.clone(), Player::connect(&server, name).await?));
    }
    interleave(&mut buyers).await?;
    let left: i64 = redis::cmd("GET").arg("tickets").query_async(&mut redis).await?;
    let sold = TICKETS - left;
    ensure(sold == BUYERS, || {
        Fault::new(format!("{BUYERS} buyers bought at the same time, and the count went down by {sold}."))
            .observed(interleaving(&buyers))
    })?;
    Ok(Passed::with(format!("{BUYERS} buyers at once: {TICKETS} tickets became {left}.")))
}
