//! Sorts a server's error into a class. The first word of an error is its code. The rest is for people.

use super::class::Class;

/// The class of a server's error.
pub fn class_of(code: &str, message: &str) -> Class {
    match code {
        "NOAUTH" => Class::NoAuth,
        "WRONGPASS" => Class::WrongPass,
        "NOPERM" => Class::NoPerm,
        "DENIED" => Class::ProtectedMode,
        "READONLY" => Class::ReadOnly,
        "WRONGTYPE" => Class::WrongType,
        "OOM" => Class::OutOfMemory,
        "LOADING" => Class::Loading,
        "MOVED" | "ASK" => Class::Moved,
        "CROSSSLOT" => Class::CrossSlot,
        "CLUSTERDOWN" | "TRYAGAIN" => Class::ClusterDown,
        "MASTERDOWN" => Class::MasterDown,
        "MISCONF" => Class::Misconf,
        "NOREPLICAS" => Class::NoReplicas,
        "BUSY" => Class::Busy,
        "NOSCRIPT" => Class::NoScript,
        "EXECABORT" => Class::ExecAbort,
        _ => class_of_message(message),
    }
}

/// For errors that only their text tells apart: plain `ERR`, and errors whose code redis-rs replaced while it was setting up a connection.
fn class_of_message(message: &str) -> Class {
    let message = message.to_ascii_lowercase();
    let has = |words: &str| message.contains(words);
    if has("unknown command") || has("unknown subcommand") || has("unknown redis command") {
        Class::UnknownCommand
    } else if has("max number of clients") {
        Class::MaxClients
    } else if has("authentication required") || has("noauth") {
        Class::NoAuth
    } else if has("password authentication failed")
        || has("wrongpass")
        || has("without any password configured")
    {
        Class::WrongPass
    } else if has("no permissions to") || has("the user executing the script can't") {
        // Inside a script, a refusal has no code. The second text is that of Redis 7.0, for commands, keys and channels.
        Class::NoPerm
    } else if has("loading the dataset") {
        Class::Loading
    } else if has("busy running a script") {
        Class::Busy
    } else if has("db index is out of range") || has("select is not allowed in cluster mode") {
        Class::NoDatabase
    } else if has("cluster support disabled") {
        Class::NotCluster
    } else if ["not an integer", "not a valid float", "would overflow", "would produce nan"]
        .iter()
        .any(|words| has(words))
    {
        Class::BadValue
    } else {
        Class::Other
    }
}

/// The server's words without what a person sent, which may be secret: an unknown command comes back with its arguments, and a refused ACL
/// rule may be a password.
pub fn without_arguments(message: &str) -> &str {
    for end in [", with args beginning with", " modifier '"] {
        if let Some((head, _)) = message.split_once(end) {
            return head;
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_code_is_found_again_in_the_text() {
        for (message, class) in [
            ("Redis is loading the dataset in memory", Class::Loading),
            (
                "Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
                Class::Busy,
            ),
            ("Authentication required.", Class::NoAuth),
            ("this user has no permissions to run the 'select' command", Class::NoPerm),
            ("ACL failure in script: User ann has no permissions to run the 'get' command", Class::NoPerm),
            ("The user executing the script can't run this command or subcommand", Class::NoPerm),
            (
                "The user executing the script can't publish to the channel mentioned in the command",
                Class::NoPerm,
            ),
            ("SELECT is not allowed in cluster mode", Class::NoDatabase),
            ("Unknown Redis command called from script", Class::UnknownCommand),
            ("max number of clients + cluster connections reached", Class::MaxClients),
        ] {
            assert_eq!(class_of("ERR", message), class, "{message}");
        }
    }

    #[test]
    fn arguments_are_not_repeated() {
        let message = "unknown command 'AUHT', with args beginning with: 'sesame' ";
        assert_eq!(without_arguments(message), "unknown command 'AUHT'");
        assert_eq!(
            without_arguments("Error in ACL SETUSER modifier 'sesame': Syntax error"),
            "Error in ACL SETUSER"
        );
    }
}
