//! A worker dies while it sends its third mail, and starts again.

use std::cell::RefCell;
use std::collections::BTreeMap;

use exercises::check_prelude::*;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;

use super::attempt::work;

const MAILS: usize = 24;
/// What the other worker is sending.
const OTHERS: &str = "mail-1";
/// Where the worker dies.
const DIES_AT: &str = "mail-4";

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    redis::cmd("XGROUP").arg(&["CREATE", "mail", "senders", "0", "MKSTREAM"]).exec_async(&mut redis).await?;
    add(&mut redis, 1..=MAILS / 2).await?;
    let others = ["GROUP", "senders", "worker-2", "COUNT", "1", "STREAMS", "mail", ">"];
    redis::cmd("XREADGROUP").arg(&others).exec_async(&mut redis).await?;

    // The worker dies while this mail is being sent.
    let sent = RefCell::new(BTreeMap::<String, u32>::new());
    let dies = Notify::new();
    let mut first = server.connect().await?;
    let dying = work(&mut first, "worker-1", async |to: String| {
        if to == DIES_AT {
            dies.notify_one();
            std::future::pending::<()>().await;
        }
        *sent.borrow_mut().entry(to).or_default() += 1;
    });
    let early = in_time(async {
        tokio::select! {
            done = dying => Some(done),
            () = dies.notified() => None,
        }
    });
    if let Some(done) = early.await? {
        done?;
        return Err(Fault::new(format!("It is done, and {DIES_AT} is never sent.")));
    }
    drop(first);
    let before = sent.borrow().len();

    add(&mut redis, MAILS / 2 + 1..=MAILS).await?;
    let mut second = server.connect().await?;
    let working = work(&mut second, "worker-1", async |to: String| {
        *sent.borrow_mut().entry(to).or_default() += 1;
    });
    in_time(working).await??;

    let sent = sent.into_inner();
    let observed = || {
        let list = (1..=MAILS).map(|number| format!("mail-{number}"));
        let times = list.map(|to| format!("{to}: {}", sent.get(&to).copied().unwrap_or_default()));
        [
            format!("worker-1 sent {before} mails, and died while it sent {DIES_AT}. Then it started again."),
            format!("How often each was sent: {}", times.collect::<Vec<_>>().join(", ")),
        ]
    };
    ensure(!sent.contains_key(OTHERS), || {
        Fault::new(format!("worker-2 is sending {OTHERS}, and worker-1 sent it, too.")).observed(observed())
    })?;
    for to in (2..=MAILS).map(|number| format!("mail-{number}")) {
        let times = sent.get(&to).copied().unwrap_or_default();
        ensure(times > 0, || {
            Fault::new(format!("The worker died and started again, and {to} is never sent."))
                .observed(observed())
        })?;
        ensure(times == 1, || {
            Fault::new(format!("{to} was sent twice: it had been sent before the worker died."))
                .observed(observed())
        })?;
    }
    let pending: Vec<(String, String, Value, Value)> =
        redis::cmd("XPENDING").arg(&["mail", "senders", "-", "+", "100"]).query_async(&mut redis).await?;
    let own = pending.iter().filter(|(_, worker, ..)| worker == "worker-1").count();
    ensure(own == 0, || {
        Fault::new(format!("All mail is sent, and {own} messages of worker-1 are still pending."))
    })?;
    ensure(pending.len() == 1, || {
        Fault::new(format!("{OTHERS}, which worker-2 is sending, is not pending anymore."))
    })?;
    Ok(Passed::with(format!(
        "The worker died while it sent {DIES_AT}; after its restart, each of its {} mails was sent once.",
        MAILS - 1
    )))
}

async fn add(
    redis: &mut MultiplexedConnection,
    numbers: std::ops::RangeInclusive<usize>,
) -> Result<(), Fault> {
    for number in numbers {
        redis::cmd("XADD").arg(&["mail", "*", "to"]).arg(format!("mail-{number}")).exec_async(redis).await?;
    }
    Ok(())
}
