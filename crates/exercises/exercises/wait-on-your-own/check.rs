//! While it waits for a job, the shared connection answers others; and it still waits when a job comes at last.

use std::time::{Duration, Instant};

use exercises::check_prelude::*;
use tokio::time::sleep;

use super::attempt::next_job;

/// Longer than redis-rs waits for a reply if nothing else is said (500 ms).
const NO_JOB: Duration = Duration::from_millis(700);
/// What is asked for is 20 a second.
const MOST_COMMANDS: u64 = 20;
/// Commands of the check, and those of redis-rs when it connects.
const NOT_THE_ATTEMPTS: [&str; 7] =
    ["client|list", "client|setinfo", "client|id", "auth", "hello", "info", "config|resetstat"];

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let shared = server.connect().await?;
    let client = server.client();
    let id: u64 = redis::cmd("CLIENT").arg("ID").query_async(&mut shared.clone()).await?;
    server.forget_calls().await?;

    let waiting = next_job(&client, &shared);
    tokio::pin!(waiting);
    let begun = Instant::now();
    let looking = async {
        while begun.elapsed() < NO_JOB {
            let list: String =
                redis::cmd("CLIENT").arg("LIST").arg("ID").arg(id).query_async(&mut redis).await?;
            let flags = list.split(' ').find_map(|field| field.strip_prefix("flags=")).unwrap_or_default();
            ensure(!flags.contains('b'), || {
                Fault::new("While it waits for a job, the shared connection is blocked: nobody else on it gets an answer.")
                    .observed([format!("CLIENT LIST: {}", list.trim())])
            })?;
            sleep(Duration::from_millis(5)).await;
        }
        Ok::<(), Fault>(())
    };
    tokio::select! {
        biased;
        early = &mut waiting => return Err(match early {
            Ok(job) => Fault::new(format!("There is no job, and it returned {job}.")),
            Err(error) => Fault::new(format!(
                "No job came for {} ms, and it gave up: {error}", begun.elapsed().as_millis()
            )),
        }),
        looked = looking => looked?,
    }
    let calls = server.calls().await?;
    let asked: u64 = calls
        .iter()
        .filter(|(name, _)| !NOT_THE_ATTEMPTS.contains(&name.as_str()))
        .map(|(_, calls)| calls)
        .sum();
    ensure(asked <= MOST_COMMANDS, || {
        Fault::new(format!("It sent {asked} commands while there was no job, for {} ms.", NO_JOB.as_millis()))
    })?;

    redis::cmd("RPUSH").arg(&["jobs", "job-1", "job-2", "job-3"]).exec_async(&mut redis).await?;
    let first = in_time(waiting).await??;
    let second = in_time(next_job(&client, &shared)).await??;
    for (got, oldest) in [(first, "job-1"), (second, "job-2")] {
        ensure(got == oldest, || Fault::new(format!("It returned {got}, and the oldest is {oldest}.")))?;
    }
    let left: Vec<String> = redis::cmd("LRANGE").arg(&["jobs", "0", "-1"]).query_async(&mut redis).await?;
    ensure(left == ["job-3"], || {
        Fault::new(format!("Two of three jobs were returned, and `jobs` has: {}.", left.join(", ")))
    })?;
    Ok(Passed::with(format!(
        "It waited for {} ms with {asked} commands, the shared connection was free, and the jobs came in order.",
        NO_JOB.as_millis()
    )))
}
