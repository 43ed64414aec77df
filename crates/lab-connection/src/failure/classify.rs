//! From redis-rs's error to a class. redis-rs keeps some of what a server says, replaces some, and drops some; what
//! it does with each is written down here, and `tests/failure_classes` provokes it.

use std::error::Error;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError};

use super::class::{Cause, Class, TlsFault};
use super::{Endpoint, server_reply, tls};

/// Sorts an error.
pub fn cause(error: &RedisError, endpoint: &Endpoint) -> Cause {
    if let Some(cause) = from_server(error) {
        return cause;
    }
    let said = error.detail().map_or_else(|| error.to_string(), str::to_owned);
    let class = match error.kind() {
        ErrorKind::AuthenticationFailed => Class::WrongPass,
        // A reply that is no RESP at all, or one that the program could not use; both are called parsing.
        ErrorKind::Parse if said.starts_with("Parse error") => Class::NotRedis,
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Class::UnexpectedReply,
        ErrorKind::InvalidClientConfig if said.contains("No address found") => Class::NotFound,
        ErrorKind::InvalidClientConfig if said.contains("tls") || said.contains("TLS") => Class::Unsupported,
        ErrorKind::InvalidClientConfig => Class::Usage,
        ErrorKind::RESP3NotSupported => Class::Unsupported,
        ErrorKind::ClusterConnectionNotFound => Class::ClusterDown,
        // The codes of errors from setting a connection up are redis-rs's own, so only the text tells.
        ErrorKind::Server(_) => server_reply::class_of(error.code().unwrap_or("ERR"), &said),
        _ => from_system(error, endpoint).unwrap_or_else(|| from_text(&said)),
    };
    Cause { class, server_reply: said }
}

/// The server's own error, or the first one of a pipeline or a transaction.
fn from_server(error: &RedisError) -> Option<Cause> {
    let errors = error.clone().into_server_errors()?;
    let (_, first) = errors.first()?;
    let message = first.details().unwrap_or_default();
    // A transaction that could not be queued fails as a whole; where the reason says more than that, it counts.
    let aborted = error.code() == Some("EXECABORT");
    let class = match server_reply::class_of(first.code(), message) {
        Class::Other if aborted => Class::ExecAbort,
        class => class,
    };
    Some(Cause {
        class,
        server_reply: format!("{} {}", first.code(), server_reply::without_arguments(message))
            .trim_end()
            .to_owned(),
    })
}

/// redis-rs wraps what the system says in an `Arc`, through which the standard library does not look.
fn from_system(error: &RedisError, endpoint: &Endpoint) -> Option<Class> {
    let wrapped = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    if let Some(fault) = tls::fault(wrapped.as_ref()) {
        return Some(Class::Tls(fault));
    }
    let error = wrapped.downcast_ref::<io::Error>()?;
    if let Some(fault) = error.get_ref().and_then(|inner| tls::fault(inner)) {
        return Some(Class::Tls(fault));
    }
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Class::Refused,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Class::Timeout,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::PermissionDenied => Class::Unreachable,
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::NotConnected => Class::Closed,
        io::ErrorKind::InvalidData if endpoint.tls => Class::Tls(TlsFault::Other),
        _ => from_text(&error.to_string()),
    })
}

/// A cluster client reports the first node's error as text only.
fn from_text(text: &str) -> Class {
    let has = |words: &str| text.contains(words);
    if has("failed to lookup address") || has("No address found") {
        Class::NotFound
    } else if has("Connection refused") || has("No such file or directory") {
        Class::Refused
    } else if has("timed out") {
        Class::Timeout
    } else if has("unreachable") || has("No route to host") {
        Class::Unreachable
    } else if has("broken pipe") || has("Connection reset") || has("unexpected end of file") || has("dropped")
    {
        Class::Closed
    } else if has("Parse error") {
        Class::NotRedis
    } else if let Some(fault) = tls::fault_in(text) {
        Class::Tls(fault)
    } else {
        // `"NOAUTH": Authentication required.`, as redis-rs prints a server's error.
        let code =
            text.strip_prefix('"').and_then(|rest| rest.split_once('"')).map_or("ERR", |(code, _)| code);
        server_reply::class_of(code, text)
    }
}
