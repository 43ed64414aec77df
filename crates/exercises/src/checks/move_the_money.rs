//! Money is neither lost nor made, wherever the client dies.

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    for sent in 0..=commands.lines().len() {
        redis::cmd("MSET").arg(&["account:1", "100", "account:2", "0"]).exec_async(&mut redis).await?;
        let mut client = Player::connect(&server, "A").await?;
        commands.first(sent).play(&mut client).await?;
        let log = std::mem::take(&mut client.log);
        drop(client);
        let (one, two): (i64, i64) =
            redis::cmd("MGET").arg(&["account:1", "account:2"]).query_async(&mut redis).await?;
        ensure(one + two == 100, || {
            Fault::new(format!("The accounts hold {one} and {two}, and not 100 together, after a client died behind command {sent}.")).observed(log.clone())
        })?;
        let all = sent == commands.lines().len();
        ensure(!all || (one, two) == (70, 30), || {
            Fault::new(format!(
                "All commands were sent, and the accounts hold {one} and {two}: the money was not moved once."
            ))
            .observed(log.clone())
        })?;
    }
    Ok(Passed::with("Wherever the client died, the accounts held 100 together; at the end 70 and 30."))
}
