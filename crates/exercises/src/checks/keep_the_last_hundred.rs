//! A list keeps its newest hundred items.

use crate::commands::{Commands, Player, interleave, interleaving};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
const LIST: &str = "seen:7";
const KEPT: usize = 100;

pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let mut client = Player::connect(&server, "A").await?;
    for seen in 1..=250 {
        commands.with("$sku", &format!("sku-{seen}")).play(&mut client).await?;
        let items: Vec<String> =
            redis::cmd("LRANGE").arg(LIST).arg(0).arg(-1).query_async(&mut redis).await.unwrap_or_default();
        ensure(items.len() <= KEPT, || {
            Fault::new(format!("After {seen} products the list has {} items, and grows.", items.len()))
        })?;
        ensure(items.first() == Some(&format!("sku-{seen}")), || {
            Fault::new(format!(
                "After sku-{seen}, the first item is {}, which is not the newest.",
                items.first().map_or("none", String::as_str)
            ))
        })?;
        let expected: Vec<String> = (1..=seen).rev().take(KEPT).map(|seen| format!("sku-{seen}")).collect();
        ensure(items == expected, || {
            Fault::new(format!(
                "After {seen} products the list has {} items, and not the last {}, the newest first.",
                items.len(),
                expected.len()
            ))
        })?;
    }
    let mut clients = Vec::new();
    for name in ["A", "B", "C"] {
        clients.push((commands.with("$sku", name), Player::connect(&server, name).await?));
    }
    interleave(&mut clients).await?;
    let items: usize = redis::cmd("LLEN").arg(LIST).query_async(&mut redis).await?;
    ensure(items <= KEPT, || {
        Fault::new(format!("Three clients sent at the same time, and the list has {items} items."))
            .observed(interleaving(&clients))
    })?;
    Ok(Passed::with("253 products, and the list has the last 100, the newest first."))
}
