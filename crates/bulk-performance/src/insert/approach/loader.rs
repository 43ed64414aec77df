//! The streaming loader, as `load` runs it.

use lab_runner::{LessonError, Wire};

use crate::insert::subject::Subject;
use crate::load::{self, Plan, Report, Writing};

pub(super) async fn write<C: Wire>(subject: &Subject<C>, writing: Writing) -> Result<Report, LessonError> {
    let plan = Plan { records: subject.records, writing, ..Plan::default() };
    Ok(load::users(&subject.target, &plan).await?)
}
