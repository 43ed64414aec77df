//! What the stream promises to a source of one's own, and what it makes of servers that are none.
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
use bulk_loader::topology::slot_of;
use bulk_loader::{Endpoint, LoadError, Loaded, Loader, Progress, Source};
use lab_server::{Cluster, Server};
use redis::{Commands, ConnectionInfo, IntoConnectionInfo, cmd};

/// `SET key:<n> <n>`; one of them without its value, if so asked.
struct Sets {
    commands: u64,
    broken: Option<u64>,
}

impl Sets {
    fn of(commands: u64) -> Self {
        Self { commands, broken: None }
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

    fn slot(&mut self, command: u64) -> u16 {
        slot_of(self.describe(command).as_bytes())
    }

    fn describe(&self, command: u64) -> String {
        format!("key:{command}")
    }
}

/// `ECHO <n>, with line breaks`, and nothing else is the right answer.
struct Echoes(u64);

impl Source for Echoes {
    fn commands(&self) -> u64 {
        self.0
    }

    fn write(&mut self, command: u64, _again: bool, out: &mut Vec<u8>) {
        push_command(out, &["ECHO", &self.describe(command)]);
    }

    fn slot(&mut self, _command: u64) -> u16 {
        0
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
fn every_command_of_a_source_is_executed() {
    let server = Server::start().unwrap();
    for connections in [1, 4] {
        let mut source = Sets::of(20_000);
        let loader = Loader { connections, ..to(&server) };
        let mut told = Vec::new();
        let report = loader.load(&mut source, &mut |progress| told.push(progress)).unwrap();
        assert_eq!((report.records, report.resumed_after, report.replayed), (20_000, 0, 0));
        assert_eq!(told.last(), Some(&Progress { records: 20_000, of: 20_000 }));
        assert_eq!(stored_on(&server), source.expected());
        let () = server.client().get_connection().unwrap().flushall().unwrap();
    }
}

#[test]
fn a_cluster_has_every_key_where_it_belongs() {
    let cluster = Cluster::start(3).unwrap();
    let mut source = Sets::of(20_000);
    let info = cluster.urls()[0].as_str().into_connection_info().unwrap();
    let loaded = load(&to_info(&info, true), &mut source).unwrap();
    assert_eq!((loaded.records, loaded.redirections), (20_000, 0));
    let parts: Vec<_> = cluster.primaries().iter().map(stored_on).collect();
    assert!(parts.iter().all(|part| !part.is_empty()), "every node has its part");
    let everything: BTreeMap<_, _> = parts.into_iter().flatten().collect();
    assert_eq!(everything, source.expected());
}

#[test]
fn nothing_to_send_is_no_failure() {
    let server = Server::start().unwrap();
    let loaded = load(&to(&server), &mut Sets::of(0)).unwrap();
    assert_eq!((loaded.records, loaded.bytes_sent), (0, 0));
}

#[test]
fn a_command_that_is_refused_is_named() {
    let server = Server::start().unwrap();
    let mut source = Sets { broken: Some(7_777), ..Sets::of(20_000) };
    match load(&to(&server), &mut source).unwrap_err() {
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
fn an_answer_that_the_source_does_not_want_is_named() {
    let server = Server::start().unwrap();
    match load(&to(&server), &mut Doubting(Sets::of(10))).unwrap_err() {
        LoadError::Unexpected { record, reply } => {
            assert_eq!(record, "key:0");
            assert!(reply.contains("OK"), "{reply}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_wrong_password_is_refused_and_not_repeated() {
    let server = Server::start().unwrap();
    let mut loader = to(&server);
    loader.endpoint.password = Some("s3cret".into());
    let error = load(&loader, &mut Sets::of(10)).unwrap_err();
    assert!(matches!(&error, LoadError::Refused { error, .. } if error.contains("WRONGPASS")), "{error}");
    let shown = format!("{error} {error:?} {loader:?}");
    assert!(!shown.contains("s3cret") && !shown.contains(server.password()), "{shown}");
    assert_eq!(stored_on(&server), BTreeMap::new());
}

#[test]
fn who_answers_http_is_not_redis() {
    let at_once = Fake::start(|mut stream| {
        hear(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let error = load(&at_once.patient_loader(), &mut Sets::of(10)).unwrap_err();
    assert!(matches!(&error, LoadError::Refused { error, .. } if error.contains("not Redis")), "{error}");

    let afterwards = Fake::start(|mut stream| {
        greet(&mut stream);
        hear(&mut stream);
        let _ = stream.write_all(b"+OK\r\n+OK\r\nHTTP/1.1 400 Bad Request\r\n\r\n");
        hear(&mut stream);
    });
    let error = load(&afterwards.patient_loader(), &mut Sets::of(10)).unwrap_err();
    assert!(matches!(error, LoadError::Garbage { .. }), "{error}");
}

#[test]
fn more_answers_than_questions_are_not_redis() {
    let fake = Fake::start(|mut stream| {
        greet(&mut stream);
        hear(&mut stream);
        let _ = stream.write_all(&b"+OK\r\n".repeat(11));
        hear(&mut stream);
    });
    let ended = load(&fake.patient_loader(), &mut Sets::of(10));
    assert!(matches!(ended, Err(LoadError::Garbage { .. })), "{ended:?}");
}

#[test]
fn who_closes_every_connection_is_given_up() {
    let from_the_start = Fake::start(drop);
    let error = load(&from_the_start.loader(), &mut Sets::of(10)).unwrap_err();
    assert!(matches!(error, LoadError::Unreachable { .. }), "{error}");

    let mut first = true;
    let after_a_while = Fake::start(move |mut stream| {
        if std::mem::take(&mut first) {
            greet(&mut stream);
            hear(&mut stream);
        }
    });
    match load(&after_a_while.loader(), &mut Sets::of(10)).unwrap_err() {
        LoadError::Unreachable { waited, why, .. } => {
            assert!(waited >= PATIENCE, "{waited:?}");
            assert!(!why.is_empty());
        }
        other => panic!("{other}"),
    }
}

#[test]
fn who_lets_everybody_in_and_closes_at_the_first_record_is_given_up() {
    let fake = Fake::start(|mut stream| {
        greet(&mut stream);
        hear(&mut stream);
    });
    let loader = fake.loader();
    let stop = loader.stop.clone();
    // A load that does not end by itself is ended, so that the test fails instead of hanging.
    let (ended, over) = channel::<()>();
    let watch = thread::spawn(move || {
        let in_time = over.recv_timeout(PATIENCE * 30).is_ok();
        stop.store(true, Ordering::Relaxed);
        in_time
    });
    let error = load(&loader, &mut Sets::of(10)).unwrap_err();
    let _ = ended.send(());
    assert!(watch.join().unwrap(), "no record arrives, and the load goes on for ever: {error}");
    assert!(matches!(error, LoadError::Unreachable { .. }), "{error}");
}

#[test]
fn who_takes_connections_and_never_answers_is_given_up() {
    let fake = Fake::start(|mut stream| while hear(&mut stream) > 0 {});
    match load(&fake.loader(), &mut Sets::of(10)).unwrap_err() {
        LoadError::Unreachable { why, .. } => assert_eq!(why, "no answer in time"),
        other => panic!("{other}"),
    }
}

#[test]
fn who_answers_no_record_is_given_up() {
    let fake = Fake::start(|mut stream| {
        greet(&mut stream);
        while hear(&mut stream) > 0 {}
    });
    match load(&fake.loader(), &mut Sets::of(10)).unwrap_err() {
        LoadError::Unreachable { waited, .. } => assert!(waited >= PATIENCE, "{waited:?}"),
        other => panic!("{other}"),
    }
}

#[test]
fn replies_in_pieces_of_one_byte_are_understood() {
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

/// Like [`Sets`], but no answer is good enough.
struct Doubting(Sets);

impl Source for Doubting {
    fn commands(&self) -> u64 {
        self.0.commands()
    }

    fn write(&mut self, command: u64, again: bool, out: &mut Vec<u8>) {
        self.0.write(command, again, out);
    }

    fn slot(&mut self, command: u64) -> u16 {
        self.0.slot(command)
    }

    fn describe(&self, command: u64) -> String {
        self.0.describe(command)
    }

    fn accepts(&mut self, _command: u64, _reply: &[u8]) -> bool {
        false
    }
}

const PATIENCE: Duration = Duration::from_millis(300);

fn to(server: &Server) -> Loader {
    to_info(server.client().get_connection_info(), false)
}

fn to_info(info: &ConnectionInfo, cluster: bool) -> Loader {
    Loader::to(Endpoint::from_info(info, cluster).unwrap())
}

fn load<S: Source>(loader: &Loader, source: &mut S) -> Result<Loaded, LoadError> {
    loader.load(source, &mut |_| {})
}

/// Every key of a server of our own, and its value.
fn stored_on(server: &Server) -> BTreeMap<String, u64> {
    let mut own = server.client().get_connection().unwrap();
    let keys: Vec<String> = cmd("KEYS").arg("*").query(&mut own).unwrap();
    let mut asked = redis::pipe();
    for key in &keys {
        asked.get(key);
    }
    // A pipeline without a command is a mistake for redis-rs.
    let values: Vec<u64> = if keys.is_empty() { Vec::new() } else { asked.query(&mut own).unwrap() };
    keys.into_iter().zip(values).collect()
}

/// Something that listens, and serves one connection after the other as it likes. Its thread ends with the test's process.
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
        Loader { retry: PATIENCE, ..to_info(&url.as_str().into_connection_info().unwrap(), false) }
    }

    /// For one that answers: nothing is late then, however slow the machine.
    fn patient_loader(&self) -> Loader {
        Loader { retry: Duration::from_mins(1), ..self.loader() }
    }
}

/// Answers the question that every connection begins with, as a server does that says little.
fn greet(stream: &mut TcpStream) {
    hear(stream);
    let _ = stream.write_all(b"$12\r\n# Server\r\n\r\n\r\n");
}

/// Reads something; 0 at the end.
fn hear(stream: &mut TcpStream) -> usize {
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
