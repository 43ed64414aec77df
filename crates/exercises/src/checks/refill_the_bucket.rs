//! What a bucket gives, however often a client asks.

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

/// A bucket of two tokens, one more each second, asked at these milliseconds.
async fn allowed(
    script: &Lua,
    lab: &Lab,
    times: impl Iterator<Item = i64>,
) -> Result<Vec<(i64, bool)>, Fault> {
    const START: i64 = 1_700_000_000_000;
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let mut replies = Vec::new();
    for time in times {
        let now = (START + time).to_string();
        let allowed: i64 = script.call(&mut redis, &["bucket:7"], &["2", "1", &now]).await?;
        replies.push((time, allowed == 1));
    }
    Ok(replies)
}

pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let first = allowed(script, lab, [0, 0, 0].into_iter()).await?;
    let burst = first.iter().filter(|(_, allowed)| *allowed).count();
    ensure(burst == 2, || {
        Fault::new(format!("A new bucket of 2 tokens is a full bucket, and it gave {burst} at once."))
    })?;

    let often = allowed(script, lab, (0..=60).map(|index| index * 300)).await?;
    let seen = || {
        often
            .iter()
            .take(12)
            .map(|(time, allowed)| format!("at {time} ms: {}", if *allowed { "a token" } else { "none" }))
    };
    let later = often.iter().filter(|(time, allowed)| *time > 600 && *allowed).count();
    ensure(later > 0, || {
        Fault::new("A client that asked every 300 ms for 18 seconds never got a token after the first two.")
            .observed(seen())
    })?;
    let total = often.iter().filter(|(_, allowed)| *allowed).count();
    ensure(total <= 20, || {
        Fault::new(format!("In 18 seconds there are 2 + 18 tokens, and it gave {total}: too many."))
            .observed(seen())
    })?;
    ensure(total >= 19, || {
        Fault::new(format!("In 18 seconds there are 2 + 18 tokens, and it gave only {total}."))
            .observed(seen())
    })?;

    let pause = allowed(script, lab, [0, 0, 60_000, 60_000, 60_000, 60_000].into_iter()).await?;
    let after = pause.iter().filter(|(time, allowed)| *time > 0 && *allowed).count();
    ensure(after <= 2, || {
        Fault::new(format!(
            "After a minute without requests the bucket gave {after}: more than its capacity of 2."
        ))
    })?;
    ensure(after == 2, || {
        Fault::new(format!("After a minute without requests the bucket gave {after} and not 2."))
    })?;
    Ok(Passed::with(format!("Asked every 300 ms for 18 s, it gave {total} tokens; after a pause, 2.")))
}
