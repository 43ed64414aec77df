//! The users on whom a failover depends, and every right that they need, by version.
//!
//! A right that is missing shows on the bad day only: a Sentinel asks the others for their vote, and promotes a replica, when a primary is
//! down, and not before. So [`doctor`](crate::doctor) asks each server with `ACL DRYRUN`, and `cargo ops acl sentinel` prints the users.
//!
//! The commands are those of the servers' source (`sentinel.c`, `replication.c`). A test kills a primary with exactly these users, and finds
//! nothing refused in `ACL LOG`.

/// Where Sentinels tell one another about themselves.
const HELLO: &str = "__sentinel__:hello";

/// Whose user it is, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailoverRole {
    /// `sentinel auth-user`: the Sentinels' user on the primary and on its replicas.
    Sentinel,
    /// `sentinel sentinel-user`: the Sentinels' user on the other Sentinels.
    SentinelPeer,
    /// `masteruser`: the replicas' user on the primary, and on each replica, since any may become the primary.
    Replica,
}

/// One right.
#[derive(Debug, PartialEq, Eq)]
pub struct Right {
    /// A command as it is sent.
    pub command: &'static [&'static str],
    /// The ACL rules that permit it.
    pub rules: &'static [&'static str],
    /// What fails without it.
    pub without: &'static str,
    /// Whether nothing takes over without it.
    pub vital: bool,
    /// The first major version of Valkey whose Sentinels send it; none if all do.
    pub since_valkey: Option<u32>,
}

impl Right {
    const fn new(
        command: &'static [&'static str],
        rules: &'static [&'static str],
        without: &'static str,
    ) -> Self {
        Self { command, rules, without, vital: true, since_valkey: None }
    }

    const fn not_vital(mut self) -> Self {
        self.vital = false;
        self
    }

    /// The command without its arguments: `CONFIG REWRITE`.
    #[must_use]
    pub fn name(&self) -> String {
        let has_subcommand = self.rules.first().is_some_and(|rule| rule.contains('|'));
        self.command.iter().take(if has_subcommand { 2 } else { 1 }).copied().collect::<Vec<_>>().join(" ")
    }
}

/// What fails without one of the commands of a transaction.
const PROMOTION: &str =
    "A Sentinel promotes a replica in one transaction, and the server refuses the whole of it.";
const DISCOVERY: &str = "The Sentinels do not find one another, so there is no majority.";
const PINGS: &str = "The Sentinels take what does not answer PING for down.";
const NAMES: &str = "CLIENT LIST does not show which connections are the Sentinels'.";
const COPIES: &str = "No replica can copy this server when it is the primary.";

const SENTINEL: [Right; 12] = [
    Right::new(&["PING"], &["+ping"], PINGS),
    Right::new(
        &["INFO"],
        &["+info"],
        "The Sentinels find no replica, and do not see who has become the primary.",
    ),
    Right::new(&["CLIENT", "SETNAME", "x"], &["+client|setname"], NAMES).not_vital(),
    Right::new(&["SUBSCRIBE", HELLO], &["+subscribe", "&__sentinel__:hello"], DISCOVERY),
    Right::new(&["PUBLISH", HELLO, "x"], &["+publish", "&__sentinel__:hello"], DISCOVERY),
    Right::new(&["MULTI"], &["+multi"], PROMOTION),
    Right::new(&["SLAVEOF", "NO", "ONE"], &["+slaveof"], PROMOTION),
    Right::new(&["CONFIG", "REWRITE"], &["+config|rewrite"], PROMOTION),
    Right::new(&["CLIENT", "KILL", "TYPE", "normal"], &["+client|kill"], PROMOTION),
    Right::new(&["EXEC"], &["+exec"], PROMOTION),
    Right::new(
        &["SCRIPT", "KILL"],
        &["+script|kill"],
        "A script that runs for too long makes a failover, where SCRIPT KILL would do.",
    )
    .not_vital(),
    Right {
        since_valkey: Some(9),
        ..Right::new(
            &["FAILOVER", "ABORT"],
            &["+failover"],
            "SENTINEL FAILOVER COORDINATED is refused. With Valkey 9.0.0, every failover fails.",
        )
        .not_vital()
    },
];

const SENTINEL_PEER: [Right; 4] = [
    Right::new(&["PING"], &["+ping"], PINGS),
    Right::new(&["CLIENT", "SETNAME", "x"], &["+client|setname"], NAMES).not_vital(),
    Right::new(&["PUBLISH", HELLO, "x"], &["+publish", "&__sentinel__:hello"], DISCOVERY),
    Right::new(
        &["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", "6379", "0", "*"],
        &["+sentinel|is-master-down-by-addr"],
        "The Sentinels cannot vote, so none of them may fail over. A failover by hand needs no vote, and works.",
    ),
];

const REPLICA: [Right; 3] = [
    Right::new(&["PING"], &["+ping"], COPIES),
    Right::new(&["REPLCONF", "listening-port", "6379"], &["+replconf"], COPIES),
    Right::new(&["PSYNC", "?", "-1"], &["+psync"], COPIES),
];

impl FailoverRole {
    /// All.
    pub const ALL: [Self; 3] = [Self::Sentinel, Self::SentinelPeer, Self::Replica];

    /// As `cargo ops acl` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sentinel => "sentinel",
            Self::SentinelPeer => "sentinel-peer",
            Self::Replica => "replica",
        }
    }

    /// Whose user it is: "The Sentinels' user".
    #[must_use]
    pub fn whose(self) -> &'static str {
        match self {
            Self::Sentinel | Self::SentinelPeer => "The Sentinels' user",
            Self::Replica => "The replicas' user",
        }
    }

    /// Where the user must exist, and the setting that names it.
    #[must_use]
    pub fn remark(self) -> &'static str {
        match self {
            Self::Sentinel => {
                "Create it on the primary and on every replica. Each Sentinel has it in sentinel auth-user and auth-pass. On the Sentinels \
                 themselves, they need another: sentinel-peer."
            }
            Self::SentinelPeer => {
                "Create it on every Sentinel. Each Sentinel has it in sentinel sentinel-user and sentinel-pass."
            }
            Self::Replica => {
                "Create it on the primary and on every replica, since any may become the primary. Each has it in masteruser and masterauth."
            }
        }
    }

    /// Every right that it needs, with a Valkey of this major version; none for Redis.
    pub fn rights(self, valkey: Option<u32>) -> impl Iterator<Item = &'static Right> {
        let all: &'static [Right] = match self {
            Self::Sentinel => &SENTINEL,
            Self::SentinelPeer => &SENTINEL_PEER,
            Self::Replica => &REPLICA,
        };
        all.iter().filter(move |right| {
            right.since_valkey.is_none_or(|since| valkey.is_some_and(|has| has >= since))
        })
    }
}
