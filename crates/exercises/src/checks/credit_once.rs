//! A credit that is sent twice is credited once.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

const BALANCE: &str = "balance:{7}";

pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let (one, two) = ("request:{7}:one", "request:{7}:two");

    let first: i64 = script.call(&mut redis, &[BALANCE, one], &["100", "60000"]).await?;
    ensure(first == 100, || Fault::new(format!("The first credit of 100 cents replied {first}.")))?;
    let again: i64 = script.call(&mut redis, &[BALANCE, one], &["100", "60000"]).await?;
    let balance: i64 = redis::cmd("GET").arg(BALANCE).query_async(&mut redis).await?;
    ensure(balance == 100, || {
        Fault::new("One request was credited twice.")
            .observed([format!("100 cents, sent twice with the same request: the balance is {balance}.")])
    })?;
    ensure(again == 100, || {
        Fault::new(format!("The second time got {again} and not the reply of the first time, 100."))
    })?;

    let other: i64 = script.call(&mut redis, &[BALANCE, two], &["50", "60000"]).await?;
    ensure(other == 150, || {
        Fault::new(format!(
            "100 cents are there, another request credited 50, and the script replied {other}."
        ))
    })?;
    let again: i64 = script.call(&mut redis, &[BALANCE, one], &["100", "60000"]).await?;
    ensure(again == 100, || {
        Fault::new(format!(
            "The first request came a third time and got {again} and not the reply of the first time, 100."
        ))
    })?;

    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await?;
    for key in keys.iter().filter(|key| *key != BALANCE) {
        let left: i64 = redis::cmd("PTTL").arg(key).query_async(&mut redis).await?;
        ensure(left != -1, || {
            Fault::new(format!("{key} stays forever, and so would one key for each request."))
        })?;
        ensure(left <= 60_000, || {
            Fault::new(format!("{key} is remembered for {left} ms and not for 60000."))
        })?;
    }

    let short = "request:{7}:short";
    let _: i64 = script.call(&mut redis, &[BALANCE, short], &["1", "20"]).await?;
    let begun = Instant::now();
    while redis::cmd("EXISTS").arg(short).query_async(&mut redis).await? {
        ensure(begun.elapsed() < Duration::from_secs(2), || {
            Fault::new("A request that is remembered for 20 ms was still there after 2 s.")
        })?;
        sleep(Duration::from_millis(5)).await;
    }
    let balance: i64 = script.call(&mut redis, &[BALANCE, short], &["1", "20"]).await?;
    ensure(balance == 152, || {
        Fault::new(format!(
            "A request that is no longer remembered is new. The balance is {balance}, not 152."
        ))
    })?;
    Ok(Passed::with("Three requests, sent seven times: each was credited once while it was remembered."))
}
