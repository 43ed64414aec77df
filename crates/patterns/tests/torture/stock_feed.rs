use std::collections::BTreeMap;
use std::sync::Mutex;

use lab_testing::TestConnection;
use patterns::stock_feed::{self, MessageEffect, Stock, StockFeed, StockUpdate, StockView};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const SKU: &str = "PROD123";

pub const PATTERN: Pattern = Pattern {
    name: "stock_feed",
    workload: |prefix| {
        let screen = Mutex::new(StockView::new(SKU));
        Box::new(Feed { prefix: prefix.to_owned(), set: Mutex::default(), screen })
    },
    plain_commands: &[],
    scripts: stock_feed::scripts,
};

struct Feed {
    prefix: String,
    /// Number to level of each acknowledged change.
    set: Mutex<BTreeMap<u64, Vec<u32>>>,
    /// It shows the latest change that was acknowledged.
    screen: Mutex<StockView>,
}

impl Workload for Feed {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        StockFeed::new(connection, &self.prefix).set(SKU, 1).await?;
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let feed = StockFeed::new(connection, &self.prefix);
        let stock: Stock = feed.set(SKU, u32::try_from(client * 1_000 + call)?).await?;
        self.set.lock().unwrap().entry(stock.version).or_default().push(stock.level);
        let snapshot = feed.snapshot(SKU).await?;
        let mut screen = self.screen.lock().unwrap();
        if screen.stock().is_none_or(|shown| shown.version < snapshot.version) {
            screen.refresh();
            screen.read(snapshot);
        }
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let feed = StockFeed::new(connection, &self.prefix);
        let mut screen = self.screen.lock().unwrap().clone();
        let set = self.set.lock().unwrap().clone();
        let present = feed.snapshot(SKU).await?;
        let forgets = matches!(fault, Fault::KeyLost(_) | Fault::WritesLost);
        if !forgets {
            if set.values().any(|levels| levels.len() > 1) {
                return Err(format!("a number for each change; found {set:?}").into());
            }
            if screen.stock().is_some_and(|shown| shown.version > present.version) {
                return Err(format!("no step backwards; found {present:?} after {:?}", screen.stock()).into());
            }
        }
        let next = feed.set(SKU, 7).await?;
        let update = StockUpdate {
            sku: SKU.to_owned(),
            level: next.level,
            version: next.version,
            previous: present.version,
        };
        // The screen shows it at once, or notices that it must look.
        let effect = screen.hear(&update);
        if effect == MessageEffect::Old && screen.level() != Some(7) {
            return Err(format!("a change that is noticed; the screen shows {:?}", screen.stock()).into());
        }
        if screen.wants_snapshot() {
            screen.read(feed.snapshot(SKU).await?);
        }
        if screen.stock() != Some(next) {
            return Err(format!("{next:?} on the screen; found {:?}", screen.stock()).into());
        }
        Ok(if forgets {
            Verdict::Contract(
                "the next change does not follow what screens show, so they read the current level",
            )
        } else {
            Verdict::Held
        })
    }
}
