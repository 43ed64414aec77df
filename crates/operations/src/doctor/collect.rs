//! Collects what the checks need from every server of a group. It reads, and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use futures_util::future::join_all;
use lab_connection::ReadOnlyTarget;
use lab_connection::address::is_loopback;
use lab_connection::failure::Class;
use lab_connection::transcript::for_terminal;
use redis::Value;
use redis::aio::MultiplexedConnection;

use super::asker::Asker;
use super::facts::{
    Client, ClusterNode, Facts, LatencyEvent, Missing, NodeFacts, OpenSlot, Reply, Role, SlotStats,
    SlowCommand, Watched, shortened,
};
use super::roles::FailoverUsers;
use super::{cost::Cost, host, keys, streams};

/// A group of more servers than this is not examined whole.
const MOST_NODES: usize = 64;
/// What INFO costs the server at most, in microseconds.
const INFO_MICROS: f64 = 500.0;

/// What CLIENT LIST costs the server for each connection, in microseconds.
const CLIENT_MICROS: f64 = 6.0;
/// With more connections, CLIENT LIST alone would stop the server for too long.
const MOST_CLIENTS: f64 = 2_000.0;

/// Between two looks at slots on their way.
const SLOTS_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Between two looks at the buffers of clients.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(300);

/// Settings that the checks read. None of them is a secret.
const SETTINGS: [&str; 27] = [
    "appendfsync",
    "appendonly",
    "bind",
    "client-output-buffer-limit",
    "dir",
    "latency-monitor-threshold",
    "masteruser",
    "maxclients",
    "maxmemory",
    "maxmemory-clients",
    "maxmemory-policy",
    "min-replicas-max-lag",
    "min-replicas-to-write",
    "port",
    "protected-mode",
    "repl-backlog-size",
    "replica-ignore-maxmemory",
    "replica-read-only",
    "save",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "commandlog-execution-slower-than",
    "tcp-keepalive",
    "timeout",
    "tls-port",
    "unixsocket",
    "stop-writes-on-bgsave-error",
];

/// How much to look at.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// How many keys of a server at most.
    pub keys: u64,
    /// Whether to leave the server 99% of its time. Tests do without.
    pub paced: bool,
}

/// Everything that was seen, and what the seeing cost.
pub(crate) async fn collect(target: &ReadOnlyTarget, depth: Depth) -> (Facts, Vec<Cost>) {
    let group = discover(target).await;
    let password = target.has_password();
    let examined = group.nodes.into_iter().map(|found| async move {
        let mut node = NodeFacts::new(found.address);
        node.no_password_used = !password;
        node.tls = target.uses_tls();
        node.near = found.near;
        let mut asker = Asker::new(found.connection, depth.paced);
        asker.broken = found.broken;
        examine(&mut node, &mut asker, depth).await;
        (node, asker)
    });
    let examined = join_all(examined).await;
    // Which users a failover needs is known when all servers are.
    let users = FailoverUsers::of(&examined.iter().map(|(node, _)| node).collect::<Vec<_>>());
    let finished = examined.into_iter().map(|(mut node, mut asker)| {
        let users = &users;
        async move {
            node.failover_users = users.dry_run(&node, &mut asker).await;
            finish(&mut node, &mut asker).await;
            let cost = Cost::between(&node, asker.sent);
            (node, cost)
        }
    });
    let (nodes, costs) = join_all(finished).await.into_iter().unzip();
    (Facts { nodes, unreached: group.unreached, login_refused: group.login_refused }, costs)
}

struct Found {
    address: String,
    near: bool,
    connection: MultiplexedConnection,
    /// Why the connection gives no more replies, if it does not.
    broken: Option<String>,
}

#[derive(Default)]
struct Group {
    nodes: Vec<Found>,
    unreached: Vec<(String, String)>,
    login_refused: Vec<String>,
    /// The run IDs of its servers.
    known: BTreeSet<String>,
    /// Hosts and ports that its servers name.
    names: VecDeque<(String, u16)>,
}

