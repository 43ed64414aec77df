//! Pipelines: many commands leave together, then all answers are awaited together.

use std::ops::RangeInclusive;

use lab_runner::Wire;
use redis::{Pipeline, RedisResult};

use super::stretches;
use crate::insert::subject::Subject;

pub(super) async fn write<C: Wire>(subject: &Subject<C>, depth: u64) -> RedisResult<()> {
    let mut connection = subject.shared.clone();
    for numbers in stretches(subject.records, depth) {
        pipeline(subject, numbers).exec_async(&mut connection).await?;
    }
    Ok(())
}

/// The commands of a stretch of records.
pub(super) fn pipeline<C: Wire>(subject: &Subject<C>, numbers: RangeInclusive<u64>) -> Pipeline {
    let mut pipeline = redis::pipe();
    for number in numbers {
        for command in subject.kind.commands(&subject.keys, &subject.people, number) {
            pipeline.add_command(command);
        }
    }
    pipeline
}
