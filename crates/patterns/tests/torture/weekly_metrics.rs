use lab_testing::TestConnection;
use patterns::analytics::Analytics;
use patterns::money::Cents;
use patterns::weekly_metrics::{self, WeeklyMetrics};

use crate::workload::{Answered, Failure, Fault, Pattern, Verdict, Workload};

const DAYS: [&str; 2] = ["2024-01-01", "2024-01-02"];

pub const PATTERN: Pattern = Pattern {
    name: "weekly_metrics",
    workload: |prefix| Box::new(Weeks { prefix: prefix.to_owned(), answered: Answered::default() }),
    plain_commands: &["ZSCAN", "ZCARD", "ZREVRANGE", "HGETALL", "PFCOUNT"],
    scripts: weekly_metrics::scripts,
};

struct Weeks {
    prefix: String,
    answered: Answered,
}

impl Workload for Weeks {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let weekly = WeeklyMetrics::new(connection.clone(), &self.prefix);
        if call % 2 == 1 {
            weekly.roll_up("2024-W01", &DAYS).await?;
            weekly.of("2024-W01").await?;
            weekly.top("2024-W01", 10).await?;
            return Ok(());
        }
        let analytics = Analytics::new(connection, &self.prefix);
        let lines = [("TENT", Cents::new(100).unwrap_or_default())];
        let (order, customer) = (format!("order-{client}-{call}"), format!("user{client}"));
        analytics.order(&order, DAYS[client % 2], &customer, &lines).await?;
        self.answered.lock().unwrap().insert((client, call));
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let answered = self.answered.lock().unwrap().clone();
        let weekly = WeeklyMetrics::new(connection.clone(), &self.prefix);
        let week = weekly.roll_up("2024-W01", &DAYS).await?;
        let days = Analytics::new(connection, &self.prefix).of_days(&DAYS).await?;
        let orders: i64 = days.iter().map(|day| day.get("orders")).sum();
        let visitors = days.iter().map(|day| day.visitors).max().unwrap_or_default();
        let (stored, top) = (weekly.of("2024-W01").await?, weekly.top("2024-W01", 10).await?);
        let revenue = top.first().map_or(0, |(_, cents)| cents.get());
        let same = stored == week && week.get("orders") == orders && week.visitors >= visitors;
        let expected = i64::try_from(answered.len())?;
        match fault {
            _ if !same => Err(format!("the sum of {days:?}; found {week:?} and {stored:?}").into()),
            Fault::KeyLost(_) | Fault::WritesLost => {
                Ok(Verdict::Contract("the result reflects the days as they are then"))
            }
            _ if orders == expected && revenue == 100 * expected => Ok(Verdict::Held),
            _ => Err(format!("{expected} orders; found {orders}, and {revenue} cents").into()),
        }
    }
}
