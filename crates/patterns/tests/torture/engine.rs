//! One run: a workload, a fault in the middle, and the check at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lab_server::{Error, Proxy, Replicated, Server};
use lab_testing::TestConnection;

use crate::smallest_user;
use crate::workload::{AnyWorkload, Failure, Fault, Pattern, Verdict};

/// How many clients run at once, how many calls each makes, and after how many the fault comes.
const CLIENTS: usize = 10;
pub const CALLS: usize = 6;
const BEFORE: Range<usize> = 0..2;
const DURING: Range<usize> = 2..4;
const AFTER: Range<usize> = 4..CALLS;

/// How many more clients make all their calls while a command is refused.
const REFUSED_CLIENTS: usize = 3;

/// The same for the run without a fault.
const MANY_CLIENTS: usize = 50;
const CALLS_OF_MANY: usize = 4;

/// How long a call may take, with all its retries, after the fault is over.
const TIMEOUT: Duration = lab_testing::TIMEOUT;
const RETRY_PAUSE: Duration = Duration::from_millis(10);

const HOUR: i64 = 60 * 60;

/// A command that is refused by name, and not by its key: the one in which PUBLISH names its channel.
const CHANNELS: &str = "all channels";

/// The outcome of a run.
pub enum Outcome {
    /// As promised.
    Kept(Verdict),
    /// The command was refused, and no call needed it.
    NotNeeded,
    /// This machine lacks something.
    Skipped(String),
    /// What was expected and found.
    Violated(String),
}

/// The faults of a pattern, or why it cannot work even without one. Its commands are read from its scripts, its keys from a run in which nothing goes wrong.
pub async fn faults(pattern: &Pattern) -> Result<Vec<Fault>, Outcome> {
    let mut faults = vec![
        Fault::ManyClients,
        Fault::Resp3,
        Fault::SentTwice,
        Fault::Canceled,
        Fault::ConnectionCut,
        Fault::ClockBack,
        Fault::ClockForward,
        Fault::WritesLost,
        Fault::SlotsMove,
        Fault::SmallestUser,
    ];
    let mut commands: BTreeSet<String> =
        pattern.plain_commands.iter().map(|name| (*name).to_owned()).collect();
    for (_, script) in (pattern.scripts)() {
        commands.extend(commands_of(script.source()));
    }
    if !(pattern.scripts)().is_empty() {
        faults.push(Fault::ScriptsFlushed);
        commands.insert("EVALSHA".to_owned());
    }
    let publishes =
        commands.iter().any(|command| command.ends_with("PUBLISH") || command.ends_with("SUBSCRIBE"));
    faults.extend(commands.into_iter().map(Fault::CommandRefused));
    if publishes {
        faults.push(Fault::CommandRefused(CHANNELS.to_owned()));
    }
    let probe = Run::of(pattern);
    let connection = TestConnection::server().await;
    let mut keys = BTreeMap::new();
    probe.set_up(&connection).await.map_err(Outcome::Violated)?;
    if let Some(missing) = probe.workload.missing() {
        return Err(Outcome::Skipped(missing.to_owned()));
    }
    keys.extend(probe.key_kinds(&connection).await);
    probe.undisturbed(&connection, 0..DURING.end).await.map_err(Outcome::Violated)?;
    keys.extend(probe.key_kinds(&connection).await);
    faults.extend(keys.into_values().map(|key| Fault::KeyLost(probe.without_prefix(&key))));
    Ok(faults)
}

/// The commands in `redis.call('X'` and `redis.pcall("X"`.
pub fn commands_of(source: &str) -> BTreeSet<String> {
    let calls = source.split("call(").skip(1);
    calls
        .filter_map(|after| {
            let quote = after.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
            after[1..].split(quote).next()
        })
        .map(str::to_uppercase)
        .collect()
}