/// The server that was named, and those that it, and they, name.
async fn discover(target: &ReadOnlyTarget) -> Group {
    let mut group = Group::default();
    group.enter(target.address().to_owned(), target.is_near(), target.connection()).await;
    let mut tried = BTreeSet::from([target.address().to_owned()]);
    while let Some((host, port)) = group.names.pop_front() {
        let address = address(&host, port);
        if !tried.insert(address.clone()) {
            continue;
        }
        if tried.len() > MOST_NODES {
            group.unreached.push((address, format!("only {MOST_NODES} servers of a group are examined")));
            continue;
        }
        let near = is_loopback(&host);
        if near && !target.is_near() {
            let reason = "the other servers name it by a loopback address, which means this machine here";
            group.unreached.push((address, reason.to_owned()));
            continue;
        }
        match target.node(&host, port).await {
            Ok(connection) => group.enter(address, near, connection).await,
            Err(failure) => {
                if matches!(failure.class(), Class::NoAuth | Class::WrongPass) {
                    group.login_refused.push(address.clone());
                }
                group.unreached.push((address, format!("{} {}", failure.what(), failure.why())));
            }
        }
    }
    group
}

impl Group {
    /// Adds a server that is not in the group yet, and the servers that it names.
    async fn enter(&mut self, address: String, near: bool, connection: MultiplexedConnection) {
        let mut asker = Asker::new(connection.clone(), false);
        let server = asker.info(&["INFO", "server"], INFO_MICROS).await.unwrap_or_default();
        if let Some(run) = server.text("run_id")
            && !self.known.insert(run.to_owned())
        {
            return;
        }
        let cluster = asker.info(&["INFO", "cluster"], INFO_MICROS).await.unwrap_or_default();
        if server.is_sentinel() {
            for watched in sentinel_masters(&mut asker).await.unwrap_or_default() {
                self.names.extend(host_and_port(&watched.address));
                let others = watched.replicas.iter().chain(&watched.sentinels);
                self.names.extend(others.filter_map(|(address, _)| host_and_port(address)));
            }
        } else if cluster.text("cluster_enabled") == Some("1") {
            if let Ok(nodes) = cluster_nodes(&mut asker).await {
                let alive = nodes
                    .iter()
                    .filter(|node| !node.flags.iter().any(|flag| flag == "fail" || flag == "noaddr"));
                self.names.extend(alive.filter_map(|node| host_and_port(&node.address)));
            }
        } else if let Ok(info) = asker.info(&["INFO", "replication"], INFO_MICROS).await {
            let port = info.text("master_port").and_then(|port| port.parse().ok());
            self.names.extend(info.text("master_host").map(str::to_owned).zip(port));
            for name in info.replicas() {
                let port = info.part(name, "port").and_then(|port| port.parse().ok());
                self.names.extend(info.part(name, "ip").map(str::to_owned).zip(port));
            }
        }
        self.nodes.push(Found { address, near, connection, broken: asker.broken });
    }
}

fn address(host: &str, port: impl Display) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| Some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?)))?
}

/// Everything about one server.
async fn examine(node: &mut NodeFacts, asker: &mut Asker, depth: Depth) {
    match asker.info(&["INFO", "all"], INFO_MICROS).await {
        Ok(info) => node.info = info,
        Err(missing) => node.info_missing = Some(missing),
    }
    node.role = if node.info.is_sentinel() {
        Role::Sentinel
    } else {
        match node.info.text("role") {
            Some("master") => Role::Primary,
            Some("slave") => Role::Replica,
            _ => Role::Unknown,
        }
    };
    (node.users, node.passwords) = users(asker).await;
    let connected = node.info.number("connected_clients").unwrap_or(0.0);
    node.clients = clients(asker, connected).await;
    if node.role == Role::Sentinel {
        node.watched = sentinel_masters(asker).await;
    } else {
        node.config = settings(asker).await;
        node.slow = slow_commands(asker).await;
        node.latency = latency(asker).await;
        if node.in_cluster() {
            node.cluster_info = asker.info(&["CLUSTER", "INFO"], 50.0).await;
            node.cluster_nodes = cluster_nodes(asker).await;
            node.open_slots = open_slots(asker, node).await;
            node.slot_stats = slot_stats(asker).await;
        }
        node.host = host::look(node);
        // A replica has the keys of its primary, and reading them there would double the work.
        if node.role != Role::Replica {
            let (sample, found) = keys::sample(asker, node, depth.keys).await;
            node.keys = sample;
            node.streams = match &node.keys {
                Ok(_) => streams::groups(asker, &found).await,
                Err(missing) => Err(missing.clone()),
            };
        }
    }
    if let Ok(clients) = &mut node.clients {
        look_again(asker, clients).await;
    }
}

