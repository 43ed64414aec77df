//! Pipelines: many commands leave together, then all answers are awaited together.

use std::ops::RangeInclusive;

use lab_runner::AnyConnection;
use redis::{Pipeline, RedisResult};

use super::stretches;
use crate::insert::input::Input;

pub(super) async fn write<C: AnyConnection>(input: &Input<C>, depth: u64) -> RedisResult<()> {
    let mut connection = input.shared.clone();
    for numbers in stretches(input.records, depth) {
        pipeline(input, numbers).exec_async(&mut connection).await?;
    }
    Ok(())
}

/// The commands of a stretch of records.
pub(super) fn pipeline<C: AnyConnection>(input: &Input<C>, numbers: RangeInclusive<u64>) -> Pipeline {
    let mut pipeline = redis::pipe();
    for number in numbers {
        for command in input.kind.commands(&input.keys, &input.people, number) {
            pipeline.add_command(command);
        }
    }
    pipeline
}
