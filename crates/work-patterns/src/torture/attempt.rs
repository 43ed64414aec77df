//! One attempt at a job, as both queues of this project run it.

use std::time::Duration;

use tokio::time::sleep;

use crate::torture::journal::{Journal, What};
use crate::torture::workload::Job;

/// Runs a job and writes down what happens. The effect in the queue's slot happens when the job is completed; the one elsewhere is a
/// line in the journal, if the job has effects.
pub(crate) async fn run(
    payload: &[u8],
    attempt: u64,
    journal: &Journal,
    has_effects: bool,
) -> Result<Job, String> {
    let job: Job = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    let write = |what| journal.write(what, job.number, attempt).map_err(|error| error.to_string());
    write(What::Started)?;
    if job.work_ms > 0 {
        sleep(Duration::from_millis(job.work_ms)).await;
    }
    if job.poison {
        write(What::Failed)?;
        return Err("poison".into());
    }
    if has_effects {
        write(What::Effect)?;
    }
    write(What::Worked)?;
    Ok(job)
}
