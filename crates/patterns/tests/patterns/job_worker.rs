use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_server::Server;
use lab_testing::{TestConnection, prefix, until};
use patterns::job_queue::{Effect, JobQueue, NewJob, Settings};
use patterns::job_worker::Worker;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use tokio::sync::oneshot;

async fn open(url: String) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(5)));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

fn jobs(ids: std::ops::Range<usize>) -> Vec<NewJob> {
    ids.map(|number| NewJob::new(format!("job-{number}"), "")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_completes_jobs_and_a_panic_is_a_failure_of_its_job() {
    let prefix = prefix();
    let url = lab_testing::server().url();
    let queue = JobQueue::new(TestConnection::server().await, &prefix, "emails").unwrap();
    let sent = queue.effect_key("sent").unwrap();
    let settings =
        Settings { max_failures: 2, first_pause: Duration::from_millis(10), ..Settings::default() };
    let worker = Worker::new(&prefix, "emails", move || open(url.clone()))
        .unwrap()
        .with_settings(settings)
        .with_concurrency(50);
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(async move {
        let handler = move |job: patterns::job_queue::Job| {
            let sent = sent.clone();
            async move {
                assert_ne!(job.id, "job-7", "seven");
                if job.id == "job-8" { Err("eight") } else { Ok(vec![Effect::increment(&sent, 1)]) }
            }
        };
        worker.run(handler, async { drop(stopped.await) }).await
    });
    queue.enqueue_many(&jobs(0..200)).await.unwrap();
    until("all are done", async || {
        let counts = queue.counts().await.unwrap();
        counts.completed == 198 && counts.dead == 2
    })
    .await;
    stop.send(()).unwrap();
    let stats = run.await.unwrap();
    assert_eq!((stats.completed, stats.failed, stats.panicked, stats.errors), (198, 4, 2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_goes_on_after_a_restart_of_redis_that_lost_everything() {
    let mut server = Server::start().unwrap();
    let url = server.url();
    let done = Arc::new(AtomicUsize::new(0));
    let (stop, stopped) = oneshot::channel::<()>();
    let counted = Arc::clone(&done);
    let worker = Worker::new("", "emails", move || open(url.clone())).unwrap();
    let run = tokio::spawn(async move {
        let handler = move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, String>(Vec::new()) }
        };
        worker.run(handler, async { drop(stopped.await) }).await
    });
    for round in 1..=2 {
        let queue = JobQueue::new(TestConnection::to_server(&server).await, "", "emails").unwrap();
        queue.enqueue_many(&jobs(0..10)).await.unwrap();
        until("they are done", async || done.load(Ordering::Relaxed) >= 10 * round).await;
        if round == 1 {
            server.kill();
            server.restart().unwrap();
        }
    }
    stop.send(()).unwrap();
    assert!(run.await.unwrap().errors > 0);
}
