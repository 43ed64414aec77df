use std::sync::atomic::{AtomicU64, Ordering};

use lab_testing::TestConnection;
use patterns::fence::{self, Fence, FenceError};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "fence",
    workload: |prefix| Box::new(Records { prefix: prefix.to_owned(), highest: AtomicU64::new(0) }),
    plain_commands: &["HGETALL"],
    scripts: fence::scripts,
};

struct Records {
    prefix: String,
    /// The highest number whose write was acknowledged.
    highest: AtomicU64,
}

impl Records {
    fn records(&self, connection: TestConnection) -> Fence<TestConnection> {
        Fence::new(connection, &self.prefix)
    }
}

impl Workload for Records {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let records = self.records(connection);
        let number = 1 + u64::try_from(100 * call + client)?;
        match records.write("report", number, &[("number", &number.to_string())]).await {
            Ok(()) => drop(self.highest.fetch_max(number, Ordering::Relaxed)),
            Err(FenceError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        records.read("report").await?;
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let records = self.records(connection);
        let fields = records.read("report").await?;
        let stored: u64 = fields.get("number").and_then(|number| number.parse().ok()).unwrap_or(0);
        let highest = self.highest.load(Ordering::Relaxed);
        let verdict = match fault {
            Fault::KeyLost(_) => Verdict::Contract("the number is lost with the fields"),
            Fault::WritesLost => {
                Verdict::Contract("A failover may lose the last writes together with their numbers")
            }
            _ if stored < highest => return Err(format!("the number {highest}; found {fields:?}").into()),
            _ => Verdict::Held,
        };
        if stored > 1 {
            let late = records.write("report", stored - 1, &[("number", "late")]).await;
            if !matches!(late, Err(FenceError::Stale { seen, .. }) if seen == stored) {
                return Err(format!("a refusal of {}; found {late:?} and {fields:?}", stored - 1).into());
            }
        }
        records.write("report", 1_000_000, &[("number", "1000000")]).await?;
        Ok(verdict)
    }
}
