//! What was seen, as plain data. The checks read nothing else.

use std::collections::BTreeMap;

use lab_connection::transcript::for_terminal;

use crate::failover_roles::{FailoverRole, Right};

/// Why a reply is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The user may not ask. The rule would permit it.
    NotPermitted {
        /// An ACL rule, such as `+config|get`.
        grant: String,
    },
    /// The server does not know the command.
    Unsupported,
    /// It was not asked, or it failed.
    Failed(String),
}

/// A reply that may be missing.
pub type Reply<T> = Result<T, Missing>;

/// Text from a server, safe to print and no longer than this.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    let text = for_terminal(text);
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}

/// What was never asked.
pub(crate) fn not_asked<T>() -> Reply<T> {
    Err(Missing::Failed("not asked".to_owned()))
}

/// The whole group of servers that was reached.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Every server that was examined; the one that was named comes first.
    pub nodes: Vec<NodeFacts>,
    /// Servers that belong to the group and could not be examined, with the reason.
    pub unreached: Vec<(String, String)>,
    /// Those of them that refused the login of this run.
    pub login_refused: Vec<String>,
}

impl Facts {
    /// The servers that hold data, not the Sentinels.
    pub fn data_nodes(&self) -> impl Iterator<Item = &NodeFacts> {
        self.nodes.iter().filter(|node| node.role != Role::Sentinel)
    }
}

/// What a server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It copies another server.
    Replica,
    /// It watches others and stores no data.
    Sentinel,
    /// It does not say.
    #[default]
    Unknown,
}

/// What was seen on one server.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// Host and port.
    pub address: String,
    /// What it is.
    pub role: Role,
    /// Whether the connection needed no password.
    pub no_password_used: bool,
    /// Whether the connection came over TLS.
    pub tls: bool,
    /// Whether the address is one of this machine.
    pub near: bool,
    /// INFO at the beginning; empty if it was refused.
    pub info: Info,
    /// INFO at the end.
    pub later: Info,
    /// Seconds between the two.
    pub seconds: f64,
    /// Why the server gave no more replies, if it stopped in the middle.
    pub stopped: Option<String>,
    /// Why there is no INFO.
    pub info_missing: Option<Missing>,
    /// CONFIG GET, of the settings that the checks need.
    pub config: Reply<BTreeMap<String, String>>,
    /// ACL LIST, without password hashes.
    pub users: Reply<Vec<String>>,
    /// One number for the password hashes of each user: equal numbers mean equal passwords. The hashes themselves are not kept.
    pub passwords: BTreeMap<String, u64>,
    /// What the users that a failover needs may not do here.
    pub failover_users: Reply<Vec<FailoverUser>>,
    /// CLIENT LIST, without the doctor's own connection.
    pub clients: Reply<Vec<Client>>,
    /// SLOWLOG GET or COMMANDLOG GET.
    pub slow: Reply<Vec<SlowCommand>>,
    /// LATENCY LATEST.
    pub latency: Reply<Vec<LatencyEvent>>,
    /// What SCAN found.
    pub keys: Reply<KeySample>,
    /// The groups of the streams among those keys.
    pub streams: Reply<Vec<StreamGroup>>,
    /// CLUSTER INFO.
    pub cluster_info: Reply<Info>,
    /// CLUSTER NODES.
    pub cluster_nodes: Reply<Vec<ClusterNode>>,
    /// The slots that this node still moves, or still receives, a second after the first look.
    pub open_slots: Vec<OpenSlot>,
    /// The fullest slot, and the busiest, from CLUSTER SLOT-STATS.
    pub slot_stats: Reply<SlotStats>,
    /// What a Sentinel watches.
    pub watched: Reply<Vec<Watched>>,
    /// What the operating system says about the process.
    pub host: Option<Host>,
}

impl NodeFacts {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            role: Role::Unknown,
            no_password_used: false,
            tls: false,
            near: false,
            info: Info::default(),
            later: Info::default(),
            seconds: 0.0,
            stopped: None,
            info_missing: None,
            config: not_asked(),
            users: not_asked(),
            passwords: BTreeMap::new(),
            failover_users: Ok(Vec::new()),
            clients: not_asked(),
            slow: not_asked(),
            latency: not_asked(),
            keys: not_asked(),
            streams: not_asked(),
            cluster_info: not_asked(),
            cluster_nodes: not_asked(),
            open_slots: Vec::new(),
            slot_stats: not_asked(),
            watched: not_asked(),
            host: None,
        }
    }

    /// A setting, if CONFIG GET may be asked and the server has it.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.config.as_ref().ok()?.get(name).map(String::as_str)
    }

    /// Whether it takes snapshots. Unknown without CONFIG GET.
    #[must_use]
    pub fn takes_snapshots(&self) -> Option<bool> {
        self.setting("save").map(|save| !save.trim().is_empty())
    }

    /// Whether it is a node of a cluster.
    #[must_use]
    pub fn in_cluster(&self) -> bool {
        self.info.text("cluster_enabled") == Some("1")
    }
}

