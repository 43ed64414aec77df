//! What the run counts, from what happened.

use work_patterns::torture::accounts::{Accounts, Found, Killed};
use work_patterns::torture::journal::{Event, What};
use work_patterns::torture::workload::Job;

const JOB: Job = Job { number: 0, delay_ms: 0, poison: false, work_ms: 0 };

/// One job, and what happened to it: process, event, time in microseconds.
fn accounts(events: &[(usize, What, u64)]) -> Accounts {
    let mut accounts = Accounts::new(1);
    for &(process, what, at) in events {
        accounts.add(process, Event { what, job: 0, attempt: 1, at });
    }
    accounts
}

fn found(effects: u64, dead: Option<bool>) -> Found {
    let effects = (effects > 0).then_some((0, effects)).into_iter().collect();
    Found { effects, dead: dead.map(|worker_lost| (0, worker_lost)).into_iter().collect() }
}

#[test]
fn a_job_is_completed_by_its_effect_and_lost_without_it() {
    let accounts = accounts(&[(0, What::Enqueued, 10), (1, What::Started, 20), (1, What::Worked, 30)]);
    let completed = accounts.tally(&[JOB], &found(1, None), true);
    assert_eq!((completed.completed, completed.lost.len()), (1, 0));
    let lost = accounts.tally(&[JOB], &found(0, None), true);
    assert_eq!((lost.completed, lost.lost.as_slice()), (0, [0].as_slice()));
    // The server may have forgotten the effect of work that was done.
    let forgotten = accounts.tally(&[JOB], &found(0, None), false);
    assert_eq!((forgotten.completed, forgotten.lost.len()), (1, 0));
    assert_eq!(accounts.tally(&[JOB], &found(3, None), true).doubled_effects, 2);
}

#[test]
fn dead_letters_are_poison_or_innocent_and_quarantined_apart() {
    let accounts = accounts(&[(0, What::Enqueued, 10)]);
    let innocent = accounts.tally(&[JOB], &found(0, Some(true)), true);
    assert_eq!(
        (innocent.quarantined, innocent.innocents_dead.as_slice(), innocent.lost.len()),
        (1, [0].as_slice(), 0)
    );
    let poison = accounts.tally(&[Job { poison: true, ..JOB }], &found(0, Some(false)), true);
    assert_eq!((poison.quarantined, poison.poison_dead, poison.poison_missing.len()), (0, 1, 0));
}

#[test]
fn an_attempt_after_a_kill_is_told_from_one_without_a_reason() {
    let events =
        [(1, What::Started, 20), (1, What::Effect, 25), (2, What::Started, 3_050), (2, What::Effect, 3_060)];
    let mut accounts = accounts(&events);
    let without = accounts.tally(&[JOB], &found(1, None), true);
    assert_eq!((without.redelivered, without.unprovoked, without.doubled_elsewhere), (1, 1, 1));
    accounts.kill(Killed::worker(1, 50));
    let after = accounts.tally(&[JOB], &found(1, None), true);
    assert_eq!((after.redelivered, after.unprovoked, after.recovery_ms.as_slice()), (1, 0, [3.0].as_slice()));
    // While the server is away, nobody can hand the job out.
    accounts.kill(Killed { process: None, from: 60, to: 90 });
    assert!(accounts.tally(&[JOB], &found(1, None), true).recovery_ms.is_empty());
}

#[test]
fn a_retry_of_a_failure_is_no_redelivery() {
    let events = [(1, What::Started, 20), (1, What::Failed, 30), (2, What::Started, 40)];
    let tally = accounts(&events).tally(&[Job { poison: true, ..JOB }], &found(0, Some(false)), true);
    assert_eq!((tally.redelivered, tally.unprovoked), (0, 0));
}

#[test]
fn a_job_for_later_that_begins_early_is_counted() {
    let later = Job { delay_ms: 1, ..JOB };
    let early = accounts(&[(0, What::Enqueued, 1_900), (1, What::Started, 1_999)]);
    assert_eq!(early.tally(&[later], &found(1, None), true).too_early, 1);
    let in_time = accounts(&[(0, What::Enqueued, 1_900), (1, What::Started, 2_000)]);
    assert_eq!(in_time.tally(&[later], &found(1, None), true).too_early, 0);
}
