use std::collections::BTreeSet;

use lab_testing::TestConnection;
use patterns::recent_views::{self, RecentViews};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

const MAX_PRODUCTS: usize = 20;

pub const PATTERN: Pattern = Pattern {
    name: "recent_views",
    workload: |prefix| Box::new(Views { prefix: prefix.to_owned() }),
    plain_commands: &["LRANGE"],
    scripts: recent_views::scripts,
};

struct Views {
    prefix: String,
}

impl Views {
    fn views(&self, connection: TestConnection) -> RecentViews<TestConnection> {
        RecentViews::new(connection, &self.prefix).with_max_products(MAX_PRODUCTS)
    }
}

impl Workload for Views {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let views = self.views(connection);
        views.record("user123", &format!("sku{}", (client + call) % (MAX_PRODUCTS + 5))).await?;
        views.latest("user123", MAX_PRODUCTS).await?;
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let views = self.views(connection.clone());
        let listed = views.latest("user123", 1_000).await?;
        let distinct: BTreeSet<_> = listed.iter().collect();
        if distinct.len() != listed.len() || listed.len() > MAX_PRODUCTS {
            return Err(format!("at most {MAX_PRODUCTS} products, each once; found {listed:?}").into());
        }
        let ttl: i64 = connection.send(&["PTTL", views.key("user123")?.as_str()]).await;
        if !listed.is_empty() && ttl <= 0 {
            return Err(format!("a list that expires; found PTTL {ttl}").into());
        }
        views.record("user123", "last").await?;
        let latest = views.latest("user123", 1).await?;
        if latest != ["last"] {
            return Err(format!("the last view first; found {latest:?}").into());
        }
        Ok(match fault {
            Fault::KeyLost(_) | Fault::WritesLost => Verdict::Contract("those views are forgotten"),
            _ => Verdict::Held,
        })
    }
}
