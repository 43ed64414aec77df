use std::time::Duration;

use lab_server::Server;
use lab_testing::faults::lossy_proxy;
use lab_testing::{TestConnection, prefix, until};
use patterns::job_queue::{
    Due, Effect, Enqueued, Job, JobError, JobQueue, LATEST_DUE, MAX_BATCH, MAX_PAYLOAD_BYTES,
    MAX_REASON_BYTES, NewJob, Outcome, Settings, Settled, State, WORKER_LOST,
};
use patterns::script::StoreError;

use crate::{dumps, everywhere};

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

#[test]
fn an_id_is_one_job_also_after_it_has_finished() {
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
    });
}

#[test]
fn a_job_that_fails_comes_back_after_a_pause_and_dies_in_the_end() {
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
                assert_matches!(queue.fail(&job, "no").await, Err(JobError::LeaseLost));
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
    });
}

#[test]
fn effects_are_written_with_the_completion_or_not_at_all() {
    everywhere(async |connection, prefix| {
        let settings = Settings { visibility: Duration::from_millis(50), ..Settings::default() };
        let queue = queue(&connection, &prefix);
        let sent = queue.effect_key("sent").unwrap();
        enqueue(&queue, &["a"]).await;
        let late = queue.clone().with_settings(settings).reserve(1).await.unwrap().jobs.remove(0);
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
        assert_matches!(queue.complete_with(&late, &effects).await, Err(JobError::LeaseLost));
        assert_eq!(connection.send::<u32>(&["GET", &sent]).await, 1);
        assert_eq!(WORKER_LOST, "worker lost");
        let later = NewJob::new("later", "").with_due(Due::After(Duration::from_hours(1)));
        queue.enqueue(&later).await.unwrap();
        assert!(queue.reserve(1).await.unwrap().next_in.unwrap() > Duration::from_mins(59));
        adds_up(&queue).await;
    });
}

/// One whose jobs come back as soon as their worker is gone.
fn impatient(connection: &TestConnection, prefix: &str) -> JobQueue<TestConnection> {
    let settings = Settings { visibility: Duration::from_millis(1), max_losses: 3, ..Settings::default() };
    queue(connection, prefix).with_settings(settings)
}

/// Reserves one job, as soon as there is one.
async fn next(queue: &JobQueue<TestConnection>) -> Job {
    let found = std::cell::RefCell::new(None);
    until("there is a job", async || {
        *found.borrow_mut() = queue.reserve(1).await.unwrap().jobs.pop();
        found.borrow().is_some()
    })
    .await;
    found.into_inner().unwrap()
}

/// Q5 of the cases from the field: a crash is an attempt with a limit of its own, a planned hand-back is none.
#[test]
fn a_job_that_kills_its_workers_is_quarantined_and_a_hand_back_is_no_attempt() {
    everywhere(async |connection, prefix| {
        let queue = impatient(&connection, &prefix);
        enqueue(&queue, &["killer"]).await;
        for attempt in 1..=3 {
            // The worker dies with it.
            assert_eq!(next(&queue).await.attempt(), attempt);
        }
        until("it is dead", async || {
            queue.reserve(1).await.unwrap();
            queue.counts().await.unwrap().dead == 1
        })
        .await;
        let dead = queue.page(State::Dead, 0, 1).await.unwrap().remove(0);
        assert_eq!((dead.reason.as_str(), dead.losses, dead.failures), (WORKER_LOST, 3, 0));
        let counts = queue.counts().await.unwrap();
        assert_eq!((counts.lost, counts.quarantined, counts.died, counts.failed), (3, 1, 0, 0));

        let patient = JobQueue::new(connection.clone(), &prefix, "patient").unwrap();
        enqueue(&patient, &["a", "b"]).await;
        for _ in 0..5 {
            let job = patient.reserve(1).await.unwrap().jobs.remove(0);
            assert_eq!((job.id.as_str(), job.attempt()), ("a", 1), "it keeps its place");
            patient.give_back(&job).await.unwrap();
            assert_matches!(patient.complete(&job).await, Err(JobError::LeaseLost));
        }
        let job = patient.reserve(1).await.unwrap().jobs.remove(0);
        patient.complete(&job).await.unwrap();
        adds_up(&queue).await;
        adds_up(&patient).await;
    });
}

