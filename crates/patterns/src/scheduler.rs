//! Scheduler: jobs at fixed times, each time once, though many processes watch the clock.
//!
//! A timer in each process runs everything as often as there are processes. A leader with a timer loses the slot that is due
//! while the leader changes, and after an outage it runs nothing, or everything at once. Here the last slot that was enqueued is
//! in Redis. Any process may ask what is due. One script decides who enqueues a slot, for the time of a lease. The slot counts as
//! done only after the caller has enqueued it, with the slot's ID, so that a queue that knows IDs gets it once:
//!
//! 1. [`Scheduler::next`] decides a [`Tick`];
//! 2. the caller enqueues a job with [`Tick::id`];
//! 3. [`Scheduler::finish`] marks the slot as done. [`Scheduler::run_due`] does all three.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `schedule:report` | Hash | the last slot that was enqueued, and the one that a process is about to enqueue |
//!
//! - **Promise**: each slot is handed out until its enqueuing is reported, always with the same ID, to one process at a time. So a
//!   process that dies in between, or a queue that refuses, neither loses nor doubles it. What was missed follows [`Missed`], and
//!   slots that are skipped are counted.
//! - **Cost**: one round trip to ask, two more for a slot.
//! - **Memory**: on Valkey 9.1, 80 bytes for each schedule, and 144 while a slot is being enqueued. Nothing removes them.
//! - **Faults**: if the key is lost, the schedule begins now: a slot that was due meanwhile is missed. A failover may hand out the
//!   last slot again, with the same ID. If the clock is set back, nothing is due until it has come to where it was. If it is set
//!   forward, slots run early, and the schedule waits until the clock has passed them.
//!
//! A [`Cron`] has five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday). A field is `*`, or a
//! list of numbers and ranges, each with an optional step: `*/15`, `1-5`, `MON-FRI`, `8,12,16`. Months and weekdays may be names
//! of three letters. If both days are given, either one is enough. `@hourly`, `@daily`, `@weekly`, `@monthly`, and `@yearly` work,
//! too. Times are UTC, or local times of an offset function ([`Cron::with_offset`]). When clocks are set back and an hour
//! repeats, a schedule with `*` as its hour runs in both hours, and any other one runs only the first time. When an hour is
//! skipped, a time in it runs once, at the first moment after it.
//!
//! ```
//! use patterns::scheduler::{Cron, Missed, Scheduler};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let scheduler = Scheduler::new(connection.clone(), "");
//! let every_minute = Cron::parse("* * * * *")?;
//! // Any number of processes call this every second or so.
//! let ran = scheduler
//!     .run_due("report", &every_minute, Missed::Latest, async |tick| {
//!         // A job queue takes this ID, so that a tick that is enqueued twice is one job.
//!         let set = redis::cmd("SET").arg(&tick.id).arg("to do").exec_async(&mut connection.clone()).await;
//!         set.map_err(|error| error.to_string())
//!     })
//!     .await?;
//! assert!(ran.is_none(), "a new schedule begins now, so the first slot is the next minute");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::ErrorKind;
use redis::aio::ConnectionLike;

use crate::key::{Key, escape};
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds, quote};

/// The most missed slots that [`Missed::All`] runs, and that are counted when they are skipped.
pub const MAX_MISSED: usize = 1_000;

/// From 29 February 2096 to 2104, because 2100 is no leap year, and a bit more.
const HORIZON_DAYS: i64 = 9 * 366;
const DAY: i64 = 86_400;
const MINUTE: i64 = 60;
/// The year 9999.
const MAX_TIME: i64 = 253_000_000_000;

const FILE: &str = include_str!("scheduler.lua");

/// Reads where the schedule stands. A new schedule begins now.
pub static STATE: Script = Script::new("scheduler.lua: state", FILE, &["state"]);
/// Decides that this process enqueues a slot.
pub static DECIDE: Script = Script::new("scheduler.lua: decide", FILE, &["decide"]);
/// Remembers that a slot was enqueued.
pub static FINISH: Script = Script::new("scheduler.lua: finish", FILE, &["finish"]);
/// Ends the lease of a process that could not enqueue its slot.
pub static RELEASE: Script = Script::new("scheduler.lua: release", FILE, &["release"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&STATE, &DECIDE, &FINISH, &RELEASE])
}

/// What happens to slots that were due while no process asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Missed {
    /// Only the latest one runs; the others are skipped.
    Latest,
    /// The latest ones run, at most this many: 1 to [`MAX_MISSED`]. Older ones are skipped.
    All(usize),
}