/// The fields of INFO, or of another reply of lines `field:value`. A field that is absent is unknown, not zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info(BTreeMap<String, String>);

impl Info {
    /// Reads the reply.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A field as it stands.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// A field that is a number, such as `12`, `1.5`, or `1.5%`.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<f64> {
        self.text(field)?.trim_end_matches('%').parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A part of a field such as `db0:keys=1,expires=0`.
    #[must_use]
    pub fn part(&self, field: &str, part: &str) -> Option<&str> {
        self.text(field)?
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == part)
            .map(|(_, value)| value)
    }

    /// The same, of a part that is a number.
    #[must_use]
    pub fn part_number(&self, field: &str, part: &str) -> Option<f64> {
        self.part(field, part)?.parse().ok()
    }

    /// Fields whose names begin so, with their names.
    pub fn starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let fields = self.0.range(prefix.to_owned()..).take_while(move |(name, _)| name.starts_with(prefix));
        fields.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// These fields, as evidence: `used_memory:1 maxmemory:2`.
    #[must_use]
    pub fn quote(&self, fields: &[&str]) -> String {
        let shown = fields.iter().map(|field| format!("{field}:{}", self.text(field).unwrap_or("(absent)")));
        shown.collect::<Vec<_>>().join(" ")
    }

    /// Keys and keys with a TTL, over all databases. Unknown if there is no INFO; zero if it names no database.
    #[must_use]
    pub fn keys_and_expires(&self) -> Option<(f64, f64)> {
        self.text("redis_version").or(self.text("run_id"))?;
        let number = |name, part| self.part_number(name, part).unwrap_or(0.0);
        let add = |(keys, expires), name| (keys + number(name, "keys"), expires + number(name, "expires"));
        Some(self.databases().fold((0.0, 0.0), add))
    }

    /// The databases that hold keys, such as `db0`.
    pub fn databases(&self) -> impl Iterator<Item = &str> {
        self.numbered("db")
    }

    /// The replicas, such as `slave0`.
    pub fn replicas(&self) -> impl Iterator<Item = &str> {
        self.numbered("slave")
    }

    fn numbered<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let names = self.starting_with(prefix).map(|(name, _)| name);
        names.filter(|name| name[prefix.len()..].parse::<u32>().is_ok())
    }

    /// Whether it is of a Sentinel, which stores no keys.
    #[must_use]
    pub fn is_sentinel(&self) -> bool {
        self.text("redis_mode").or(self.text("server_mode")) == Some("sentinel")
    }

    /// Name and version. Valkey calls itself `redis_version:7.2.4` for old clients, so its own field decides.
    #[must_use]
    pub fn version(&self) -> Option<(&'static str, &str)> {
        match self.text("valkey_version") {
            Some(version) => Some(("Valkey", version)),
            None => self.text("redis_version").map(|version| ("Redis", version)),
        }
    }
}

/// A user on whom a failover depends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverUser {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: FailoverRole,
    /// Whether the server has it.
    pub exists: bool,
    /// The rights that it lacks, with the server's words.
    pub refused: Vec<(&'static Right, String)>,
}

/// A connection, from CLIENT LIST.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its number.
    pub id: String,
    /// Where it comes from.
    pub addr: String,
    /// Its name; empty for none.
    pub name: String,
    /// Its user; empty where the server does not say.
    pub user: String,
    /// Its flags: `N` for none, `b` blocked, `P` subscriber, `S` replica, `M` primary, `x` in a transaction.
    pub flags: String,
    /// Its last command.
    pub command: String,
    /// Seconds since it was connected.
    pub age: u64,
    /// Seconds since its last command.
    pub idle: u64,
    /// Bytes that wait to be sent to it.
    pub output: u64,
    /// Channels and patterns that it listens to.
    pub subscriptions: u64,
}

/// An entry of the slow log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlowCommand {
    /// How long it ran, in microseconds.
    pub micros: u64,
    /// The command with the beginning of its arguments.
    pub command: String,
}

