//! The run of one approach: holders are started, told to stop or to die, and started again; in the middle, the locks fail over.

use std::time::{Duration, Instant};

use lab_connection::Failure;
use lab_connection::address::no_server;
use lab_connection::failure::Class;
use lab_runner::progress::Bar;
use lab_server::{Choice, Replicated, Server};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::torture::host;
use crate::torture::journal::{Event, Tail, What, now};
use crate::torture::locks::approach::Approach;
use crate::torture::locks::holder::{Order, Role, VARIABLE};
use crate::torture::locks::records::{Records, connect};
use crate::torture::locks::{Options, Row};
use crate::torture::process::Process;

/// The TTL of a lock.
const TTL: Duration = Duration::from_millis(300);
/// How long a stopped holder stays so: others take its lock, and write.
const STOPPED_FOR: Duration = Duration::from_millis(450);
/// Records, each with its lock.
const RECORDS: u32 = 4;
/// Servers of Redlock.
const REDLOCK_SERVERS: usize = 5;
const TICK: Duration = Duration::from_millis(2);
/// Longer than anything takes; then something is broken.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs one approach.
pub(crate) async fn run(
    approach: Approach,
    choice: &Choice,
    options: &Options,
    seed: u64,
    bar: &Bar,
) -> Result<Row, Failure> {
    let mut run = Run::begin(approach, choice.clone(), options, seed).await?;
    while !run.is_over() {
        run.read_journals()?;
        bar.set(run.completed.min(options.sections));
        run.give_orders();
        run.look_after_holders()?;
        run.fail_over().await?;
        if run.last_event.elapsed() > PATIENCE {
            let what = format!("No process got the {} lock for a minute.", approach.label());
            return Err(Failure::new(Class::Other, what, "Perhaps the machine is too busy."));
        }
        sleep(TICK).await;
    }
    run.end().await
}

/// The servers that have the locks.
enum Servers {
    Replicated(Box<Replicated>),
    Five(Vec<Server>),
}

struct Run {
    sections: u64,
    servers: Servers,
    records: Server,
    holders: Vec<Holder>,
    /// Orders to come, the next one last: due after so many sections, for which holder.
    orders: Vec<(u64, usize, Order)>,
    failover: Failover,
    completed: u64,
    row: Row,
    next_number: u64,
    begun: Instant,
    last_event: Instant,
    // Dropped last, when no process writes into it any more.
    directory: TempDir,
}

struct Holder {
    process: Process,
    tail: Tail,
    resume_at: Option<Instant>,
}

/// How far the failover is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failover {
    ToCome,
    /// From this time on (microseconds since 1970), the replica does not know what is locked. A holder was told then to be slow.
    Behind {
        since: u64,
        told: Instant,
    },
    /// A holder is in a critical section of which the replica knows nothing.
    Now,
    Done,
}

impl Run {
    async fn begin(
        approach: Approach,
        choice: Choice,
        options: &Options,
        seed: u64,
    ) -> Result<Self, Failure> {
        let directory = host::directory()?;
        let started = host::blocking(move || start(approach, choice)).await?;
        let (servers, records) = started.map_err(|error| no_server(&error))?;
        let row = Row {
            approach,
            writes: 0,
            stale_writes: 0,
            refused: 0,
            stopped: 0,
            killed: 0,
            failovers: 1,
            seconds: 0.0,
        };
        let mut run = Self {
            sections: options.sections,
            servers,
            records,
            directory,
            holders: Vec::new(),
            orders: orders(options, seed),
            failover: Failover::ToCome,
            completed: 0,
            row,
            next_number: 1,
            begun: Instant::now(),
            last_event: Instant::now(),
        };
        for _ in 0..options.holders {
            let holder = run.start_holder()?;
            run.holders.push(holder);
        }
        Ok(run)
    }

