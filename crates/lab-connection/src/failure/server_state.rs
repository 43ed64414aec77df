//! Texts for writes that a server refuses in the state it is in.

use super::class::{Cause, Class};
use super::{Endpoint, Failure};

/// What to say, when the state of the server is the reason.
pub fn text(cause: &Cause, endpoint: &Endpoint) -> Option<Failure> {
    let address = endpoint.shown();
    let failure = match cause.class {
        Class::ReadOnly => cause.failure(
            format!("{address} is a replica and takes no writes."),
            "Writes go to its primary, which passes them on (READONLY).",
        )
        .try_next("-h HOST -p PORT of the primary; INFO replication on this server shows master_host and master_port"),
        Class::OutOfMemory => cause.failure(
            format!("{address} has no memory left for this write."),
            "Its data is at the limit maxmemory, and its policy does not let it evict enough (OOM).",
        )
        .try_next("INFO memory, to see used_memory and maxmemory")
        .try_next("as an administrator: raise maxmemory, or choose a maxmemory-policy other than noeviction")
        .try_next("--server valkey-9.1, for a private server without such a limit"),
        Class::Misconf => cause.failure(
            format!("{address} refuses writes because it cannot save its data."),
            "The last snapshot or append failed (MISCONF): a full disk, or a directory that it may not write to.",
        )
        .try_next("INFO persistence (rdb_last_bgsave_status, aof_last_write_status) and the server's log")
        .try_next("free the disk; the server takes writes again after the next BGSAVE that succeeds"),
        Class::NoReplicas => cause.failure(
            format!("{address} refuses writes because too few replicas follow it."),
            "It is configured not to lose acknowledged writes (min-replicas-to-write).",
        )
        .try_next("INFO replication, to see which replicas are connected"),
        Class::Busy => cause.failure(
            format!("{address} is busy with a script."),
            "A script has run for longer than busy-reply-threshold, and nothing else runs meanwhile (BUSY).",
        )
        .try_next("SCRIPT KILL, which works unless the script has written; then wait for its end"),
        _ => return None,
    };
    Some(failure)
}
