//! What indexes add: Sets of a city's and of a department's users, a Sorted Set of salaries.

use lab_connection::{Connection, own_keys};
use redis::RedisResult;

use super::Store;
use super::memory_usage::{kept_as, usage};
use crate::people::{CITIES, DEPARTMENTS};
use crate::stored::{index_keys, write_indexes};

/// What one kind of index takes.
#[derive(Clone, Debug, serde::Serialize)]
pub struct IndexWeight {
    /// Which.
    pub label: &'static str,
    /// How many keys.
    pub keys: usize,
    /// The server's own names for how it keeps them.
    pub kept_as: Vec<String>,
    /// Bytes of all keys together, from MEMORY USAGE with SAMPLES 0.
    pub bytes: u64,
}

/// Writes the indexes of all users, weighs them, and removes them.
pub async fn weigh(store: &Store, connection: &mut Connection) -> RedisResult<Vec<IndexWeight>> {
    let names = store.keys().memory_indexes();
    write_indexes(&names, store.people(), store.records(), connection).await?;
    let cities: Vec<String> = CITIES.iter().map(|city| names.city(city)).collect();
    let departments: Vec<String> =
        DEPARTMENTS.iter().map(|department| names.department(department)).collect();
    let kinds = [
        ("Sets by city", cities),
        ("Sets by department", departments),
        ("Sorted Set by salary", vec![names.users_by_salary()]),
    ];
    let mut weights = Vec::new();
    for (label, keys) in kinds {
        let bytes = usage(&keys, connection).await?;
        let kept_as = kept_as(&keys, connection).await?;
        weights.push(IndexWeight { label, keys: keys.len(), kept_as, bytes });
    }
    own_keys::unlink(connection, &index_keys(&names)).await?;
    Ok(weights)
}
