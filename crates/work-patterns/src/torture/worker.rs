//! A process that runs jobs until it is killed: the loop is `patterns::job_worker`.

use std::sync::Arc;

use lab_connection::{Failure, Target};
use patterns::job_queue::{Effect, Job as Reserved};
use patterns::job_worker::{Event, Worker};

use crate::torture::attempt;
use crate::torture::journal::{Journal, What};
use crate::torture::queue::{QUEUE, effects, failure, queue, settings};
use crate::torture::role::Role;
use crate::torture::workload::number_of;

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

async fn work(
    reserved: &Reserved,
    journal: &Journal,
    effects: Option<String>,
) -> Result<Vec<Effect>, String> {
    let attempt = u64::from(reserved.attempt());
    let job = attempt::run(&reserved.payload, attempt, journal, effects.is_some()).await?;
    Ok(effects.iter().map(|key| Effect::hash_increment(key, job.id(), 1)).collect())
}
