//! The loops around `job_queue` and `stream_worker`: what they need beside the rights of those.

use std::time::Duration;

use lab_testing::{TestConnection, until};
use patterns::job_queue::{Due, Effect, JobQueue, NewJob, Settings};
use patterns::stream_worker::{self, StreamQueue};
use patterns::{job_worker, stream_loop};
use redis::RedisError;
use tokio::sync::oneshot;

use crate::rest::Rest;

/// A loop, the pattern that it works for, and jobs for it. The calls end when all are done.
pub const LOOPS: [(&str, &str, Rest); 2] = [
    ("job_worker", "job_queue", |connection, prefix, url| Box::pin(jobs(connection, prefix, url))),
    ("stream_loop", "stream_worker", |connection, prefix, url| Box::pin(messages(connection, prefix, url))),
];

type Failure = crate::workload::Failure;

/// A connection of the same user, whose refusals count too.
async fn open(connection: TestConnection, url: String) -> Result<TestConnection, RedisError> {
    Ok(TestConnection::to_url(&url).await.counting_with(&connection))
}

/// Jobs that are completed, one with an effect and one that fails first. The queue is filled over the administrator's connection.
async fn jobs(connection: &TestConnection, prefix: &str, url: &str) -> Result<(), Failure> {
    let queue = JobQueue::new(connection.admin(), prefix, "loop")?;
    let done = queue.effect_key("done")?;
    let opened = (connection.clone(), url.to_owned());
    let worker = job_worker::Worker::new(prefix, "loop", move || open(opened.0.clone(), opened.1.clone()))?
        .with_settings(Settings { first_pause: Duration::from_millis(1), ..Settings::default() });
    let (stop, stopped) = oneshot::channel::<()>();
    let handler = move |job: patterns::job_queue::Job| {
        let done = done.clone();
        async move {
            if job.id == "fails" && job.attempt() == 1 {
                Err("no")
            } else {
                Ok(vec![Effect::hash_increment(&done, "jobs", 1)])
            }
        }
    };
    let running = worker.run(handler, async { drop(stopped.await) });
    // Until this one is due, the worker waits at the doorbell in vain.
    queue.enqueue(&NewJob::new("later", "").with_due(Due::After(Duration::from_millis(100)))).await?;
    let filled = async {
        until("the delayed job is done or refused", async || {
            connection.refused() > 0 || queue.counts().await.is_ok_and(|counts| counts.completed == 1)
        })
        .await;
        queue.enqueue_many(&["fails", "first", "second"].map(|id| NewJob::new(id, ""))).await?;
        until("all jobs are done or refused", async || {
            connection.refused() > 0 || queue.counts().await.is_ok_and(|counts| counts.completed == 4)
        })
        .await;
        let _ = stop.send(());
        Ok::<_, Failure>(())
    };
    let (_, filled) = tokio::join!(running, filled);
    filled
}

/// Messages that a worker completes.
async fn messages(connection: &TestConnection, prefix: &str, url: &str) -> Result<(), Failure> {
    let stream = StreamQueue::new(connection.admin(), prefix, "loop");
    let group = StreamQueue::new(connection.clone(), prefix, "loop").group("loop");
    let worker = stream_loop::Worker::new(group, "host")?;
    let (stop, stopped) = oneshot::channel::<()>();
    let handler = |_| async { Ok::<_, String>(stream_worker::Effect::none()) };
    let running =
        worker.run(|| open(connection.clone(), url.to_owned()), handler, async { drop(stopped.await) });
    let filled = async {
        for id in ["first", "second"] {
            stream.publish(id, b"").await?;
        }
        until("all messages are done or refused", async || {
            connection.refused() > 0 || worker.report().completed == 2
        })
        .await;
        let _ = stop.send(());
        Ok::<_, Failure>(())
    };
    let (_, filled) = tokio::join!(running, filled);
    filled
}
