//! The commands that ask first, those that the console cannot send, and those whose effect is not taken back.

use lab_connection::raw_client::has_word;

/// What to do with a command before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Send it.
    Send,
    /// Ask first; the reason.
    Ask(&'static str),
    /// Do not send it; the reason.
    Refuse(&'static str),
}

/// What to do with a command. On a private server, only what ends the server asks first.
pub(crate) fn care(words: &[Vec<u8>], private: bool) -> Care {
    if has_word(words, 0, &["SYNC", "PSYNC"]) {
        return Care::Refuse("This console is no replica, so it does not send SYNC and PSYNC.");
    }
    if has_word(words, 0, &["CLIENT"])
        && has_word(words, 1, &["REPLY"])
        && has_word(words, 2, &["OFF", "SKIP"])
    {
        return Care::Refuse("Without replies, a console has nothing to show. CLIENT REPLY was not sent.");
    }
    let crashes = ["SEGFAULT", "PANIC", "RESTART", "CRASH-AND-RECOVER", "OOM", "ASSERT", "CRASH-AND-ABORT"];
    if has_word(words, 0, &["SHUTDOWN"]) || has_word(words, 0, &["DEBUG"]) && has_word(words, 1, &crashes) {
        return Care::Ask("This ends the server for everybody, and all that needs it.");
    }
    if private {
        return Care::Send;
    }
    if has_word(words, 0, &["FLUSHALL", "FLUSHDB", "SWAPDB"]) {
        return Care::Ask(
            "This is not a private server. The command also changes data that is not the lesson's.",
        );
    }
    if changes_the_server(words) {
        return Care::Ask("This is not a private server. The command changes it for everybody.");
    }
    if runs_a_script(words) && names_a_dangerous_command(words) {
        return Care::Ask("This is not a private server, and the script names a command that can harm it.");
    }
    Care::Send
}

/// Whether the command changes something besides keys, which nobody puts back.
pub(crate) fn changes_the_server(words: &[Vec<u8>]) -> bool {
    let is =
        |name: &str, subcommands: &[&str]| has_word(words, 0, &[name]) && has_word(words, 1, subcommands);
    has_word(words, 0, &["DEBUG", "REPLICAOF", "SLAVEOF", "FAILOVER", "MIGRATE", "SWAPDB", "FLUSHALL"])
        || is("CONFIG", &["SET", "REWRITE", "RESETSTAT"])
        || is("ACL", &["SETUSER", "DELUSER", "LOAD", "SAVE"])
        || is("MODULE", &["LOAD", "LOADEX", "UNLOAD"])
        || is("FUNCTION", &["LOAD", "DELETE", "FLUSH", "RESTORE"])
        || is("SCRIPT", &["FLUSH"])
        || is("CLIENT", &["KILL", "PAUSE"])
        || has_word(words, 0, &["CLUSTER"]) && !has_word(words, 1, &CLUSTER_READS)
}

const CLUSTER_READS: [&str; 13] = [
    "INFO",
    "NODES",
    "SLOTS",
    "SHARDS",
    "MYID",
    "MYSHARDID",
    "KEYSLOT",
    "COUNTKEYSINSLOT",
    "GETKEYSINSLOT",
    "LINKS",
    "REPLICAS",
    "HELP",
    "SLOT-STATS",
];

/// EVAL and the like, whose first key comes after the number of keys.
pub(crate) fn runs_a_script(words: &[Vec<u8>]) -> bool {
    has_word(words, 0, &["EVAL", "EVALSHA", "FCALL", "EVAL_RO", "EVALSHA_RO", "FCALL_RO"])
}

fn names_a_dangerous_command(words: &[Vec<u8>]) -> bool {
    let script = String::from_utf8_lossy(words.get(1).map_or(&[], Vec::as_slice)).to_uppercase();
    ["FLUSHALL", "FLUSHDB", "SWAPDB", "CONFIG", "DEBUG", "SHUTDOWN"].iter().any(|name| script.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str, private: bool) -> Care {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        care(&words, private)
    }

    #[test]
    fn dangerous_commands_ask_on_a_server_that_is_not_private() {
        for line in [
            "flushall",
            "FLUSHDB async",
            "config set maxmemory 1",
            "debug sleep 1",
            "CLUSTER RESET",
            "ACL SETUSER a",
        ] {
            assert!(matches!(of(line, false), Care::Ask(_)), "{line}");
            assert_eq!(of(line, true), Care::Send, "{line}");
        }
        for line in ["GET a", "config get maxmemory", "cluster slots", "info", "acl whoami", "client list"] {
            assert_eq!(of(line, false), Care::Send, "{line}");
        }
        assert!(matches!(of("eval redis.call('flushall') 0", false), Care::Ask(_)));
    }

    #[test]
    fn what_ends_the_server_asks_everywhere_and_what_ends_the_replies_is_refused() {
        assert!(matches!(of("shutdown nosave", true), Care::Ask(_)));
        assert!(matches!(of("debug segfault", true), Care::Ask(_)));
        assert!(matches!(of("PSYNC ? -1", true), Care::Refuse(_)));
        assert!(matches!(of("client reply off", true), Care::Refuse(_)));
    }
}