    fn start_holder(&mut self) -> Result<Holder, Failure> {
        let number = self.next_number;
        self.next_number += 1;
        let role = Role {
            approach: self.row.approach,
            number,
            lock_urls: self.servers.urls(),
            record_url: self.records.url(),
            records: RECORDS,
            ttl_ms: u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX),
            journal: self.directory.path().join(format!("journal-{number}")),
        };
        let mut command = host::this_program()?;
        command.env(VARIABLE, json!(role).to_string());
        let process = Process::start(command, &role.journal)?;
        Ok(Holder { process, tail: Tail::new(role.journal), resume_at: None })
    }

    fn is_over(&self) -> bool {
        let stopped = self.holders.iter().any(|holder| holder.resume_at.is_some());
        self.completed >= self.sections
            && self.orders.is_empty()
            && self.failover == Failover::Done
            && !stopped
    }

    fn read_journals(&mut self) -> Result<(), Failure> {
        for index in 0..self.holders.len() {
            for event in self.holders[index].tail.read()? {
                self.take_in(index, event);
            }
        }
        Ok(())
    }

    fn take_in(&mut self, index: usize, event: Event) {
        self.last_event = Instant::now();
        match event.what {
            What::Worked => self.completed += 1,
            What::Failed => self.row.refused += 1,
            What::Stopping => {
                self.row.stopped += 1;
                self.holders[index].resume_at = Some(Instant::now() + STOPPED_FOR);
            }
            What::Dying => self.row.killed += 1,
            What::Slow => {
                if let Failover::Behind { since, .. } = self.failover
                    && event.at > since
                {
                    self.failover = Failover::Now;
                }
            }
            _ => {}
        }
    }

    fn give_orders(&mut self) {
        let completed = self.completed;
        while let Some((_, index, order)) = self.orders.pop_if(|(after, ..)| *after <= completed) {
            self.holders[index].process.tell(order.word());
        }
    }

    fn look_after_holders(&mut self) -> Result<(), Failure> {
        for index in 0..self.holders.len() {
            let holder = &mut self.holders[index];
            if holder.resume_at.take_if(|at| Instant::now() >= *at).is_some() {
                holder.process.resume();
            }
            let Some(status) = holder.process.ended() else { continue };
            if !was_killed(status) {
                let what = format!("A holder ended with {status}.");
                return Err(Failure::new(Class::Other, what, holder.process.last_words()));
            }
            // Its last lines, then a successor.
            self.read_journals()?;
            self.holders[index] = self.start_holder()?;
        }
        Ok(())
    }

    /// In the middle: first the replica falls behind, then a holder takes a lock of which the replica knows nothing, then the primary
    /// dies while the holder works. Redlock loses the data of one of its servers at that moment.
    async fn fail_over(&mut self) -> Result<(), Failure> {
        match self.failover {
            Failover::ToCome if self.completed >= self.sections / 2 => {
                self.servers.fall_behind().await?;
                self.failover = Failover::Behind { since: now(), told: Instant::now() };
                self.holders[0].process.tell(Order::BeSlow.word());
            }
            // It was killed before it could be slow.
            Failover::Behind { since, told } if told.elapsed() > TTL * 2 => {
                self.failover = Failover::Behind { since, told: Instant::now() };
                self.holders[1].process.tell(Order::BeSlow.word());
            }
            Failover::Now => {
                block_in_place(|| self.servers.fail_over()).map_err(|error| no_server(&error))?;
                self.failover = Failover::Done;
            }
            _ => {}
        }
        Ok(())
    }

    async fn end(mut self) -> Result<Row, Failure> {
        self.row.seconds = self.begun.elapsed().as_secs_f64();
        self.holders.clear();
        let records = Records::new(connect(&self.records.url()).await.map_err(|error| unread(&error))?);
        for index in 0..RECORDS {
            let counted = records.count(&format!("record-{index}")).await;
            let (writes, stale) = counted.map_err(|error| unread(&error))?;
            self.row.writes += writes;
            self.row.stale_writes += stale;
        }
        Ok(self.row)
    }
}

impl Servers {
    fn urls(&self) -> Vec<String> {
        match self {
            Self::Replicated(group) => {
                std::iter::once(&group.primary).chain(&group.replicas).map(Server::url).collect()
            }
            Self::Five(servers) => servers.iter().map(Server::url).collect(),
        }
    }

    /// The replica no longer follows. Clients stay with the primary while it answers.
    async fn fall_behind(&self) -> Result<(), Failure> {
        let Self::Replicated(group) = self else { return Ok(()) };
        for replica in &group.replicas {
            let promoted = async {
                let mut connection = connect(&replica.url()).await?;
                redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec_async(&mut connection).await
            };
            promoted.await.map_err(|error| unread(&error))?;
        }
        Ok(())
    }

    fn fail_over(&mut self) -> Result<(), lab_server::Error> {
        match self {
            Self::Replicated(group) => {
                group.primary.kill();
                Ok(())
            }
            Self::Five(servers) => servers.first_mut().map_or(Ok(()), Server::restart),
        }
    }
}

fn start(approach: Approach, choice: Choice) -> Result<(Servers, Server), lab_server::Error> {
    let builder = Server::builder().choice(choice);
    let servers = if approach == Approach::Redlock {
        let five = (0..REDLOCK_SERVERS).map(|_| builder.clone().start()).collect::<Result<_, _>>()?;
        Servers::Five(five)
    } else {
        Servers::Replicated(Box::new(Replicated::start_with(builder.clone(), 1)?))
    };
    Ok((servers, builder.start()?))
}

/// Stops and kills, spread over the run, each for some holder; the first one last.
fn orders(options: &Options, seed: u64) -> Vec<(u64, usize, Order)> {
    let mut random = StdRng::seed_from_u64(seed);
    let stops = (0..options.stops).map(|_| Order::Stop);
    let kills = (0..options.kills).map(|_| Order::Die);
    let mut orders: Vec<_> = stops
        .chain(kills)
        .map(|order| {
            let after = random.random_range(0..options.sections);
            (after, random.random_range(0..options.holders as usize), order)
        })
        .collect();
    orders.sort_by_key(|(after, ..)| std::cmp::Reverse(*after));
    orders
}

fn was_killed(status: std::process::ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status).is_some()
}

fn unread(error: &dyn std::error::Error) -> Failure {
    Failure::new(Class::Other, "A private server does not answer.", error.to_string())
}
