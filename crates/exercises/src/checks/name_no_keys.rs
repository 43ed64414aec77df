//! A script writes the keys that it was given, and no others.

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    for (prefix, user) in [("", "7"), ("shop2:", "7"), ("shop2:", "8")] {
        let (visits, seen) = (format!("{prefix}visits:{{{user}}}"), format!("{prefix}seen:{{{user}}}"));
        redis::cmd("FLUSHALL").exec_async(&mut redis).await?;
        for expected in 1..=2_i64 {
            redis::cmd("DEL").arg(&seen).exec_async(&mut redis).await?;
            let before: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await?;
            let replied: i64 = script.call(&mut redis, &[&visits, &seen], &[user, "1700000000000"]).await?;
            let after: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await?;
            let foreign = after.iter().find(|key| !before.contains(key) && **key != visits && **key != seen);
            ensure(foreign.is_none(), || {
                Fault::new("The script wrote a key that nobody gave it.").observed([
                    format!("KEYS[1] = {visits}, KEYS[2] = {seen}"),
                    format!("It wrote {}.", foreign.cloned().unwrap_or_default()),
                ])
            })?;
            ensure(replied == expected, || {
                Fault::new(format!(
                    "This was visit {expected} of {visits}, and the script replied {replied}: it counted a key that nobody gave it."
                ))
            })?;
            let time: Option<String> = redis::cmd("GET").arg(&seen).query_async(&mut redis).await?;
            ensure(time.as_deref() == Some("1700000000000"), || {
                Fault::new(format!(
                    "KEYS[2] holds {} and not the time.",
                    time.as_deref().unwrap_or("nothing")
                ))
            })?;
        }
    }
    Ok(Passed::with("Two shops, three users: only the keys in KEYS were written."))
}
