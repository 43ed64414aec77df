//! Every job is done, though workers die.

use std::collections::BTreeSet;

use crate::lab::Lab;
use crate::lua::Lua;
use crate::verdict::{Fault, Passed, Verdict, ensure};

const JOBS: [&str; 3] = ["mail:1", "mail:2", "mail:3"];
const NOW: u64 = 1_700_000_000_000;
const LEASE: &str = "1000";

pub async fn check(script: &Lua, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let take = async |redis: &mut _, after: u64| {
        let now = (NOW + after).to_string();
        script.call::<Option<String>>(redis, &["{jobs}", "{jobs}:working"], &[&now, LEASE]).await
    };

    ensure(take(&mut redis, 0).await?.is_none(), || {
        Fault::new("There is no job, and the script replied one.")
    })?;
    redis::cmd("RPUSH").arg("{jobs}").arg(&JOBS).exec_async(&mut redis).await?;
    let mut taken = BTreeSet::new();
    for at in 0..JOBS.len() as u64 {
        let Some(job) = take(&mut redis, at).await? else {
            return Err(Fault::new("A job waits, and the script replied nil."));
        };
        ensure(taken.insert(job.clone()), || {
            Fault::new(format!("At the same time, two workers got {job}."))
        })?;
    }
    let early = take(&mut redis, 900).await?;
    ensure(early.is_none(), || {
        Fault::new(format!(
            "{} is being worked on for 900 of its 1000 ms, and two workers have it.",
            early.clone().unwrap_or_default()
        ))
    })?;

    // All three workers die.
    let mut again = BTreeSet::new();
    for at in 0..JOBS.len() as u64 {
        again.extend(take(&mut redis, 5_000 + at).await?);
    }
    let lost: Vec<&str> = JOBS.iter().copied().filter(|job| !again.contains(*job)).collect();
    ensure(lost.is_empty(), || {
        Fault::new(format!(
            "A job is lost: {}. Its worker died, and 5 s later nobody gets it.",
            lost.join(", ")
        ))
    })?;

    // These finish.
    redis::cmd("ZREM").arg("{jobs}:working").arg(&JOBS).exec_async(&mut redis).await?;
    let rest = take(&mut redis, 60_000).await?;
    ensure(rest.is_none(), || {
        Fault::new(format!("All jobs are finished, and a worker got {}.", rest.clone().unwrap_or_default()))
    })?;
    Ok(Passed::with("Three workers died, and each of their jobs was done by another."))
}
