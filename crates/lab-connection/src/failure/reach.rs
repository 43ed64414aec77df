//! Texts for servers that cannot be reached or cannot answer.

use super::class::{Cause, Class};
use super::{Endpoint, Failure};

const PRIVATE: &str = "--server valkey-9.1, for a private server that is gone after the run";
/// Only where nothing answers: a server on this machine's port 6379 would be taken first.
const NO_ADDRESS: &str =
    "leave the address out (and REDIS_URL unset): a private server is started for the run";

/// What to say.
pub fn text(cause: &Cause, endpoint: &Endpoint) -> Failure {
    if endpoint.private && matches!(cause.class, Class::Refused | Class::Closed | Class::Timeout) {
        return private_server_died(cause, endpoint);
    }
    let address = endpoint.shown();
    match cause.class {
        Class::Refused => cause.failure(
            format!("Nothing answers at {address}."),
            format!("No server listens there: {}.", cause.server_reply),
        )
        .try_next(NO_ADDRESS)
        .try_next("docker compose up -d, for Redis and Redis Insight on this machine")
        .try_next("-h HOST -p PORT, if the server is elsewhere"),
        Class::NotFound => cause.failure(
            format!("The host name of {address} does not exist."),
            format!("DNS has no address for it: {}.", cause.server_reply),
        )
        .try_next("-h HOST with the right name, or an IP address")
        .try_next(NO_ADDRESS),
        Class::Unreachable => cause.failure(
            format!("{address} cannot be reached."),
            format!("The system says: {}.", cause.server_reply),
        )
        .try_next("-h HOST with another address; check the network, the firewall, and the permissions of a socket")
        .try_next(PRIVATE),
        Class::Timeout => timeout(cause, endpoint),
        Class::NotRedis => cause.failure(
            format!("{address} answers, but it is not Redis."),
            "The port belongs to another service, such as a web server.",
        )
        .try_next("-p PORT with the port of Redis, 6379 by default")
        .try_next(PRIVATE),
        Class::Closed => closed(cause, endpoint),
        Class::MaxClients => cause.failure(
            format!("{address} takes no more clients."),
            "The number of connections is at the server's limit, maxclients.",
        )
        .try_next("close other clients; CLIENT LIST on the server shows them")
        .try_next("as an administrator: raise maxclients")
        .try_next(PRIVATE),
        Class::Loading => cause.failure(
            format!("{address} is still loading its data."),
            "It has just started and reads its file into memory. It answers nothing else until then (LOADING).",
        )
        .try_next("the same command again in a moment; INFO persistence shows loading_eta_seconds")
        .try_next(PRIVATE),
        Class::ClusterDown => cause.failure(
            format!("The cluster at {address} does not serve these keys."),
            format!("Some slots have no working primary: {}.", cause.said()),
        )
        .try_next("CLUSTER INFO and CLUSTER SHARDS on a node, to see which slots and nodes are missing")
        .try_next("--cluster without an address: a private cluster of three primaries"),
        Class::MasterDown => cause.failure(
            format!("{address} is a replica that has lost its primary."),
            "It is configured not to answer with data that may be old (replica-serve-stale-data no).",
        )
        .try_next("-h HOST -p PORT of the primary; INFO replication on the replica shows it")
        .try_next("the same command again when the link is up"),
        _ => cause.failure(format!("{address} cannot be used."), cause.server_reply.clone()).try_next(PRIVATE),
    }
}

fn private_server_died(cause: &Cause, endpoint: &Endpoint) -> Failure {
    cause
        .failure(
            format!("The private server at {} no longer answers.", endpoint.shown()),
            format!("It was stopped, killed, or ran out of memory: {}.", cause.said()),
        )
        .try_next("the same command again: each run starts a new private server")
        .try_next("cargo server in another terminal, then the URL that it prints: a server that you watch")
}

/// With TLS, the likeliest reason is a server without it, which waits for the rest of what it takes for a command.
fn timeout(cause: &Cause, endpoint: &Endpoint) -> Failure {
    let mut failure = cause.failure(
        format!("{} did not answer in time.", endpoint.shown()),
        "The server is stopped or busy with a long command, or the network loses packets. The outcome of a \
         write is unknown.",
    );
    if endpoint.tls {
        failure = failure.try_next("without --tls, in case the port does not speak TLS");
    }
    failure
        .try_next("read before you write again; with an idempotency key, a retry is safe")
        .try_next("redis-cli --latency, or SLOWLOG GET on the server, to see what keeps it busy")
}

/// redis-rs drops what a server says before it hangs up, so the text names all usual reasons.
fn closed(cause: &Cause, endpoint: &Endpoint) -> Failure {
    let mut failure = cause.failure(
        format!("{} closed the connection.", endpoint.shown()),
        "The server was stopped or restarted, takes no more clients (maxclients), cut this client off (CLIENT KILL, an \
         output buffer limit), or expects TLS. The outcome of a write is unknown.",
    );
    if endpoint.tls {
        failure = failure.try_next("--cert FILE --key FILE, in case the server wants a client certificate");
    }
    failure = failure
        .try_next("read before you write again; with an idempotency key, a retry is safe")
        .try_next("the server's log, which names the reason");
    if endpoint.tls {
        return failure;
    }
    // Last, because a port that speaks TLS is mostly recognized: see `probe`.
    failure.try_next("--tls, in case the port only takes encrypted connections")
}
