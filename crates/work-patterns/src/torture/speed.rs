//! How fast is each queue when nobody is killed? On a server of its own that keeps no file, so that the disk does not decide:
//!
//! 1. One producer process, then one worker process with 50 jobs at a time.
//! 2. As many jobs that are all due at the same moment: until the last one has begun, and the longest call on the server.
//! 3. The same worker with nothing to do: commands a second, those inside of scripts included.

use std::time::{Duration, Instant};

use lab_connection::Failure;
use lab_connection::TargetArgs;
use lab_connection::failure::Class;
use lab_runner::resource_usage::Stopwatch;
use lab_runner::table::{Table, thousands};
use redis::{RedisResult, Value};
use serde::Serialize;
use tokio::time::sleep;

use crate::torture::Fsync;
use crate::torture::host::{self, Host};
use crate::torture::journal::{Event, Tail, What, now};
use crate::torture::process::Process;
use crate::torture::role::Role;
use crate::torture::subject::Subject;
use crate::torture::workload::Job;

/// Jobs at a time in the worker process.
const AT_A_TIME: usize = 50;
/// How long the idle worker is watched.
const IDLE: Duration = Duration::from_secs(4);
/// Jobs for the throughput. With more than 8,000 that wait, apalis-redis 1.0 works no longer.
pub const JOBS: u64 = 7_500;
/// Jobs that are due at the same moment.
const DUE_AT_ONCE: u64 = 20_000;
const TICK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(1);

/// How fast a queue is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Speed {
    /// Its name and version.
    pub name: String,
    /// Jobs a second, each sent when the one before was acknowledged.
    pub enqueued_per_second: Option<f64>,
    /// Jobs a second, in calls of 500.
    pub enqueued_in_bulk_per_second: Option<f64>,
    /// Jobs a second.
    pub processed_per_second: Option<f64>,
    /// The server's processor time for each job processed, in microseconds.
    pub server_micros_per_job: Option<f64>,
    /// Jobs that are due at the same moment: seconds from then until the last one has begun.
    pub due_at_once_seconds: Option<f64>,
    /// The longest call meanwhile, in milliseconds; none if no call took a millisecond.
    pub longest_call_ms: Option<f64>,
    /// Commands a second that an idle worker costs the server.
    pub idle_commands_per_second: Option<f64>,
    /// Why the jobs that were due at the same moment did not all run, if so.
    pub due_at_once_failed: Option<String>,
}

/// Measures one queue.
pub async fn measure(args: &TargetArgs, subject: &Subject, jobs: u64) -> Result<Speed, Failure> {
    let host = Host::quiet(args, Fsync::None).await?;
    let directory = host::directory()?;
    let plain = |number| Job { number, delay_ms: 0, poison: false, work_ms: 0 };
    let all: Vec<Job> = (0..jobs).map(plain).collect();
    let file = directory.path().join("jobs");
    host::write_jobs(&file, &all)?;
    let role = |part, at_a_time, in_bulk, name: &str| Role {
        part,
        index: 0,
        of: 1,
        at_a_time,
        listing: file.clone(),
        journal: directory.path().join(name),
        max_jobs: 2 * jobs.max(DUE_AT_ONCE),
        effects: false,
        due_at_ms: 0,
        in_bulk,
    };

    let one_by_one = role(subject.producer(), 1, false, "one-by-one");
    let enqueued = to_the_end(&host, subject, &one_by_one, What::Enqueued, jobs).await?;

    let stopwatch = Stopwatch::start(&host.target).await;
    let working = role(subject.worker(), AT_A_TIME, false, "worker");
    let processed = to_the_end(&host, subject, &working, What::Worked, jobs).await?;
    let used = stopwatch.stop().await.server_cpu_seconds;

    let bulk = if subject.has_bulk() {
        let host = Host::quiet(args, Fsync::None).await?;
        let in_bulk = role(subject.producer(), 1, true, "in-bulk");
        to_the_end(&host, subject, &in_bulk, What::Enqueued, jobs.div_ceil(500) + 1).await?
    } else {
        None
    };
    let rate = |seconds: Option<f64>| seconds.map(|seconds| jobs as f64 / seconds.max(1e-9));
    let mut speed = Speed {
        name: subject.name().to_owned(),
        enqueued_per_second: rate(enqueued),
        enqueued_in_bulk_per_second: rate(bulk),
        processed_per_second: rate(processed),
        server_micros_per_job: used.map(|seconds| seconds * 1e6 / jobs as f64),
        ..Speed::default()
    };
    if subject.has_later() {
        let more: Vec<Job> = (0..DUE_AT_ONCE).map(plain).collect();
        host::write_jobs(&file, &more)?;
        let worker = role(subject.worker(), AT_A_TIME, false, "due");
        if let Err(failure) = due_at_once(args, subject, worker, &mut speed).await {
            speed.due_at_once_failed = Some(format!("{} {}", failure.what(), failure.why()));
        }
    }
    Ok(speed)
}

