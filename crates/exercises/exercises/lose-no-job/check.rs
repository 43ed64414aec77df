//! A worker dies during a job, and its connection breaks at every command in turn. Meanwhile, another worker does a long job.

use std::cell::RefCell;
use std::collections::BTreeMap;

use exercises::check_prelude::*;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;

use super::attempt::work;

const JOBS: usize = 6;
/// What the other worker is doing all the time.
const OTHERS: &str = "job-1";
/// In the middle of which the worker dies.
const DIES_AT: &str = "job-3";
/// How many messages of a worker can be the last before its connection breaks.
const MOST_MESSAGES: usize = 10;

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    dies_in_a_job(&server, &mut redis).await?;
    let mut gate = Gate::in_front_of(&server).await?;
    let mut breaks = 0;
    for at in 1..=MOST_MESSAGES {
        redis::cmd("FLUSHALL").exec_async(&mut redis).await?;
        fill(&mut redis).await?;
        let done = RefCell::new(BTreeMap::<String, u32>::new());
        let run = async |job: String| *done.borrow_mut().entry(job).or_default() += 1;
        let (mut seen, mut last) = (0, String::new());
        let mut broken = connect(&gate.client()).await?;
        let dying = in_time(work(&mut broken, "worker-1", run));
        // It returns an error, or the caller sees it die: its connection broke.
        let _ = gate
            .during(dying, async |message| {
                seen += 1;
                if seen < at {
                    return Ok(Action::Pass);
                }
                if seen == at {
                    last = message.shown();
                }
                Ok(Action::Cut)
            })
            .await??;
        drop(broken);
        breaks += usize::from(seen >= at);
        in_time(work(&mut server.connect().await?, "worker-1", run)).await??;
        let done = done.into_inner();
        let lost = (1..=JOBS).map(|number| format!("job-{number}")).find(|job| !done.contains_key(job));
        ensure(lost.is_none(), || {
            Fault::new(format!(
                "The worker's connection broke, and it started again. {} is lost.",
                lost.unwrap_or_default()
            ))
            .observed([format!("The last message, which was lost: {last}")])
        })?;
        nothing_left(&mut redis).await?;
    }
    Ok(Passed::with(format!(
        "A worker died during a job, and {breaks} connections broke at different commands: no job was lost."
    )))
}

async fn dies_in_a_job(server: &LabServer, redis: &mut MultiplexedConnection) -> Result<(), Fault> {
    fill(redis).await?;
    let done = RefCell::new(BTreeMap::<String, u32>::new());
    let finished = |job: String| *done.borrow_mut().entry(job).or_default() += 1;

    let (began, end) = (Notify::new(), Notify::new());
    let mut second = server.connect().await?;
    let other = work(&mut second, "worker-2", async |job: String| {
        if job == OTHERS {
            began.notify_one();
            end.notified().await;
        }
        finished(job);
    });
    tokio::pin!(other);
    let ended = in_time(async {
        tokio::select! {
            ended = &mut other => Some(ended),
            () = began.notified() => None,
        }
    });
    if let Some(ended) = ended.await? {
        ended?;
        return Err(Fault::new(format!("A worker returned, and {OTHERS} was not done.")));
    }

    let dies = Notify::new();
    let mut first = server.connect().await?;
    let dying = work(&mut first, "worker-1", async |job: String| {
        if job == DIES_AT {
            dies.notify_one();
            std::future::pending::<()>().await;
        }
        finished(job);
    });
    let ended = in_time(async {
        tokio::select! {
            ended = dying => Some(ended),
            () = dies.notified() => None,
        }
    });
    let taken = || {
        ensure(!done.borrow().contains_key(OTHERS), || {
            Fault::new(format!("worker-2 is doing {OTHERS}, and worker-1 did it, too."))
        })
    };
    if let Some(ended) = ended.await? {
        ended?;
        taken()?;
        return Err(Fault::new(format!("worker-1 returned, and {DIES_AT} was not done.")));
    }
    drop(first);

    let mut again = server.connect().await?;
    in_time(work(&mut again, "worker-1", async |job: String| finished(job))).await??;
    taken()?;
    end.notify_one();
    in_time(other).await??;
    let done = done.borrow();
    for job in (1..=JOBS).map(|number| format!("job-{number}")) {
        let times = done.get(&job).copied().unwrap_or_default();
        ensure(times > 0, || {
            Fault::new(format!("worker-1 died while it did {DIES_AT}, and started again. {job} is lost."))
        })?;
        ensure(times == 1, || {
            Fault::new(format!(
                "worker-1 died while it did {DIES_AT}, and started again. {job} was done {times} times."
            ))
        })?;
    }
    nothing_left(redis).await
}

async fn fill(redis: &mut MultiplexedConnection) -> Result<(), Fault> {
    let jobs: Vec<String> = (1..=JOBS).map(|number| format!("job-{number}")).collect();
    Ok(redis::cmd("RPUSH").arg("jobs").arg(jobs).exec_async(redis).await?)
}

async fn nothing_left(redis: &mut MultiplexedConnection) -> Result<(), Fault> {
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(redis).await?;
    ensure(keys.is_empty(), || {
        Fault::new(format!("All jobs are done, and keys are left: {}.", keys.join(", ")))
    })
}
