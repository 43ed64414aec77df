//! What an encoding costs in time: reading a field, changing a field, reading a user.

use lab_runner::{AnyConnection, Approach};
use redis::RedisResult;

use super::{Encoding, Store};
use crate::stored::Content;

/// Users in one pipeline.
const DEPTH: usize = 100;
/// Pipelines in a run.
const PIPELINES: u64 = 2;
/// The index of the field that is read, `city`, in [`crate::people::FIELDS`].
const READ: usize = 4;
/// The index of the field that is changed, `salary`.
const CHANGED: usize = 6;
/// The salary that every user gets.
const NEW_SALARY: &str = "65300";

/// Reading one field.
#[derive(Clone, Copy, Debug)]
pub struct ReadOne(pub Encoding);

/// Changing one field.
#[derive(Clone, Copy, Debug)]
pub struct ChangeOne(pub Encoding);

/// Reading whole users.
#[derive(Clone, Copy, Debug)]
pub struct ReadWhole(pub Encoding);

/// Which users a run touches, spread over all of them: it must not be the same bucket again and again.
fn batches(store: &Store) -> Vec<Vec<u64>> {
    let records = store.records().max(1);
    let numbers: Vec<u64> =
        (0..DEPTH as u64 * PIPELINES).map(|index| index.wrapping_mul(7_919) % records + 1).collect();
    numbers.chunks(DEPTH).map(<[u64]>::to_vec).collect()
}

impl Approach for ReadOne {
    type Input = Store;
    /// The cities.
    type Output = Vec<String>;

    fn label(self) -> String {
        self.0.label().to_owned()
    }

    fn operations(self, _store: &Store) -> u64 {
        DEPTH as u64 * PIPELINES
    }

    async fn reset<C: AnyConnection>(self, _store: &Store, _connection: &mut C) -> RedisResult<()> {
        Ok(())
    }

    async fn run<C: AnyConnection>(self, store: &Store, connection: &mut C) -> RedisResult<Vec<String>> {
        let mut cities = Vec::new();
        for numbers in batches(store) {
            cities.extend(store.read_field(self.0, READ, &numbers, connection).await?);
        }
        Ok(cities)
    }
}

impl Approach for ChangeOne {
    type Input = Store;
    /// Changes made; what they left is compared by [`check_changes`].
    type Output = usize;

    fn label(self) -> String {
        self.0.label().to_owned()
    }

    fn operations(self, _store: &Store) -> u64 {
        DEPTH as u64 * PIPELINES
    }

    async fn reset<C: AnyConnection>(self, _store: &Store, _connection: &mut C) -> RedisResult<()> {
        Ok(())
    }

    async fn run<C: AnyConnection>(self, store: &Store, connection: &mut C) -> RedisResult<usize> {
        let mut count = 0;
        for numbers in batches(store) {
            let changes: Vec<(u64, String)> =
                numbers.into_iter().map(|number| (number, NEW_SALARY.to_owned())).collect();
            store.change_field(self.0, CHANGED, &changes, connection).await?;
            count += changes.len();
        }
        Ok(count)
    }
}

impl Approach for ReadWhole {
    type Input = Store;
    /// All values.
    type Output = Content;

    fn label(self) -> String {
        self.0.label().to_owned()
    }

    fn operations(self, _store: &Store) -> u64 {
        DEPTH as u64 * PIPELINES
    }

    async fn reset<C: AnyConnection>(self, _store: &Store, _connection: &mut C) -> RedisResult<()> {
        Ok(())
    }

    async fn run<C: AnyConnection>(self, store: &Store, connection: &mut C) -> RedisResult<Content> {
        let mut content = Content::default();
        for numbers in batches(store) {
            for (number, values) in numbers.iter().zip(store.load(self.0, &numbers, connection).await?) {
                content.add(*number, &values);
            }
        }
        Ok(content)
    }
}

/// Whether the users, after [`ChangeOne`] ran, have their new salary and are otherwise as they were.
pub async fn check_changes<C: AnyConnection>(
    store: &Store,
    encoding: Encoding,
    connection: &mut C,
) -> RedisResult<bool> {
    ChangeOne(encoding).run(store, connection).await?;
    let mut touched = vec![false; usize::try_from(store.records()).unwrap_or(0) + 1];
    for number in batches(store).into_iter().flatten() {
        if let Some(touched) = usize::try_from(number).ok().and_then(|number| touched.get_mut(number)) {
            *touched = true;
        }
    }
    let mut expected = Content::default();
    for (number, touched) in (0_u64..).zip(touched).skip(1) {
        let mut values = store.people().user(number).values();
        if touched {
            NEW_SALARY.clone_into(&mut values[CHANGED]);
        }
        expected.add(number, &values);
    }
    Ok(store.content(encoding, connection).await? == expected)
}
