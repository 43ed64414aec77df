//! A run: producers and workers are started, killed as the workload says, and started again, until no job is left.

use std::time::{Duration, Instant};

use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::progress::Bar;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::torture::accounts::{Accounts, Killed};
use crate::torture::host::{self, Host};
use crate::torture::journal::{Tail, now};
use crate::torture::process::Process;
use crate::torture::report::{Killings, Report};
use crate::torture::role::{Part, Role};
use crate::torture::subject::Subject;
use crate::torture::workload::{Kill, Victim, Workload};

/// Between two looks at the processes.
const TICK: Duration = Duration::from_millis(10);
/// Between two questions whether any job is left.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(250);
/// Processes that enqueue.
const PRODUCERS: u32 = 2;
/// Jobs that a worker process has in hand at a time, and that a producer sends at a time.
const AT_A_TIME: usize = 16;
/// Jobs that may be in the queue besides the dead ones. Producers wait while there are more, so that they are still at work when the first
/// kills come.
const MAX_WAITING: u64 = 10_000;
/// A process that ends by itself is started again, but not forever.
const ENDS_AT_MOST: u32 = 1_000;

/// Runs the workload against a queue. A bar on standard error shows how far it is, unless nobody wants to see one.
pub async fn run(
    host: &Host,
    subject: &Subject,
    workload: &Workload,
    quiet: bool,
) -> Result<Report, Failure> {
    subject.clear(&host.target).await?;
    let mut run = Run::begin(host, subject, workload)?;
    let bar = if quiet { Bar::hidden() } else { Bar::new(workload.innocents(), "completed") };
    let left = run.until_over(&bar).await;
    bar.finish();
    let left = left?;
    let seconds = run.begun.elapsed().as_secs_f64();
    let found = subject.found(host).await?;
    run.end()?;
    let tally = run.accounts.tally(&workload.jobs, &found, host.keeps_everything());
    if !host.is_private() {
        subject.clear(&host.target).await?;
    }
    let jobs = workload.jobs.len() as u64;
    Ok(Report {
        name: subject.name().to_owned(),
        server: host.server(),
        seed: workload.seed,
        fsync: if host.is_private() { workload.fsync.to_string() } else { "not ours".into() },
        keeps_everything: host.keeps_everything(),
        jobs,
        poison: jobs - workload.innocents(),
        left,
        seconds,
        killings: run.killings,
        tally,
    })
}

struct Run<'a> {
    host: &'a Host,
    subject: &'a Subject,
    workload: &'a Workload,
    begun: Instant,
    last_event: Instant,
    tails: Vec<Tail>,
    accounts: Accounts,
    producers: Vec<Process>,
    workers: Vec<Worker>,
    /// Those to come, the next one last.
    kills: Vec<Kill>,
    /// The server is away since this time, in microseconds since 1970.
    outage: Option<(u64, JoinHandle<Result<u64, Failure>>)>,
    asked: Instant,
    killings: Killings,
    // Dropped last, when no process writes into it any more.
    directory: TempDir,
}

/// A worker's place: a process, or a time at which there is one again.
struct Worker {
    process: Result<Process, Instant>,
    journal: usize,
}

impl<'a> Run<'a> {
    fn begin(host: &'a Host, subject: &'a Subject, workload: &'a Workload) -> Result<Self, Failure> {
        let directory = host::directory()?;
        host::write_jobs(&directory.path().join("jobs"), &workload.jobs)?;
        let mut run = Self {
            host,
            subject,
            workload,
            directory,
            begun: Instant::now(),
            last_event: Instant::now(),
            tails: Vec::new(),
            accounts: Accounts::new(workload.jobs.len()),
            producers: Vec::new(),
            workers: Vec::new(),
            kills: workload.kills.iter().rev().copied().collect(),
            outage: None,
            asked: Instant::now(),
            killings: Killings::default(),
        };
        for index in 0..workload.workers {
            let (process, journal) = run.start(subject.worker(), index, workload.workers)?;
            run.workers.push(Worker { process: Ok(process), journal });
        }
        for index in 0..PRODUCERS {
            let (process, _) = run.start(subject.producer(), index, PRODUCERS)?;
            run.producers.push(process);
        }
        Ok(run)
    }

    /// Until no job is left, or nothing has happened for too long. Returns how many are left.
    async fn until_over(&mut self, bar: &Bar) -> Result<u64, Failure> {
        loop {
            self.read_journals()?;
            bar.set(self.accounts.worked());
            self.end_outage().await?;
            self.kill_what_is_due();
            self.look_after_workers()?;
            if let Some(left) = self.over().await? {
                return Ok(left);
            }
            sleep(TICK).await;
        }
    }

    /// Starts a process with a journal of its own.
    fn start(&mut self, part: Part, index: u32, of: u32) -> Result<(Process, usize), Failure> {
        let number = self.tails.len();
        let role = Role {
            part,
            index,
            of,
            at_a_time: AT_A_TIME,
            listing: self.directory.path().join("jobs"),
            journal: self.directory.path().join(format!("journal-{number}")),
            max_jobs: MAX_WAITING + self.workload.jobs.len() as u64 - self.workload.innocents(),
            effects: true,
            due_at_ms: 0,
            in_bulk: false,
        };
        let process = self.subject.start(self.host, &role)?;
        self.tails.push(Tail::new(role.journal));
        Ok((process, number))
    }

