//! What an encoding costs in time: reading a field, changing a field, reading whole users.

use lab_connection::{Connection, Target};
use lab_runner::measurement::ComparisonResult;
use lab_runner::{AnyConnection, Approach, Comparison, LessonError};
use redis::RedisResult;

use super::{Encoding, Store};
use crate::Timed;
use crate::stored::Content;

/// Users in one run, which is one pipeline.
const OPERATIONS: u64 = 200;
/// The index of the field that is read, `city`, in [`crate::people::FIELDS`].
const READ: usize = 4;
/// The index of the field that is changed, `salary`.
const CHANGED: usize = 6;
/// The salary that every user gets.
const NEW_SALARY: &str = "65300";

/// A kind of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads one field.
    ReadField,
    /// Changes one field.
    ChangeField,
    /// Reads whole users.
    ReadUser,
}

/// A kind of access to users in an encoding.
#[derive(Clone, Copy, Debug)]
pub struct EncodingAccess(pub Access, pub Encoding);

/// Times one kind of access to all of these encodings, which must have been written.
pub fn measure<'a>(
    target: &'a Target,
    store: &'a Store,
    encodings: &[Encoding],
    access: Access,
) -> Timed<'a, Result<ComparisonResult, LessonError>> {
    let approaches: Vec<EncodingAccess> =
        encodings.iter().map(|&encoding| EncodingAccess(access, encoding)).collect();
    Box::pin(
        async move { Comparison { title: "", approaches: &approaches, input: store }.measure(target).await },
    )
}

impl Approach for EncodingAccess {
    type Input = Store;
    /// What was read.
    type Output = Vec<String>;

    fn label(self) -> String {
        self.1.label().to_owned()
    }

    fn operations(self, _store: &Store) -> u64 {
        OPERATIONS
    }

    async fn reset<C: AnyConnection>(self, _store: &Store, _redis: &mut C) -> RedisResult<()> {
        Ok(())
    }

    async fn run<C: AnyConnection>(self, store: &Store, redis: &mut C) -> RedisResult<Vec<String>> {
        let (Self(access, encoding), numbers) = (self, numbers(store));
        match access {
            Access::ReadField => store.read_field(encoding, READ, &numbers, redis).await,
            Access::ChangeField => {
                let changes: Vec<_> =
                    numbers.into_iter().map(|number| (number, NEW_SALARY.to_owned())).collect();
                store.change_field(encoding, CHANGED, &changes, redis).await.map(|()| Vec::new())
            }
            Access::ReadUser => {
                let users = store.load(encoding, &numbers, redis).await?;
                Ok(users.into_iter().flatten().collect())
            }
        }
    }
}

/// The users of a run, spread over all: not the same bucket again and again.
fn numbers(store: &Store) -> Vec<u64> {
    let records = store.records.max(1);
    (0..OPERATIONS).map(|index| index.wrapping_mul(7_919) % records + 1).collect()
}

/// Changes a field, and returns whether the users have their new salary and are otherwise as they were.
pub fn changes_are_kept<'a>(
    store: &'a Store,
    encoding: Encoding,
    redis: &'a mut Connection,
) -> Timed<'a, RedisResult<bool>> {
    Box::pin(async move {
        EncodingAccess(Access::ChangeField, encoding).run(store, redis).await?;
        let changed = numbers(store);
        let mut expected = Content::default();
        for number in 1..=store.records {
            let mut values = store.people.user(number).values();
            if changed.contains(&number) {
                NEW_SALARY.clone_into(&mut values[CHANGED]);
            }
            expected.add(number, &values);
        }
        Ok(store.content(encoding, redis).await? == expected)
    })
}
