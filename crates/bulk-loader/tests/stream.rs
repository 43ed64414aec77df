//! What the loader promises to any source, and how it treats servers that are broken or are not Redis.
#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach the functions they share"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use bulk_loader::source::push_command;
use bulk_loader::{Endpoint, LoadError, Loaded, Loader, Progress, Source};
use lab_server::{Cluster, Server};
use redis::{Commands, ConnectionInfo, IntoConnectionInfo, cmd};

/// `SET key:<n> <n>`. The command `broken` lacks its value.
struct Sets {
    commands: u64,
    broken: Option<u64>,
    accepts: bool,
}

impl Sets {
    fn of(commands: u64) -> Self {
        Self { commands, broken: None, accepts: true }
    }

    fn expected(&self) -> BTreeMap<String, u64> {
        (0..self.commands).map(|command| (self.describe(command), command)).collect()
    }
}

impl Source for Sets {
    fn commands(&self) -> u64 {
        self.commands
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        let key = self.describe(command);
        if self.broken == Some(command) {
            push_command(out, &["SET", &key]);
        } else {
            push_command(out, &["SET", &key, &command.to_string()]);
        }
    }

    fn describe(&self, command: u64) -> String {
        format!("key:{command}")
    }

    fn accepts(&mut self, _command: u64, _reply: &[u8]) -> bool {
        self.accepts
    }
}

/// `ECHO` of a text with line breaks. Only that text is accepted as the reply.
struct Echoes(u64);

impl Source for Echoes {
    fn commands(&self) -> u64 {
        self.0
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        push_command(out, &["ECHO", &self.describe(command)]);
    }

    fn describe(&self, command: u64) -> String {
        format!("{command}\r\n$-1\r\n")
    }

    fn accepts(&mut self, command: u64, reply: &[u8]) -> bool {
        let text = self.describe(command);
        reply == format!("${}\r\n{text}\r\n", text.len()).as_bytes()
    }
}

#[test]
fn every_command_is_executed() {
    let server = Server::start().unwrap();
    for connections in [1, 4] {
        let mut source = Sets::of(20_000);
        let loader = Loader { connections, ..loader_for(&server) };
        let mut reported = Vec::new();
        let report = loader.load(&mut source, &mut |progress| reported.push(progress)).unwrap();
        assert_eq!((report.records, report.resumed_after, report.replayed), (20_000, 0, 0));
        assert_eq!(reported.last(), Some(&Progress { records: 20_000, total: 20_000 }));
        assert_eq!(stored_on(&server), source.expected());
        let () = server.client().get_connection().unwrap().flushall().unwrap();
    }
}

#[test]
fn on_a_cluster_each_key_goes_to_its_node() {
    let cluster = Cluster::start(3).unwrap();
    let mut source = Sets::of(20_000);
    let info = cluster.urls()[0].as_str().into_connection_info().unwrap();
    let loaded = load(&loader_at(&info, true), &mut source).unwrap();
    assert_eq!((loaded.records, loaded.redirections), (20_000, 0));
    let parts: Vec<_> = cluster.primaries().iter().map(stored_on).collect();
    assert!(parts.iter().all(|part| !part.is_empty()), "every node has keys");
    let everything: BTreeMap<_, _> = parts.into_iter().flatten().collect();
    assert_eq!(everything, source.expected());
}

#[test]
fn an_empty_source_succeeds() {
    let server = Server::start().unwrap();
    let loaded = load(&loader_for(&server), &mut Sets::of(0)).unwrap();
    assert_eq!((loaded.records, loaded.bytes_sent), (0, 0));
}

#[test]
fn a_rejected_command_is_named() {
    let server = Server::start().unwrap();
    let mut source = Sets { broken: Some(7_777), ..Sets::of(20_000) };
    match load(&loader_for(&server), &mut source).unwrap_err() {
        LoadError::Rejected { record, error } => {
            assert_eq!(record, "key:7777");
            assert!(error.contains("wrong number of arguments"), "{error}");
        }
        other => panic!("{other}"),
    }
    let stored = stored_on(&server);
    assert!((0..7_777).all(|command| stored.contains_key(&format!("key:{command}"))), "{}", stored.len());
}

