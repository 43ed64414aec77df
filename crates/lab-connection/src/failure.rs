//! What went wrong: what happened, why, and what to do next, for every class of failure.
//!
//! Exit codes, the same for every binary:
//!
//! | code | meaning | for example |
//! |---|---|---|
//! | 0 | done | |
//! | 1 | a check failed, or a command did | WRONGTYPE, OOM, a full disk, a lost update in a lesson |
//! | 2 | wrong usage | a bad flag, a database that does not exist, a cluster without `--cluster` |
//! | 3 | cannot connect | refused, DNS, timeout, TLS, another protocol, LOADING, CLUSTERDOWN |
//! | 4 | not allowed | NOAUTH, WRONGPASS, NOPERM, READONLY, other data in the database |
//! | 5 | the server lacks a feature | unknown command |
//! | 130 | interrupted | Ctrl-C |
//!
//! No text holds a password: explanations come from the error and an [`Endpoint`], never from a URL. What a server sent is made safe to
//! print, like everything in the [transcript](crate::transcript).

mod class;
mod classify;
mod commands;
mod login;
mod probe;
mod reach;
mod server_reply;
mod server_state;
mod tls;

use std::fmt;

use redis::RedisError;
use serde::Serialize;

use self::class::Cause;
pub use self::class::{Class, TlsFault};
use crate::transcript::for_terminal;

/// The server that an error came from.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// `host:port` or the path of a socket. Never a URL; if one is given all the same, its login is left out.
    pub address: String,
    /// Whether the connection uses TLS.
    pub tls: bool,
    /// The ACL user that was named, if any.
    pub user: Option<String>,
    /// Whether the connection follows the slots of a cluster.
    pub cluster: bool,
    /// Whether the server is a private one of this run.
    pub private: bool,
}

impl Endpoint {
    /// The address without a login.
    fn shown(&self) -> &str {
        self.address.rsplit_once('@').map_or(self.address.as_str(), |(_, address)| address)
    }
}

/// A failure, for people: [`Display`](fmt::Display) prints what, why, and what to try, one line each. Serialized, it is an object with
/// `class`, `exit_code`, `what`, `why`, and `next`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    class: Class,
    exit_code: u8,
    what: String,
    why: String,
    next: Vec<String>,
}

impl Failure {
    /// A failure with nothing to try yet. The texts are made safe to print.
    pub fn new(class: Class, what: impl AsRef<str>, why: impl AsRef<str>) -> Self {
        let safe = |text: &str| for_terminal(text).into_owned();
        let (what, why) = (safe(what.as_ref()), safe(why.as_ref()));
        Self { class, exit_code: class.exit_code(), what, why, next: Vec::new() }
    }

    /// Adds something to try: a flag or a command, then what it does.
    #[must_use]
    pub fn try_next(mut self, step: impl AsRef<str>) -> Self {
        self.next.push(for_terminal(step.as_ref()).into_owned());
        self
    }

    /// The kind of failure. It decides the exit code.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// The exit code of a process that ends with this failure: see the table of this module.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// What happened, one line.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Why, one line.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// What to try, one line each, the likeliest first.
    #[must_use]
    pub fn next(&self) -> &[String] {
        &self.next
    }
}

/// What this error of this server means.
#[must_use]
pub fn explain(error: &RedisError, endpoint: &Endpoint) -> Failure {
    explain_cause(&classify::cause(error, endpoint), endpoint)
}

/// Like [`explain`], for an error of a first connection. Some of these say only "closed" or "timed out", because redis-rs drops what the
/// server said. Then a probe asks what listens there, for at most [`CONNECT_TIMEOUT`](crate::connection::CONNECT_TIMEOUT).
pub async fn explain_connecting(error: &RedisError, endpoint: &Endpoint) -> Failure {
    let mut cause = classify::cause(error, endpoint);
    if matches!(cause.class, Class::Closed | Class::Timeout | Class::NotRedis | Class::Tls(TlsFault::Other))
        && let Some(found) = probe::run(endpoint).await
    {
        cause = found;
    }
    explain_cause(&cause, endpoint)
}

fn explain_cause(cause: &Cause, endpoint: &Endpoint) -> Failure {
    match cause.class {
        Class::Tls(fault) => tls::text(fault, cause, endpoint),
        Class::NoAuth | Class::WrongPass | Class::NoPerm | Class::ProtectedMode => {
            login::text(cause, endpoint)
        }
        class if class.exit_code() == 3 => reach::text(cause, endpoint),
        _ => server_state::text(cause, endpoint).unwrap_or_else(|| commands::text(cause, endpoint)),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what, self.why)?;
        self.next.iter().try_for_each(|step| write!(f, "\n  try: {step}"))
    }
}

impl std::error::Error for Failure {}
