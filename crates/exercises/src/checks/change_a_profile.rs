//! Two clients change two fields, and both changes stay.

use crate::commands::{Commands, Player, interleave, interleaving};
use crate::lab::Lab;
use crate::verdict::{Fault, Passed, Verdict, ensure};
const PROFILE: &str = "profile:7";

pub async fn check(commands: &Commands, lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    for (city, phone, at_once) in
        [("Oslo", "555-1", false), ("Paris", "555-2", true), ("Rome", "555-3", true)]
    {
        let mut clients = Vec::new();
        for (name, field, value) in [("A", "city", city), ("B", "phone", phone)] {
            let change = commands.with("$field", field).with("$value", value);
            clients.push((change, Player::connect(&server, name).await?));
        }
        if at_once {
            interleave(&mut clients).await?;
        } else {
            for (change, client) in &mut clients {
                change.play(client).await?;
            }
        }
        for (field, value) in [("city", city), ("phone", phone)] {
            let found: Option<String> =
                redis::cmd("HGET").arg(PROFILE).arg(field).query_async(&mut redis).await.unwrap_or_default();
            let why = match &found {
                None => {
                    format!("The change of {field} to {value} is gone: HGET {PROFILE} {field} has no value.")
                }
                Some(found) => format!("{field} was changed to {value}, and is still the old one, {found}."),
            };
            ensure(found.as_deref() == Some(value), || Fault::new(why).observed(interleaving(&clients)))?;
        }
    }
    Ok(Passed::with("Two clients changed city and phone, also at the same time, and all changes are there."))
}
