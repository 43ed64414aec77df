//! A process that takes locks. It stops itself, kills itself, or takes its time in a critical section when it is told to: only the process
//! knows when it is in one.

use std::io::{self, BufRead as _};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use lab_connection::Failure;
use lab_connection::failure::Class;
use patterns::fence::FenceError;
use rand::RngExt as _;
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::torture::journal::{Journal, What};
use crate::torture::locks::approach::{Approach, Held, Locker};
use crate::torture::locks::records::{Records, connect};

/// Holds the role; it has passwords in it.
pub const VARIABLE: &str = "WORK_TORTURE_HOLDER";
/// What a critical section does besides reading and writing.
const WORK: Duration = Duration::from_micros(500);

/// What a holder is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Role {
    pub approach: Approach,
    /// Its number, different for every process of the run.
    pub number: u64,
    pub lock_urls: Vec<String>,
    pub record_url: String,
    /// How many records there are, each with its lock.
    pub records: u32,
    pub ttl_ms: u64,
    pub journal: PathBuf,
}

/// What to do in the next critical section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stop with SIGSTOP.
    Stop,
    /// Be killed with SIGKILL.
    Die,
    /// Take almost half of the TTL.
    BeSlow,
}

impl Order {
    const WORDS: [(Self, &str); 3] = [(Self::Stop, "stop"), (Self::Die, "die"), (Self::BeSlow, "be slow")];

    /// As a line for the process.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(order, _)| *order == self).map_or("", |(_, word)| word)
    }

    fn read(line: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, word)| *word == line).map(|(order, _)| *order)
    }
}

/// Takes locks until the process that started this one has ended.
pub(crate) async fn run(role: &Role) -> Result<(), Failure> {
    let journal = Journal::open(&role.journal)?;
    let connection = connect(&role.record_url).await.map_err(|error| failed(&error))?;
    let ttl = Duration::from_millis(role.ttl_ms);
    let owner = format!("holder-{}", role.number);
    let mut holder = Holder {
        journal,
        records: Records::new(connection),
        locker: Locker::new(role.approach, role.lock_urls.clone(), owner, ttl),
        orders: orders(),
        pending: None,
        ttl,
    };
    for section in (role.number << 32).. {
        if !holder.section(section, role.records).await? {
            break;
        }
    }
    Ok(())
}

struct Holder {
    journal: Journal,
    records: Records,
    locker: Locker,
    orders: Receiver<Order>,
    pending: Option<Order>,
    ttl: Duration,
}

impl Holder {
    /// One critical section. False when nobody wants any more of them.
    async fn section(&mut self, section: u64, records: u32) -> Result<bool, Failure> {
        let index = rand::rng().random_range(0..records);
        let name = format!("record-{index}");
        let held = loop {
            if self.pending.is_none() {
                match self.orders.try_recv() {
                    Ok(order) => self.pending = Some(order),
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => return Ok(false),
                }
            }
            if let Some(held) = self.locker.try_acquire(&name).await {
                break held;
            }
            sleep(Duration::from_micros(rand::rng().random_range(500..2_000))).await;
        };
        self.journal.write(What::Started, section, 0)?;
        let outcome = match self.work(&name, &held, section).await {
            Ok(true) => What::Worked,
            Ok(false) => What::Taken,
            Err(FenceError::Stale { .. }) => What::Failed,
            Err(error) => return Err(failed(&error)),
        };
        self.journal.write(outcome, section, 0)?;
        self.locker.release(&held).await;
        Ok(true)
    }

    /// False if the lock was lost before the write, by the local clock.
    async fn work(&mut self, name: &str, held: &Held, section: u64) -> Result<bool, FenceError> {
        let base = self.records.read(name, held.number).await?;
        sleep(WORK).await;
        if Instant::now() >= held.until {
            return Ok(false);
        }
        // Whatever is checked before: a process can stop after it.
        self.follow_orders(section).await;
        self.records.write(name, held.number, &section.to_string(), &base).await?;
        Ok(true)
    }

    async fn follow_orders(&mut self, section: u64) {
        let Some(order) = self.pending.take() else { return };
        let what = match order {
            Order::Stop => What::Stopping,
            Order::Die => What::Dying,
            Order::BeSlow => What::Slow,
        };
        // Without the line, nobody would let the process go on.
        if self.journal.write(what, section, 0).is_err() {
            return;
        }
        match order {
            Order::Stop => {
                let _ = kill_process(getpid(), Signal::STOP);
            }
            Order::Die => {
                let _ = kill_process(getpid(), Signal::KILL);
            }
            Order::BeSlow => sleep(self.ttl * 2 / 5).await,
        }
    }
}

/// The lines of standard input, as they come. The channel closes when the input ends.
fn orders() -> Receiver<Order> {
    let (sender, orders) = channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if let Some(order) = Order::read(&line)
                && sender.send(order).is_err()
            {
                return;
            }
        }
    });
    orders
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new(Class::Other, "A holder cannot go on.", error.to_string())
}
