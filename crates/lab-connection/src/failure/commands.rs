//! Texts for commands that cannot be carried out as they are.

use super::class::{Cause, Class};
use super::{Endpoint, Failure};

/// What to say.
pub fn text(cause: &Cause, endpoint: &Endpoint) -> Failure {
    let address = endpoint.shown();
    let said = cause.said();
    match cause.class {
        Class::WrongType => cause.failure(
            "The key holds a value of another type.",
            "The command works on another type (WRONGTYPE). For example, LPUSH fails on a string, and HGET fails on a list.",
        )
        .try_next("TYPE KEY, to see what it is")
        .try_next("another key, another database with -n N, or --prefix NAME:"),
        Class::BadValue => cause.failure(
            "The value is not a number that the command can use.",
            format!("The server said: {said}."),
        )
        .try_next("GET KEY, to see what it holds"),
        Class::Moved => cause.failure(
            format!("{address} is a node of a cluster, and the key is on another node."),
            format!("A plain connection does not follow the cluster's slots: {said}."),
        )
        .try_next("--cluster"),
        Class::NotCluster => cause.failure(
            format!("{address} is not a node of a cluster."),
            "It answers as a single server; cluster-enabled is off.",
        )
        .try_next("without --cluster")
        .try_next("--cluster without an address: a private cluster of three primaries"),
        Class::CrossSlot => cause.failure(
            "The keys of one command are in different slots of the cluster.",
            "A command, a script or a transaction only works on keys of one slot (CROSSSLOT).",
        )
        .try_next("the same {hash tag} in all its keys: {user:1}:cart and {user:1}:orders share a slot")
        .try_next("CLUSTER KEYSLOT KEY, to see a key's slot"),
        Class::NoDatabase => cause.failure(
            format!("{address} has no such database."),
            format!("A cluster has only database 0, a server usually 0 to 15: {said}."),
        )
        .try_next("-n 0 (in a URL: /0), and --prefix NAME: to keep keys apart"),
        Class::UnknownCommand => cause.failure(
            format!("{address} does not know a command."),
            format!("The server is too old, lacks a module, or has renamed the command: {said}."),
        )
        .try_next("--server valkey-9.1, redis-8.2 or redis-8.2-modules for a private server that has it"),
        Class::NoScript => cause.failure(
            "The server does not have the script.",
            "Scripts are forgotten at a restart, a failover or SCRIPT FLUSH, and each node has its own (NOSCRIPT).",
        )
        .try_next("EVAL with the script's text, or SCRIPT LOAD, then EVALSHA again"),
        Class::ExecAbort => cause.failure(
            "The transaction was discarded; none of its commands ran.",
            format!("The server refused to queue one of them: {said}."),
        )
        .try_next("correct that command, then send the transaction again"),
        Class::UnexpectedReply => cause.failure(
            format!("{address} sent a reply of an unexpected kind."),
            format!("The program cannot use it: {said}."),
        )
        .try_next("TYPE KEY, in case another program wrote the key")
        .try_next("--server valkey-9.1, for a private server that holds only this program's data"),
        Class::Usage => cause.failure("The connection settings cannot be used.", format!("{said}."))
            .try_next("--help, for the flags and what they take"),
        Class::Unsupported => cause.failure("Something that is needed is missing.", format!("{said}."))
            .try_next("--server redis-8.2 or valkey-9.1 for a private server of a current version"),
        _ => cause.failure(format!("{address} refused a command."), format!("The server said: {said}."))
            .try_next("--server valkey-9.1, to see whether a private server refuses the command, too"),
    }
}
