use std::sync::Mutex;
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::lock::{self, Held, LockError, Locks, Token};

use crate::holders::Holders;
use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

/// Short, so that a lock whose release was refused is free soon.
const TTL: Duration = Duration::from_millis(300);
/// Longer than the clock jumps.
const DAYS: Duration = Duration::from_hours(48);
const WAIT: Duration = Duration::from_mins(1);

pub const PATTERN: Pattern = Pattern {
    name: "lock",
    workload: |prefix| {
        Box::new(Work { prefix: prefix.to_owned(), holders: Mutex::default(), held: Mutex::default() })
    },
    plain_commands: &["GET", "PTTL"],
    scripts: lock::scripts,
};

struct Work {
    prefix: String,
    holders: Mutex<Holders>,
    /// A lock that is held all the time.
    held: Mutex<Option<Held>>,
}

impl Work {
    fn locks(&self, connection: TestConnection, owner: &str) -> Locks<TestConnection> {
        Locks::new(connection, &self.prefix, owner).with_ttl(TTL)
    }
}

impl Workload for Work {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let locks = self.locks(connection, "set-up").with_ttl(DAYS);
        *self.held.lock().unwrap() = Some(locks.try_acquire("other", &Token::random()?).await?);
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let locks = self.locks(connection, &format!("client{client}"));
        let token = Token::parse(&format!("client{client}call{call}")).ok_or("a token")?;
        let mut held = match locks.acquire("report", &token, WAIT).await {
            Ok(held) => held,
            // A call of this client that was refused left its lock, which expires.
            Err(LockError::Reentrant { expires_in }) => {
                tokio::time::sleep(expires_in).await;
                locks.acquire("report", &token, WAIT).await?
            }
            Err(error) => return Err(error.into()),
        };
        self.holders.lock().unwrap().enter(&token, held.number(), held.lease());
        locks.holder("report").await?;
        match locks.renew(&mut held).await {
            Ok(()) | Err(LockError::Lost) => {}
            Err(error) => return Err(error.into()),
        }
        self.holders.lock().unwrap().leave(&token);
        locks.release("report", &token).await?;
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let locks = self.locks(connection, "checker");
        let mut before = self.held.lock().unwrap().clone().ok_or("a lock from the beginning")?;
        let [other, _] = locks.keys("other")?;
        let lost = matches!(fault, Fault::KeyLost(key) if *key == other);
        match locks.renew(&mut before).await {
            Err(LockError::Lost) if lost => {
                let next = locks.try_acquire("other", &Token::random()?).await?;
                if next.number() <= before.number() {
                    return Err(format!("a higher number than {before:?}; found {next:?}").into());
                }
            }
            Ok(()) if !lost => {}
            renewed => return Err(format!("a renewal; found {renewed:?}").into()),
        }
        // What a canceled or refused call left is free after its TTL.
        let held = locks.acquire("report", &Token::random()?, WAIT).await?;
        locks.release("report", held.token()).await?;
        match fault {
            Fault::WritesLost => {
                return Ok(Verdict::Contract("A failover may lose the last locks that were taken"));
            }
            Fault::KeyLost(_) if lost => {
                return Ok(Verdict::Contract("another client gets the lock, with a higher number"));
            }
            _ => {}
        }
        self.holders.lock().unwrap().check(held.number())?;
        Ok(match fault {
            Fault::KeyLost(_) => {
                Verdict::Contract("A lost number begins again at the server's clock in microseconds")
            }
            _ => Verdict::Held,
        })
    }
}
