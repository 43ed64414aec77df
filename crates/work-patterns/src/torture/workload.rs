//! Which jobs there are, and what is killed when. Everything follows from the seed.

use std::fmt::Write as _;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::torture::{Fsync, Options};

/// How long a worker may keep a job without a heartbeat.
pub const VISIBILITY: Duration = Duration::from_secs(2);
/// A job for later is for at most this much later, in milliseconds.
const LONGEST_DELAY_MS: u64 = 5_000;
/// Usual jobs take up to this, in milliseconds.
const LONGEST_WORK_MS: u64 = 8;
/// One job in so many outlives its visibility time, so that it is finished only where the worker sends heartbeats.
const ONE_LONG_JOB_IN: u32 = 1_000;
/// Nothing is killed before or after this share of the jobs is completed: there would be little to lose.
const KILLS_WITHIN: std::ops::Range<f64> = 0.02..0.95;

/// Everything that a seed decides.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The seed.
    pub seed: u64,
    /// When the server calls fsync.
    pub fsync: Fsync,
    /// Worker processes.
    pub workers: u32,
    /// The jobs, by number.
    pub jobs: Vec<Job>,
    /// The kills, in order.
    pub kills: Vec<Kill>,
}

/// One job. A producer sends it, and its payload tells the worker what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// From 0; the ID is made of it.
    pub number: u64,
    /// Not before so many milliseconds have passed; 0 for now.
    pub delay_ms: u64,
    /// Whether it fails whenever it runs.
    pub poison: bool,
    /// How long it works, in milliseconds.
    pub work_ms: u64,
}

/// One kill.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// Due when this share of the jobs that can be completed is, 0 to 1.
    pub after: f64,
    /// Whom it hits.
    pub victim: Victim,
    /// How long the victim stays away, in milliseconds.
    pub away_ms: u64,
}

/// Whom a kill hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The worker with this index.
    Worker(u32),
    /// The server.
    Server,
}

impl Workload {
    /// The jobs and kills of these options.
    #[must_use]
    pub fn new(options: &Options, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let jobs = (0..options.jobs).map(|number| job(number, options, &mut random)).collect();
        let mut kills: Vec<Kill> = (0..options.kill_workers)
            .map(|_| Victim::Worker(random.random_range(0..options.workers)))
            .collect::<Vec<_>>()
            .into_iter()
            .chain((0..options.kill_server).map(|_| Victim::Server))
            .map(|victim| Kill {
                after: random.random_range(KILLS_WITHIN),
                victim,
                away_ms: random.random_range(0..500),
            })
            .collect();
        kills.sort_by(|one, other| one.after.total_cmp(&other.after));
        Self { seed, fsync: options.fsync, workers: options.workers, jobs, kills }
    }

    /// For a queue that has no jobs for later.
    pub fn all_now(&mut self) {
        for job in &mut self.jobs {
            job.delay_ms = 0;
        }
    }

    /// Jobs that can be completed: all but the poison.
    #[must_use]
    pub fn innocents(&self) -> u64 {
        self.jobs.iter().filter(|job| !job.poison).count() as u64
    }
}

/// One line a job, for producers in any language: number, delay in ms, 1 for poison, work in ms.
#[must_use]
pub fn listing(jobs: &[Job]) -> String {
    let mut text = String::new();
    for Job { number, delay_ms, poison, work_ms } in jobs {
        let _ = writeln!(text, "{number} {delay_ms} {} {work_ms}", u8::from(*poison));
    }
    text
}

impl Job {
    /// A line of [`listing`].
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace().map(str::parse::<u64>);
        let mut next = || words.next()?.ok();
        Some(Self { number: next()?, delay_ms: next()?, poison: next()? == 1, work_ms: next()? })
    }

    /// The ID that the client picks.
    #[must_use]
    pub fn id(&self) -> String {
        format!("job-{}", self.number)
    }
}

/// The number in an ID; none if the ID is not one of ours.
#[must_use]
pub fn number_of(id: &str) -> Option<u64> {
    id.strip_prefix("job-")?.parse().ok()
}

fn job(number: u64, options: &Options, random: &mut StdRng) -> Job {
    let poison = random.random_bool(options.poison.get());
    let delayed = random.random_bool(options.delayed.get());
    let long = !poison && random.random_ratio(1, ONE_LONG_JOB_IN);
    let visibility = u64::try_from(VISIBILITY.as_millis()).unwrap_or(u64::MAX);
    Job {
        number,
        delay_ms: if delayed { random.random_range(1..=LONGEST_DELAY_MS) } else { 0 },
        poison,
        work_ms: if long { visibility + 500 } else { random.random_range(0..=LONGEST_WORK_MS) },
    }
}
