//! A lock is deleted by its holder only.

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

const LOCK: &str = "lock:report";

/// The holder's call deletes the lock, and another's does not.
pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;

    redis::cmd("SET").arg(LOCK).arg("token-of-B").arg("PX").arg(30_000).exec_async(&mut redis).await?;
    let released: i64 = script.call(&mut redis, &[LOCK], &["token-of-A"]).await?;
    let holder: Option<String> = redis::cmd("GET").arg(LOCK).query_async(&mut redis).await?;
    ensure(holder.as_deref() == Some("token-of-B"), || {
        Fault::new("A's lock expired and B took it. Then A released, and B lost its lock.").observed([
            "SET lock:report token-of-B PX 30000: OK".into(),
            format!("your script, KEYS[1] = {LOCK}, ARGV[1] = token-of-A: {released}"),
            format!("GET lock:report: {}", holder.as_deref().unwrap_or("(nil)")),
        ])
    })?;
    ensure(released == 0, || {
        Fault::new(format!("A does not hold the lock, but the script replied {released} and not 0."))
    })?;
    let ttl: i64 = redis::cmd("PTTL").arg(LOCK).query_async(&mut redis).await?;
    ensure(ttl > 0, || Fault::new(format!("B's lock no longer expires: PTTL {LOCK} is {ttl}.")))?;

    let released: i64 = script.call(&mut redis, &[LOCK], &["token-of-B"]).await?;
    let exists: bool = redis::cmd("EXISTS").arg(LOCK).query_async(&mut redis).await?;
    ensure(!exists, || Fault::new("B holds the lock and released it, but it is still there."))?;
    ensure(released == 1, || {
        Fault::new(format!("B released its lock, but the script replied {released} and not 1."))
    })?;

    let released: i64 = script.call(&mut redis, &[LOCK], &["token-of-B"]).await?;
    ensure(released == 0, || {
        Fault::new(format!("The lock is gone, but releasing it again replied {released} and not 0."))
    })?;
    Ok(Passed::with("A could not release B's lock; B could, once."))
}