/// Q2: whatever part of a job vanishes, it is found again, or dropped and counted.
#[test]
fn a_part_that_vanishes_hides_no_job_and_stops_no_worker() {
    everywhere(async |connection, prefix| {
        let queue = impatient(&connection, &prefix);
        let [jobs, ready, delayed, running, dead, finished, ..] = queue.keys().clone();
        enqueue(&queue, &["lease", "record", "body"]).await;
        let taken = queue.reserve(3).await.unwrap().jobs;
        assert_eq!(ids(&taken), ["lease", "record", "body"]);
        let () = connection.send(&["ZREM", &running, "lease"]).await;
        let () = connection.send(&["HDEL", &jobs, "rrecord"]).await;
        let () = connection.send(&["HDEL", &jobs, "pbody"]).await;
        assert_eq!(queue.counts().await.unwrap().astray, 0, "two too many and two too few");
        queue.repair().await.unwrap();
        let found = std::cell::RefCell::new(std::collections::BTreeSet::new());
        until("both are handed out again", async || {
            let id = next(&queue).await.id;
            found.borrow_mut().insert(id);
            found.borrow().len() == 2
        })
        .await;
        assert!(found.borrow().contains("lease") && found.borrow().contains("record"), "{found:?}");
        assert_eq!(queue.counts().await.unwrap().dropped, 1);

        // Without a repair: an entry without a body, in each state.
        let queue = JobQueue::new(connection.clone(), &prefix, "other").unwrap();
        let [jobs_of_other, ready_of_other, ..] = queue.keys().clone();
        enqueue(&queue, &["gone", "here"]).await;
        let () = connection.send(&["HDEL", &jobs_of_other, "pgone"]).await;
        let () = connection.send(&["ZADD", &ready_of_other, "0", "never"]).await;
        let reserved = queue.reserve(5).await.unwrap();
        assert_eq!((ids(&reserved.jobs), reserved.dropped), (vec!["here"], 2));
        queue.complete(&reserved.jobs[0]).await.unwrap();
        assert_eq!(queue.counts().await.unwrap().astray, 0);

        // Each index as a whole.
        for lost in [&ready, &delayed, &running, &dead, &finished] {
            let queue = JobQueue::new(connection.clone(), &prefix, "emails").unwrap();
            let later =
                NewJob::new(format!("later-{lost}"), "").with_due(Due::After(Duration::from_hours(1)));
            queue.enqueue(&later).await.unwrap();
            enqueue(&queue, &[&format!("bad-{lost}")]).await;
            let bad = queue.reserve(1).await.unwrap().jobs.remove(0);
            let ended = [(&bad, Outcome::Bury("bad".to_owned()))];
            queue.settle_and_reserve(&ended, 0).await.unwrap();
            enqueue(&queue, &[&format!("done-{lost}"), &format!("ready-{lost}")]).await;
            let done = queue.reserve(1).await.unwrap().jobs.remove(0);
            queue.complete(&done).await.unwrap();
            let before = queue.counts().await.unwrap();
            let () = connection.send(&["DEL", lost]).await;
            assert!(queue.reserve(1).await.unwrap().damaged || *lost == running, "{lost}");
            queue.repair().await.unwrap();
            let after = queue.counts().await.unwrap();
            assert_eq!(after.astray, 0, "{lost}: {after:?}");
            assert_eq!((after.pending(), after.dead), (before.pending(), before.dead), "{lost}");
            assert_eq!(queue.enqueue(&NewJob::new(done.id, "")).await.unwrap(), Enqueued::AlreadyFinished);
        }
    });
}

