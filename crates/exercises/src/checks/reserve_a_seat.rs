//! The first customer gets the seat, for ten minutes.

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
const SEAT: &str = "seat:12";

pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let ada = commands.with("$customer", "ada");
    for sent in 1..=ada.lines().len() {
        redis::cmd("DEL").arg(SEAT).exec_async(&mut redis).await?;
        let mut client = Player::connect(&server, "ada").await?;
        ada.first(sent).play(&mut client).await?;
        let left: i64 = redis::cmd("PTTL").arg(SEAT).query_async(&mut redis).await?;
        ensure(left != -1, || {
            let died = if sent < ada.lines().len() { "of a client that died " } else { "" };
            Fault::new(format!("The reservation {died}never ends.")).observed(client.log.clone())
        })?;
    }
    let holder: Option<String> = redis::cmd("GET").arg(SEAT).query_async(&mut redis).await?;
    ensure(holder.as_deref() == Some("ada"), || {
        Fault::new(format!(
            "Ada reserved a free seat, and it holds {}.",
            holder.as_deref().unwrap_or("nothing")
        ))
    })?;
    let left: i64 = redis::cmd("PTTL").arg(SEAT).query_async(&mut redis).await?;
    ensure((590_000..=600_000).contains(&left), || {
        Fault::new(format!("The reservation ends in {left} ms, and not in 600 s."))
    })?;

    redis::cmd("EXPIRE").arg(SEAT).arg(60).exec_async(&mut redis).await?;
    let mut client = Player::connect(&server, "bob").await?;
    commands.with("$customer", "bob").play(&mut client).await?;
    let holder: Option<String> = redis::cmd("GET").arg(SEAT).query_async(&mut redis).await?;
    ensure(holder.as_deref() == Some("ada"), || {
        Fault::new("Bob took the seat that Ada had reserved.").observed(client.log.clone())
    })?;
    let left: i64 = redis::cmd("PTTL").arg(SEAT).query_async(&mut redis).await?;
    ensure(left <= 60_000, || {
        Fault::new(format!(
            "Bob got nothing, and made the reservation of the first longer: from 60 s to {} s.",
            left / 1_000
        ))
        .observed(client.log.clone())
    })?;
    Ok(Passed::with("Ada has the seat for 600 s, Bob does not, and nobody can leave it taken forever."))
}
