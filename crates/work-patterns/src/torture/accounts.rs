//! What became of each job, from the journals of the processes and the server's own records.

use std::collections::{BTreeMap, HashMap};

use crate::torture::journal::{Event, What};
use crate::torture::workload::Job;

/// The books of a run.
#[derive(Debug)]
pub struct Accounts {
    jobs: Vec<Record>,
    kills: Vec<Killed>,
    worked: u64,
}

/// What the journals say about one job.
#[derive(Clone, Debug, Default)]
struct Record {
    /// When the producer first sent it, if the server acknowledged it.
    enqueued: Option<u64>,
    runs: Vec<Run>,
    given_up: bool,
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
struct Run {
    process: usize,
    started: u64,
    effect: bool,
    end: Option<(What, u64)>,
}

/// A kill that happened. Without a process: that of the server. Times are in microseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Killed {
    /// The process, by the number of its journal.
    pub process: Option<usize>,
    /// When it was killed.
    pub from: u64,
    /// When the server was there again, at the latest; for a worker the same as `from`.
    pub to: u64,
}

impl Killed {
    /// The kill of a worker, which is gone by now.
    #[must_use]
    pub fn worker(process: usize, at: u64) -> Self {
        Self { process: Some(process), from: at, to: at }
    }

    fn is_within(&self, from: u64, to: u64) -> bool {
        from <= self.to && to >= self.from
    }
}

/// What the server had at the end.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// How often the effect of each job happened in the queue's own slot.
    pub effects: HashMap<u64, u64>,
    /// The dead letters: the number of each job, and whether it is there because its workers were lost.
    pub dead: BTreeMap<u64, bool>,
    /// Jobs that still wait, run, or are for later.
    pub left: u64,
}

/// The result.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Jobs whose effect happened.
    pub completed: u64,
    /// Jobs that the server acknowledged and that are nowhere.
    pub lost: Vec<u64>,
    /// Effects in the queue's own slot beyond the first of each job.
    pub doubled_effects: u64,
    /// Jobs among the dead letters because their workers were lost.
    pub quarantined: u64,
    /// Jobs among the dead letters that never fail.
    pub innocents_dead: Vec<u64>,
    /// Poison among the dead letters.
    pub poison_dead: u64,
    /// Poison that is neither there nor lost.
    pub poison_missing: Vec<u64>,
    /// Attempts that began although no failure of the one before was reported.
    pub redelivered: u64,
    /// Those for which neither the worker nor the server was killed.
    pub unprovoked: u64,
    /// Effects elsewhere beyond the first of each job.
    pub doubled_elsewhere: u64,
    /// Jobs for later that began too early.
    pub too_early: u64,
    /// From the kill of a worker to the next attempt of each job that it held, in milliseconds, sorted. Jobs for which the server was away,
    /// too, are left out.
    pub recovery_ms: Vec<f64>,
}

impl Accounts {
    /// Empty books for so many jobs.
    #[must_use]
    pub fn new(jobs: usize) -> Self {
        Self { jobs: vec![Record::default(); jobs], kills: Vec::new(), worked: 0 }
    }

    /// Jobs whose work was done at least once.
    #[must_use]
    pub fn worked(&self) -> u64 {
        self.worked
    }

    /// Takes in a line of a journal.
    pub fn add(&mut self, process: usize, event: Event) {
        let Some(record) = usize::try_from(event.job).ok().and_then(|job| self.jobs.get_mut(job)) else {
            return;
        };
        match event.what {
            What::Enqueued => record.enqueued = Some(event.at),
            What::Started => {
                record.runs.push(Run { process, started: event.at, effect: false, end: None });
            }
            What::Effect => {
                if let Some(run) = record.running(process) {
                    run.effect = true;
                }
            }
            What::Worked | What::Failed | What::Taken => {
                let first = event.what == What::Worked && !record.has_worked();
                self.worked += u64::from(first);
                if let Some(run) = record.running(process) {
                    run.end = Some((event.what, event.at));
                }
            }
            What::GivenUp => record.given_up = true,
            // Of locks.
            What::Stopping | What::Dying | What::Slow => {}
        }
    }

    /// Takes in a kill.
    pub fn kill(&mut self, killed: Killed) {
        self.kills.push(killed);
    }