/// Q3: what is not stored is not acknowledged. Memory is full, so enqueue is refused, and workers go on.
#[tokio::test]
async fn with_full_memory_nothing_is_enqueued_and_workers_go_on() {
    let server = Server::start().unwrap();
    let connection = TestConnection::to_server(&server).await;
    let queue = queue(&connection, "");
    enqueue(&queue, &["a", "b", "c"]).await;
    let sent = queue.effect_key("sent").unwrap();
    let () = connection.send(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = queue.enqueue(&NewJob::new("d", "")).await;
    let oom = |error: &JobError| matches!(error, JobError::Store(StoreError::Redis(error)) if error.code() == Some("OOM"));
    assert!(refused.as_ref().is_err_and(oom), "{refused:?}");
    let jobs = queue.reserve(3).await.unwrap().jobs;
    queue.complete_with(&jobs[0], &[Effect::increment(&sent, 1)]).await.unwrap();
    queue.fail(&jobs[1], "no such host").await.unwrap();
    queue.give_back(&jobs[2]).await.unwrap();
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.completed, counts.delayed, counts.ready, counts.enqueued), (1, 1, 1, 3));
    adds_up(&queue).await;
}

/// Q3: the replies of a failure are lost, one after the other.
#[tokio::test]
async fn a_failure_whose_reply_is_lost_is_counted_once() {
    let server = Server::start().unwrap();
    let proxy = lossy_proxy(&server, 5);
    let queue = queue(&TestConnection::to_server(&server).await, "");
    let lossy = queue.with_connection(TestConnection::reconnecting(&proxy.url()).await);
    let names: Vec<String> = (0..20).map(|number| format!("job-{number}")).collect();
    enqueue(&queue, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for job in queue.reserve(20).await.unwrap().jobs {
        until("it is settled", async || match lossy.fail(&job, "no such host").await {
            Ok(()) | Err(JobError::LeaseLost) => true,
            Err(_) => false,
        })
        .await;
    }
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.delayed, counts.failed), (20, 20));
    assert!(proxy.cuts() > 0);
    adds_up(&queue).await;
}

/// Q14: what is large is worked off in bounded steps.
#[tokio::test]
async fn twenty_thousand_expired_jobs_come_back_a_hundred_at_a_time() {
    let connection = TestConnection::server().await;
    let prefix = prefix();
    let settings = Settings { visibility: Duration::from_millis(1), ..Settings::default() };
    let queue = queue(&connection, &prefix).with_settings(settings.clone());
    for batch in 0..40 {
        let jobs: Vec<NewJob> = (0..500).map(|job| NewJob::new(format!("{batch}-{job}"), "")).collect();
        queue.enqueue_many(&jobs).await.unwrap();
    }
    let long = queue.clone().with_settings(Settings::default());
    let mine = long.reserve(1).await.unwrap().jobs.remove(0);
    while queue.counts().await.unwrap().ready > 0 {
        // A program that recovers nothing while it takes all of them.
        let () = connection
            .send(&["ZUNIONSTORE", &queue.keys()[3], "2", &queue.keys()[3], &queue.keys()[1]])
            .await;
        let () = connection.send(&["DEL", &queue.keys()[1]]).await;
    }
    let now: (u64, u64) = connection.send(&["TIME"]).await;
    let ids: Vec<String> = connection.send(&["ZRANGE", &queue.keys()[3], "0", "-1"]).await;
    let past = ((now.0 - 1) * 1_000).to_string();
    for ids in ids.chunks(1_000) {
        let mut expire = vec!["ZADD", &queue.keys()[3]];
        let mut records = vec!["HSET", &queue.keys()[0]];
        let fields: Vec<String> = ids.iter().map(|id| format!("r{id}")).collect();
        for (id, field) in ids.iter().zip(&fields) {
            if *id != mine.id {
                expire.extend([past.as_str(), id.as_str()]);
                records.extend([field.as_str(), "17:0:100:1:0:0:0:"]);
            }
        }
        let () = connection.send(&expire).await;
        let () = connection.send(&records).await;
    }
    let reserved = long.reserve(1).await.unwrap();
    assert_eq!((reserved.lost, reserved.next_in), (100, Some(Duration::ZERO)));
    long.complete(&mine).await.unwrap();
    let mut handed = reserved.jobs.len();
    while handed < ids.len() - 1 {
        let reserved = long.reserve(100).await.unwrap();
        assert!(reserved.lost <= 100);
        let done: Vec<_> = reserved.jobs.iter().map(|job| (job, Outcome::Complete(vec![]))).collect();
        long.settle_and_reserve(&done, 0).await.unwrap();
        handed += reserved.jobs.len();
    }

    // A lower cap of finished IDs is reached step by step, too.
    let capped = long.clone().with_settings(Settings { max_finished: 5, ..Settings::default() });
    let before = capped.counts().await.unwrap().finished;
    enqueue(&capped, &["last"]).await;
    // One of the first calls left one running.
    let job = capped.reserve(1).await.unwrap().jobs.remove(0);
    capped.complete(&job).await.unwrap();
    let after = capped.counts().await.unwrap().finished;
    assert!(before + 1 - after <= 12 && before > after, "{before} and then {after}");
}

