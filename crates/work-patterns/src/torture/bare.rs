//! The floor: LPUSH, and BRPOP on a connection for each job at a time. A worker that dies takes its jobs with it.

use std::time::Duration;

use lab_connection::{Failure, Target};
use lab_runner::concurrent::try_join_all;

use crate::torture::journal::{Journal, What, now};
use crate::torture::role::Role;
use crate::torture::workload::Job;

const LIST: &str = "torture:bare";
/// How long one BRPOP waits.
const WAIT: Duration = Duration::from_secs(1);

pub(crate) async fn produce(target: &Target, role: &Role, journal: &Journal) -> Result<(), Failure> {
    let list = format!("{}{LIST}", target.prefix());
    let mut connection = target.connection();
    for jobs in role.jobs()?.chunks(if role.in_bulk { 500 } else { 1 }) {
        let begun = now();
        let mut push = redis::cmd("LPUSH");
        push.arg(&list);
        for job in jobs {
            push.arg(serde_json::to_vec(job).unwrap_or_default());
        }
        push.exec_async(&mut connection).await.map_err(|error| target.explain(&error))?;
        journal.write_at(What::Enqueued, jobs[0].number, 0, begun)?;
    }
    if role.in_bulk {
        journal.write(What::Enqueued, 0, 0)?;
    }
    Ok(())
}

pub(crate) async fn work(target: &Target, role: &Role, journal: &Journal) -> Result<(), Failure> {
    let list = format!("{}{LIST}", target.prefix());
    let working = (0..role.at_a_time).map(|_| async {
        let mut connection = target.blocking(WAIT).await.map_err(|error| target.explain(&error))?;
        let mut pop = redis::cmd("BRPOP");
        pop.arg(&list).arg(WAIT.as_secs());
        loop {
            let popped: Option<(String, Vec<u8>)> =
                pop.query_async(&mut connection).await.map_err(|error| target.explain(&error))?;
            let Some(job) = popped.and_then(|(_, payload)| serde_json::from_slice::<Job>(&payload).ok())
            else {
                continue;
            };
            for what in [What::Started, What::Worked] {
                journal.write(what, job.number, 1)?;
            }
        }
        #[expect(unreachable_code, reason = "it ends with its process, and the type is wanted")]
        Ok::<(), Failure>(())
    });
    try_join_all(working).await.map(|_| ())
}
