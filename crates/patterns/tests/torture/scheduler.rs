use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::scheduler::{self, Cron, Missed, Next, Scheduler};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

/// Slots that are due when the run begins.
const SLOTS: i64 = 12;

pub const PATTERN: Pattern = Pattern {
    name: "scheduler",
    workload: |prefix| {
        Box::new(Due { prefix: prefix.to_owned(), begin: Mutex::default(), enqueued: Mutex::default() })
    },
    plain_commands: &[],
    scripts: scheduler::scripts,
};

struct Due {
    prefix: String,
    begin: Mutex<i64>,
    enqueued: Mutex<BTreeSet<i64>>,
}

impl Due {
    fn scheduler(&self, connection: TestConnection) -> Scheduler<TestConnection> {
        Scheduler::new(connection, &self.prefix).with_lease(Duration::from_millis(20))
    }

    /// Enqueues what is due. Every third process dies in the middle.
    async fn run(&self, connection: TestConnection, dies: bool) -> Result<bool, Failure> {
        let scheduler = self.scheduler(connection);
        let tick = match scheduler.next("report", &Cron::parse("*/5 * * * *")?, Missed::All(100)).await? {
            Next::Due(tick) => tick,
            Next::Busy(_) => return Ok(true),
            Next::Wait(_) => return Ok(false),
        };
        if dies {
            // It says so, or not.
            if tick.attempt == 1 {
                scheduler.release(&tick).await?;
            }
            return Ok(true);
        }
        self.enqueued.lock().unwrap().insert(tick.slot);
        scheduler.finish(&tick).await?;
        Ok(true)
    }
}

impl Workload for Due {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let [now, _]: [i64; 2] = connection.send(&["TIME"]).await;
        let begin = now / 300 * 300 - SLOTS * 300;
        *self.begin.lock().unwrap() = begin;
        let key = self.scheduler(connection.clone()).key("report")?;
        let _: u64 = connection.send(&["HSET", key.as_str(), "done", &begin.to_string()]).await;
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        self.run(connection, (client + call).is_multiple_of(3)).await.map(drop)
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let mut rounds = 0;
        while self.run(connection.clone(), false).await? {
            tokio::time::sleep(Duration::from_millis(2)).await;
            rounds += 1;
            if rounds > 1_000 {
                return Err("an end of what is due".into());
            }
        }
        let scheduler = self.scheduler(connection.clone());
        let key = scheduler.key("report")?;
        let done: i64 = connection.send(&["HGET", key.as_str(), "done"]).await;
        let skipped = i64::try_from(scheduler.skipped("report").await?)?;
        let (begin, enqueued) = (*self.begin.lock().unwrap(), self.enqueued.lock().unwrap().clone());
        match fault {
            Fault::KeyLost(_) => {
                return Ok(Verdict::Contract(
                    "If the key is lost, the schedule begins now: a slot that was due meanwhile is missed",
                ));
            }
            Fault::ClockBack if done < begin + SLOTS * 300 => {
                return Ok(Verdict::Contract(
                    "If the clock is set back, nothing is due until it has come to where it was",
                ));
            }
            _ => {}
        }
        let passed = done / 300 - begin / 300;
        if i64::try_from(enqueued.len())? + skipped < passed || passed < SLOTS {
            return Err(format!("{passed} slots; found {skipped} skipped and {enqueued:?}").into());
        }
        Ok(Verdict::Held)
    }
}