#[test]
fn an_unexpected_reply_is_named() {
    let server = Server::start().unwrap();
    match load(&loader_for(&server), &mut Sets { accepts: false, ..Sets::of(10) }).unwrap_err() {
        LoadError::Unexpected { record, reply } => {
            assert_eq!(record, "key:0");
            assert!(reply.contains("OK"), "{reply}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let server = Server::start().unwrap();
    let mut loader = loader_for(&server);
    loader.endpoint.password = Some("s3cret".into());
    let error = load(&loader, &mut Sets::of(10)).unwrap_err();
    assert!(matches!(&error, LoadError::Refused { error, .. } if error.contains("WRONGPASS")), "{error}");
    let shown = format!("{error} {error:?} {loader:?}");
    assert!(!shown.contains("s3cret") && !shown.contains(server.password()), "{shown}");
    assert_eq!(stored_on(&server), BTreeMap::new());
}

#[test]
fn an_http_server_is_not_redis() {
    let at_once = Fake::start(|mut stream| {
        read_some(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let error = load(&at_once.patient_loader(), &mut Sets::of(10)).unwrap_err();
    assert!(
        matches!(&error, LoadError::Refused { error, .. } if error.contains("Redis protocol")),
        "{error}"
    );

    let afterward = Fake::start(|mut stream| {
        answer_info(&mut stream);
        read_some(&mut stream);
        let _ = stream.write_all(b"+OK\r\n+OK\r\nHTTP/1.1 400 Bad Request\r\n\r\n");
        read_some(&mut stream);
    });
    let error = load(&afterward.patient_loader(), &mut Sets::of(10)).unwrap_err();
    assert!(matches!(error, LoadError::NotRedis { .. }), "{error}");
}

#[test]
fn more_replies_than_commands_are_not_redis() {
    let fake = Fake::start(|mut stream| {
        answer_info(&mut stream);
        read_some(&mut stream);
        let _ = stream.write_all(&b"+OK\r\n".repeat(11));
        read_some(&mut stream);
    });
    let ended = load(&fake.patient_loader(), &mut Sets::of(10));
    assert!(matches!(ended, Err(LoadError::NotRedis { .. })), "{ended:?}");
}

#[test]
fn a_server_that_closes_every_connection_is_given_up() {
    let from_the_start = Fake::start(drop);
    let error = load(&from_the_start.loader(), &mut Sets::of(10)).unwrap_err();
    assert!(matches!(error, LoadError::Unreachable { .. }), "{error}");

    let mut first = true;
    let after_a_while = Fake::start(move |mut stream| {
        if std::mem::take(&mut first) {
            answer_info(&mut stream);
            read_some(&mut stream);
        }
    });
    match load(&after_a_while.loader(), &mut Sets::of(10)).unwrap_err() {
        LoadError::Unreachable { waited, why, .. } => {
            assert!(waited >= MAX_DOWNTIME, "{waited:?}");
            assert!(!why.is_empty());
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_server_that_closes_at_the_first_command_is_given_up() {
    let fake = Fake::start(|mut stream| {
        answer_info(&mut stream);
        read_some(&mut stream);
    });
    let loader = fake.loader();
    let stop = loader.stop.clone();
    // Stops a load that does not end by itself, so that the test fails instead of hanging.
    let (ended, over) = channel::<()>();
    let watch = thread::spawn(move || {
        let in_time = over.recv_timeout(MAX_DOWNTIME * 30).is_ok();
        stop.store(true, Ordering::Relaxed);
        in_time
    });
    let error = load(&loader, &mut Sets::of(10)).unwrap_err();
    let _ = ended.send(());
    assert!(watch.join().unwrap(), "the load did not end by itself: {error}");
    assert!(matches!(error, LoadError::Unreachable { .. }), "{error}");
}

#[test]
fn a_server_that_accepts_and_never_answers_is_given_up() {
    let fake = Fake::start(|mut stream| while read_some(&mut stream) > 0 {});
    match load(&fake.loader(), &mut Sets::of(10)).unwrap_err() {
        LoadError::Unreachable { why, .. } => assert_eq!(why, "no answer in time"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_server_that_answers_no_command_is_given_up() {
    let fake = Fake::start(|mut stream| {
        answer_info(&mut stream);
        while read_some(&mut stream) > 0 {}
    });
    match load(&fake.loader(), &mut Sets::of(10)).unwrap_err() {
        LoadError::Unreachable { waited, .. } => assert!(waited >= MAX_DOWNTIME, "{waited:?}"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_server_gets_larger_reads_and_valkey_gets_batches() {
    let redis = ["redis_version:7.2.4\r\n", ""];
    let valkey = ["redis_version:7.2.4\r\nvalkey_version:9.1.0\r\n", "\r\n"];
    for [info, separator] in [redis, valkey] {
        let (sender, received) = channel();
        let fake = Fake::start(move |mut stream| {
            read_some(&mut stream);
            let _ = write!(stream, "${}\r\n{info}\r\n", info.len());
            let echo = read_until(&mut stream, b"-\r\n");
            let _ = stream.write_all(b"-NOPERM no permission for ECHO\r\n");
            let commands = read_until(&mut stream, b"$2\r\n39\r\n");
            let _ = stream.write_all(&b"+OK\r\n".repeat(40));
            // Not so if a busy machine let the loader give this connection up and open another.
            if commands.ends_with(b"$2\r\n39\r\n") {
                let _ = sender.send((echo, commands));
            }
            read_some(&mut stream);
        });
        let mut source = Sets::of(40);
        // However slow this machine is at the moment.
        let loader = Loader { larger_reads_below: Duration::MAX, ..fake.patient_loader() };
        assert_eq!(load(&loader, &mut source).unwrap().records, 40);
        let (echo, commands) = received.recv().unwrap();
        let is_large = echo.starts_with(b"*2\r\n$4\r\nECHO\r\n$262144\r\n") && echo.len() > 262_144;
        assert!(is_large, "{} bytes: {}", echo.len(), text(&echo[..echo.len().min(100)]));
        let mut expected = Vec::new();
        for command in 0..40 {
            if command % 16 == 0 {
                expected.extend_from_slice(separator.as_bytes());
            }
            source.write(command, false, &mut expected);
        }
        assert_eq!(text(&commands), text(&expected));
    }
}

#[test]
fn replies_that_arrive_byte_by_byte_are_read() {
    let server = Server::start().unwrap();
    let port = server.port();
    let proxy = Fake::start(move |stream| {
        let up = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut from, mut to) = (stream.try_clone().unwrap(), up.try_clone().unwrap());
        let forth = thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
        byte_by_byte(up, stream);
        forth.join().unwrap();
    });
    let mut loader = proxy.patient_loader();
    loader.endpoint.password = Some(server.password().into());
    let mut source = Sets::of(2_000);
    assert_eq!(load(&loader, &mut source).unwrap().records, 2_000);
    assert_eq!(stored_on(&server), source.expected());
    let echoed = load(&loader, &mut Echoes(2_000)).unwrap();
    assert_eq!((echoed.records, echoed.reconnections), (2_000, 0));
}

const MAX_DOWNTIME: Duration = Duration::from_millis(300);

fn loader_for(server: &Server) -> Loader {
    loader_at(server.client().get_connection_info(), false)
}

fn loader_at(info: &ConnectionInfo, cluster: bool) -> Loader {
    Loader::new(Endpoint::from_info(info, cluster).unwrap())
}

fn load<S: Source>(loader: &Loader, source: &mut S) -> Result<Loaded, LoadError> {
    loader.load(source, &mut |_| {})
}

/// Every key of a server, and its value.
fn stored_on(server: &Server) -> BTreeMap<String, u64> {
    let mut own = server.client().get_connection().unwrap();
    let keys: Vec<String> = cmd("KEYS").arg("*").query(&mut own).unwrap();
    let mut asked = redis::pipe();
    for key in &keys {
        asked.get(key);
    }
    // redis-rs fails on an empty pipeline.
    let values: Vec<u64> = if keys.is_empty() { Vec::new() } else { asked.query(&mut own).unwrap() };
    keys.into_iter().zip(values).collect()
}

/// Listens, and serves one connection after another. Its thread ends with the test's process.
struct Fake {
    port: u16,
}

impl Fake {
    fn start(mut serve: impl FnMut(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap())));
        Self { port }
    }

    fn loader(&self) -> Loader {
        let url = format!("redis://127.0.0.1:{}", self.port);
        Loader {
            max_downtime: MAX_DOWNTIME,
            ..loader_at(&url.as_str().into_connection_info().unwrap(), false)
        }
    }

    /// For a fake that answers, so that a slow machine does not fail the test.
    fn patient_loader(&self) -> Loader {
        Loader { max_downtime: Duration::from_mins(1), ..self.loader() }
    }
}

/// Answers INFO as a server that does not tell its version.
fn answer_info(stream: &mut TcpStream) {
    read_some(stream);
    let _ = stream.write_all(b"$12\r\n# Server\r\n\r\n\r\n");
}

/// Reads until the bytes end like this.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut part = [0; 4_096];
    while !bytes.ends_with(end) {
        match stream.read(&mut part) {
            Ok(count @ 1..) => bytes.extend_from_slice(&part[..count]),
            _ => break,
        }
    }
    bytes
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads something. Returns 0 at the end.
fn read_some(stream: &mut TcpStream) -> usize {
    stream.read(&mut [0; 4_096]).unwrap_or(0)
}

fn byte_by_byte(mut from: TcpStream, mut to: TcpStream) {
    to.set_nodelay(true).unwrap();
    let mut piece = [0; 4_096];
    while let Ok(bytes @ 1..) = from.read(&mut piece) {
        for byte in &piece[..bytes] {
            if to.write_all(&[*byte]).is_err() {
                return;
            }
        }
    }
}
