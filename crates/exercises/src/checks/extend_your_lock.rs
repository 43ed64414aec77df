//! Only the holder extends its lock.

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

const LOCK: &str = "lock:report";

pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;

    redis::cmd("SET").arg(LOCK).arg("token-of-B").arg("PX").arg(5_000).exec_async(&mut redis).await?;
    let extended: i64 = script.call(&mut redis, &[LOCK], &["token-of-A", "30000"]).await?;
    let holder: Option<String> = redis::cmd("GET").arg(LOCK).query_async(&mut redis).await?;
    ensure(holder.as_deref() == Some("token-of-B"), || {
        Fault::new("A's lock expired, and B has it now. A extended, and took the lock from B.")
            .observed([format!("GET {LOCK}: {}", holder.as_deref().unwrap_or("(nil)"))])
    })?;
    let left: i64 = redis::cmd("PTTL").arg(LOCK).query_async(&mut redis).await?;
    ensure(left <= 5_000, || {
        Fault::new(format!("A changed the time to live of B's lock: it is {left} ms now."))
    })?;
    ensure(extended == 0, || {
        Fault::new(format!("The lock is B's. A extended it, and the script replied {extended} and not 0."))
    })?;

    let extended: i64 = script.call(&mut redis, &[LOCK], &["token-of-B", "30000"]).await?;
    let left: i64 = redis::cmd("PTTL").arg(LOCK).query_async(&mut redis).await?;
    ensure(extended == 1, || {
        Fault::new(format!("B extended its own lock, and the script replied {extended} and not 1."))
    })?;
    ensure((20_000..=30_000).contains(&left), || {
        Fault::new(format!(
            "B extended its lock to 30000 ms. PTTL is {left}, which is not 30000 or a little less."
        ))
    })?;
    let holder: Option<String> = redis::cmd("GET").arg(LOCK).query_async(&mut redis).await?;
    ensure(holder.as_deref() == Some("token-of-B"), || {
        Fault::new("B extended its lock, and the token is no longer B's.")
    })?;

    redis::cmd("DEL").arg(LOCK).exec_async(&mut redis).await?;
    let extended: i64 = script.call(&mut redis, &[LOCK], &["token-of-B", "30000"]).await?;
    let exists: bool = redis::cmd("EXISTS").arg(LOCK).query_async(&mut redis).await?;
    ensure(!exists, || {
        Fault::new("B extended a lock that was gone, and got it again. Somebody may have had it in between.")
    })?;
    ensure(extended == 0, || {
        Fault::new(format!("The lock is gone, and the script replied {extended} and not 0."))
    })?;
    Ok(Passed::with("A could not extend B's lock, B could, and a lock that was gone stayed gone."))
}
