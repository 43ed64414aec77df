//! What a load that ended early means, and what to do next.

use bulk_loader::LoadError;
use lab_connection::failure::Class;
use lab_connection::{Failure, Target};

use super::plan::Plan;

/// In the words of every other failure of this workspace.
pub(crate) fn explain(error: &LoadError, target: &Target, plan: &Plan) -> Failure {
    let text = error.to_string();
    let kept = "Every record that was acknowledged is kept.";
    let failure = match error {
        LoadError::Unreachable { address, why, waited } => Failure::new(
            Class::Refused,
            format!("{address} has been away for {} s.", waited.as_secs()),
            format!("{why}. {kept}"),
        )
        .try_next(format!(
            "start the server again, or wait longer: --patience {}",
            plan.patience.as_secs() * 10
        )),
        LoadError::Refused { address, error } => {
            Failure::new(Class::NoPerm, format!("{address} refused the connection."), error.clone())
        }
        LoadError::Rejected { record, error } if error.starts_with("OOM") => Failure::new(
            Class::OutOfMemory,
            format!("The server's memory is full at {record}."),
            format!("{error}. {kept}"),
        )
        .try_next("raise maxmemory, or load fewer --records"),
        LoadError::Rejected { record, error } if error.starts_with("NOPERM") => Failure::new(
            Class::NoPerm,
            format!("The server does not let this user write {record}."),
            error.clone(),
        ),
        LoadError::Rejected { record, error } if error.starts_with("WRONGTYPE") => Failure::new(
            Class::WrongType,
            format!("{record} exists already, and this load did not write it."),
            format!("{error}. {kept}"),
        )
        .try_next("--prefix NAME: puts everything under a name of its own"),
        LoadError::Rejected { record, error } => {
            Failure::new(Class::Other, format!("The server refused {record}."), format!("{error}. {kept}"))
        }
        LoadError::Garbage { .. } => Failure::new(Class::Other, "This is not Redis.", text),
        LoadError::Stopped { .. } => Failure::new(Class::Interrupted, "Interrupted.", kept),
        LoadError::Unexpected { .. } | LoadError::Disturbed(_) => {
            Failure::new(Class::CheckFailed, "Somebody else writes the same keys.", text)
                .try_next("--prefix NAME: puts everything under a name of its own")
        }
        LoadError::System(_) => Failure::new(Class::Other, "The load cannot go on.", text),
    };
    if target.private().is_some() {
        return failure;
    }
    failure.try_next("the same command with --resume: it goes on after the last record that the server has")
}
