//! What a load that ended early means, and what to do next.

use bulk_loader::LoadError;
use lab_connection::failure::Class;
use lab_connection::{Failure, Target};

use lab_runner::table::thousands;

use super::full_memory;
use super::plan::LoadPlan;

/// In the words of every other failure of this workspace.
pub(crate) async fn explain(error: &LoadError, target: &Target, plan: &LoadPlan) -> Failure {
    let failure = match error {
        LoadError::Rejected { record, error } if error.starts_with("OOM") => {
            let place = match full_memory::records_kept(target, plan).await {
                Some(records) => format!("after {} records", thousands(records as f64)),
                None => format!("at {record}"),
            };
            Failure::new(
                Class::OutOfMemory,
                format!("The server's memory is full {place}."),
                format!("{}. Every record that was acknowledged is kept.", error.trim_end_matches('.')),
            )
            .try_next("raise maxmemory, or load fewer --records")
        }
        error => what_happened(error, plan),
    };
    let spoilt = matches!(error, LoadError::Unexpected { .. } | LoadError::Conflict(_));
    if target.private().is_some() || spoilt {
        return failure;
    }
    failure.try_next("the same command with --resume: it goes on after the last record that the server has")
}

/// The same while everything is read back, when there is nothing to resume.
pub(crate) fn explain_reading(error: &LoadError, plan: &LoadPlan) -> Failure {
    what_happened(error, plan).try_next(
        "the data may be complete: load again to have them checked, or with --no-verify to do without",
    )
}

fn what_happened(error: &LoadError, plan: &LoadPlan) -> Failure {
    let text = error.to_string();
    let kept = "Every record that was acknowledged is kept.";
    match error {
        LoadError::Unreachable { address, why, waited } => Failure::new(
            if why.contains("answer") { Class::Timeout } else { Class::Refused },
            format!("{address} has not answered for {} s.", waited.as_secs()),
            format!("{why}. {kept}"),
        )
        .try_next(format!("start the server again, or wait longer: --retry {}", plan.retry.as_secs() * 10)),
        LoadError::Refused { address, error } => {
            let class = class_of_refusal(error);
            Failure::new(class, format!("{address} refused the connection."), error.clone())
        }
        LoadError::Rejected { record, error } if error.starts_with("NOPERM") => Failure::new(
            Class::NoPerm,
            format!("The server does not let this user write {record}."),
            error.clone(),
        ),
        LoadError::Rejected { record, error } if is_there_already(error) => Failure::new(
            Class::WrongType,
            format!("{record} exists already, and this load did not write it."),
            format!("{}. {kept}", error.trim_end_matches('.')),
        )
        .try_next("--prefix NAME: puts everything under a name of its own"),
        LoadError::Rejected { record, error } => Failure::new(
            Class::Other,
            format!("The server refused {record}."),
            format!("{}. {kept}", error.trim_end_matches('.')),
        ),
        LoadError::NotRedis { .. } => Failure::new(Class::NotRedis, "This is not Redis.", text),
        LoadError::Stopped { .. } => Failure::new(Class::Interrupted, "Interrupted.", kept),
        LoadError::Unexpected { .. } | LoadError::Conflict(_) => {
            Failure::new(Class::CheckFailed, "Somebody else writes the same keys.", text)
                .try_next("--prefix NAME: puts everything under a name of its own")
        }
        LoadError::System(_) => Failure::new(Class::Other, "The load cannot continue.", text),
    }
}

fn is_there_already(error: &str) -> bool {
    error.starts_with("WRONGTYPE") || error.starts_with("BUSYKEY")
}

/// In the terms of every other refusal.
fn class_of_refusal(error: &str) -> Class {
    match error {
        said if said.starts_with("WRONGPASS") => Class::WrongPass,
        said if said.starts_with("NOAUTH") => Class::NoAuth,
        said if said.starts_with("NOPERM") => Class::NoPerm,
        said if said.contains("Redis protocol") => Class::NotRedis,
        _ => Class::Other,
    }
}