#[test]
fn jobs_come_by_priority_then_arrival_and_when_they_are_due() {
    everywhere(async |connection, prefix| {
        let queue = queue(&connection, &prefix);
        let past = NewJob::new("past", "").with_due(Due::At(5));
        let far = NewJob::new("far", "").with_due(Due::At(u64::MAX));
        let hour = Duration::from_hours(1);
        let later = NewJob::new("later", "").with_due(Due::After(hour)).with_priority(0);
        let urgent = NewJob::new("urgent", "").with_priority(1);
        queue
            .enqueue_many(&[NewJob::new("b", ""), NewJob::new("a", ""), past, far, later, urgent])
            .await
            .unwrap();
        let jobs = queue.reserve(4).await.unwrap().jobs;
        assert_eq!(ids(&jobs), ["urgent", "b", "a", "past"]);
        let long = queue.clone().with_settings(Settings { visibility: 2 * hour, ..Settings::default() });
        let kept: Vec<_> = jobs.iter().map(|job| (job, Outcome::Extend)).collect();
        long.settle_and_reserve(&kept, 0).await.unwrap();
        let reserved = long.reserve(4).await.unwrap();
        let wait = reserved.next_in.unwrap();
        assert!(reserved.jobs.is_empty() && wait <= hour && wait > hour / 2, "{reserved:?}");
        let soon = NewJob::new("soon", "").with_due(Due::After(Duration::from_millis(30)));
        queue.enqueue(&soon).await.unwrap();
        assert_eq!(next(&queue).await.id, "soon");
        let delayed = queue.page(State::Delayed, 0, 10).await.unwrap();
        assert_eq!((delayed.len(), delayed[1].at), (2, LATEST_DUE));
        let running = queue.page(State::Running, 1, 2).await.unwrap();
        assert_eq!(running.len(), 2);
    });
}

#[test]
fn a_full_queue_refuses_and_large_payloads_are_refused_before_they_are_sent() {
    everywhere(async |connection, prefix| {
        let queue =
            queue(&connection, &prefix).with_settings(Settings { max_jobs: 2, ..Settings::default() });
        let large = NewJob::new("large", vec![7; MAX_PAYLOAD_BYTES]);
        assert_eq!(queue.enqueue(&large).await.unwrap(), Enqueued::New);
        let both = [NewJob::new("b", "b"), NewJob::new("c", "")];
        assert_matches!(queue.enqueue_many(&both).await, Err(JobError::Full { jobs: 1, max: 2 }));
        assert_eq!(queue.enqueue(&both[0]).await.unwrap(), Enqueued::New, "all of them or none");
        assert_eq!(queue.enqueue(&both[0]).await.unwrap(), Enqueued::AlreadyQueued, "it takes no room");
        let sent = connection
            .round_trips_of(async {
                let too_large = NewJob::new("d", vec![7; MAX_PAYLOAD_BYTES + 1]);
                assert_matches!(queue.enqueue(&too_large).await, Err(JobError::TooLarge { .. }));
                let many = vec![NewJob::new("e", ""); MAX_BATCH + 1];
                assert_matches!(queue.enqueue_many(&many).await, Err(JobError::TooMany { jobs: 501 }));
                assert!(queue.enqueue(&NewJob::new("", "")).await.is_err());
            })
            .await;
        assert_eq!(sent, 0);
        // The large one fills a call.
        let first = queue.reserve(10).await.unwrap();
        assert_eq!((ids(&first.jobs), first.next_in), (vec!["large"], Some(Duration::ZERO)));
        assert_eq!(first.jobs[0].payload, large.payload);
        assert_eq!(ids(&queue.reserve(10).await.unwrap().jobs), ["b"]);
        queue.complete(&first.jobs[0]).await.unwrap();
        assert_eq!(queue.enqueue(&both[1]).await.unwrap(), Enqueued::New);
    });
}