    fn read_journals(&mut self) -> Result<(), Failure> {
        for (process, tail) in self.tails.iter_mut().enumerate() {
            let events = tail.read()?;
            if !events.is_empty() {
                self.last_event = Instant::now();
            }
            for event in events {
                self.accounts.add(process, event);
            }
        }
        Ok(())
    }

    fn kill_what_is_due(&mut self) {
        let completed = self.accounts.worked() as f64 / self.workload.innocents().max(1) as f64;
        while let Some(kill) = self.kills.last().copied().filter(|kill| kill.after <= completed) {
            let done = match kill.victim {
                Victim::Worker(index) => self.kill_worker(index, kill),
                Victim::Server => self.kill_server(kill),
            };
            if !done {
                return;
            }
            self.kills.pop();
        }
    }

    /// False while the worker is away because of an earlier kill.
    fn kill_worker(&mut self, index: u32, kill: Kill) -> bool {
        let Some(worker) = self.workers.get_mut(index as usize) else { return true };
        let Ok(process) = &mut worker.process else { return false };
        process.kill();
        // By now it is gone, so every line of its journal is older.
        self.accounts.kill(Killed::worker(worker.journal, now()));
        self.killings.workers += 1;
        worker.process = Err(Instant::now() + Duration::from_millis(kill.away_ms));
        true
    }

    /// False while the server is away because of an earlier kill.
    fn kill_server(&mut self, kill: Kill) -> bool {
        if !self.host.is_private() {
            return true;
        }
        if self.outage.is_some() {
            return false;
        }
        let from = now();
        let back = tokio::spawn(self.host.kill(Duration::from_millis(kill.away_ms)));
        self.outage = Some((from, back));
        true
    }

    async fn end_outage(&mut self) -> Result<(), Failure> {
        let Some((from, outage)) = self.outage.take_if(|(_, outage)| outage.is_finished()) else {
            return Ok(());
        };
        let ended =
            outage.await.map_err(|error| Failure::new(Class::Other, "A task ended.", error.to_string()))?;
        self.killings.bytes_cut += ended?;
        self.mark_again().await;
        self.killings.server += 1;
        // Now that it is back: whatever began before may run again.
        self.accounts.kill(Killed { process: None, from, to: now() });
        Ok(())
    }

    /// A server that came back empty has no marker, and then no process may write.
    async fn mark_again(&self) {
        let begun = Instant::now();
        while self.host.target.mark_as_ours().await.is_err() && begun.elapsed() < BETWEEN_QUESTIONS * 20 {
            sleep(TICK).await;
        }
    }

    /// Starts those again that were killed or ended by themselves.
    fn look_after_workers(&mut self) -> Result<(), Failure> {
        for index in 0..self.workers.len() {
            let worker = &mut self.workers[index];
            let due = match &mut worker.process {
                Err(back) => Instant::now() >= *back,
                Ok(process) => {
                    let ended = process.ended().is_some();
                    if ended {
                        self.killings.ended_by_themselves += 1;
                        self.killings.last_words = Some(process.last_words());
                        self.accounts.kill(Killed::worker(worker.journal, now()));
                    }
                    ended
                }
            };
            if self.killings.ended_by_themselves > ENDS_AT_MOST {
                let what = "Worker processes end by themselves, again and again.";
                let why = self.killings.last_words.clone().unwrap_or_default();
                return Err(Failure::new(Class::Other, what, why));
            }
            if due {
                let number = u32::try_from(index).unwrap_or_default();
                let (process, journal) = self.start(self.subject.worker(), number, self.workload.workers)?;
                self.workers[index] = Worker { process: Ok(process), journal };
            }
        }
        Ok(())
    }

    /// How many jobs are left, if the run is over.
    async fn over(&mut self) -> Result<Option<u64>, Failure> {
        let stuck = self.last_event.elapsed() > self.subject.idle_timeout();
        if self.outage.is_some()
            || self.asked.elapsed() < BETWEEN_QUESTIONS
            || !(self.have_sent_all()? || stuck)
        {
            return Ok(None);
        }
        self.asked = Instant::now();
        // The server may be loading its data.
        let Ok(left) = self.subject.left(self.host).await else { return Ok(None) };
        Ok((left == 0 || stuck).then_some(left))
    }

    /// Whether all producers have done their work.
    fn have_sent_all(&mut self) -> Result<bool, Failure> {
        for producer in &mut self.producers {
            match producer.ended() {
                None => return Ok(false),
                Some(status) if !status.success() => {
                    let what = format!("A producer of {} ended with {status}.", self.subject.name());
                    return Err(Failure::new(Class::Other, what, producer.last_words()));
                }
                Some(_) => {}
            }
        }
        Ok(true)
    }

    /// Ends the processes, and reads what they wrote last.
    fn end(&mut self) -> Result<(), Failure> {
        self.workers.clear();
        self.producers.clear();
        self.killings.skipped = u32::try_from(self.kills.len()).unwrap_or(u32::MAX);
        self.read_journals()
    }
}
