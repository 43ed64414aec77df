//! Reads every record back and compares it with what was written.

use std::time::Instant;

use bulk_loader::{LoadError, Source};
use lab_connection::{Failure, Target};
use lab_measure::load::{IndexSizes, Indexes, RecordReads};
use lab_runner::progress::Bar;

use super::plan::LoadPlan;
use super::report::{Checked, Wrong};
use super::{failures, stream};
use crate::keys::Keys;
use crate::stored::Content;

/// Reads every record of a plan, and its indexes.
pub async fn everything(target: &Target, plan: &LoadPlan, bar: &Bar) -> Result<Checked, Failure> {
    let begun = Instant::now();
    let keys = Keys::new(target.prefix());
    let records = RecordReads::new(plan.kind, keys.clone(), plan.records, target.is_cluster());
    let (content, mut wrong) = match read(target, plan, records, bar).await? {
        Ok(records) => (records.content, None),
        Err(wrong) => (Content::default(), Some(wrong)),
    };
    if plan.indexes && wrong.is_none() {
        let members = Indexes::reads(keys.clone(), plan.records);
        wrong = read(target, plan, members, bar).await?.err();
        if wrong.is_none() {
            wrong = read(target, plan, IndexSizes::new(keys, plan.records), &Bar::hidden()).await?.err();
        }
    }
    Ok(Checked { content, wrong, seconds: begun.elapsed().as_secs_f64() })
}

async fn read<S: Source + Send + 'static>(
    target: &Target,
    plan: &LoadPlan,
    source: S,
    bar: &Bar,
) -> Result<Result<S, Wrong>, Failure> {
    match stream::from_the_start(target, plan, source, bar).await {
        Ok(source) => Ok(Ok(source)),
        Err(LoadError::Unexpected { record, reply }) => Ok(Err(Wrong { record, found: reply })),
        Err(LoadError::Rejected { record, error }) if error.starts_with("WRONGTYPE") => {
            Ok(Err(Wrong { record, found: error }))
        }
        Err(error) => Err(failures::explain_reading(&error, plan)),
    }
}