/// A slot that this process has to enqueue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tick {
    /// The schedule.
    pub schedule: String,
    /// When it was due, in seconds since 1970, UTC.
    pub slot: i64,
    /// The same for every process that gets this slot: give it to the queue as the job's ID.
    pub id: String,
    /// How often the slot was handed out, this time included.
    pub attempt: u32,
    /// How many slots before it are skipped; [`MAX_MISSED`] or more count as that.
    pub skipped: usize,
    token: String,
}

/// What is due.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Next {
    /// Enqueue this slot, and then call [`Scheduler::finish`].
    Due(Tick),
    /// Another process is about to enqueue a slot. Its lease ends after this time.
    Busy(Duration),
    /// The next slot is due after this time.
    Wait(Duration),
}

/// Why a due slot was not enqueued. It is handed out again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError<E> {
    /// The queue refused it.
    #[error("slot {} of {} was not enqueued, and will be tried again: {error}", tick.slot, tick.schedule)]
    Refused {
        /// The slot.
        tick: Tick,
        /// The queue's error.
        error: E,
    },
    /// The schedule cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The schedules under a prefix.
#[derive(Clone, Debug)]
pub struct Scheduler<C> {
    connection: C,
    prefix: String,
    lease: Duration,
}

impl<C: ConnectionLike + Clone> Scheduler<C> {
    /// With a lease of 30 seconds.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned(), lease: Duration::from_secs(30) }
    }

    /// How long a process may take from the decision to the report: 10 ms to an hour. Then another process gets the slot. Give all
    /// processes the same lease.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease: lease.clamp(Duration::from_millis(10), Duration::from_hours(1)), ..self }
    }

    /// Enqueues what is due, at most one slot. Returns it; `None` if nothing is due, or another process is at it. Call it until it
    /// returns `None`, and again after a second or so.
    pub async fn run_due<T, E>(
        &self,
        schedule: &str,
        cron: &Cron,
        missed: Missed,
        enqueue: impl AsyncFnOnce(&Tick) -> Result<T, E>,
    ) -> Result<Option<(Tick, T)>, RunError<E>> {
        let Next::Due(tick) = self.next(schedule, cron, missed).await? else { return Ok(None) };
        match enqueue(&tick).await {
            Ok(enqueued) => {
                self.finish(&tick).await?;
                Ok(Some((tick, enqueued)))
            }
            Err(error) => {
                // If this fails, too, the slot waits for the end of the lease.
                let _ = self.release(&tick).await;
                Err(RunError::Refused { tick, error })
            }
        }
    }

    /// What is due. A slot that was decided before, and not reported as enqueued, comes first. Two round trips for a slot, one
    /// otherwise.
    pub async fn next(&self, schedule: &str, cron: &Cron, missed: Missed) -> Result<Next, StoreError> {
        let key = self.key(schedule)?;
        let mut state: Reply = STATE.call(&[key.as_str()]).run(&self.connection).await?;
        let (now, done): (i64, i64) = (state.next()?, state.next()?);
        let decided: String = state.next()?;
        let (slot, skipped) = if let Ok(slot) = decided.parse() {
            (slot, cron.count(done, slot))
        } else {
            match cron.due(done, now / 1000, missed) {
                Some(due) => due,
                None => return Ok(Next::Wait(until(cron.next_after(done.max(now / 1000)), now))),
            }
        };
        let token = getrandom::u64().map_err(|error| {
            StoreError::Redis((ErrorKind::Io, "no random number for a token", error.to_string()).into())
        })?;
        let token = format!("{token:016x}");
        let call = DECIDE.call(&[key.as_str()]).arg(done).arg(slot).arg(&token).arg(milliseconds(self.lease));
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "DECIDED" => Ok(Next::Due(Tick {
                id: format!("{}@{slot}", escape(schedule)),
                schedule: schedule.to_owned(),
                slot,
                attempt: reply.next()?,
                skipped,
                token,
            })),
            "BUSY" => Ok(Next::Busy(Duration::from_millis(reply.next()?))),
            // Another process was faster.
            "CHANGED" => Ok(Next::Busy(Duration::ZERO)),
            _ => Err(reply.unexpected()),
        }
    }

    /// Reports that a slot was enqueued. Returns whether it was not reported before. One round trip. If it fails, the slot is handed
    /// out again, with the same ID.
    pub async fn finish(&self, tick: &Tick) -> Result<bool, StoreError> {
        let key = self.key(&tick.schedule)?;
        let call = FINISH.call(&[key.as_str()]).arg(tick.slot).arg(tick.skipped);
        Ok(call.run::<Reply>(&self.connection).await?.outcome == "FINISHED")
    }

    /// Says that a slot could not be enqueued, so that it is handed out again at once. Returns whether the lease was still this
    /// process's. One round trip.
    pub async fn release(&self, tick: &Tick) -> Result<bool, StoreError> {
        let key = self.key(&tick.schedule)?;
        let call = RELEASE.call(&[key.as_str()]).arg(tick.slot).arg(&tick.token);
        Ok(call.run::<Reply>(&self.connection).await?.outcome == "RELEASED")
    }

    /// How many slots were never enqueued, each count limited to [`MAX_MISSED`] for one outage.
    pub async fn skipped(&self, schedule: &str) -> Result<u64, StoreError> {
        let key = self.key(schedule)?;
        let mut state: Reply = STATE.call(&[key.as_str()]).run(&self.connection).await?;
        let _: (i64, i64, String) = (state.next()?, state.next()?, state.next()?);
        state.next()
    }

    /// The key of one schedule.
    pub fn key(&self, schedule: &str) -> Result<Key, StoreError> {
        Ok(Key::new(&self.prefix, "schedule", &[schedule])?)
    }
}

