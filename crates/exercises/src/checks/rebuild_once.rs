//! One client rebuilds a page, and if it dies, another.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

const KEYS: [&str; 2] = ["page:{home}", "page:{home}:builder"];

pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let ask = async |redis: &mut _, client: &str, milliseconds: &str| {
        script.call::<Vec<String>>(redis, &KEYS, &[client, milliseconds]).await
    };

    redis::cmd("SET").arg(KEYS[0]).arg("<html>").exec_async(&mut redis).await?;
    let reply = ask(&mut redis, "client-0", "5000").await?;
    ensure(reply == ["hit", "<html>"], || {
        Fault::new(format!("the page is cached, and the script replied {}.", reply.join(" ")))
    })?;
    redis::cmd("DEL").arg(&KEYS).exec_async(&mut redis).await?;

    let mut builders = Vec::new();
    for number in 1..=50 {
        let client = format!("client-{number}");
        let reply = ask(&mut redis, &client, "5000").await?;
        match reply.first().map(String::as_str) {
            Some("rebuild") => builders.push(client),
            Some("wait") => {}
            _ => {
                return Err(Fault::new(format!(
                    "The page is missing, and the script replied {}.",
                    reply.join(" ")
                )));
            }
        }
    }
    ensure(builders.len() == 1, || {
        Fault::new(format!(
            "50 clients missed the page, and {} of them rebuild it at the same time.",
            builders.len()
        ))
    })?;
    let left: i64 = redis::cmd("PTTL").arg(KEYS[1]).query_async(&mut redis).await?;
    ensure(left != -1, || {
        Fault::new(
            "The mark of the client that rebuilds does not expire. If that client dies, nobody rebuilds the page.",
        )
    })?;
    ensure((1..=5_000).contains(&left), || {
        Fault::new(format!("A rebuild may take 5000 ms, and KEYS[2] expires in {left}."))
    })?;
    let again = ask(&mut redis, &builders[0], "5000").await?;
    ensure(again == ["rebuild"], || {
        Fault::new(format!(
            "The client that rebuilds asked again, and the script replied {}.",
            again.join(" ")
        ))
    })?;

    // That client dies, and its time is over.
    redis::cmd("PEXPIRE").arg(KEYS[1]).arg(10).exec_async(&mut redis).await?;
    let begun = Instant::now();
    while ask(&mut redis, "client-51", "5000").await? != ["rebuild"] {
        ensure(begun.elapsed() < Duration::from_secs(2), || {
            Fault::new("The client that rebuilt is dead, and nobody else is asked to.")
        })?;
        sleep(Duration::from_millis(5)).await;
    }
    redis::cmd("SET").arg(KEYS[0]).arg("<html>").exec_async(&mut redis).await?;
    let reply = ask(&mut redis, "client-1", "5000").await?;
    ensure(reply == ["hit", "<html>"], || {
        Fault::new(format!("the page is cached again, and the script replied {}.", reply.join(" ")))
    })?;
    Ok(Passed::with("Of 50 clients one rebuilt the page; when it died, one other did."))
}