/// Runs the workload under this fault, one of [`faults`].
pub async fn run(pattern: &Pattern, fault: &Fault) -> Outcome {
    let result = match fault {
        Fault::ManyClients => many_clients(pattern).await,
        Fault::Resp3 => {
            let connection = TestConnection::resp3().await;
            all_calls(pattern, fault, connection.clone(), connection).await
        }
        Fault::SentTwice => {
            let connection = TestConnection::server().await;
            all_calls(pattern, fault, connection.clone().sending_twice(), connection).await
        }
        Fault::Canceled => canceled(pattern).await,
        Fault::ConnectionCut => connection_cut(pattern).await,
        Fault::ClockBack | Fault::ClockForward => {
            let seconds = if *fault == Fault::ClockBack { -HOUR } else { 24 * HOUR };
            match Server::builder().movable_clock().start() {
                Ok(server) => clock_moved(pattern, fault, &server, seconds).await,
                // In CI, nothing is left out unnoticed.
                Err(error @ Error::NoFaketime) if std::env::var_os("CI").is_none() => {
                    return Outcome::Skipped(error.to_string());
                }
                Err(error) => Err(error.to_string()),
            }
        }
        Fault::WritesLost => writes_lost(pattern).await,
        Fault::SlotsMove => {
            let observer = TestConnection::to_cluster(lab_testing::cluster()).await;
            all_calls(pattern, fault, TestConnection::moving_slots().await, observer).await
        }
        Fault::SmallestUser => smallest_user::prove(pattern).await,
        Fault::ScriptsFlushed => scripts_flushed(pattern).await,
        Fault::CommandRefused(command) => match command_refused(pattern, command).await.transpose() {
            Some(result) => result,
            None => return Outcome::NotNeeded,
        },
        Fault::KeyLost(key) => key_lost(pattern, key).await,
    };
    match result {
        Ok(Verdict::Contract(sentence)) => match in_docs(pattern.name, sentence) {
            Ok(()) => Outcome::Kept(Verdict::Contract(sentence)),
            Err(missing) => Outcome::Violated(missing),
        },
        Ok(verdict) => Outcome::Kept(verdict),
        Err(found) => Outcome::Violated(found),
    }
}

