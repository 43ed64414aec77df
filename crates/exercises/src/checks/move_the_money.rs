//! Money is neither lost nor made, wherever the client dies.

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};

/// Plays the first commands, each time one more, and lets the client die.
pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    for sent in 0..=commands.lines().len() {
        // Also what the commands themselves left behind, such as a note that the money was moved.
        redis::cmd("FLUSHALL").exec_async(&mut redis).await?;
        redis::cmd("MSET").arg(&["account:1", "100", "account:2", "0"]).exec_async(&mut redis).await?;
        let mut client = Player::connect(&server, "A").await?;
        commands.first(sent).play(&mut client).await?;
        let log = std::mem::take(&mut client.log);
        drop(client);
        let (one, two): (i64, i64) =
            redis::cmd("MGET").arg(&["account:1", "account:2"]).query_async(&mut redis).await?;
        ensure(one + two == 100, || {
            Fault::new(format!("The accounts hold {one} and {two}, and not 100 together, when the client died after command {sent}.")).observed(log.clone())
        })?;
        let all = sent == commands.lines().len();
        ensure(!all || (one, two) == (70, 30), || {
            Fault::new(format!(
                "All commands were sent, and the accounts hold {one} and {two}: the money must move exactly once."
            ))
            .observed(log.clone())
        })?;
    }
    Ok(Passed::with("Wherever the client died, the accounts held 100 together; at the end 70 and 30."))
}
