//! The names are right, and the replies were not waited for one by one.

use std::time::Duration;

use exercises::check_prelude::*;

use super::attempt::names;

const USERS: u64 = 500;
/// How many parts the replies may come in: about one for each wait. Those of a pipeline come in one to three, and those of commands that
/// share a connection at the same time in three to five. One wait for each user makes 500.
const MOST_WAITS: u64 = 20;
/// What a reply takes on this network. Meanwhile, the connection sends what it was given.
const REPLY_DELAY: Duration = Duration::from_millis(10);

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
    let mut gate = Gate::in_front_of(&server).await?;
    let mut redis = connect(&gate.client()).await?;
    let mut waits = 0;
    let found = gate
        .during(in_time(names(&mut redis, &ids)), async |message| {
            if !message.request {
                waits += 1;
                ensure(waits <= MOST_WAITS, || {
                    Fault::new(format!(
                        "For {USERS} users, the function waited for replies more than {MOST_WAITS} times: that many round trips."
                    ))
                })?;
                tokio::time::sleep(REPLY_DELAY).await;
            }
            Ok(Action::Pass)
        })
        .await???;
    ensure(found.len() == ids.len(), || {
        Fault::new(format!("For {USERS} IDs there are {} names.", found.len()))
    })?;
    ensure(found == expected, || {
        let wrong = (0..ids.len()).find(|&at| found[at] != expected[at]);
        Fault::new("The names are not those of the users, in the order of the IDs.").observed(
            wrong.map(|at| format!("user:{} is {:?}, and not {:?}", ids[at], found[at], expected[at])),
        )
    })?;
    Ok(Passed::with(format!("The names of {USERS} users; the replies came in {waits} parts.")))
}
