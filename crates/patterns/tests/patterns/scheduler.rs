use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lab_testing::faults::lossy_proxy;
use lab_testing::slots::MovingSlots;
use lab_testing::{TestConnection, prefix, until};
use patterns::scheduler::{Cron, CronError, MAX_MISSED, Missed, Next, RunError, Scheduler, Tick};
use tokio::task::JoinSet;

use crate::{connections, everywhere};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// London: clocks go forward at 01:00 on this day, and back at 02:00 on the other.
const FORWARD: i64 = 1_774_746_000;
const BACK: i64 = 1_792_890_000;

fn london(time: i64) -> i32 {
    if (FORWARD..BACK).contains(&time) { 3_600 } else { 0 }
}

/// Its clocks change at the same moments, at 02:00 and 03:00.
fn berlin(time: i64) -> i32 {
    london(time) + 3_600
}

fn cron(text: &str) -> Cron {
    Cron::parse(text).unwrap()
}

fn slots(cron: &Cron, after: i64, until: i64) -> Vec<i64> {
    std::iter::successors(cron.next_after(after), |slot| cron.next_after(*slot))
        .take_while(|slot| *slot <= until)
        .collect()
}

#[test]
fn a_repeated_hour_runs_what_is_hourly_twice_and_the_rest_once() {
    let every_minute = slots(&cron("* * * * *").with_offset(london), BACK - HOUR - 60, BACK + HOUR - 60);
    assert_eq!(every_minute.len(), 120);
    assert!(every_minute.windows(2).all(|pair| pair[1] - pair[0] == 60), "no pause");
    // Once, the first time. The next day it is winter.
    let daily = slots(&cron("30 1 * * *").with_offset(london), BACK - DAY, BACK + DAY + HOUR);
    assert_eq!(daily, [BACK - HOUR / 2, BACK + DAY + HOUR / 2]);
    assert_eq!(
        slots(&cron("30 * * * *").with_offset(london), BACK - HOUR, BACK + HOUR),
        [BACK - HOUR / 2, BACK + HOUR / 2]
    );
}

#[test]
fn a_skipped_hour_runs_a_time_in_it_once_at_its_end() {
    for text in ["30 2 * * *", "0,20,40 2 * * *"] {
        let daily = slots(&cron(text).with_offset(berlin), FORWARD - HOUR, FORWARD + HOUR);
        assert_eq!(daily, [FORWARD], "{text}");
    }
    // What is hourly just goes on.
    assert_eq!(
        slots(&cron("30 * * * *").with_offset(berlin), FORWARD - HOUR, FORWARD + HOUR),
        [FORWARD - HOUR / 2, FORWARD + HOUR / 2]
    );
    // At other days it is an hour earlier by UTC after the change.
    assert_eq!(
        slots(&cron("30 2 * * *").with_offset(berlin), FORWARD + HOUR, FORWARD + DAY),
        [FORWARD + DAY - HOUR / 2]
    );
}

#[test]
fn what_is_never_due_is_refused_and_what_is_rare_is_found_fast() {
    for never in ["0 0 30 2 *", "0 0 31 4 *", "0 0 31 2,4,6,9,11 *"] {
        assert_eq!(Cron::parse(never).unwrap_err(), CronError::NeverDue, "{never}");
    }
    // 2100 is no leap year.
    let (march_2096, leap_2104) = (3_981_398_400, 4_233_686_400);
    assert_eq!(cron("0 0 29 2 *").next_after(march_2096), Some(leap_2104));
    assert_eq!(cron("0 0 29 2 *").with_offset(berlin).next_after(march_2096), Some(leap_2104 - HOUR));
    // On the 30th, or on a Monday.
    assert!(cron("0 0 30 2 MON").next_after(0).is_some());
    assert_eq!(cron("* * * * *").next_after(i64::MAX), None);
    assert!(cron("* * * * *").next_after(i64::MIN).is_some());
}

#[test]
fn fields_are_lists_of_ranges_with_steps_and_names() {
    let monday = 1_774_742_400 + DAY; // 30 March 2026.
    let on = |text: &str| slots(&cron(text), monday - 60, monday + 7 * DAY - 60);
    let at = |days: &[i64], minutes: &[i64]| -> Vec<i64> {
        days.iter()
            .flat_map(|day| minutes.iter().map(move |minute| monday + day * DAY + minute * 60))
            .collect()
    };
    assert_eq!(on("0 9 * * MON-FRI"), at(&[0, 1, 2, 3, 4], &[540]));
    assert_eq!(on("*/20 0 * * 7"), at(&[6], &[0, 20, 40]));
    assert_eq!(on("*/20 0 * * sun"), on("*/20 0 * * 0"));
    assert_eq!(on("5,10-14/2 8 * apr *"), at(&[2, 3, 4, 5, 6], &[485, 490, 492, 494]));
    assert_eq!(on("50/5 23 31 * *"), at(&[1], &[1430, 1435]));
    assert_eq!(on("0 0 1 * WED"), at(&[2], &[0]));
    assert_eq!(on("0 0 2 * WED"), at(&[2, 3], &[0]));
    for (name, fields) in [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("@monthly", "0 0 1 * *"),
    ] {
        assert_eq!(on(name), on(fields), "{name}");
    }
    for wrong in [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "5-1 * * * *",
        "*/0 * * * *",
        "-1 * * * *",
        "a * * * *",
        "1, * * * *",
        "99999999999999999999 * * * *",
        "*/x * * * *",
        "@reboot",
        "+5 * * * *",
    ] {
        Cron::parse(wrong).unwrap_err();
    }
}

