//! Texts for users, passwords and permissions.

use super::class::{Cause, Class};
use super::{Endpoint, Failure};

const PASSWORD: &str = "--askpass, or the password in the environment variable REDISCLI_AUTH";

/// What to say.
pub fn text(cause: &Cause, endpoint: &Endpoint) -> Failure {
    let address = endpoint.shown();
    match cause.class {
        Class::NoAuth => cause
            .failure(
                format!("{address} wants a password."),
                "No command is allowed before logging in (NOAUTH).",
            )
            .try_next(PASSWORD)
            .try_next("--user NAME as well, when the login is an ACL user's"),
        Class::WrongPass => {
            let who = endpoint
                .user
                .as_deref()
                .map_or_else(|| "the default user".to_owned(), |user| format!("user {user}"));
            cause.failure(
                format!("{address} did not accept the login of {who}."),
                "The password is wrong, the user does not exist or is switched off, or the server has no password at all.",
            )
            .try_next(PASSWORD)
            .try_next("--user NAME, when the password is an ACL user's")
            .try_next("no password, when the server has none (requirepass is not set)")
        }
        Class::ProtectedMode => cause
            .failure(
                format!("{address} takes no clients from other machines."),
                "It has no password, so its protected mode only lets local clients in.",
            )
            .try_next("run this on the server's own machine, or through ssh -L 6379:127.0.0.1:6379 HOST")
            .try_next("set requirepass on the server, then use --askpass"),
        _ => {
            let who = endpoint.user.as_deref().unwrap_or("default");
            cause.failure(format!("User {who} may not do this on {address}."), format!("The server's ACL forbids it: {}.", cause.said()))
                .try_next("--user NAME --askpass with a user that may")
                .try_next(format!("as an administrator: ACL SETUSER {who} with +COMMAND and ~PATTERN as needed; ACL GETUSER {who} shows the rules"))
                .try_next("--server valkey-9.1, for a private server that allows everything")
        }
    }
}
