//! A window begins with its first request, and ends.

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

const COUNTER: &str = "requests:7";
const LIMIT: usize = 3;
const WINDOW: &str = "60000";

pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let arguments = [LIMIT.to_string(), WINDOW.to_owned()];
    let arguments = arguments.each_ref().map(String::as_str);

    for number in 1..=LIMIT + 2 {
        let allowed: i64 = script.call(&mut redis, &[COUNTER], &arguments).await?;
        let expected = i64::from(number <= LIMIT);
        let word = if allowed == 1 { "allowed" } else { "refused" };
        ensure(allowed == expected, || {
            Fault::new(format!(
                "With a limit of {LIMIT}, request {number} was {word}: the script replied {allowed}."
            ))
        })?;
        let left: i64 = redis::cmd("PTTL").arg(COUNTER).query_async(&mut redis).await?;
        ensure(left > 0, || Fault::new(format!("After request {number}, the counter has no time to live.")))?;
        ensure(left <= 60_000, || {
            Fault::new(format!("ARGV[2] is 60000 milliseconds, but the window lasts {left}."))
        })?;
    }

    // Most of the window has gone by.
    redis::cmd("PEXPIRE").arg(COUNTER).arg(500).exec_async(&mut redis).await?;
    let _: i64 = script.call(&mut redis, &[COUNTER], &arguments).await?;
    let left: i64 = redis::cmd("PTTL").arg(COUNTER).query_async(&mut redis).await?;
    ensure(left <= 500, || {
        Fault::new("A client that keeps asking is locked out: the window never ends.").observed([
            "500 ms before the end of the window, the client sent one more request.".into(),
            format!("After it, the window was {left} ms long."),
        ])
    })?;

    redis::cmd("DEL").arg(COUNTER).exec_async(&mut redis).await?;
    let allowed: i64 = script.call(&mut redis, &[COUNTER], &arguments).await?;
    ensure(allowed == 1, || Fault::new("The window has ended, and the next request was refused."))?;
    Ok(Passed::with(format!("{LIMIT} requests were allowed, 2 refused, and the window ended in time.")))
}