    /// Adds it all up. Where the server may forget what it acknowledged (`durable` is false), it may also have forgotten effects. There,
    /// a job is completed if its work was done.
    #[must_use]
    pub fn tally(&self, jobs: &[Job], found: &Found, durable: bool) -> Tally {
        let mut tally = Tally::default();
        for (job, record) in jobs.iter().zip(&self.jobs) {
            let mut record = record.clone();
            record.runs.sort_by_key(|run| run.started);
            count_result(job, &record, found, durable, &mut tally);
            self.count_runs(job, &record, &mut tally);
        }
        tally.recovery_ms.sort_by(f64::total_cmp);
        tally
    }

    fn count_runs(&self, job: &Job, record: &Record, tally: &mut Tally) {
        let effects = record.runs.iter().filter(|run| run.effect).count() as u64;
        if !job.poison {
            tally.doubled_elsewhere += effects.saturating_sub(1);
        }
        if let (Some(enqueued), Some(first)) = (record.enqueued, record.runs.first()) {
            // The server counts whole milliseconds.
            let due = (enqueued / 1_000 + job.delay_ms) * 1_000;
            tally.too_early += u64::from(first.started < due);
        }
        for pair in record.runs.windows(2) {
            let (before, next) = (pair[0], pair[1]);
            if matches!(before.end, Some((What::Failed, _))) {
                continue;
            }
            tally.redelivered += 1;
            tally.unprovoked += u64::from(!self.killed_between(before, next.started));
        }
        for run in &record.runs {
            let Some(killed) = self.kill_of(*run) else { continue };
            let next = record.runs.iter().find(|next| next.started > killed);
            if let Some(next) = next.filter(|next| !self.server_killed_within(run.started, next.started)) {
                tally.recovery_ms.push((next.started - killed) as f64 / 1e3);
            }
        }
    }

    /// Whether the worker or the server was killed while the attempt ran, or before the next one began.
    fn killed_between(&self, run: Run, next: u64) -> bool {
        self.kills.iter().any(|kill| {
            kill.process.is_none_or(|process| process == run.process) && kill.is_within(run.started, next)
        })
    }

    fn server_killed_within(&self, from: u64, to: u64) -> bool {
        self.kills.iter().any(|kill| kill.process.is_none() && kill.is_within(from, to))
    }

    /// When the worker was killed that had this attempt in hand.
    fn kill_of(&self, run: Run) -> Option<u64> {
        // Work that was done and not yet settled is done again, too.
        if matches!(run.end, Some((What::Failed | What::Taken, _))) {
            return None;
        }
        self.kills.iter().find(|kill| kill.process == Some(run.process)).map(|kill| kill.from)
    }
}

impl Record {
    fn running(&mut self, process: usize) -> Option<&mut Run> {
        self.runs.iter_mut().rev().find(|run| run.process == process && run.end.is_none())
    }

    fn has_worked(&self) -> bool {
        self.runs.iter().any(|run| matches!(run.end, Some((What::Worked, _))))
    }
}

fn count_result(job: &Job, record: &Record, found: &Found, durable: bool, tally: &mut Tally) {
    let effects = found.effects.get(&job.number).copied().unwrap_or(0);
    let completed = effects > 0 || (!durable && record.has_worked());
    tally.completed += u64::from(completed);
    tally.doubled_effects += effects.saturating_sub(1);
    if let Some(worker_lost) = found.dead.get(&job.number).copied().or(record.given_up.then_some(false)) {
        tally.quarantined += u64::from(worker_lost);
        if job.poison {
            tally.poison_dead += 1;
        } else {
            tally.innocents_dead.push(job.number);
        }
        return;
    }
    if job.poison {
        tally.poison_missing.push(job.number);
    }
    // What is still left at the end is not lost. Nobody knows which jobs those are.
    if record.enqueued.is_some() && !completed {
        tally.lost.push(job.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        Found { effects, dead: dead.map(|worker_lost| (0, worker_lost)).into_iter().collect(), left: 0 }
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
        let events = [
            (1, What::Started, 20),
            (1, What::Effect, 25),
            (2, What::Started, 3_050),
            (2, What::Effect, 3_060),
        ];
        let mut accounts = accounts(&events);
        let without = accounts.tally(&[JOB], &found(1, None), true);
        assert_eq!((without.redelivered, without.unprovoked, without.doubled_elsewhere), (1, 1, 1));
        accounts.kill(Killed::worker(1, 50));
        let after = accounts.tally(&[JOB], &found(1, None), true);
        assert_eq!(
            (after.redelivered, after.unprovoked, after.recovery_ms.as_slice()),
            (1, 0, [3.0].as_slice())
        );
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
}
