//! A big key is freed by another thread.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::commands::{Commands, Player};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
const ITEMS: usize = 100_000;

pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    // Valkey frees in the background by default; here every server does it only when asked.
    let settings = ["user-del", "expire", "server-del"].map(|setting| format!("lazyfree-lazy-{setting}"));
    let settings: Vec<(&str, &str)> = settings.iter().map(|setting| (setting.as_str(), "no")).collect();
    let server = lab.server_with(&settings).await?;
    let mut redis = server.connect().await?;
    let item = "x".repeat(100);
    redis::cmd("RPUSH").arg("log:old").arg(vec![item; ITEMS]).exec_async(&mut redis).await?;
    let mut client = Player::connect(&server, "A").await?;
    commands.play(&mut client).await?;
    let left: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await?;
    ensure(left.is_empty(), || {
        Fault::new(format!("{} is still there.", left.join(", "))).observed(client.log.clone())
    })?;
    let begun = Instant::now();
    while server.info("memory", "lazyfreed_objects").await?.parse() == Ok(0_u64) {
        ensure(begun.elapsed() < Duration::from_millis(500), || {
            Fault::new(format!("The {ITEMS} items were freed in the main thread, while everybody waited."))
                .observed(client.log.clone())
        })?;
        sleep(Duration::from_millis(5)).await;
    }
    Ok(Passed::with(format!("The key was gone at once, and its {ITEMS} items were freed in the background.")))
}
