use lab_testing::TestConnection;
use patterns::popular_products::{self, PopularProducts};

use crate::workload::{Answered, Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "popular_products",
    workload: |prefix| Box::new(Views { prefix: prefix.to_owned(), answered: Answered::default() }),
    plain_commands: &[],
    scripts: popular_products::scripts,
};

struct Views {
    prefix: String,
    answered: Answered,
}

impl Workload for Views {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let popular = PopularProducts::new(connection, &self.prefix);
        // First what may be repeated: a call that fails is made again, and a view would count twice.
        popular.top(10).await?;
        popular.viewed("LOOKED_AT", None).await?;
        self.answered.lock().unwrap().insert((client, call));
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let answered = self.answered.lock().unwrap().clone();
        let popular = PopularProducts::new(connection, &self.prefix);
        let top = popular.top(10).await?;
        let (views, expected) = (top.first().map_or(0.0, |top| top.views), answered.len() as f64);
        popular.viewed("LAST", None).await?;
        let newest = popular.top(10).await?.into_iter().find(|popular| popular.sku == "LAST");
        if !newest.as_ref().is_some_and(|newest| (newest.views - 1.0).abs() < 0.01) {
            return Err(format!("a view counts 1 now; found {newest:?}").into());
        }
        // With a half-life of a week, a day makes 0.906 of a view.
        let least = if *fault == Fault::ClockForward { 0.9 * expected } else { 0.999 * expected };
        let most = 1.001 * expected;
        match fault {
            Fault::KeyLost(key) if !key.ends_with(":clock") && views < most => {
                Ok(Verdict::Contract("those views are forgotten, and the next view begins again"))
            }
            Fault::WritesLost if views < most => Ok(Verdict::Contract("those views are forgotten")),
            Fault::SentTwice | Fault::Canceled | Fault::ConnectionCut | Fault::CommandRefused(_)
                if views > most =>
            {
                Ok(Verdict::Contract("a view counts each time it is sent"))
            }
            _ if (least..=most).contains(&views) => Ok(Verdict::Held),
            _ => Err(format!("{expected} views; found {views}").into()),
        }
    }
}
