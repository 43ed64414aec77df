//! A process that runs jobs until it is killed: the loop is `patterns::job_worker`.

use std::sync::Arc;
use std::time::Duration;

use lab_connection::{Failure, Target};
use patterns::job_queue::{Effect, Job as Reserved};
use patterns::job_worker::{Event, Worker};
use tokio::time::sleep;

use crate::torture::journal::{Journal, What};
use crate::torture::role::Role;
use crate::torture::subject::{QUEUE, effects, failure, queue, settings};
use crate::torture::workload::{Job, number_of};

pub(crate) async fn run(target: &Target, role: &Role, journal: Journal) -> Result<(), Failure> {
    let in_the_slot =
        queue(target).and_then(|queue| effects(&queue)).map_err(|error| failure(error, target))?;
    let journal = Arc::new(journal);
    let opened = target.clone();
    let open = move || {
        let target = opened.clone();
        async move { target.dedicated().await }
    };
    let reported = Arc::clone(&journal);
    let report = move |event: &Event<'_>| {
        if let Event::LeaseLost { job } = event
            && let Some(number) = number_of(job)
        {
            let _ = reported.write(What::Taken, number, 0);
        }
    };
    let worker = Worker::new(target.prefix(), QUEUE, open)
        .map_err(|error| failure(error, target))?
        .with_settings(settings(role))
        .with_concurrency(role.at_a_time)
        .with_report(report);
    let effects = role.effects.then_some(in_the_slot);
    let handler = move |reserved: Reserved| {
        let (journal, effects) = (Arc::clone(&journal), effects.clone());
        async move { work(&reserved, &journal, effects).await }
    };
    worker.run(handler, std::future::pending()).await;
    Ok(())
}

/// One attempt. The effect in the queue's slot happens when the job is completed; the one elsewhere is a line in the journal.
async fn work(
    reserved: &Reserved,
    journal: &Journal,
    effects: Option<String>,
) -> Result<Vec<Effect>, String> {
    let job: Job = serde_json::from_slice(&reserved.payload).map_err(|error| error.to_string())?;
    let attempt = u64::from(reserved.attempt());
    let write = |what| journal.write(what, job.number, attempt).map_err(|error| error.to_string());
    write(What::Started)?;
    if job.work_ms > 0 {
        sleep(Duration::from_millis(job.work_ms)).await;
    }
    if job.poison {
        write(What::Failed)?;
        return Err("poison".into());
    }
    let Some(effects) = effects else {
        write(What::Worked)?;
        return Ok(Vec::new());
    };
    write(What::Effect)?;
    write(What::Worked)?;
    Ok(vec![Effect::hash_increment(&effects, job.id(), 1)])
}
