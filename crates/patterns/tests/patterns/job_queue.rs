use std::time::Duration;

use lab_testing::{TestConnection, everywhere, until};
use patterns::job_queue::{
    Due, Effect, Enqueued, Job, JobError, JobQueue, NewJob, Outcome, Settings, Settled, State, WORKER_LOST,
};

fn queue(connection: &TestConnection, prefix: &str) -> JobQueue<TestConnection> {
    JobQueue::new(connection.clone(), prefix, "emails").unwrap()
}

fn ids(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.id.as_str()).collect()
}

async fn enqueue(queue: &JobQueue<TestConnection>, ids: &[&str]) {
    let jobs: Vec<NewJob> = ids.iter().map(|id| NewJob::new(*id, "payload")).collect();
    queue.enqueue_many(&jobs).await.unwrap();
}

async fn adds_up(queue: &JobQueue<TestConnection>) {
    let counts = queue.counts().await.unwrap();
    let accounted = counts.completed + counts.pending() + counts.dead + counts.purged + counts.dropped;
    assert_eq!((counts.enqueued, counts.astray), (accounted, 0), "{counts:?}");
}

#[tokio::test]
async fn an_id_is_one_job_also_after_it_has_finished() {
    everywhere(async |connection, prefix| {
        let queue = queue(&connection, &prefix);
        let ann = NewJob::new("{a}\n*:%", "");
        assert_eq!(queue.enqueue(&ann).await.unwrap(), Enqueued::New);
        assert_eq!(queue.enqueue(&ann).await.unwrap(), Enqueued::AlreadyQueued);
        let twice = [NewJob::new("b", "1"), NewJob::new("b", "2"), ann.clone()];
        let enqueued = queue.enqueue_many(&twice).await.unwrap();
        assert_eq!(enqueued, [Enqueued::New, Enqueued::AlreadyQueued, Enqueued::AlreadyQueued]);
        let reserved = queue.reserve(10).await.unwrap();
        assert_eq!(ids(&reserved.jobs), [ann.id.as_str(), "b"]);
        assert_eq!(
            (reserved.jobs[0].payload.as_slice(), reserved.jobs[1].payload.as_slice()),
            (&b""[..], &b"1"[..])
        );
        assert_eq!(reserved.jobs[0].attempt(), 1);
        for job in &reserved.jobs {
            queue.complete(job).await.unwrap();
            queue.complete(job).await.unwrap();
        }
        assert_eq!(queue.enqueue(&ann).await.unwrap(), Enqueued::AlreadyFinished);
        assert_eq!(queue.reserve(10).await.unwrap().jobs, []);
        assert_eq!(queue.counts().await.unwrap().completed, 2);
        adds_up(&queue).await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_fails_comes_back_after_a_pause_and_dies_in_the_end() {
    everywhere(async |connection, prefix| {
        let settings =
            Settings { first_pause: Duration::from_millis(2), max_failures: 3, ..Settings::default() };
        let queue = queue(&connection, &prefix).with_settings(settings);
        enqueue(&queue, &["a"]).await;
        for attempt in 1..=3 {
            until("it is handed out", async || {
                let Some(job) = queue.reserve(1).await.unwrap().jobs.pop() else { return false };
                assert_eq!(job.attempt(), attempt);
                queue.fail(&job, "no: such host").await.unwrap();
                let again = queue.fail(&job, "no").await;
                assert!(matches!(again, Err(JobError::LeaseLost)), "{again:?}");
                true
            })
            .await;
        }
        let counts = queue.counts().await.unwrap();
        assert_eq!((counts.dead, counts.failed, counts.died, counts.quarantined), (1, 3, 1, 0));
        let dead = queue.page(State::Dead, 0, 10).await.unwrap();
        assert_eq!(
            (dead[0].id.as_str(), dead[0].reason.as_str(), dead[0].failures),
            ("a", "no: such host", 3)
        );
        assert_eq!(queue.requeue(&["a", "b", "a"]).await.unwrap(), 1);
        let job = queue.reserve(1).await.unwrap().jobs.remove(0);
        assert_eq!(job.attempt(), 1);
        adds_up(&queue).await;
    })
    .await;
}

#[tokio::test]
async fn effects_are_written_with_the_completion_or_not_at_all() {
    everywhere(async |connection, prefix| {
        let settings = Settings { visibility: Duration::from_millis(50), ..Settings::default() };
        let queue = queue(&connection, &prefix).with_settings(settings);
        let sent = queue.effect_key("sent").unwrap();
        enqueue(&queue, &["a"]).await;
        let late = queue.reserve(1).await.unwrap().jobs.remove(0);
        let effects = [Effect::increment(&sent, 1)];
        until("the visibility time is over", async || {
            let Some(job) = queue.reserve(1).await.unwrap().jobs.pop() else { return false };
            assert_eq!((job.losses, job.attempt()), (1, 2));
            let (settled, _) =
                queue.settle_and_reserve(&[(&job, Outcome::Complete(effects.to_vec()))], 5).await.unwrap();
            assert_eq!(settled, [Settled::Done]);
            true
        })
        .await;
        let refused = queue.complete_with(&late, &effects).await;
        assert!(matches!(refused, Err(JobError::LeaseLost)), "{refused:?}");
        assert_eq!(connection.send::<u32>(&["GET", &sent]).await, 1);
        assert_eq!(WORKER_LOST, "worker lost");
        let later = NewJob::new("later", "").with_due(Due::After(Duration::from_hours(1)));
        queue.enqueue(&later).await.unwrap();
        assert!(queue.reserve(1).await.unwrap().next_in.unwrap() > Duration::from_mins(59));
        adds_up(&queue).await;
    })
    .await;
}