#[test]
fn a_key_of_another_type_stops_a_call_before_it_writes() {
    everywhere(async |connection, prefix| {
        for number in 0..8 {
            let name = format!("queue-{number}");
            let queue = JobQueue::new(connection.clone(), &prefix, &name).unwrap();
            enqueue(&queue, &["a", "b"]).await;
            let job = queue.reserve(1).await.unwrap().jobs.remove(0);
            let keys = queue.keys().clone();
            let () = connection.send(&["SET", &keys[number], "x"]).await;
            let before = dumps(&connection, &keys).await;
            let wrong = |result: Result<(), JobError>| {
                assert_matches!(result, Err(JobError::Store(StoreError::WrongType(_))), "{number}");
            };
            wrong(queue.enqueue(&NewJob::new("c", "")).await.map(drop));
            wrong(queue.reserve(1).await.map(drop).map_err(JobError::from));
            // What a call does not need does not stop it.
            if [0, 3, 4, 5, 7].contains(&number) {
                wrong(queue.complete(&job).await);
            }
            assert_eq!(dumps(&connection, &keys).await, before, "{number}");
        }
    });
}

#[test]
fn an_effect_that_cannot_be_written_completes_nothing_and_writes_nothing() {
    everywhere(async |connection, prefix| {
        let queue = queue(&connection, &prefix);
        let [text, set, number, hash] =
            ["text", "set", "number", "hash"].map(|name| queue.effect_key(name).unwrap());
        let () = connection.send(&["SET", &text, "abc"]).await;
        let () = connection.send(&["SADD", &set, "a"]).await;
        enqueue(&queue, &["a", "b"]).await;
        let jobs = queue.reserve(2).await.unwrap().jobs;
        let good = Effect::increment(&number, 2);
        for bad in [
            Effect::increment(&text, 1),
            Effect::increment(&set, 1),
            Effect::list_push(&set, "x"),
            Effect::hash_set(&text, "f", "v"),
            // Two commands at one value.
            Effect::set(&number, "abc"),
        ] {
            let refused = queue.complete_with(&jobs[0], &[good.clone(), bad.clone()]).await;
            assert_matches!(refused, Err(JobError::EffectRefused), "{bad:?}");
        }
        let own = queue.complete_with(&jobs[0], &[Effect::set(&queue.keys()[0], "x")]).await;
        assert_matches!(own, Err(JobError::EffectKey { .. }));
        assert_eq!(connection.send::<u32>(&["EXISTS", &number, &hash]).await, 0);

        // One that is refused does not keep the others.
        let settlements = [
            (&jobs[0], Outcome::Complete(vec![Effect::increment(&text, 1)])),
            (
                &jobs[1],
                Outcome::Complete(vec![
                    good,
                    Effect::hash_increment(&hash, "n", -3),
                    Effect::hash_set(&hash, "f", "v"),
                ]),
            ),
        ];
        let (settled, _) = queue.settle_and_reserve(&settlements, 0).await.unwrap();
        assert_eq!(settled, [Settled::EffectRefused, Settled::Done]);
        assert_eq!(connection.send::<i64>(&["GET", &number]).await, 2);
        assert_eq!(connection.send::<i64>(&["HGET", &hash, "n"]).await, -3);
        let all = [
            Effect::set(&text, "x"),
            Effect::set_add(&set, "b"),
            Effect::sorted_set_add(&queue.effect_key("zset").unwrap(), -5, "m"),
            Effect::list_push(&queue.effect_key("list").unwrap(), ""),
        ];
        queue.complete_with(&jobs[0], &all).await.unwrap();
        queue.complete_with(&jobs[0], &all).await.unwrap();
        assert_eq!(connection.send::<u32>(&["LLEN", &queue.effect_key("list").unwrap()]).await, 1, "once");
        adds_up(&queue).await;
    });
}

