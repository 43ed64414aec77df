use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use lab_testing::{TIMEOUT, TestConnection};
use patterns::job_queue::{self, Due, Effect, Job, JobError, JobQueue, NewJob, Outcome, Settings, State};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "job_queue",
    workload: |prefix| Box::new(Jobs { prefix: prefix.to_owned(), enqueued: Mutex::default() }),
    plain_commands: &["HGET", "HSCAN", "ZSCAN"],
    scripts: job_queue::scripts,
};

struct Jobs {
    prefix: String,
    /// The IDs whose enqueue was acknowledged.
    enqueued: Mutex<BTreeSet<String>>,
}

impl Jobs {
    fn queue(&self, connection: TestConnection) -> Result<JobQueue<TestConnection>, Failure> {
        let settings = Settings {
            visibility: Duration::from_millis(50),
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(5),
            // A call that is sent twice loses the jobs of its first reply.
            max_losses: 1_000,
            max_failures: 1_000,
            ..Settings::default()
        };
        Ok(JobQueue::new(connection, &self.prefix, "emails")?.with_settings(settings))
    }

    async fn enqueue(&self, queue: &JobQueue<TestConnection>, id: &str) -> Result<(), Failure> {
        let due = if id.ends_with('3') { Due::After(Duration::from_millis(5)) } else { Due::Now };
        queue.enqueue(&NewJob::new(id, "payload").with_due(due)).await?;
        self.enqueued.lock().unwrap().insert(id.to_owned());
        Ok(())
    }

    /// Completes these jobs, and counts each completion in the same step.
    async fn complete(&self, queue: &JobQueue<TestConnection>, jobs: &[Job]) -> Result<(), Failure> {
        let done = queue.effect_key("done")?;
        let outcome = |job: &Job| Outcome::Complete(vec![Effect::hash_increment(&done, job.id.as_str(), 1)]);
        let settlements: Vec<_> = jobs.iter().map(|job| (job, outcome(job))).collect();
        let (settled, _) = queue.settle_and_reserve(&settlements, 0).await?;
        if settled.contains(&job_queue::Settled::EffectRefused) {
            return Err("an effect was refused".into());
        }
        Ok(())
    }

    /// Completes all that can be handed out. `later`: delayed and running jobs come back much later.
    async fn drain(&self, queue: &JobQueue<TestConnection>, later: bool) -> Result<(), Failure> {
        let start = Instant::now();
        loop {
            for dead in queue.page(State::Dead, 0, 100).await? {
                queue.requeue(&[dead.id]).await?;
            }
            let reserved = queue.reserve(100).await?;
            if reserved.damaged {
                queue.repair().await?;
            }
            self.complete(queue, &reserved.jobs).await?;
            let counts = queue.counts().await?;
            let pending = if later { counts.ready } else { counts.pending() };
            if pending + counts.dead == 0 && counts.astray == 0 {
                return Ok(());
            }
            if start.elapsed() > TIMEOUT {
                return Err(format!("an empty queue in the end; found {counts:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Workload for Jobs {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let queue = self.queue(connection)?;
        for id in ["first", "second", "third", "fourth"] {
            self.enqueue(&queue, id).await?;
        }
        let later = NewJob::new("later", "").with_due(Due::After(Duration::from_millis(200)));
        queue.enqueue(&later).await?;
        self.enqueued.lock().unwrap().insert("later".to_owned());
        // One is finished, one is dead, and one is with a worker that dies.
        let jobs = queue.reserve(3).await?.jobs;
        self.complete(&queue, &jobs[..1]).await?;
        queue.settle_and_reserve(&[(&jobs[1], Outcome::Bury("poison".to_owned()))], 0).await?;
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let queue = self.queue(connection)?;
        if client.is_multiple_of(2) {
            return self.enqueue(&queue, &format!("{client}-{call}")).await;
        }
        let jobs = queue.reserve(3).await?.jobs;
        let mut results = Vec::new();
        for (number, job) in jobs.iter().enumerate() {
            results.push(match (client + call + number) % 5 {
                0 => queue.fail(job, "no such host").await,
                1 => queue.give_back(job).await,
                2 => queue.extend(job).await,
                _ => {
                    self.complete(&queue, std::slice::from_ref(job)).await?;
                    Ok(())
                }
            });
        }
        for result in results {
            // With other tests beside it, a job may outlive its visibility time.
            if let Err(JobError::Store(error)) = result {
                return Err(error.into());
            }
        }
        match call % 4 {
            0 => drop(queue.counts().await?),
            1 => drop(queue.page(State::Dead, 0, 10).await?),
            2 => drop(queue.requeue(&["second"]).await?),
            _ => {
                queue.payload("first").await?;
                queue.purge(State::Dead, 0).await?;
                queue.repair().await?;
            }
        }
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let queue = self.queue(connection.clone())?;
        let done = queue.effect_key("done")?;
        self.enqueue(&queue, "last").await?;
        self.drain(&queue, *fault == Fault::ClockBack).await?;
        let counts = queue.counts().await?;
        let effects: BTreeMap<String, u64> = connection.send(&["HGETALL", &done]).await;
        let enqueued = self.enqueued.lock().unwrap().clone();
        let missing: Vec<_> = enqueued.iter().filter(|id| !effects.contains_key(*id)).collect();
        let doubled: Vec<_> = effects.iter().filter(|(_, times)| **times != 1).collect();
        let lost = |name: &str| matches!(fault, Fault::KeyLost(key) if key == name);
        let [jobs, _, _, _, _, _, totals, _] = queue.keys();
        if !effects.contains_key("last") {
            return Err("the last job".into());
        }
        if !doubled.is_empty() {
            return Err(format!("each effect once; found {doubled:?}").into());
        }
        if lost(&done) {
            return Ok(Verdict::Contract("The queue cannot restore a key that effects write"));
        }
        if *fault == Fault::WritesLost {
            return Ok(Verdict::Contract("A failover may forget the last calls that were acknowledged"));
        }
        if lost(jobs) {
            return Ok(Verdict::Contract(
                "If the jobs are lost, what they held is lost, and leftover entries are dropped and counted",
            ));
        }
        if *fault == Fault::ClockBack && missing.len() as u64 == counts.pending() {
            return Ok(Verdict::Contract("If it is set back, both come later by that much"));
        }
        if !missing.is_empty() {
            return Err(format!("all that was enqueued; missing {missing:?}, {counts:?}").into());
        }
        if lost(totals) {
            return Ok(Verdict::Contract("If the counts are lost, the totals begin again"));
        }
        if counts.enqueued != enqueued.len() as u64 || counts.completed != counts.enqueued {
            return Err(format!("{} that were completed; found {counts:?}", enqueued.len()).into());
        }
        Ok(match fault {
            Fault::KeyLost(key) if queue.keys()[1..6].contains(key) => {
                Verdict::Contract("If an index is lost, [JobQueue::repair] rebuilds it from the Hash")
            }
            _ => Verdict::Held,
        })
    }
}
