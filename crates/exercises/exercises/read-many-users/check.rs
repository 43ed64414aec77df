//! The names are right, and the replies were not waited for one by one.

use exercises::check_prelude::*;

use super::attempt::names;

const USERS: u64 = 500;
/// How often the server may read from the connection. A pipeline of this size fits into a few reads, and what a multiplexed connection
/// sends together into some dozens on a busy machine.
const MOST_READS: u64 = USERS / 4;

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    let mut pipe = redis::pipe();
    for id in (1..=USERS).filter(|id| id % 100 != 0) {
        pipe.hset(format!("user:{id}"), "name", format!("User {id}")).ignore();
    }
    pipe.exec_async(&mut redis).await?;

    let ids: Vec<u64> = (1..=USERS).rev().collect();
    let expected: Vec<Option<String>> =
        ids.iter().map(|id| (id % 100 != 0).then(|| format!("User {id}"))).collect();
    let before = server.reads().await?;
    let found = in_time(names(&mut redis, &ids)).await??;
    let reads = server.reads().await? - before;
    ensure(found.len() == ids.len(), || {
        Fault::new(format!("For {USERS} IDs there are {} names.", found.len()))
    })?;
    ensure(found == expected, || {
        let wrong = (0..ids.len()).find(|&at| found[at] != expected[at]);
        Fault::new("The names are not those of the users, in the order of the IDs.").observed(
            wrong.map(|at| format!("user:{} is {:?}, and not {:?}", ids[at], found[at], expected[at])),
        )
    })?;
    ensure(reads <= MOST_READS, || {
        Fault::new(format!(
            "For {USERS} users, the server read {reads} times from the connection: that many round trips."
        ))
    })?;
    Ok(Passed::with(format!(
        "The names of {USERS} users; the server read {reads} times from the connection."
    )))
}
