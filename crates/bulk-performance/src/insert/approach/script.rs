//! One call of a script writes many users. The names of the fields travel once for all of them.

use lab_runner::Wire;
use redis::{RedisResult, Script};

use super::stretches;
use crate::insert::subject::Subject;
use crate::people::{FIELDS, Record};

const INSERT_USERS: &str = include_str!("../scripts/insert_users.lua");

/// Gives the server the script, so that a call names it by its hash.
pub(super) async fn load(subject: &Subject) -> RedisResult<()> {
    Script::new(INSERT_USERS).load_async(&mut subject.shared.clone()).await.map(|_hash| ())
}

pub(super) async fn write<C: Wire>(subject: &Subject<C>, size: u64) -> RedisResult<()> {
    let mut connection = subject.shared.clone();
    let script = Script::new(INSERT_USERS);
    let mut record = Record::default();
    for numbers in stretches(subject.records, size) {
        let mut call = script.prepare_invoke();
        call.arg(&FIELDS);
        for number in numbers {
            record.write(&subject.people.user(number));
            call.key(subject.keys.user(number));
            for value in record.values() {
                call.arg(value);
            }
        }
        call.invoke_async::<u64>(&mut connection).await?;
    }
    Ok(())
}
