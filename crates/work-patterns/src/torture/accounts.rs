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