/// An event of the latency monitor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyEvent {
    /// Its name, such as `command` or `fork`.
    pub event: String,
    /// The last one, in milliseconds.
    pub latest: u64,
    /// The longest one, in milliseconds.
    pub longest: u64,
}

/// What SCAN found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeySample {
    /// How many keys were looked at.
    pub looked_at: u64,
    /// How many there were when it began.
    pub of: u64,
    /// Whether it saw all of them.
    pub complete: bool,
    /// The biggest, the biggest first.
    pub biggest: Vec<BigKey>,
    /// Names that look like locks, sessions, or queues.
    pub state: Vec<StateKey>,
    /// The most used key by OBJECT FREQ, and the frequency in the middle; where the policy counts it.
    pub hottest: Option<(String, u64, u64)>,
    /// For a cluster: the slot with the most of these keys, and how many.
    pub fullest_slot: Option<(u16, u64)>,
}

/// A key and its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BigKey {
    /// Its name, safe to print.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// MEMORY USAGE, in bytes.
    pub bytes: u64,
    /// How many elements a collection has.
    pub elements: Option<u64>,
}

/// A key that a program relies on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateKey {
    /// Its name, safe to print.
    pub name: String,
    /// What it looks like: "lock", "session", "queue".
    pub looks_like: &'static str,
    /// Whether it has a TTL.
    pub expires: bool,
}

/// A consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamGroup {
    /// The stream.
    pub stream: String,
    /// The group.
    pub group: String,
    /// How many entries were delivered and not acknowledged.
    pub pending: u64,
    /// How many entries were not delivered yet, if known.
    pub lag: Option<u64>,
    /// The oldest of the pending entries that were looked at, in milliseconds since the last delivery.
    pub oldest_pending: Option<u64>,
    /// The most deliveries among them.
    pub most_deliveries: u64,
    /// Consumers: name, pending entries, milliseconds since they last asked.
    pub consumers: Vec<(String, u64, u64)>,
}

/// A node as another one sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its ID.
    pub id: String,
    /// Host and port.
    pub address: String,
    /// Its flags, such as `myself`, `master`, `fail?`, `fail`.
    pub flags: Vec<String>,
    /// The ID of its primary, if it is a replica.
    pub primary: Option<String>,
    /// How many slots it serves.
    pub slots: u32,
    /// The slots that it moves or receives; a node tells this of itself only.
    pub open: Vec<OpenSlot>,
}

/// A slot on its way between two nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenSlot {
    /// Its number.
    pub slot: u16,
    /// Whether the node gives it away; otherwise the node receives it.
    pub leaves: bool,
    /// The ID of the other node.
    pub other: String,
}

/// The fullest and the busiest slot of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotStats {
    /// Slot and keys.
    pub fullest: Option<(u16, u64)>,
    /// Slot and microseconds of the processor; where the server counts it.
    pub busiest: Option<(u16, u64)>,
}

/// A primary, as a Sentinel sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The name it is watched under.
    pub name: String,
    /// Host and port.
    pub address: String,
    /// Its flags: `s_down`, `o_down`.
    pub flags: String,
    /// How many Sentinels must agree.
    pub quorum: u64,
    /// How many other Sentinels this one knows.
    pub other_sentinels: u64,
    /// The reply of SENTINEL CKQUORUM, good or bad.
    pub quorum_reply: Option<Result<String, String>>,
    /// Its replicas: address and flags.
    pub replicas: Vec<(String, String)>,
    /// The other Sentinels: address and flags.
    pub sentinels: Vec<(String, String)>,
}

/// What the operating system of this machine says about the server's process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Bytes of the process that are swapped out.
    pub swapped: Option<u64>,
    /// `/sys/kernel/mm/transparent_hugepage/enabled`.
    pub huge_pages: Option<String>,
    /// Whether the process may get huge pages.
    pub huge_pages_for_process: Option<bool>,
    /// Bytes that are free on the disk of the server's directory.
    pub disk_free: Option<u64>,
    /// Why the server can write no new file to its directory, if it cannot.
    pub directory_fault: Option<&'static str>,
    /// Settings that the configuration file has otherwise.
    pub unsaved: Vec<UnsavedSetting>,
}

/// A setting that a restart changes, because the configuration file has another value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnsavedSetting {
    /// Its name.
    pub name: &'static str,
    /// The value in force.
    pub running: String,
    /// The value in the file; none if the file does not have it.
    pub file: Option<String>,
}