/// Enqueues jobs that are all due some seconds later, has them run, and then leaves the worker idle.
async fn due_at_once(
    args: &TargetArgs,
    subject: &Subject,
    worker: Role,
    speed: &mut Speed,
) -> Result<(), Failure> {
    let host = Host::quiet(args, Fsync::None).await?;
    // Twice the time that a slow queue needs to enqueue them.
    let due_at_ms = now() / 1_000 + 3_000 + DUE_AT_ONCE;
    let producer = Role {
        part: subject.producer(),
        journal: worker.journal.with_extension("enqueued"),
        due_at_ms,
        ..worker.clone()
    };
    run_until(&host, subject, &producer, What::Enqueued, DUE_AT_ONCE).await?;
    if now() / 1_000 > due_at_ms {
        let what = "It took too long to enqueue them.";
        return Err(Failure::new(Class::Other, what, "So they were not due at the same moment."));
    }
    forget_slow_calls(&host).await.map_err(|error| host.target.explain(&error))?;
    let (mut process, events) = run_until(&host, subject, &worker, What::Worked, DUE_AT_ONCE).await?;
    let longest_call_ms = longest_call_ms(&host).await.map_err(|error| host.target.explain(&error))?;
    let begun = events.iter().filter(|event| event.what == What::Started).map(|event| event.at).max();
    speed.longest_call_ms = longest_call_ms;
    speed.due_at_once_seconds = begun.map(|at| at.saturating_sub(due_at_ms * 1_000) as f64 / 1e6);

    sleep(IDLE / 2).await;
    let (before, begun) = (commands(&host).await, Instant::now());
    sleep(IDLE).await;
    let after = commands(&host).await;
    // The second question is one, too.
    speed.idle_commands_per_second =
        before.zip(after).map(|(before, after)| (after - before - 1.0) / begun.elapsed().as_secs_f64());
    process.kill();
    Ok(())
}

/// Runs a process until it has written so many lines of a kind, and returns the seconds from its first line to its last.
async fn to_the_end(
    host: &Host,
    subject: &Subject,
    role: &Role,
    awaited: What,
    count: u64,
) -> Result<Option<f64>, Failure> {
    let (_process, events) = run_until(host, subject, role, awaited, count).await?;
    let times = || events.iter().map(|event| event.at);
    Ok(times().min().zip(times().max()).map(|(first, last)| (last - first) as f64 / 1e6))
}

/// Runs a process until it has written so many lines of a kind and, if it is a worker, no job is left.
async fn run_until(
    host: &Host,
    subject: &Subject,
    role: &Role,
    awaited: What,
    count: u64,
) -> Result<(Process, Vec<Event>), Failure> {
    let mut process = subject.start(host, role)?;
    let mut tail = Tail::new(role.journal.clone());
    let mut events: Vec<Event> = Vec::new();
    let mut found = 0;
    let mut heard = Instant::now();
    loop {
        let new = tail.read()?;
        if !new.is_empty() {
            heard = Instant::now();
        }
        found += new.iter().filter(|event| event.what == awaited).count() as u64;
        events.extend(new);
        // The last ones that were done may not be settled yet.
        if found >= count && (awaited == What::Enqueued || matches!(subject.left(host).await, Ok(0))) {
            return Ok((process, events));
        }
        let ended = process.ended();
        if heard.elapsed() > PATIENCE || ended.is_some_and(|status| !status.success()) {
            let what = format!("A process of {} did not finish: {found} of {count}.", subject.name());
            return Err(Failure::new(Class::Other, what, process.last_words()));
        }
        sleep(TICK).await;
    }
}

/// Commands that the server has processed so far.
async fn commands(host: &Host) -> Option<f64> {
    let mut info = redis::cmd("INFO");
    let text: String = info.arg("STATS").query_async(&mut host.target.connection()).await.ok()?;
    text.lines().find_map(|line| line.strip_prefix("total_commands_processed:")?.trim().parse().ok())
}

/// Begins a new list of slow calls.
async fn forget_slow_calls(host: &Host) -> RedisResult<()> {
    redis::cmd("SLOWLOG").arg("RESET").exec_async(&mut host.target.connection()).await
}

/// The longest call in the list, in milliseconds; none if no call took a millisecond.
async fn longest_call_ms(host: &Host) -> RedisResult<Option<f64>> {
    let mut slow = redis::cmd("SLOWLOG");
    slow.arg("GET").arg(-1);
    // Each is a list: number, time, microseconds, and more.
    let calls: Vec<Vec<Value>> = slow.query_async(&mut host.target.connection()).await?;
    let micros =
        calls.into_iter().filter_map(|call| redis::from_redis_value::<u64>(call.into_iter().nth(2)?).ok());
    Ok(micros.max().map(|micros| micros as f64 / 1e3))
}

/// The speeds side by side.
pub fn table(speeds: &[Speed], jobs: u64) -> Table {
    let title = format!("{} jobs, one worker process with {AT_A_TIME} at a time", thousands(jobs as f64));
    let header = ["queue", "enqueued/s", "in bulk/s", "processed/s", "server µs/job"];
    let cell = |number: Option<f64>| number.map_or("-".into(), thousands);
    speeds.iter().fold(Table::new(title, &header), |table, speed| {
        table.row([
            speed.name.clone(),
            cell(speed.enqueued_per_second),
            cell(speed.enqueued_in_bulk_per_second),
            cell(speed.processed_per_second),
            speed.server_micros_per_job.map_or("-".into(), |micros| format!("{micros:.1}")),
        ])
    })
}

/// The rest of the speeds, for a second table.
pub fn due_table(speeds: &[Speed]) -> Table {
    let title = format!("{} jobs due at the same moment, and an idle worker", thousands(DUE_AT_ONCE as f64));
    let header = ["queue", "all begun after", "longest call", "idle: commands/s"];
    let tried =
        |speed: &&Speed| speed.idle_commands_per_second.is_some() || speed.due_at_once_failed.is_some();
    let measured = speeds.iter().filter(tried);
    measured.fold(Table::new(title, &header), |table, speed| {
        if speed.due_at_once_failed.is_some() {
            return table.row([speed.name.as_str(), "never", "-", "-"]);
        }
        table.row([
            speed.name.clone(),
            speed.due_at_once_seconds.map_or("-".into(), |seconds| format!("{seconds:.2} s")),
            speed.longest_call_ms.map_or("< 1 ms".into(), |longest| format!("{longest:.1} ms")),
            speed.idle_commands_per_second.map_or("-".into(), |idle| format!("{idle:.1}")),
        ])
    })
}
