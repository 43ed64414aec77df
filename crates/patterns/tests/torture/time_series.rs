use lab_testing::TestConnection;
use patterns::time_series::{self, Every, Retention, Sample, SeriesError, TimeSeries};

use crate::workload::{Answered, Failure, Fault, Pattern, Verdict, Workload};

/// 2024-01-01.
const BEGIN: u64 = 19_723 * 86_400_000;
const HOUR: u64 = 3_600_000;

pub const PATTERN: Pattern = Pattern {
    name: "time_series",
    workload: |prefix| Box::new(Samples { prefix: prefix.to_owned(), answered: Answered::default() }),
    plain_commands: &["HMGET"],
    scripts: time_series::scripts,
};

struct Samples {
    prefix: String,
    answered: Answered,
}

/// A sample of each call that stays, and one that is deleted.
fn samples(client: usize, call: usize) -> [Sample; 2] {
    let at = BEGIN + (client * 100 + call) as u64 * 7_000;
    [Sample::new(at, client as f64), Sample::new(at + 1, 1_000.0)]
}

impl Samples {
    fn series(&self, connection: TestConnection) -> TimeSeries<TestConnection> {
        TimeSeries::new(connection, &self.prefix).with_retention(Retention::FOREVER)
    }
}

/// Rebuilds the day if it is damaged, and fails; then the call is made again.
async fn rebuilt<T>(
    series: &TimeSeries<TestConnection>,
    result: Result<T, SeriesError>,
) -> Result<T, Failure> {
    if matches!(result, Err(SeriesError::Damaged)) {
        series.rebuild("cpu", BEGIN).await?;
    }
    Ok(result?)
}

impl Workload for Samples {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let series = self.series(connection);
        let [stays, goes] = samples(client, call);
        rebuilt(&series, series.append_many("cpu", &[stays, goes]).await).await?;
        rebuilt(&series, series.delete("cpu", goes.at, goes.at + 1).await).await?;
        series.range("cpu", stays.at, stays.at + 1, 1).await?;
        self.answered.lock().unwrap().insert((client, call));
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let answered = self.answered.lock().unwrap().clone();
        let series = self.series(connection);
        let last = Sample::new(BEGIN, -1.0);
        let appended = match series.append("cpu", last).await {
            Err(SeriesError::Damaged) => {
                series.rebuild("cpu", BEGIN).await?;
                series.append("cpu", last).await?
            }
            appended => appended?,
        };
        if appended.new + appended.replaced != 1 || series.append("cpu", last).await?.unchanged != 1 {
            return Err(format!("a sample that counts once; found {appended:?}").into());
        }
        let stored = series.range("cpu", BEGIN, BEGIN + 24 * HOUR, usize::MAX).await?.samples;
        for every in [Every::Minute, Every::Hour, Every::Day] {
            let roll_ups = series.roll_ups("cpu", every, BEGIN, BEGIN + 24 * HOUR).await?;
            let count: u64 = roll_ups.iter().map(|bucket| bucket.count).sum();
            let sum: f64 = roll_ups.iter().map(|bucket| bucket.sum).sum();
            // Small whole numbers, so sums are exact.
            let expected: f64 = stored.iter().map(|sample| sample.value).sum();
            if count != stored.len() as u64 || sum.to_bits() != expected.to_bits() {
                return Err(format!("{} samples, {expected}; found {count}, {sum}", stored.len()).into());
            }
        }
        let mut expected: Vec<Sample> = answered
            .iter()
            .map(|(client, call)| samples(*client, *call)[0])
            .filter(|s| s.at != BEGIN)
            .collect();
        expected.insert(0, last);
        if let Some(unknown) = stored.iter().find(|sample| !expected.contains(sample)) {
            return Err(format!("only what was appended and not deleted; found {unknown:?}").into());
        }
        match fault {
            _ if stored == expected => Ok(Verdict::Held),
            Fault::KeyLost(key) if key.contains(":raw:") => {
                Ok(Verdict::Contract("computes the roll-ups from the samples that are left"))
            }
            Fault::WritesLost => Ok(Verdict::Contract("A failover may lose the last calls, each as a whole")),
            _ => Err(format!("{expected:?}; found {stored:?}").into()),
        }
    }
}
