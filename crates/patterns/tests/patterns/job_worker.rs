use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lab_server::Server;
use lab_testing::{TestConnection, prefix, until};
use patterns::job_queue::{Effect, JobQueue, NewJob, Settings, State};
use patterns::job_worker::{Stats, Worker};
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

/// Starts a worker whose jobs never end, and returns it once it has a job.
async fn stuck(
    prefix: &str,
    settings: &Settings,
    queue: &JobQueue<TestConnection>,
) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Stats>) {
    let url = lab_testing::server().url();
    let worker = Worker::new(prefix, "emails", move || open(url.clone()))
        .unwrap()
        .with_settings(settings.clone())
        .with_grace(Duration::from_millis(10));
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(async move {
        let handler = |_| std::future::pending::<Result<Vec<Effect>, String>>();
        worker.run(handler, async { drop(stopped.await) }).await
    });
    until("it has a job", async || queue.counts().await.unwrap().running > 0).await;
    (stop, run)
}

/// Q10 of the cases from the field: a worker has no name that another could keep alive. Q5: a crash counts, a hand-back does not.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_had_is_done_by_another_and_a_living_one_keeps_its_jobs() {
    let prefix = prefix();
    let settings = Settings { visibility: Duration::from_secs(2), ..Settings::default() };
    let queue = JobQueue::new(TestConnection::server().await, &prefix, "emails").unwrap();
    let queue = queue.with_settings(settings.clone());
    queue.enqueue_many(&jobs(0..1)).await.unwrap();
    let (_keep, killed) = stuck(&prefix, &settings, &queue).await;
    killed.abort();
    // Another worker starts, with the same settings, and takes the job when its time is over.
    let dead_since = queue.page(State::Running, 0, 1).await.unwrap()[0].at;
    let taken_over = async || {
        let running = queue.page(State::Running, 0, 1).await.unwrap();
        running.first().is_some_and(|job| job.at > dead_since && job.losses == 1)
    };
    let (stop, alive) = stuck(&prefix, &settings, &queue).await;
    until("the other has it", taken_over).await;
    // A third one starts while the second is busy, and gets nothing of it.
    let (stop_third, third) = stuck(&prefix, &settings, &queue).await;
    let lease = queue.page(State::Running, 0, 1).await.unwrap()[0].at;
    until("several visibility times are over", async || {
        queue.page(State::Running, 0, 1).await.unwrap().first().is_some_and(|job| job.at > lease + 900)
    })
    .await;
    stop_third.send(()).unwrap();
    assert_eq!(third.await.unwrap().reserved, 0);
    stop.send(()).unwrap();
    let stats = alive.await.unwrap();
    assert_eq!((stats.reserved, stats.recovered, stats.given_back), (1, 1, 1));
    let job = queue.reserve(1).await.unwrap().jobs.remove(0);
    assert_eq!((job.losses, job.failures), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_job_is_extended_and_given_back_when_the_grace_period_is_over() {
    let prefix = prefix();
    let settings = Settings { visibility: Duration::from_secs(2), ..Settings::default() };
    let queue = JobQueue::new(TestConnection::server().await, &prefix, "emails").unwrap();
    let queue = queue.with_settings(settings.clone());
    queue.enqueue_many(&jobs(0..1)).await.unwrap();
    let (stop, run) = stuck(&prefix, &settings, &queue).await;
    let lease = async || queue.page(State::Running, 0, 1).await.unwrap().first().map_or(0, |job| job.at);
    let first = lease().await;
    until("it is extended far beyond its first visibility time", async || lease().await > first + 400).await;
    stop.send(()).unwrap();
    let stats = run.await.unwrap();
    assert_eq!((stats.given_back, stats.completed, stats.lease_lost), (1, 0, 0));
    let job = queue.reserve(1).await.unwrap().jobs.remove(0);
    assert_eq!(job.attempt(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_waits_at_the_doorbell_and_runs_no_scripts() {
    let server = Server::start().unwrap();
    let url = server.url();
    let connection = TestConnection::to_server(&server).await;
    let worker = Worker::new("", "emails", move || open(url.clone())).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(async move {
        worker.run(async |_| Ok::<_, String>(Vec::new()), async { drop(stopped.await) }).await
    });
    let calls = async |command: &str| -> u64 {
        let stats: String = connection.send(&["INFO", "commandstats"]).await;
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
    };
    until("it has waited three times", async || calls("blpop").await >= 3).await;
    assert!(calls("exists").await <= 3);
    assert!(calls("evalsha").await + calls("eval").await <= 2);
    stop.send(()).unwrap();
    assert_eq!(run.await.unwrap().errors, 0);
}

/// Q11: the queue vanishes under a worker that waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_waits_does_what_comes_after_a_flush() {
    let server = Server::start().unwrap();
    let url = server.url();
    let connection = TestConnection::to_server(&server).await;
    let queue = JobQueue::new(connection.clone(), "", "emails").unwrap();
    let worker = Worker::new("", "emails", move || open(url.clone())).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(async move {
        worker.run(async |_| Ok::<_, String>(Vec::new()), async { drop(stopped.await) }).await
    });
    for _ in 0..3 {
        let () = connection.send(&["FLUSHALL"]).await;
        queue.enqueue_many(&jobs(0..10)).await.unwrap();
        until("they are done", async || queue.counts().await.unwrap().completed == 10).await;
    }
    stop.send(()).unwrap();
    assert_eq!(run.await.unwrap().completed, 30);
}
