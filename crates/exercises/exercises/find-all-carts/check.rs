//! All carts, each once, also when the table of keys shrinks meanwhile; and no command looks at too many keys.

use std::collections::{BTreeMap, BTreeSet};

use exercises::check_prelude::*;
use redis::aio::MultiplexedConnection;

use super::attempt::carts;

const SESSIONS: usize = 5_000;
const CARTS: usize = 240;
/// What is asked for is 1000; the server itself goes a little further now and then.
const MOST_AT_ONCE: usize = 2_500;
/// How often the table shrinks in the middle. Whether SCAN visits a cart twice then depends on the server's secret seed.
const MOST_SHRINKS: usize = 25;

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let expected: BTreeSet<String> = (1..=CARTS).map(|number| format!("cart:{number}")).collect();
    fill(&mut redis, &expected).await?;
    server.forget_calls().await?;
    let found = in_time(carts(&mut server.connect().await?)).await??;
    let calls = server.calls().await?;
    complete(&expected, &found, "")?;
    let scans = calls.get("scan").copied().unwrap_or_default();
    let keys = SESSIONS + CARTS + 1;
    let at_once = usize::try_from(scans).ok().and_then(|scans| keys.checked_div(scans)).unwrap_or(keys);
    ensure(at_once <= MOST_AT_ONCE && !calls.contains_key("keys"), || {
        let sent = calls.iter().filter(|(name, _)| ["keys", "scan"].contains(&name.as_str()));
        Fault::new(format!("One command looked at {at_once} keys at once, and everybody else waited."))
            .observed(sent.map(|(name, calls)| format!("{}: {calls}", name.to_uppercase())))
    })?;

    let mut gate = Gate::in_front_of(&server).await?;
    let mut repeated = 0;
    for shrink_after in 2..2 + MOST_SHRINKS {
        fill(&mut redis, &expected).await?;
        let mut attempt = connect(&gate.client()).await?;
        let (mut replies, mut sent) = (0, Vec::new());
        let looking = in_time(carts(&mut attempt));
        let found = gate
            .during(looking, async |message| {
                if !message.request {
                    replies += 1;
                    sent.extend_from_slice(&message.bytes);
                    if replies == shrink_after {
                        shrink(&mut redis, &expected).await?;
                    }
                }
                Ok(Action::Pass)
            })
            .await???;
        complete(&expected, &found, " The table of keys shrank while it looked.")?;
        repeated = twice(&sent);
        if repeated > 0 {
            break;
        }
    }
    Ok(Passed(vec![
        format!("All {CARTS} carts among {keys} keys, with {scans} SCANs."),
        format!(
            "When the table of keys shrank, the server sent {repeated} carts twice, and your function returned each once."
        ),
    ]))
}

async fn fill(redis: &mut MultiplexedConnection, carts: &BTreeSet<String>) -> Result<(), Fault> {
    let mut set = redis::cmd("MSET");
    for name in carts {
        set.arg(name).arg("1");
    }
    for number in 1..=SESSIONS {
        set.arg(format!("session:{number}")).arg("1");
    }
    set.arg("carts").arg("1");
    Ok(set.exec_async(redis).await?)
}

/// All sessions end at once. The carts are there before and after, and nobody can look in between.
async fn shrink(redis: &mut MultiplexedConnection, carts: &BTreeSet<String>) -> Result<(), Fault> {
    let carts: Vec<(&String, &str)> = carts.iter().map(|name| (name, "1")).collect();
    let mut pipe = redis::pipe();
    pipe.atomic().cmd("FLUSHALL").ignore().mset(&carts).ignore();
    Ok(pipe.exec_async(redis).await?)
}

fn complete(expected: &BTreeSet<String>, found: &[String], when: &str) -> Result<(), Fault> {
    let names: BTreeSet<String> = found.iter().cloned().collect();
    let missing = expected.difference(&names).count();
    ensure(missing == 0, || Fault::new(format!("{missing} of {CARTS} carts are missing.{when}")))?;
    let other = names.difference(expected).next();
    ensure(other.is_none(), || {
        Fault::new(format!("{} is no cart.{when}", other.map_or("", String::as_str)))
    })?;
    ensure(found.len() == names.len(), || {
        Fault::new(format!("{} carts are in the result twice.{when}", found.len() - names.len()))
    })
}

/// How many carts the server sent more than once.
fn twice(sent: &[u8]) -> usize {
    let mut times = BTreeMap::<&str, u32>::new();
    let text = std::str::from_utf8(sent).unwrap_or_default();
    for name in text.split("\r\n").filter(|word| word.starts_with("cart:")) {
        *times.entry(name).or_default() += 1;
    }
    times.values().filter(|times| **times > 1).count()
}
