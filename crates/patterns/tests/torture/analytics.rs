use std::collections::BTreeSet;

use lab_testing::TestConnection;
use patterns::analytics::{self, Analytics, Recorded};
use patterns::money::Cents;

use crate::workload::{Answered, Failure, Fault, Pattern, Verdict, Workload};

const DAY: &str = "2024-01-01";

pub const PATTERN: Pattern = Pattern {
    name: "analytics",
    workload: |prefix| Box::new(Events { prefix: prefix.to_owned(), answered: Answered::default() }),
    plain_commands: &["ZREVRANGE"],
    scripts: analytics::scripts,
};

struct Events {
    prefix: String,
    answered: Answered,
}

impl Workload for Events {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let analytics = Analytics::new(connection, &self.prefix);
        let (event, visitor) = (format!("{client}-{call}"), format!("user{client}"));
        let lines = [("TENT", Cents::new(100).unwrap_or_default())];
        analytics.page_view(&format!("view-{event}"), DAY, &visitor).await?;
        analytics.order(&format!("order-{event}"), DAY, &visitor, &lines).await?;
        analytics.of(DAY).await?;
        self.answered.lock().unwrap().insert((client, call));
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let answered = self.answered.lock().unwrap().clone();
        let analytics = Analytics::new(connection, &self.prefix);
        let events = i64::try_from(answered.len())?;
        let visitors = answered.iter().map(|(client, _)| client).collect::<BTreeSet<_>>().len() as u64;
        for expected in [Recorded::Counted, Recorded::Duplicate] {
            let recorded = analytics.add("last", DAY, "last", 1).await?;
            if recorded != expected {
                return Err(format!("{expected:?}; found {recorded:?}").into());
            }
        }
        let day = analytics.of(DAY).await?;
        let products = analytics.top(DAY, 10).await?.first().map_or(0, |(_, cents)| cents.get());
        let counted = [day.get("page_views"), day.get("orders"), day.get("revenue") / 100, products / 100];
        let (found, top_only) =
            (format!("found {counted:?}, {day:?}"), counted[..3] == [events; 3] && day.exact);
        let fewer = counted.iter().all(|counted| *counted <= events);
        match fault {
            Fault::KeyLost(key) if key.ends_with(":visitors") && top_only && products == 100 * events => {
                Ok(Verdict::Contract("lost visitors are counted from then on"))
            }
            Fault::KeyLost(key) if key.contains("top_products") && top_only => {
                Ok(Verdict::Contract("lost products, or the IDs of their orders, begin again"))
            }
            // Unless nothing was there yet.
            Fault::KeyLost(key) if key.contains("daily_metrics") && !day.exact => {
                Ok(Verdict::Contract("the day goes on, and its numbers are marked as not exact"))
            }
            Fault::WritesLost if fewer => {
                Ok(Verdict::Contract("a failover may lose the last events, unless they are sent again"))
            }
            _ if counted == [events; 4] && day.exact && day.visitors.abs_diff(visitors) <= 1 => {
                Ok(Verdict::Held)
            }
            _ => Err(format!("{events} events, {visitors} visitors; {found}").into()),
        }
    }
}
