use std::sync::Mutex;
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::semaphore::{self, Permits, SemaphoreError, Semaphores, Token};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const CAPACITY: u32 = 3;
/// Short, so that permits whose release was refused are free soon.
const LEASE: Duration = Duration::from_millis(300);
/// Longer than the clock jumps.
const DAYS: Duration = Duration::from_hours(48);
const WAIT: Duration = Duration::from_mins(1);

pub const PATTERN: Pattern = Pattern {
    name: "semaphore",
    workload: |prefix| {
        Box::new(Rooms { prefix: prefix.to_owned(), seen: Mutex::default(), before: Mutex::default() })
    },
    plain_commands: &[],
    scripts: semaphore::scripts,
};

struct Rooms {
    prefix: String,
    seen: Mutex<Seen>,
    /// Permits of another semaphore that are held all the time, while another client waits for them.
    before: Mutex<Option<Permits>>,
}

#[derive(Default)]
struct Seen {
    /// Who is inside now, by its own clock.
    inside: Vec<Permits>,
    violation: Option<String>,
}

impl Rooms {
    fn semaphores(&self, connection: TestConnection) -> Semaphores<TestConnection> {
        Semaphores::new(connection, &self.prefix, CAPACITY).with_lease(LEASE).with_grace(LEASE)
    }

    fn enter(&self, permits: &Permits) {
        let mut seen = self.seen.lock().unwrap();
        seen.inside.retain(|other| other.token() != permits.token() && other.lease().is_held());
        if permits.lease().is_held() {
            seen.inside.push(permits.clone());
        }
        if seen.inside.iter().map(Permits::count).sum::<u32>() > CAPACITY {
            seen.violation = Some(format!("at most {CAPACITY} inside; found {:?}", seen.inside));
        }
    }
}

impl Workload for Rooms {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let semaphores = self.semaphores(connection).with_lease(DAYS).with_grace(DAYS);
        let permits = semaphores.try_acquire("other", &Token::random()?, CAPACITY).await?;
        *self.before.lock().unwrap() = Some(permits);
        let token = Token::random()?;
        let waiter = semaphores.acquire("other", &token, 1, WAIT);
        // It stands in line, and is canceled.
        tokio::select! {
            acquired = waiter => return Err(format!("no permit; found {acquired:?}").into()),
            () = async {
                while semaphores.sweep("other").await.is_ok_and(|usage| usage.waiting == 0) {}
            } => {}
        }
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let semaphores = self.semaphores(connection);
        let token = Token::parse(&format!("client{client}call{call}")).ok_or("a token")?;
        let count = 1 + u32::try_from(client + call)? % 2;
        let mut permits = semaphores.acquire("room", &token, count, WAIT).await?;
        self.enter(&permits);
        match semaphores.renew(&mut permits).await {
            Ok(()) | Err(SemaphoreError::Lost) => {}
            Err(error) => return Err(error.into()),
        }
        semaphores.sweep("room").await?;
        self.seen.lock().unwrap().inside.retain(|other| *other.token() != token);
        semaphores.release("room", &token, count).await?;
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let semaphores = self.semaphores(connection).with_grace(DAYS);
        let mut before = self.before.lock().unwrap().clone().ok_or("permits from the beginning")?;
        let keys = semaphores.keys("other")?;
        let lost = match fault {
            Fault::KeyLost(key) => keys.iter().position(|other| other == key),
            _ => None,
        };
        match semaphores.clone().with_lease(DAYS).renew(&mut before).await {
            Ok(()) if lost != Some(0) => {}
            Err(SemaphoreError::Lost) if lost == Some(0) => {}
            renewed => return Err(format!("a renewal; found {renewed:?}").into()),
        }
        // What canceled or refused calls left is free after its lease.
        let token = Token::random()?;
        semaphores.acquire("room", &token, CAPACITY, WAIT).await?;
        let usage = semaphores.sweep("room").await?;
        if (usage.held, usage.waiting) != (CAPACITY, 0) {
            return Err(format!("all permits, and nobody else; found {usage:?}").into());
        }
        semaphores.release("room", &token, CAPACITY).await?;
        match (fault, lost) {
            (Fault::WritesLost, _) => {
                return Ok(Verdict::Contract("A failover may lose the last permits that were taken"));
            }
            (_, Some(0)) => return Ok(Verdict::Contract("others get their permits")),
            (_, Some(_)) => return Ok(Verdict::Contract("waiters stand in line again")),
            _ => {}
        }
        let violation = self.seen.lock().unwrap().violation.clone();
        violation.map_or(Ok(Verdict::Held), |violation| Err(violation.into()))
    }
}
