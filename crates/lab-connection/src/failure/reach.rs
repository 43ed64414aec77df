//! Texts for servers that cannot be reached, or cannot serve.

use super::class::{Cause, Class};
use super::{Failure, Place};

const PRIVATE: &str = "--server valkey-9.1, for a private server that is gone after the run";
/// Only where nothing answers: a server on this machine's port 6379 would be taken first.
const NO_ADDRESS: &str =
    "leave the address out (and REDIS_URL unset): a private server is started for the run";

/// What to say.
pub fn text(cause: &Cause, place: &Place) -> Failure {
    let address = place.shown();
    let new = |what: String, why: &str| Failure::new(cause.class, what, why);
    match cause.class {
        Class::Refused => Failure::new(
            cause.class,
            format!("Nothing answers at {address}."),
            format!("No server listens there: {}.", cause.said),
        )
        .try_next(NO_ADDRESS)
        .try_next("docker compose up -d, for Redis and Redis Insight on this machine")
        .try_next("-h HOST -p PORT, when the server is elsewhere"),
        Class::NotFound => Failure::new(
            cause.class,
            format!("The host of {address} is not known."),
            format!("Its name has no address: {}.", cause.said),
        )
        .try_next("-h HOST with the right name, or an IP address")
        .try_next(NO_ADDRESS),
        Class::Unreachable => Failure::new(
            cause.class,
            format!("There is no way to {address}."),
            format!("The system says: {}.", cause.said),
        )
        .try_next("-h HOST; then the network, the firewall, and for a socket who may open it")
        .try_next(PRIVATE),
        Class::Timeout => timeout(cause, place),
        Class::NotRedis => new(
            format!("{address} answers, but not as Redis does."),
            "The port belongs to another service, a web server for example.",
        )
        .try_next("-p PORT with Redis's own port; 6379 unless configured otherwise")
        .try_next(PRIVATE),
        Class::Closed => closed(cause, place),
        Class::MaxClients => new(
            format!("{address} takes no more clients."),
            "The number of connections is at the server's limit, maxclients.",
        )
        .try_next("close other clients; CLIENT LIST on the server shows them")
        .try_next("as an administrator: raise maxclients")
        .try_next(PRIVATE),
        Class::Loading => new(
            format!("{address} is still loading its data."),
            "It has just started and reads its file into memory; until then it answers nothing else (LOADING).",
        )
        .try_next("the same again in a moment; INFO persistence shows loading_eta_seconds")
        .try_next(PRIVATE),
        Class::ClusterDown => Failure::new(
            cause.class,
            format!("The cluster at {address} does not serve these keys."),
            format!("Some slots have no working primary: {}.", cause.said.trim_end_matches('.')),
        )
        .try_next("CLUSTER INFO and CLUSTER SHARDS on a node, to see which slots and nodes are missing")
        .try_next("--cluster without an address: a private cluster of three primaries"),
        Class::MasterDown => new(
            format!("{address} is a replica that has lost its primary."),
            "It is told not to answer with data that may be old (replica-serve-stale-data no).",
        )
        .try_next("-h HOST -p PORT of the primary; INFO replication on the replica shows it")
        .try_next("the same again when the link is up"),
        _ => Failure::new(cause.class, format!("{address} cannot be used."), cause.said.clone()).try_next(PRIVATE),
    }
}

/// With TLS, a plain server is the likelier reason: it waits for the rest of what it takes for a command.
fn timeout(cause: &Cause, place: &Place) -> Failure {
    let failure = Failure::new(
        cause.class,
        format!("{} did not answer in time.", place.shown()),
        "The server is stopped or busy with a long command, or the network loses packets. If a write was under way, it \
         may have been carried out or not.",
    );
    let failure = if place.tls {
        failure.try_next("without --tls, in case the port does not speak TLS")
    } else {
        failure
    };
    failure
        .try_next(
            "read what was to be written before writing it again; an idempotency key makes repeating safe",
        )
        .try_next("redis-cli --latency, or SLOWLOG GET on the server, to see what keeps it busy")
}

/// redis-rs drops what a server says before it hangs up, so all the usual reasons are named.
fn closed(cause: &Cause, place: &Place) -> Failure {
    let failure = Failure::new(
        cause.class,
        format!("{} closed the connection.", place.shown()),
        "The server was stopped or restarted, takes no more clients (maxclients), cut this client off (CLIENT KILL, an \
         output buffer limit), or expects TLS. If a write was under way, it may have been carried out or not.",
    );
    let failure = if place.tls {
        failure.try_next("--cert FILE --key FILE, in case the server wants a client certificate")
    } else {
        failure
    };
    let failure = failure
        .try_next(
            "read what was to be written before writing it again; an idempotency key makes repeating safe",
        )
        .try_next("the server's log, which names the reason");
    if place.tls {
        return failure;
    }
    // Last, because a port that speaks TLS is mostly recognised: see `look`.
    failure.try_next("--tls, in case the port only takes encrypted connections")
}
