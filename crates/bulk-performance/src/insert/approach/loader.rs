//! The streaming loader, as `load` runs it.

use lab_runner::{AnyConnection, LessonError};

use crate::insert::input::Input;
use crate::load::{self, Plan, Report, Writing};

pub(super) async fn write<C: AnyConnection>(
    input: &Input<C>,
    writing: Writing,
) -> Result<Report, LessonError> {
    let plan = Plan { records: input.records, writing, ..Plan::default() };
    Ok(load::users(&input.target, &plan).await?)
}