/// Against the plainest oracle: look at each minute.
#[test]
fn the_next_slot_is_the_first_minute_that_matches() {
    for (text, matches) in [
        (
            "*/7 3-5 * * *",
            (|minute: i64| minute % 60 % 7 == 0 && (3..=5).contains(&(minute / 60 % 24))) as fn(i64) -> bool,
        ),
        ("15 */6 * * 1,4", |minute| {
            minute % 60 == 15 && minute / 60 % 24 % 6 == 0 && [1, 4].contains(&((minute / 1440 + 4) % 7))
        }),
    ] {
        let start = FORWARD - 10 * DAY;
        let expected: Vec<i64> = (start / 60 + 1..=(start + 20 * DAY) / 60)
            .filter(|minute| matches(*minute))
            .map(|minute| minute * 60)
            .collect();
        assert_eq!(slots(&cron(text), start, start + 20 * DAY), expected, "{text}");
    }
}

/// Sets back the last slot that was enqueued, as after an outage.
async fn set_back(connection: &TestConnection, scheduler: &Scheduler<TestConnection>, seconds: i64) -> i64 {
    let [now, _]: [i64; 2] = connection.send(&["TIME"]).await;
    let done = now / 300 * 300 - seconds;
    let _: u64 = connection
        .send(&["HSET", scheduler.key("report").unwrap().as_str(), "done", &done.to_string()])
        .await;
    done
}