/// Whether the docs of the pattern's module have this sentence, or part of a sentence.
fn in_docs(pattern: &str, sentence: &str) -> Result<(), String> {
    let path = format!("{}/src/{pattern}.rs", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(&path).map_err(|error| format!("the docs in {path}: {error}"))?;
    let docs = source.lines().filter_map(|line| line.strip_prefix("//!")).collect::<Vec<_>>().join(" ");
    let plain = |text: &str| {
        let text = text.replace(['`', '*'], "").to_lowercase();
        text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
    };
    if plain(&docs).contains(&plain(sentence)) {
        Ok(())
    } else {
        Err(format!("expected the contract in the docs of src/{pattern}.rs; they do not say: {sentence}"))
    }
}

async fn many_clients(pattern: &Pattern) -> Result<Verdict, String> {
    let run = Run::of(pattern);
    let mut connections = Vec::new();
    for _ in 0..MANY_CLIENTS {
        connections.push(TestConnection::server().await);
    }
    run.set_up(&connections[0]).await?;
    let clients = (0..MANY_CLIENTS).map(|client| {
        let (run, connection) = (&run, &connections[client]);
        async move {
            for call in 0..CALLS_OF_MANY {
                run.call(connection, client, call).await?;
            }
            Ok(())
        }
    });
    first_error(clients).await?;
    run.check(&connections[0], &Fault::ManyClients).await
}

/// All calls over `connection`, and the check over `observer`.
async fn all_calls(
    pattern: &Pattern,
    fault: &Fault,
    connection: TestConnection,
    observer: TestConnection,
) -> Result<Verdict, String> {
    let run = Run::of(pattern);
    run.set_up(&observer).await?;
    run.undisturbed(&connection, 0..CALLS).await?;
    run.check(&observer, fault).await
}

async fn canceled(pattern: &Pattern) -> Result<Verdict, String> {
    let (run, connection) = (Run::of(pattern), TestConnection::server().await);
    run.set_up(&connection).await?;
    let clients = (0..CLIENTS).map(|client| {
        let (run, connection) = (&run, &connection);
        async move {
            for call in 0..CALLS {
                let polls = 1 + (client + 3 * call) % 6;
                let ended = poll_at_most(polls, run.workload.call(connection.clone(), client, call)).await;
                if ended.is_none() {
                    run.call(connection, client, call).await?;
                }
            }
            Ok(())
        }
    });
    first_error(clients).await?;
    run.check(&connection, &Fault::Canceled).await
}

/// Polls at most this many times, and then drops the future.
async fn poll_at_most<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut polled) = (pin!(future), 0);
    poll_fn(|context| {
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polled >= polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn connection_cut(pattern: &Pattern) -> Result<Verdict, String> {
    /// Every ninth reply is lost, until there were enough cuts: a call of many round trips must end, too.
    const CUT_EACH: u32 = 9;
    const CUTS: u32 = 20;
    let (run, connection) = (Run::of(pattern), TestConnection::server().await);
    run.set_up(&connection).await?;
    let proxy = Proxy::in_front_of(lab_testing::server()).map_err(|error| error.to_string())?;
    let through_proxy = TestConnection::reconnecting(&proxy.url()).await;
    proxy.cut_replies(CUT_EACH);
    let end_cuts = async {
        while proxy.cuts() < CUTS {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        proxy.cut_replies(0);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = run.retried(&through_proxy, 0..CALLS) => ended?,
        () = end_cuts => {}
    }
    if proxy.cuts() == 0 {
        return Err("expected cut connections; found too few replies for that".to_owned());
    }
    run.check(&connection, &Fault::ConnectionCut).await
}

async fn clock_moved(
    pattern: &Pattern,
    fault: &Fault,
    server: &Server,
    seconds: i64,
) -> Result<Verdict, String> {
    let (run, connection) = (Run::of(pattern), TestConnection::to_server(server).await);
    run.set_up(&connection).await?;
    run.undisturbed(&connection, 0..DURING.end).await?;
    server.set_clock(seconds).map_err(|error| error.to_string())?;
    run.undisturbed(&connection, AFTER).await?;
    run.check(&connection, fault).await
}

async fn writes_lost(pattern: &Pattern) -> Result<Verdict, String> {
    let group = Replicated::start(1).map_err(|error| error.to_string())?;
    let run = Run::of(pattern);
    let primary = TestConnection::to_server(&group.primary).await;
    let replica = TestConnection::to_server(&group.replicas[0]).await;
    run.set_up(&primary).await?;
    run.undisturbed(&primary, BEFORE).await?;
    // WAIT counts what its own connection wrote, and all that came before that.
    let () = primary.send(&["SET", &format!("{}marker", run.prefix), "1"]).await;
    let copies: usize = primary.send(&["WAIT", "1", "30000"]).await;
    if copies != 1 {
        return Err("the replica did not get the writes".to_owned());
    }
    let () = replica.send(&["REPLICAOF", "NO", "ONE"]).await;
    run.undisturbed(&primary, DURING).await?;
    run.retried(&replica, AFTER).await?;
    run.check(&replica, &Fault::WritesLost).await
}

async fn scripts_flushed(pattern: &Pattern) -> Result<Verdict, String> {
    let (run, connection) = (Run::of(pattern), TestConnection::server().await);
    run.set_up(&connection).await?;
    let flush = async {
        for round in 0_u64.. {
            let () = connection.send(&["SCRIPT", "FLUSH", "ASYNC"]).await;
            tokio::time::sleep(Duration::from_micros(round * 7_919 % 2_000)).await;
        }
    };
    tokio::select! {
        ended = run.undisturbed(&connection, 0..CALLS) => ended?,
        () = flush => {}
    }
    run.check(&connection, &Fault::ScriptsFlushed).await
}

/// `None` if no call needed the command.
async fn command_refused(pattern: &Pattern, command: &str) -> Result<Option<Verdict>, String> {
    let (run, admin) = (Run::of(pattern), TestConnection::server().await);
    let user = run.prefix.trim_end_matches(':');
    let set_user = async |rights: &[&str]| {
        let () = admin.send(&[&["ACL", "SETUSER", user], rights].concat()).await;
    };
    set_user(&["on", ">secret", "~*", "&*", "+@all"]).await;
    let url = format!("redis://{user}:secret@127.0.0.1:{}/", lab_testing::server().port());
    let connection = TestConnection::to_url(&url).await;
    run.set_up(&admin).await?;
    run.undisturbed(&connection, BEFORE).await?;
    let (without, with) = (format!("-{command}"), format!("+{command}"));
    let (without, with) =
        if command == CHANNELS { ("resetchannels", "allchannels") } else { (&*without, &*with) };
    // These calls are under way when the right is taken away.
    let taken = [without];
    let ((), mut failed) = tokio::join!(set_user(&taken), run.attempted(&connection, DURING.start));
    // New clients make each of their calls without it, one by one, so that what a refused script has changed can be seen.
    let watched = connection.clone().watching_refusals(&admin);
    for client in CLIENTS..CLIENTS + REFUSED_CLIENTS {
        for call in 0..CALLS {
            if run.try_call(&watched, client, call).await.is_err() {
                failed.push((client, call));
            }
        }
    }
    let changed = watched.changes_by_refused_scripts();
    if let Some(first) = changed.first() {
        return Err(format!(
            "expected a refused script to change nothing; found {} times: {first}",
            changed.len()
        ));
    }
    set_user(&[with]).await;
    let was_needed = !failed.is_empty();
    run.made_again(&connection, failed).await?;
    run.undisturbed(&connection, DURING.start + 1..CALLS).await?;
    let () = admin.send(&["ACL", "DELUSER", user]).await;
    let verdict = run.check(&admin, &Fault::CommandRefused(command.to_owned())).await?;
    Ok(was_needed.then_some(verdict))
}

/// Twice: the key is lost before the first call, and between calls.
async fn key_lost(pattern: &Pattern, key: &str) -> Result<Verdict, String> {
    let mut verdict = Verdict::Held;
    for calls_before in [0, DURING.end] {
        let (run, connection) = (Run::of(pattern), TestConnection::server().await);
        run.set_up(&connection).await?;
        run.undisturbed(&connection, 0..calls_before).await?;
        // This run has other random IDs than the one that named the key.
        let Some(key) = run.key_kinds(&connection).await.remove(&kind(key)) else { continue };
        let () = connection.send(&["DEL", &key]).await;
        run.retried(&connection, calls_before..CALLS).await?;
        match run.check(&connection, &Fault::KeyLost(key)).await {
            Ok(Verdict::Held) => {}
            Ok(contract) => verdict = contract,
            Err(found) => return Err(format!("deleted after {calls_before} calls of each client: {found}")),
        }
    }
    Ok(verdict)
}

/// A workload and its prefix.
pub struct Run {
    pub prefix: String,
    workload: Box<dyn AnyWorkload>,
}

impl Run {
    pub fn of(pattern: &Pattern) -> Self {
        Self::with_prefix(pattern, lab_testing::prefix())
    }

    pub fn with_prefix(pattern: &Pattern, prefix: String) -> Self {
        Self { workload: (pattern.workload)(&prefix), prefix }
    }

    pub async fn set_up(&self, connection: &TestConnection) -> Result<(), String> {
        self.workload.set_up(connection.clone()).await.map_err(|error| format!("setting it up: {error}"))
    }

    /// One call that must end well.
    async fn call(&self, connection: &TestConnection, client: usize, call: usize) -> Result<(), String> {
        self.try_call(connection, client, call).await.map_err(|error| {
            format!("expected call {call} of client {client} to end; found the error: {error}")
        })
    }

    async fn try_call(&self, connection: &TestConnection, client: usize, call: usize) -> Result<(), Failure> {
        tokio::time::timeout(TIMEOUT, self.workload.call(connection.clone(), client, call))
            .await
            .unwrap_or_else(|_| Err(format!("no end within {} s", TIMEOUT.as_secs()).into()))
    }

    /// One call, made again until it ends.
    async fn retry(&self, connection: &TestConnection, client: usize, call: usize) -> Result<(), String> {
        let start = Instant::now();
        loop {
            match self.call(connection, client, call).await {
                Err(_) if start.elapsed() < TIMEOUT => tokio::time::sleep(RETRY_PAUSE).await,
                Err(error) => return Err(format!("{error}, for {} s", TIMEOUT.as_secs())),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// All clients at once make these calls, one after the other, and each must end well the first time.
    pub async fn undisturbed(&self, connection: &TestConnection, calls: Range<usize>) -> Result<(), String> {
        first_error((0..CLIENTS).map(|client| {
            let calls = calls.clone();
            async move {
                for call in calls {
                    self.call(connection, client, call).await?;
                }
                Ok(())
            }
        }))
        .await
    }

    /// The same, but a call that fails is made again until it ends.
    async fn retried(&self, connection: &TestConnection, calls: Range<usize>) -> Result<(), String> {
        first_error((0..CLIENTS).map(|client| {
            let calls = calls.clone();
            async move {
                for call in calls {
                    self.retry(connection, client, call).await?;
                }
                Ok(())
            }
        }))
        .await
    }

    /// All clients at once make this call. Those that failed, client and call.
    async fn attempted(&self, connection: &TestConnection, call: usize) -> Vec<(usize, usize)> {
        let clients: FuturesUnordered<_> = (0..CLIENTS)
            .map(|client| async move {
                let failed = self.try_call(connection, client, call).await.is_err();
                failed.then_some((client, call))
            })
            .collect();
        clients.filter_map(|failed| async move { failed }).collect().await
    }

    /// Those calls once more, each client's in their order.
    async fn made_again(
        &self,
        connection: &TestConnection,
        failed: Vec<(usize, usize)>,
    ) -> Result<(), String> {
        let mut by_client: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (client, call) in failed {
            by_client.entry(client).or_default().push(call);
        }
        first_error(by_client.into_iter().map(|(client, calls)| async move {
            for call in calls {
                self.retry(connection, client, call).await?;
            }
            Ok(())
        }))
        .await
    }

    pub async fn check(&self, connection: &TestConnection, fault: &Fault) -> Result<Verdict, String> {
        tokio::time::timeout(2 * TIMEOUT, self.workload.check(connection.clone(), fault))
            .await
            .unwrap_or_else(|_| {
                Err(format!("expected the check to end; found no end in {:?}", 2 * TIMEOUT).into())
            })
            .map_err(|error| error.to_string())
    }

    /// The keys there are now, one of each kind.
    async fn key_kinds(&self, connection: &TestConnection) -> BTreeMap<String, String> {
        let keys = connection.keys(&format!("{}*", self.prefix)).await;
        // The first of each kind.
        keys.into_iter().rev().map(|key| (kind(&self.without_prefix(&key)), key)).collect()
    }

    fn without_prefix(&self, key: &str) -> String {
        key.replace(&self.prefix, "")
    }
}

/// A key's name without what differs between keys of one kind: numbers, and long words, which are random.
fn kind(key: &str) -> String {
    let is_word = |character: char| character.is_ascii_alphanumeric();
    let mut kind = String::new();
    let mut rest = key;
    while !rest.is_empty() {
        let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.len() >= 20 || word.chars().any(|character| character.is_ascii_digit()) {
            kind.push_str(word.trim_end_matches(|character: char| is_word(character)));
            kind.push('#');
        } else {
            kind.push_str(word);
        }
        let mut characters = after.chars();
        kind.extend(characters.next());
        rest = characters.as_str();
    }
    kind
}

async fn first_error<F: Future<Output = Result<(), String>>>(
    clients: impl Iterator<Item = F>,
) -> Result<(), String> {
    // Polls only who was woken, so that a call canceled after three polls got three steps far.
    let mut clients: FuturesUnordered<F> = clients.collect();
    while let Some(ended) = clients.next().await {
        ended?;
    }
    Ok(())
}
