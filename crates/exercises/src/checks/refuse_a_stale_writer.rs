//! A lower number never writes after a higher one.

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let send = async |redis: &mut _, document: &str, number: u32| {
        script.call::<i64>(redis, &[document], &[&number.to_string(), &format!("by {number}")]).await
    };

    let written = ["document:1", "number", "10", "text", "by 10"];
    redis::cmd("HSET").arg(&written).exec_async(&mut redis).await?;
    let wrote = send(&mut redis, "document:1", 9).await?;
    let text: String = redis::cmd("HGET").arg("document:1").arg("text").query_async(&mut redis).await?;
    ensure(text == "by 10", || {
        Fault::new("The holder with number 9 wrote after number 10, and what number 10 wrote is gone.")
    })?;
    ensure(wrote == 0, || {
        Fault::new(format!("Number 9 came after number 10, and the script replied {wrote} and not 0."))
    })?;

    for number in 1..=12 {
        for time in ["first", "second"] {
            let wrote = send(&mut redis, "document:2", number).await?;
            let text: Option<String> =
                redis::cmd("HGET").arg("document:2").arg("text").query_async(&mut redis).await?;
            ensure(wrote == 1 && text == Some(format!("by {number}")), || {
                Fault::new(format!(
                    "Nobody with a higher number has written, and number {number} was refused its {time} write."
                ))
            })?;
        }
    }
    let wrote = send(&mut redis, "document:2", 11).await?;
    let text: String = redis::cmd("HGET").arg("document:2").arg("text").query_async(&mut redis).await?;
    ensure(wrote == 0 && text == "by 12", || Fault::new("The holder with number 11 wrote after number 12."))?;
    let number: Option<String> =
        redis::cmd("HGET").arg("document:2").arg("number").query_async(&mut redis).await?;
    ensure(number.as_deref() == Some("12"), || {
        Fault::new(format!("The field `number` is {number:?} and not 12."))
    })?;
    Ok(Passed::with("Twelve holders wrote in turn, and two that came too late were refused."))
}
