use std::collections::BTreeMap;
use std::sync::Mutex;

use lab_testing::TestConnection;
use patterns::autocomplete::{self, Autocomplete, MAX_SUGGESTIONS};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

/// Few enough to be suggested all at once.
const SHARED: usize = 8;

pub const PATTERN: Pattern = Pattern {
    name: "autocomplete",
    workload: |prefix| Box::new(Shop { prefix: prefix.to_owned(), own: Mutex::default() }),
    plain_commands: &["ZRANGE"],
    scripts: autocomplete::scripts,
};

struct Shop {
    prefix: String,
    /// Products that one call alone changes: whether it left them in the index.
    own: Mutex<BTreeMap<String, bool>>,
}

impl Shop {
    fn autocomplete(&self, connection: TestConnection) -> Autocomplete<TestConnection> {
        Autocomplete::new(connection, &self.prefix)
    }
}

impl Workload for Shop {
    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let autocomplete = self.autocomplete(connection);
        // Everybody renames the same products, and some remove them.
        let id = format!("p{}", (client + call) % SHARED);
        if client % 5 == 4 {
            autocomplete.remove(&id).await?;
        } else {
            autocomplete.put(&id, &format!("Café mug {client} by Ødegård"), 1_000 + client as u64).await?;
        }
        let (own, stays) = (format!("own{client}-{call}"), call.is_multiple_of(2));
        autocomplete.put(&own, &format!("Kettle {client}x{call}"), 1).await?;
        if !stays {
            autocomplete.remove(&own).await?;
        }
        self.own.lock().unwrap().insert(own, stays);
        autocomplete.suggest("caf", 10).await?;
        autocomplete.suggest("cafe mug 1", 10).await?;
        Ok(())
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let autocomplete = self.autocomplete(connection.clone());
        let fresh = Autocomplete::new(connection.admin(), &format!("{}fresh:", self.prefix));
        let may_be_lost = matches!(fault, Fault::KeyLost(_) | Fault::WritesLost);
        let own = self.own.lock().unwrap().clone();
        for (id, stays) in &own {
            let name = id.replace("own", "Kettle ").replace('-', "x");
            let found = autocomplete.suggest(&name, 1).await?;
            let is_there = found.first().is_some_and(|it| it.id == *id);
            if is_there != *stays && !may_be_lost {
                return Err(format!("{id} is there: {stays}; found {is_there}").into());
            }
            if *stays {
                // What was lost comes back so.
                autocomplete.put(id, &name, 1).await?;
                fresh.put(id, &name, 1).await?;
            } else {
                autocomplete.remove(id).await?;
            }
        }
        let mut names = BTreeMap::new();
        for it in autocomplete.suggest("cafe", MAX_SUGGESTIONS).await? {
            fresh.put(&it.id, &it.name, it.popularity).await?;
            if let Some(other) = names.insert(it.id, it.name.clone()) {
                return Err(format!("each product has one name; found {other} and {}", it.name).into());
            }
        }
        let lines = async |index: &Autocomplete<TestConnection>| -> Result<Vec<String>, Failure> {
            Ok(connection.send(&["ZRANGE", &index.key()?, "0", "-1"]).await)
        };
        let (found, wanted) = (lines(&autocomplete).await?, lines(&fresh).await?);
        if found != wanted {
            return Err(format!("the lines of {} products and no others", names.len() + own.len()).into());
        }
        Ok(if may_be_lost { Verdict::Contract("put those products again") } else { Verdict::Held })
    }
}