/// The numbers at the end, for what changed in the meantime.
async fn finish(node: &mut NodeFacts, asker: &mut Asker) {
    asker.settle().await;
    node.seconds = asker.seconds();
    if node.info_missing.is_none() {
        node.later = asker.info(&["INFO", "all"], INFO_MICROS).await.unwrap_or_default();
    }
    node.stopped.clone_from(&asker.broken);
}

async fn settings(asker: &mut Asker) -> Reply<BTreeMap<String, String>> {
    let commands: Vec<Vec<&[u8]>> =
        SETTINGS.iter().map(|name| vec![&b"CONFIG"[..], b"GET", name.as_bytes()]).collect();
    let mut settings = BTreeMap::new();
    for reply in asker.ask_all(&commands, 10.0).await {
        let pairs: BTreeMap<String, String> =
            redis::from_redis_value(reply?).map_err(|error| Missing::Failed(error.to_string()))?;
        settings.extend(pairs);
    }
    Ok(settings)
}

/// Without the hashes of passwords: they can be guessed at leisure.
async fn users(asker: &mut Asker) -> (Reply<Vec<String>>, BTreeMap<String, u64>) {
    let lines: Vec<String> = match asker.ask(&["ACL", "LIST"], 100.0).await {
        Ok(lines) => lines,
        Err(missing) => return (Err(missing), BTreeMap::new()),
    };
    let secret = |word: &&str| word.starts_with(['#', '>', '<', '!']);
    let passwords = lines
        .iter()
        .filter_map(|line| {
            let words = line.split(' ');
            let hashes: BTreeSet<&str> = words.clone().skip(2).filter(secret).collect();
            let mut number = DefaultHasher::new();
            hashes.hash(&mut number);
            Some((for_terminal(words.clone().nth(1)?).into_owned(), number.finish()))
        })
        .collect();
    let shown = lines
        .iter()
        .map(|line| {
            let shown = line.split(' ').map(|word| if secret(&word) { "#..." } else { word });
            for_terminal(&shown.collect::<Vec<_>>().join(" ")).into_owned()
        })
        .collect();
    (Ok(shown), passwords)
}

async fn clients(asker: &mut Asker, connected: f64) -> Reply<Vec<Client>> {
    let own: String = asker.ask(&["CLIENT", "ID"], 5.0).await.unwrap_or_default();
    if connected > MOST_CLIENTS {
        let why = format!(
            "{connected:.0} connections are open, and CLIENT LIST would stop the server for a moment"
        );
        return Err(Missing::Failed(why));
    }
    let text: String = asker.ask(&["CLIENT", "LIST"], list_micros(connected)).await?;
    Ok(text.lines().map(client).filter(|client| client.id != own).collect())
}

/// A reply that just waits to be sent is no reason to worry. What waits in two looks, apart, is not read. Of both, the smaller counts.
async fn look_again(asker: &mut Asker, clients: &mut [Client]) {
    if clients.iter().all(|client| client.output == 0) {
        return;
    }
    tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    let micros = list_micros(clients.len() as f64);
    let Ok(text) = asker.ask::<String>(&["CLIENT", "LIST"], micros).await else { return };
    let later: BTreeMap<String, u64> =
        text.lines().map(client).map(|client| (client.id, client.output)).collect();
    for client in clients {
        client.output = client.output.min(later.get(&client.id).copied().unwrap_or(0));
    }
}

/// What CLIENT LIST costs the server, in microseconds.
fn list_micros(connected: f64) -> f64 {
    (CLIENT_MICROS * connected).max(1_000.0)
}

