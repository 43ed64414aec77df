//! Rows are read through the cache while they change.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lab_testing::TestConnection;
use patterns::cache::{self, Cache};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const ROWS: usize = 3;
const TTL: Duration = Duration::from_mins(5);

pub const PATTERN: Pattern = Pattern {
    name: "cache",
    workload: |prefix| {
        Box::new(Database { prefix: prefix.to_owned(), rows: Default::default(), stale: Mutex::default() })
    },
    plain_commands: &["GET", "UNLINK"],
    scripts: cache::scripts,
};

struct Database {
    prefix: String,
    rows: [Row; ROWS],
    stale: Mutex<Vec<String>>,
}

#[derive(Default)]
struct Row {
    /// As the database has it.
    version: AtomicU64,
    /// The version whose invalidation has returned.
    certain: AtomicU64,
}

impl Database {
    /// Each call is a process of its own.
    fn cache(&self, connection: TestConnection) -> Cache<TestConnection> {
        Cache::new(connection, &self.prefix, "product").with_ttl(TTL)
    }

    async fn read(&self, cache: &Cache<TestConnection>, row: usize) -> Result<(u64, u64), Failure> {
        let at_least = self.rows[row].certain.load(Ordering::SeqCst);
        let load = async || {
            let read = self.rows[row].version.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(read % 3)).await;
            Ok::<_, Infallible>(Some(read))
        };
        let found = cache.get_or_load(&[&format!("row{row}")], load).await?;
        Ok((found.unwrap_or(0), at_least))
    }
}

impl Workload for Database {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let (cache, row) = (self.cache(connection), (client + call) % ROWS);
        if (client + call).is_multiple_of(4) {
            let version = self.rows[row].version.fetch_add(1, Ordering::SeqCst) + 1;
            cache.invalidate(&[&format!("row{row}")]).await?;
            self.rows[row].certain.fetch_max(version, Ordering::SeqCst);
        }
        let (found, at_least) = self.read(&cache, row).await?;
        if found < at_least {
            self.stale.lock().unwrap().push(format!("row{row}: {found} after {at_least}"));
        }
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let cache = self.cache(connection.clone());
        let mut stale = std::mem::take(&mut *self.stale.lock().unwrap());
        for row in 0..ROWS {
            let (found, at_least) = self.read(&cache, row).await?;
            if found < at_least {
                stale.push(format!("row{row}: {found} after {at_least} in the end"));
            }
            let key = cache.key(&[&format!("row{row}")])?;
            let left: i64 = connection.send(&["PTTL", key.as_str()]).await;
            let most = if *fault == Fault::ClockBack { 60 * 60 * 1000 } else { 0 } + 5 * 60 * 1000;
            if !(1..=most).contains(&left) {
                return Err(format!("expected an entry that expires; found PTTL {left}").into());
            }
            // Not stuck.
            let version = self.rows[row].version.fetch_add(1, Ordering::SeqCst) + 1;
            cache.invalidate(&[&format!("row{row}")]).await?;
            let (found, _) = self.read(&cache, row).await?;
            if found != version {
                return Err(
                    format!("expected version {version} after its invalidation; found {found}").into()
                );
            }
        }
        match fault {
            _ if stale.is_empty() => Ok(Verdict::Held),
            Fault::WritesLost => Ok(Verdict::Contract(
                "if a failover loses an invalidation, the old entry is back until its TTL",
            )),
            _ => Err(format!("expected what was written; found older values: {stale:?}").into()),
        }
    }
}
