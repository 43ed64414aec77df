//! One call of a script writes many users. The names of the fields travel once for all of them.

use lab_runner::AnyConnection;
use redis::{RedisResult, Script};

use super::stretches;
use crate::insert::input::Input;
use crate::people::{FIELDS, Record};

const INSERT_USERS: &str = include_str!("../scripts/insert_users.lua");

/// Gives the server the script, so that a call names it by its hash.
pub(super) async fn load(input: &Input) -> RedisResult<()> {
    Script::new(INSERT_USERS).load_async(&mut input.shared.clone()).await.map(|_hash| ())
}

pub(super) async fn write<C: AnyConnection>(input: &Input<C>, size: u64) -> RedisResult<()> {
    let mut connection = input.shared.clone();
    let script = Script::new(INSERT_USERS);
    let mut record = Record::default();
    for numbers in stretches(input.records, size) {
        let mut call = script.prepare_invoke();
        call.arg(&FIELDS);
        for number in numbers {
            record.write(&input.people.user(number));
            call.key(input.keys.user(number));
            for value in record.values() {
                call.arg(value);
            }
        }
        call.invoke_async::<u64>(&mut connection).await?;
    }
    Ok(())
}