async fn due(scheduler: &Scheduler<TestConnection>, missed: Missed) -> Tick {
    match scheduler.next("report", &cron("*/5 * * * *"), missed).await.unwrap() {
        Next::Due(tick) => tick,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_slot_whose_process_dies_is_handed_out_again_with_its_id() {
    everywhere(async |connection, prefix| {
        let scheduler = Scheduler::new(connection.clone(), &prefix).with_lease(Duration::from_millis(50));
        let five = cron("*/5 * * * *");
        let waits = scheduler.next("report", &five, Missed::Latest).await.unwrap();
        assert_matches!(waits, Next::Wait(left) if left <= Duration::from_mins(5));
        set_back(&connection, &scheduler, 600).await;
        let first = due(&scheduler, Missed::Latest).await;
        assert_eq!((first.attempt, first.skipped), (1, 1));
        // The process dies.
        let again = Mutex::new(None);
        until("the lease ends", async || {
            match scheduler.next("report", &five, Missed::Latest).await.unwrap() {
                Next::Due(tick) => *again.lock().unwrap() = Some(tick),
                Next::Busy(left) => assert!(left <= Duration::from_millis(50), "{left:?}"),
                other @ Next::Wait(_) => panic!("{other:?}"),
            }
            again.lock().unwrap().is_some()
        })
        .await;
        let again = again.into_inner().unwrap().unwrap();
        assert_eq!((&again.id, again.slot, again.attempt), (&first.id, first.slot, 2));
        assert!(!scheduler.release(&first).await.unwrap(), "the first process has no lease now");
        assert!(scheduler.finish(&first).await.unwrap(), "it was only slow, and enqueued the same ID");
        assert!(!scheduler.finish(&again).await.unwrap());
        assert_eq!(scheduler.skipped("report").await.unwrap(), 1);
        assert_matches!(scheduler.next("report", &five, Missed::Latest).await.unwrap(), Next::Wait(_));
    });
}

/// Three hours without any process. The expected number is counted by the server's clock, before and after.
#[test]
fn after_an_outage_the_latest_runs_or_all_or_as_many_as_allowed() {
    everywhere(async |connection, prefix| {
        for (missed, runs) in [(Missed::Latest, 1), (Missed::All(1_000), 36), (Missed::All(10), 10)] {
            let scheduler = Scheduler::new(connection.clone(), &format!("{prefix}{runs}:"));
            set_back(&connection, &scheduler, 3 * HOUR).await;
            let mut ran = Vec::new();
            while let Some((tick, ())) = scheduler
                .run_due("report", &cron("*/5 * * * *"), missed, async |_| Ok::<_, String>(()))
                .await
                .unwrap()
            {
                ran.push(tick.slot);
            }
            // One more if the next slot came meanwhile.
            assert!((runs..=runs + 1).contains(&ran.len()), "{missed:?}: {ran:?}");
            assert!(ran.windows(2).all(|pair| pair[1] - pair[0] == 300), "{ran:?}");
            let skipped = usize::try_from(scheduler.skipped("report").await.unwrap()).unwrap();
            assert_eq!(ran.len() + skipped, if ran.len() > runs { 37 } else { 36 });
        }
        // After years, the counting ends.
        let scheduler = Scheduler::new(connection.clone(), &format!("{prefix}years:"));
        set_back(&connection, &scheduler, 8 * 365 * DAY).await;
        let begin = Instant::now();
        assert_eq!(due(&scheduler, Missed::All(usize::MAX)).await.skipped, MAX_MISSED);
        assert!(begin.elapsed() < lab_testing::TIMEOUT);
    });
}

#[test]
fn a_slot_that_the_queue_refuses_is_tried_again_and_nothing_moves_on() {
    everywhere(async |connection, prefix| {
        let scheduler = Scheduler::new(connection.clone(), &prefix);
        set_back(&connection, &scheduler, 0).await;
        set_back(&connection, &scheduler, 300).await;
        let five = cron("*/5 * * * *");
        let mut ids = BTreeSet::new();
        for attempt in 1..=3 {
            let refused =
                scheduler.run_due("report", &five, Missed::Latest, async |_| Err::<(), _>("full")).await;
            let Err(RunError::Refused { tick, error }) = refused else { panic!("{refused:?}") };
            assert_eq!((tick.attempt, error), (attempt, "full"));
            ids.insert(tick.id);
        }
        let ran =
            scheduler.run_due("report", &five, Missed::Latest, async |_| Ok::<_, String>(())).await.unwrap();
        ids.insert(ran.unwrap().0.id);
        assert_eq!(ids.len(), 1, "{ids:?}");
    });
}

#[test]
fn foreign_data_is_refused_and_names_are_any_text() {
    everywhere(async |connection, prefix| {
        let scheduler = Scheduler::new(connection.clone(), &prefix);
        let hostile = "{a}:\n*";
        scheduler.next(hostile, &cron("@daily"), Missed::Latest).await.unwrap();
        scheduler.next("", &cron("@daily"), Missed::Latest).await.unwrap_err();
        let key = scheduler.key("report").unwrap();
        let _: u64 = connection.send(&["HSET", key.as_str(), "done", "yesterday"]).await;
        scheduler.next("report", &cron("@daily"), Missed::Latest).await.unwrap_err();
        let _: u64 = connection.send(&["DEL", key.as_str()]).await;
        let _: () = connection.send(&["SET", key.as_str(), "mine"]).await;
        scheduler.next("report", &cron("@daily"), Missed::Latest).await.unwrap_err();
        assert_eq!(connection.send::<String>(&["GET", key.as_str()]).await, "mine");
    });
}

/// Processes that die after the decision, or after enqueuing. Each slot is enqueued, with one ID.
async fn run(connections: &[TestConnection], observer: &TestConnection, prefix: &str) {
    let scheduler = Scheduler::new(observer.clone(), prefix);
    let done = set_back(observer, &scheduler, 40 * 300).await;
    let enqueued: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let mut processes = JoinSet::new();
    for (number, connection) in connections.iter().enumerate() {
        let scheduler = Scheduler::new(connection.clone(), prefix).with_lease(Duration::from_millis(20));
        let enqueued = Arc::clone(&enqueued);
        processes.spawn(async move {
            for round in number.. {
                match scheduler.next("report", &cron("*/5 * * * *"), Missed::All(100)).await {
                    Ok(Next::Due(_)) if round % 4 == 0 => {}
                    Ok(Next::Due(tick)) => {
                        enqueued.lock().unwrap().insert(tick.id.clone());
                        if round % 4 != 1 {
                            let _ = scheduler.finish(&tick).await;
                        }
                    }
                    Ok(Next::Wait(_)) => break,
                    Ok(Next::Busy(_)) | Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        });
    }
    processes.join_all().await;
    let expected: BTreeSet<String> =
        (1..=40).map(|number| format!("report@{}", done + number * 300)).collect();
    let enqueued = enqueued.lock().unwrap().clone();
    assert!(enqueued.is_superset(&expected) && enqueued.len() <= 41, "{enqueued:?}");
    assert_eq!(scheduler.skipped("report").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_slot_is_enqueued_with_one_id_though_processes_die_and_replies_are_lost() {
    let proxy = lossy_proxy(lab_testing::server(), 7);
    let connections = connections(6, async || TestConnection::reconnecting(&proxy.url()).await).await;
    run(&connections, &TestConnection::server().await, &prefix()).await;
    assert!(proxy.cuts() > 3, "only {} replies were lost", proxy.cuts());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_slot_is_enqueued_with_one_id_while_slots_move() {
    let prefix = prefix();
    let connections = connections(4, TestConnection::cluster).await;
    let key = Scheduler::new(connections[0].clone(), &prefix).key("report").unwrap();
    let moving = MovingSlots::of([key.as_str()]);
    run(&connections, &TestConnection::cluster().await, &prefix).await;
    assert!(moving.end() > 0);
}
