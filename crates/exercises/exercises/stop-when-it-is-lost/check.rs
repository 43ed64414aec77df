//! Work that takes longer than the lock, a lock that is lost during the work, and one that is lost at its end.

use std::cell::Cell;
use std::time::{Duration, Instant};

use exercises::check_prelude::*;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::attempt::with_lock;

const LOCK: &str = "lock:report";
/// How long a lock lives without its holder.
const LIVES_MS: i64 = 800;
/// Longer than that.
const WORK: Duration = Duration::from_millis(1_000);
/// The time to live of the other's lock.
const OTHERS_MS: i64 = 30_000;

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let (one, two) = (server.connect().await?, server.connect().await?);

    let (at_work, begun) = (Cell::new(false), Notify::new());
    let working = async {
        at_work.set(true);
        begun.notify_one();
        sleep(WORK).await;
        at_work.set(false);
    };
    let looking = async {
        begun.notified().await;
        loop {
            let both = Cell::new(false);
            with_lock(&two, async { both.set(at_work.get()) }).await?;
            ensure(!both.get(), || {
                Fault::new(format!(
                    "The work takes {} ms. Before it was done, a second worker got the lock: two were at work at the same time.",
                    WORK.as_millis()
                ))
            })?;
            if at_work.get() {
                let left: i64 = redis::cmd("PTTL").arg(LOCK).query_async(&mut redis).await?;
                ensure((-2..=LIVES_MS).contains(&left) && left != -1, || {
                    let left = if left == -1 { "forever".to_owned() } else { format!("for {left} ms") };
                    Fault::new(format!(
                        "If the holder dies now, the lock stays {left}: longer than {LIVES_MS} ms."
                    ))
                })?;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let done = in_time(async {
        tokio::select! {
            biased;
            done = with_lock(&one, working) => done.map_err(Fault::from),
            fault = looking => fault,
        }
    })
    .await??;
    ensure(done, || Fault::new("The lock was free, the work is done, and it returned false."))?;
    // On the connection of the second worker: what it has just sent comes first.
    redis::cmd("DEL").arg(LOCK).exec_async(&mut two.clone()).await?;
    in_time(with_lock(&one, async {})).await??;
    let left: i64 = redis::cmd("PTTL").arg(LOCK).query_async(&mut redis).await?;
    ensure(left == -2, || Fault::new(format!("The work is done, and the lock stays for {left} ms more.")))?;

    // Another gets the lock while the work runs.
    let (begun, stopped) = (Notify::new(), Cell::new(false));
    let endless = async {
        let _guard = Guard(&stopped);
        begun.notify_one();
        std::future::pending::<()>().await;
    };
    let losing = async {
        begun.notified().await;
        take_over(&mut redis).await?;
        let lost = Instant::now();
        // Longer than what is asked for.
        while lost.elapsed() < Duration::from_millis(1_200) {
            untouched(&mut redis).await?;
            sleep(Duration::from_millis(20)).await;
        }
        Err::<bool, Fault>(Fault::new(
            "Another has taken the lock, and a second later the work still goes on.",
        ))
    };
    let done = tokio::select! {
        biased;
        done = with_lock(&one, endless) => done?,
        fault = losing => fault?,
    };
    ensure(!done, || Fault::new("The lock was lost before the work was done, and it returned true."))?;
    ensure(stopped.get(), || {
        Fault::new("The lock was lost, it returned false, and the work still goes on.")
    })?;
    untouched(&mut redis).await?;

    // Another gets the lock in the last moment.
    redis::cmd("DEL").arg(LOCK).exec_async(&mut redis).await?;
    let mut last = redis.clone();
    in_time(with_lock(&one, async {
        // If this fails, `untouched` says so.
        let _ = take_over(&mut last).await;
    }))
    .await??;
    untouched(&mut redis).await?;
    // And while another holds it, nobody works.
    let worked = Cell::new(false);
    let done = in_time(with_lock(&one, async { worked.set(true) })).await??;
    ensure(!done && !worked.get(), || Fault::new("Another holds the lock, and the work was done."))?;
    untouched(&mut redis).await?;
    Ok(Passed::with(format!(
        "The lock stayed for {} ms of work; when it was lost, the work stopped; the other's lock was not touched.",
        WORK.as_millis()
    )))
}

struct Guard<'a>(&'a Cell<bool>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

async fn take_over(redis: &mut MultiplexedConnection) -> Result<(), Fault> {
    Ok(redis::cmd("SET").arg(LOCK).arg("another").arg("PX").arg(OTHERS_MS).exec_async(redis).await?)
}

async fn untouched(redis: &mut MultiplexedConnection) -> Result<(), Fault> {
    let (holder, left): (Option<String>, i64) =
        redis::pipe().cmd("GET").arg(LOCK).cmd("PTTL").arg(LOCK).query_async(redis).await?;
    ensure(holder.is_some(), || Fault::new("It deleted the lock of another."))?;
    ensure(holder.as_deref() == Some("another"), || Fault::new("It took the lock of another."))?;
    ensure(left > OTHERS_MS / 2, || {
        Fault::new(format!(
            "It changed the lock of another: its time to live is {left} ms, and was {OTHERS_MS} ms."
        ))
    })
}