#[test]
fn no_more_jobs_start_in_a_window_than_the_rate_says() {
    everywhere(async |connection, prefix| {
        let settings = Settings { rate: Some((3, Duration::from_hours(1))), ..Settings::default() };
        let queue = queue(&connection, &prefix).with_settings(settings);
        enqueue(&queue, &["a", "b", "c", "d", "e"]).await;
        assert_eq!(queue.reserve(2).await.unwrap().jobs.len(), 2);
        assert_eq!(queue.reserve(2).await.unwrap().jobs.len(), 1);
        let refused = queue.reserve(2).await.unwrap();
        assert!(refused.jobs.is_empty() && refused.next_in.unwrap() > Duration::from_mins(59), "{refused:?}");
        // The window ends.
        let () = connection.send(&["HSET", &queue.keys()[6], "window", "1"]).await;
        assert_eq!(queue.reserve(9).await.unwrap().jobs.len(), 2);
    });
}

#[test]
fn jobs_of_a_state_are_purged_in_batches_and_running_ones_never() {
    everywhere(async |connection, prefix| {
        let queue = queue(&connection, &prefix);
        enqueue(&queue, &["a", "b", "c", "d"]).await;
        let jobs = queue.reserve(2).await.unwrap().jobs;
        queue.settle_and_reserve(&[(&jobs[0], Outcome::Bury("x".repeat(2_000)))], 0).await.unwrap();
        assert_eq!(queue.page(State::Dead, 0, 9).await.unwrap()[0].reason.len(), MAX_REASON_BYTES);
        assert_eq!(queue.payload("a").await.unwrap().as_deref(), Some(&b"payload"[..]));
        let mut purged = Vec::new();
        for (state, most) in
            [(State::Ready, 1), (State::Ready, 9), (State::Dead, 9), (State::Running, 9), (State::Delayed, 9)]
        {
            purged.push(queue.purge(state, most).await.unwrap());
        }
        assert_eq!(purged, [1, 1, 1, 0, 0]);
        queue.complete(&jobs[1]).await.unwrap();
        assert_eq!(queue.counts().await.unwrap().purged, 3);
        adds_up(&queue).await;
    });
}

#[tokio::test]
async fn an_id_of_another_program_that_is_no_text_stops_nobody() {
    let connection = TestConnection::server().await;
    let queue = impatient(&connection, &prefix());
    let [jobs, ready, ..] = queue.keys().clone();
    for (command, key, args) in [
        ("HSET", &jobs, vec![&b"r\xff"[..], b":0:0:1:0:0:0:", b"p\xff", b""]),
        ("ZADD", &ready, vec![&b"1"[..], b"\xff"]),
        ("HSET", &jobs, vec![&b"rbroken"[..], b"what?", b"pbroken", b""]),
        ("ZADD", &ready, vec![&b"2"[..], b"broken"]),
    ] {
        let () = redis::cmd(command).arg(key).arg(args).query_async(&mut connection.clone()).await.unwrap();
    }
    enqueue(&queue, &["a"]).await;
    let jobs = queue.reserve(3).await.unwrap().jobs;
    assert_eq!(ids(&jobs), ["\u{fffd}", "broken", "a"]);
}