fn client(line: &str) -> Client {
    let mut client = Client::default();
    for (name, value) in line.split(' ').filter_map(|pair| pair.split_once('=')) {
        let number = || value.parse().unwrap_or(0);
        match name {
            "id" => value.clone_into(&mut client.id),
            "addr" => client.addr = for_terminal(value).into_owned(),
            "name" => client.name = for_terminal(value).into_owned(),
            "user" => client.user = for_terminal(value).into_owned(),
            "flags" => value.clone_into(&mut client.flags),
            "cmd" => client.command = for_terminal(value).into_owned(),
            "age" => client.age = number(),
            "idle" => client.idle = number(),
            "omem" => client.output = number(),
            "sub" | "psub" | "ssub" => client.subscriptions += number(),
            _ => {}
        }
    }
    client
}

async fn slow_commands(asker: &mut Asker) -> Reply<Vec<SlowCommand>> {
    let entries: Vec<Vec<Value>> = match asker.ask(&["COMMANDLOG", "GET", "128", "slow"], 200.0).await {
        Ok(entries) => entries,
        Err(_) => asker.ask(&["SLOWLOG", "GET", "128"], 200.0).await?,
    };
    Ok(entries.into_iter().filter_map(slow_command).collect())
}

fn slow_command(fields: Vec<Value>) -> Option<SlowCommand> {
    let mut fields = fields.into_iter().skip(2);
    let micros = redis::from_redis_value(fields.next()?).ok()?;
    let words: Vec<Vec<u8>> = redis::from_redis_value(fields.next()?).ok()?;
    let words: Vec<String> =
        words.iter().take(4).map(|word| shortened(&String::from_utf8_lossy(word), 40)).collect();
    Some(SlowCommand { micros, command: words.join(" ") })
}

async fn latency(asker: &mut Asker) -> Reply<Vec<LatencyEvent>> {
    let entries: Vec<Vec<Value>> = asker.ask(&["LATENCY", "LATEST"], 50.0).await?;
    let event = |fields: Vec<Value>| {
        let mut fields = fields.into_iter();
        let event: String = redis::from_redis_value(fields.next()?).ok()?;
        let latest = redis::from_redis_value(fields.nth(1)?).ok()?;
        let longest = redis::from_redis_value(fields.next()?).ok()?;
        Some(LatencyEvent { event: for_terminal(&event).into_owned(), latest, longest })
    };
    Ok(entries.into_iter().filter_map(event).collect())
}

async fn cluster_nodes(asker: &mut Asker) -> Reply<Vec<ClusterNode>> {
    let text: String = asker.ask(&["CLUSTER", "NODES"], 200.0).await?;
    Ok(text.lines().filter_map(cluster_node).collect())
}

fn cluster_node(line: &str) -> Option<ClusterNode> {
    let mut words = line.split(' ');
    let id = words.next()?.to_owned();
    // host:port@bus,hostname
    let address = words.next()?.split(['@', ',']).next()?.to_owned();
    let flags = words.next()?.split(',').map(str::to_owned).collect();
    let primary = words.next().filter(|primary| *primary != "-").map(str::to_owned);
    let ranges: Vec<&str> = words.skip(4).collect();
    let open = ranges.iter().filter_map(|range| open_slot(range)).collect();
    let slots = ranges.iter().filter(|range| !range.starts_with('[')).filter_map(|range| {
        let (from, to) = range.split_once('-').unwrap_or((*range, *range));
        Some(to.parse::<u32>().ok()?.saturating_sub(from.parse().ok()?) + 1)
    });
    let address = for_terminal(&address).into_owned();
    Some(ClusterNode { id, address, flags, primary, slots: slots.sum(), open })
}

/// `[300->-ID]` leaves for that node; `[300-<-ID]` comes from it.
fn open_slot(word: &str) -> Option<OpenSlot> {
    let word = word.strip_prefix('[')?.strip_suffix(']')?;
    let (slot, other, leaves) = match word.split_once("->-") {
        Some((slot, other)) => (slot, other, true),
        None => word.split_once("-<-").map(|(slot, other)| (slot, other, false))?,
    };
    Some(OpenSlot { slot: slot.parse().ok()?, leaves, other: for_terminal(other).into_owned() })
}

