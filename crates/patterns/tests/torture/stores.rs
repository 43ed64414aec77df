use std::collections::BTreeMap;
use std::sync::Mutex;

use lab_testing::TestConnection;
use patterns::stores::{self, Area, Hours, LocalTime, Place, Store, Stores, StoresError};

use crate::workload::{Failure, Fault, Pattern, Verdict, Workload};

pub const PATTERN: Pattern = Pattern {
    name: "stores",
    workload: |prefix| Box::new(Map { prefix: prefix.to_owned(), acknowledged: Mutex::default() }),
    plain_commands: &[],
    scripts: stores::scripts,
};

struct Map {
    prefix: String,
    /// Where each client's store is, by the last answer; `None` if it was removed.
    acknowledged: Mutex<BTreeMap<String, Option<Place>>>,
}

fn store(id: &str, place: Place) -> Result<Store, Failure> {
    Ok(Store { id: id.to_owned(), name: "A store".to_owned(), place, hours: Hours::daily("09:00-18:00")? })
}

async fn found(stores: &Stores<TestConnection>) -> Result<BTreeMap<String, f64>, StoresError> {
    let (here, noon) = (Place::new(0.0, 0.0)?, LocalTime::new(0, 12, 0).unwrap());
    let near = stores.near(here, Area::Circle { radius: 2e7 }, 100, noon).await?;
    Ok(near.into_iter().map(|store| (store.id, store.meters)).collect())
}

impl Workload for Map {
    async fn set_up(&self, connection: TestConnection) -> Result<(), Failure> {
        let place = Place::new(9.0, 9.0)?;
        Stores::new(connection, &self.prefix).put(&store("flagship", place)?).await?;
        self.acknowledged.lock().unwrap().insert("flagship".to_owned(), Some(place));
        Ok(())
    }

    async fn call(&self, connection: TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        let stores = Stores::new(connection, &self.prefix);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let place = Place::new(1.0 + client as f64, 1.0 + (call % 80) as f64)?;
        let id = format!("store{client}");
        let there = match (client + call) % 4 {
            0 | 1 => stores.put(&store(&id, place)?).await.map(|_| Some(place))?,
            2 if stores.relocate(&id, place).await? => Some(place),
            2 => None,
            _ => stores.remove(&id).await.map(|_| None)?,
        };
        self.acknowledged.lock().unwrap().insert(id, there);
        match found(&stores).await {
            Ok(_) | Err(StoresError::Damaged) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn check(&self, connection: TestConnection, fault: &Fault) -> Result<Verdict, Failure> {
        let stores = Stores::new(connection, &self.prefix);
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        let mut verdict = Verdict::Held;
        if matches!(fault, Fault::KeyLost(_) | Fault::WritesLost) {
            match found(&stores).await {
                // If the key was lost before there was anything in it, nothing is missing.
                Ok(_) | Err(StoresError::Damaged) => {}
                Err(error) => return Err(error.into()),
            }
            stores.clear().await?;
            for (id, place) in &acknowledged {
                if let Some(place) = place {
                    stores.put(&store(id, *place)?).await?;
                }
            }
            verdict = match fault {
                Fault::KeyLost(_) => Verdict::Contract(
                    "If one of the two keys is lost, a search returns [StoresError::Damaged]",
                ),
                _ => Verdict::Contract("A failover may lose the last changes; put those stores again"),
            };
        }
        let found = found(&stores).await?;
        let origin = Place::new(0.0, 0.0)?;
        let expected: BTreeMap<_, _> = acknowledged
            .iter()
            .filter_map(|(id, place)| Some((id.as_str(), (*place)?.meters_to(origin))))
            .collect();
        let same = found.len() == expected.len()
            && expected
                .iter()
                .all(|(id, meters)| found.get(*id).is_some_and(|found| (found - meters).abs() < 1.0));
        if same { Ok(verdict) } else { Err(format!("{expected:?}; found {found:?}").into()) }
    }
}