/// From now, in milliseconds, until that second; a day if there is none.
fn until(slot: Option<i64>, now_ms: i64) -> Duration {
    let left = slot.map_or(DAY * 1000, |slot| slot * 1000 - now_ms);
    Duration::from_millis(u64::try_from(left).unwrap_or(0))
}

/// Why a text is no [`Cron`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// It does not have five fields.
    #[error(
        "a schedule has five fields: minute, hour, day of the month, month, day of the week; this has {0}"
    )]
    Fields(usize),
    /// A field cannot be read.
    #[error("{0:?} is no {1}")]
    Field(String, &'static str),
    /// No year has that day.
    #[error("no month of the schedule has that day")]
    NeverDue,
}

/// When something is due: see the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both days are given, so either one is enough.
    either_day: bool,
    offset: fn(i64) -> i32,
}

impl Cron {
    /// Reads the five fields, or a name.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            text => text,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(CronError::Fields(fields.len()));
        };
        let mut cron = Self {
            minutes: field(minutes, "minute (0 to 59)", 0, 59, &[])?,
            hours: field(hours, "hour (0 to 23)", 0, 23, &[])?,
            days: field(days, "day of the month (1 to 31)", 1, 31, &[])?,
            months: field(months, "month (1 to 12, or JAN to DEC)", 1, 12, &MONTHS)?,
            weekdays: field(weekdays, "day of the week (0 to 7, or SUN to SAT)", 0, 7, &WEEKDAYS)?,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
            offset: |_| 0,
        };
        cron.weekdays |= cron.weekdays >> 7 & 1;
        let exists = |month: u32| (1..=most_days(month)).any(|day| has(cron.days, day));
        if !cron.either_day && !(1..=12).any(|month| has(cron.months, month) && exists(month)) {
            return Err(CronError::NeverDue);
        }
        Ok(cron)
    }

    /// Times are local: `offset` returns how many seconds local time is ahead of UTC at a second since 1970. It changes at most
    /// once in two days, and by less than a day.
    #[must_use]
    pub fn with_offset(self, offset: fn(i64) -> i32) -> Self {
        Self { offset, ..self }
    }

    /// The first slot after a time, in seconds since 1970. `None` after the year 9986.
    #[must_use]
    pub fn next_after(&self, time: i64) -> Option<i64> {
        let today = self.local_day(time);
        let first = |day| self.slots_of(day).into_iter().find(|slot| *slot > time);
        let day = (today - 1..today + HORIZON_DAYS).find(|day| first(*day).is_some())?;
        // Where an hour repeats at midnight, the next day may begin before this one ends.
        [first(day), first(day + 1)].into_iter().flatten().min()
    }

    /// The slot to run, and how many are skipped before it.
    fn due(&self, done: i64, now: i64, missed: Missed) -> Option<(i64, usize)> {
        let most = if let Missed::All(most) = missed { most.clamp(1, MAX_MISSED) } else { 1 };
        let (today, mut slots) = (self.local_day(now), Vec::new());
        let mut earliest = (self.local_day(done) - 1).max(today - HORIZON_DAYS);
        for day in (earliest..=today + 1).rev() {
            if day < earliest {
                break;
            }
            slots.extend(self.slots_of(day).into_iter().filter(|slot| (done + 1..=now).contains(slot)));
            if slots.len() >= most {
                // Where an hour repeats at midnight, the day before may end after this one begins.
                earliest = earliest.max(day - 1);
            }
        }
        slots.sort_unstable();
        let slot = *slots.get(slots.len().saturating_sub(most))?;
        Some((slot, self.count(done, slot)))
    }

    /// How many slots are between two times, at most [`MAX_MISSED`].
    fn count(&self, after: i64, before: i64) -> usize {
        let mut count = 0;
        for day in (self.local_day(after) - 1..=self.local_day(before)).rev() {
            count += self.slots_of(day).into_iter().filter(|slot| (after + 1..before).contains(slot)).count();
            if count >= MAX_MISSED {
                return MAX_MISSED;
            }
        }
        count
    }

    fn local_day(&self, time: i64) -> i64 {
        let time = time.clamp(-DAY, MAX_TIME);
        (time + self.offset(time)).div_euclid(DAY)
    }

    fn offset(&self, time: i64) -> i64 {
        i64::from((self.offset)(time))
    }

    /// The slots of a local day, in order.
    fn slots_of(&self, day: i64) -> Vec<i64> {
        if day * DAY > MAX_TIME || !self.is_due_on(day) {
            return Vec::new();
        }
        let begin = day * DAY;
        let (before, after) = (self.offset(begin - DAY), self.offset(begin + 2 * DAY));
        let real_time = self.hours == (1 << 24) - 1;
        let mut slots = Vec::new();
        for minute in
            (0..24 * 60).filter(|minute| has(self.hours, minute / 60) && has(self.minutes, minute % 60))
        {
            let local = begin + i64::from(minute) * MINUTE;
            let mut exact: Vec<i64> = [local - before, local - after]
                .into_iter()
                .filter(|time| time + self.offset(*time) == local)
                .collect();
            exact.sort_unstable();
            exact.dedup();
            match exact[..] {
                [first, _] if !real_time => slots.push(first),
                [] if !real_time => {
                    slots.push(self.change_between(local - before.max(after), local - before.min(after)));
                }
                _ => slots.append(&mut exact),
            }
        }
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// The second at which the offset changes.
    fn change_between(&self, mut before: i64, mut after: i64) -> i64 {
        let old = self.offset(before);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.offset(middle) == old { before = middle } else { after = middle }
        }
        after
    }

    fn is_due_on(&self, day: i64) -> bool {
        let (month, of_month) = month_and_day_of(day);
        let (by_month, by_week) = (has(self.days, of_month), has(self.weekdays, weekday_of(day)));
        has(self.months, month) && if self.either_day { by_month || by_week } else { by_month && by_week }
    }
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The numbers of a field, as bits.
fn field(
    text: &str,
    what: &'static str,
    lowest: u32,
    highest: u32,
    names: &[&str],
) -> Result<u64, CronError> {
    let wrong = || CronError::Field(quote(text), what);
    let number = |text: &str| {
        let name = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = match name {
            Some(position) => u32::try_from(position).ok().map(|position| position + lowest),
            None => text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten(),
        };
        number.filter(|number| (lowest..=highest).contains(number)).ok_or_else(wrong)
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (ends, step) = match part.split_once('/') {
            Some((ends, step)) => {
                (ends, step.parse::<usize>().ok().filter(|step| *step > 0).ok_or_else(wrong)?)
            }
            None => (part, 1),
        };
        let (first, last) = match ends.split_once('-') {
            _ if ends == "*" => (lowest, highest),
            Some((first, last)) => (number(first)?, number(last)?),
            None if step > 1 => (number(ends)?, highest),
            None => (number(ends)?, number(ends)?),
        };
        if first > last {
            return Err(wrong());
        }
        (first..=last).step_by(step).for_each(|number| bits |= 1 << number);
    }
    Ok(bits)
}

fn has(bits: u64, number: u32) -> bool {
    bits >> number & 1 == 1
}

fn weekday_of(day: i64) -> u32 {
    // 1 January 1970 was a Thursday.
    u32::try_from((day + 4).rem_euclid(7)).unwrap_or(0)
}

fn most_days(month: u32) -> u32 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Month and day of the month of a day since 1970, in the Gregorian calendar.
fn month_and_day_of(day: i64) -> (u32, u32) {
    // Years begin in March here, so the leap day is the last day of a year. 400 years have 146,097 days.
    let of_era = (day + 719_468).rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (u32::try_from(month).unwrap_or(1), u32::try_from(of_month).unwrap_or(1))
}