/// A slot that moves is open for a moment. Those that are open in two looks, a second apart, count.
async fn open_slots(asker: &mut Asker, node: &NodeFacts) -> Vec<OpenSlot> {
    let own = |nodes: &[ClusterNode]| -> Vec<OpenSlot> {
        nodes.iter().flat_map(|node| node.open.iter().cloned()).collect()
    };
    let first = node.cluster_nodes.as_deref().map(own).unwrap_or_default();
    if first.is_empty() {
        return first;
    }
    tokio::time::sleep(SLOTS_AGAIN_AFTER).await;
    let again = cluster_nodes(asker).await.as_deref().map(own).unwrap_or_default();
    first.into_iter().filter(|slot| again.contains(slot)).collect()
}

async fn slot_stats(asker: &mut Asker) -> Reply<SlotStats> {
    let by = |metric| ["CLUSTER", "SLOT-STATS", "ORDERBY", metric, "LIMIT", "1", "DESC"];
    let first = |slots: Vec<(u16, BTreeMap<String, u64>)>, metric: &str| {
        let (slot, metrics) = slots.into_iter().next()?;
        Some((slot, *metrics.get(metric)?))
    };
    let fullest = first(asker.ask(&by("key-count"), 2_000.0).await?, "key-count");
    // Counted only with cluster-slot-stats-enabled.
    let busiest = asker.ask(&by("cpu-usec"), 2_000.0).await.ok().and_then(|slots| first(slots, "cpu-usec"));
    Ok(SlotStats { fullest, busiest })
}

async fn sentinel_masters(asker: &mut Asker) -> Reply<Vec<Watched>> {
    let masters: Vec<BTreeMap<String, String>> = asker.ask(&["SENTINEL", "MASTERS"], 50.0).await?;
    let mut watched = Vec::new();
    for master in masters {
        let name = master.get("name").cloned().unwrap_or_default();
        let number = |field: &str| master.get(field).and_then(|value| value.parse().ok()).unwrap_or(0);
        let quorum_reply = match asker.ask::<String>(&["SENTINEL", "CKQUORUM", &name], 20.0).await {
            Ok(reply) => Some(Ok(for_terminal(&reply).into_owned())),
            Err(Missing::Failed(error)) => Some(Err(error)),
            Err(_) => None,
        };
        let mut replicas = others(asker, "REPLICAS", &name).await;
        if replicas.is_empty() {
            replicas = others(asker, "SLAVES", &name).await;
        }
        watched.push(Watched {
            address: place(&master),
            flags: master.get("flags").cloned().unwrap_or_default(),
            quorum: number("quorum"),
            other_sentinels: number("num-other-sentinels"),
            quorum_reply,
            replicas,
            sentinels: others(asker, "SENTINELS", &name).await,
            name: for_terminal(&name).into_owned(),
        });
    }
    Ok(watched)
}

async fn others(asker: &mut Asker, which: &str, name: &str) -> Vec<(String, String)> {
    let entries: Vec<BTreeMap<String, String>> =
        asker.ask(&["SENTINEL", which, name], 50.0).await.unwrap_or_default();
    entries.iter().map(|entry| (place(entry), entry.get("flags").cloned().unwrap_or_default())).collect()
}

fn place(entry: &BTreeMap<String, String>) -> String {
    let field = |name: &str| entry.get(name).map(String::as_str).unwrap_or_default();
    for_terminal(&address(field("ip"), field("port"))).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_cluster_nodes_is_read_with_its_slots() {
        let line = "aa 127.0.0.1:7000@17000,host myself,master - 0 0 1 connected 0-99 200 [300->-bb]";
        let node = cluster_node(line).unwrap();
        assert_eq!((node.address.as_str(), node.slots), ("127.0.0.1:7000", 101));
        let node = cluster_node("bb 127.0.0.1:7001@17001 slave,fail? aa 0 0 1 connected").unwrap();
        assert_eq!((node.primary.as_deref(), node.flags[1].as_str()), (Some("aa"), "fail?"));
    }

    #[test]
    fn a_line_of_client_list_is_read() {
        let client =
            client("id=3 addr=127.0.0.1:5 name= age=7 idle=2 flags=P sub=1 psub=2 omem=20 cmd=ping user=app");
        assert_eq!(
            (client.id.as_str(), client.subscriptions, client.output, client.user.as_str()),
            ("3", 3, 20, "app")
        );
    }
}
