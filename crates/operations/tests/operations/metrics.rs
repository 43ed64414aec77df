//! `cargo ops metrics`: what it serves, and that nothing stops it.

#![allow(clippy::float_cmp, reason = "the parser reads numbers as floats, and these counts are exact")]

pub mod parser;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab_server::{Replicated, Sentinels, Server};
use lab_testing::TIMEOUT;
use parser::{Family, parse};

/// The program, until it is dropped.
struct Exporter {
    child: Child,
    address: String,
}

impl Exporter {
    fn of(url: &str) -> Self {
        Self::start(&["--listen", "127.0.0.1:0", "--url", url])
    }

    fn start(arguments: &[&str]) -> Self {
        let mut child = program(arguments).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("http://").unwrap().1.trim_end_matches("/metrics").to_owned();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream
    }

    /// Head and body of the answer to these bytes.
    fn send(&self, bytes: &[u8]) -> (String, String) {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        (head.to_owned(), body.to_owned())
    }

    fn scrape(&self) -> String {
        let (head, body) = self.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        body
    }

    /// Scrapes until this line is there.
    fn scrape_until(&self, line: &str) -> String {
        let begun = Instant::now();
        loop {
            let text = self.scrape();
            if text.lines().any(|found| found.starts_with(line)) {
                return text;
            }
            assert!(begun.elapsed() < TIMEOUT, "{line} is not in {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operations"));
    command.arg("metrics").args(arguments).env_remove("REDISCLI_AUTH").env_remove("REDIS_URL");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn send(server: &Server, words: &[&str]) -> redis::RedisResult<redis::Value> {
    redis::cmd(words[0]).arg(&words[1..]).query(&mut server.client().get_connection().unwrap())
}

/// The value of the sample with this name and these labels, beside `node`.
fn value(families: &[Family], name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = families.iter().flat_map(|family| &family.samples);
    let mut found = samples.filter(|sample| {
        sample.name == name
            && labels.iter().all(|(label, text)| sample.labels.get(*label).is_some_and(|it| it == text))
    });
    found.next().unwrap_or_else(|| panic!("no {name} {labels:?} in {families:#?}")).value
}

#[test]
fn a_strict_parser_reads_what_the_server_did() {
    let server = Server::builder().config("maxmemory", "100mb").start().unwrap();
    send(&server, &["SET", "k", "v"]).unwrap();
    send(&server, &["SET", "short", "v", "EX", "100"]).unwrap();
    for key in ["k", "k", "missing"] {
        send(&server, &["GET", key]).unwrap();
    }
    send(&server, &["LPUSH", "k", "x"]).unwrap_err();
    let text = Exporter::of(&server.url()).scrape();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let Some(families) = parse(&text) else { return };
    for family in &families {
        assert!(!family.help.is_empty() && family.name.starts_with("redis_"), "{family:?}");
        assert!(["gauge", "counter", "info"].contains(&family.kind.as_str()), "{family:?}");
        assert!(family.samples.iter().all(|sample| sample.labels.contains_key("node")), "{family:?}");
        let has_unit = ["_bytes", "_seconds"].iter().any(|unit| family.name.ends_with(unit));
        assert_eq!(has_unit, !family.unit.is_empty(), "{family:?}");
        let total = family.samples.iter().all(|sample| sample.name.ends_with("_total"));
        assert_eq!(total, family.kind == "counter", "{family:?}");
    }
    let value = |name, labels: &[(&str, &str)]| value(&families, name, labels);
    assert_eq!(value("redis_up", &[]), 1.0);
    assert_eq!(value("redis_keys", &[]), 2.0);
    assert_eq!(value("redis_expiring_keys", &[]), 1.0);
    assert_eq!(value("redis_keyspace_hits_total", &[]), 2.0);
    assert_eq!(value("redis_keyspace_misses_total", &[]), 1.0);
    assert_eq!(value("redis_memory_limit_bytes", &[]), 104_857_600.0);
    assert_eq!(value("redis_command_calls_total", &[("command", "set")]), 2.0);
    assert_eq!(value("redis_command_failed_calls_total", &[("command", "lpush")]), 1.0);
    assert_eq!(value("redis_errors_total", &[("code", "WRONGTYPE")]), 1.0);
    assert_eq!(value("redis_server_info", &[("role", "master")]), 1.0);
    assert!(value("redis_command_execution_seconds_total", &[("command", "get")]) < 1.0);
    assert!(value("redis_memory_used_bytes", &[]) > 100_000.0);
}

#[test]
fn the_parser_is_strict() {
    let without_end = "# TYPE a gauge\n# HELP a A.\na 1\n";
    assert!(std::panic::catch_unwind(|| parse(without_end).unwrap()).is_err());
}

#[test]
fn replicas_and_their_lag_are_named() {
    let group = Replicated::start(1).unwrap();
    let text = Exporter::of(&group.primary.url()).scrape_until("redis_replica_behind_bytes{");
    let Some(families) = parse(&text) else { return };
    assert_eq!(value(&families, "redis_connected_replicas", &[]), 1.0);
    let replica = Exporter::of(&group.replicas[0].url()).scrape();
    let families = parse(&replica).unwrap();
    assert_eq!(value(&families, "redis_server_info", &[("role", "slave")]), 1.0);
    assert_eq!(value(&families, "redis_primary_link_up", &[]), 1.0);
}

#[test]
fn a_sentinel_has_no_keys() {
    let group = Sentinels::start(1, 1).unwrap();
    let text = Exporter::of(&group.sentinels[0].url()).scrape();
    let Some(families) = parse(&text) else { return };
    assert_eq!(value(&families, "redis_server_info", &[("role", "sentinel")]), 1.0);
    assert!(!text.contains("redis_keys{"), "{text}");
}

#[test]
fn a_scrape_is_one_command_that_reads() {
    let server = Server::start().unwrap();
    let exporter = Exporter::of(&server.url());
    exporter.scrape();
    send(&server, &["CONFIG", "RESETSTAT"]).unwrap();
    let texts: Vec<String> = (0..5).map(|_| exporter.scrape()).collect();
    let calls = |command: &str| {
        let prefix = format!(
            "redis_command_calls_total{{node=\"127.0.0.1:{}\",command=\"{command}\"}} ",
            server.port()
        );
        texts[4].lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
    };
    // Its own call is counted after it has replied.
    assert_eq!(calls("info").as_deref(), Some("4"));
    let commands: Vec<&str> =
        texts[4].lines().filter(|line| line.starts_with("redis_command_calls_total")).collect();
    let expected = ["info", "config|resetstat"];
    assert!(commands.iter().all(|line| expected.iter().any(|name| line.contains(name))), "{commands:?}");
}

#[test]
fn a_server_that_is_down_is_a_metric() {
    let mut server = Server::start().unwrap();
    let exporter = Exporter::of(&server.url());
    exporter.scrape_until("redis_up{node=\"127.0.0.1:");
    server.kill();
    let down = exporter.scrape_until(&format!("redis_up{{node=\"127.0.0.1:{}\"}} 0", server.port()));
    assert!(down.ends_with("# EOF\n") && !down.contains("redis_keys{"), "{down}");
    if let Some(families) = parse(&down) {
        assert_eq!(value(&families, "redis_up", &[]), 0.0);
    }
    server.restart().unwrap();
    let up = exporter.scrape();
    assert!(up.contains("redis_keys{"), "the first scrape after a restart connects again: {up}");
}

#[test]
fn it_starts_without_a_server_and_without_rights() {
    let down = Exporter::of("redis://127.0.0.1:1/");
    assert!(down.scrape().contains("redis_up{node=\"127.0.0.1:1\"} 0"));
    let server = Server::builder().config("user", "probe on >secret -@all +ping").start().unwrap();
    let mut refused = Exporter::of(&format!("redis://probe:secret@127.0.0.1:{}/", server.port()));
    assert!(refused.scrape().contains("redis_up{"));
    let text = refused.scrape();
    assert!(text.contains("} 0\n") && !text.contains("redis_keys{"), "{text}");
    refused.child.kill().unwrap();
    let mut notes = String::new();
    refused.child.stderr.take().unwrap().read_to_string(&mut notes).unwrap();
    assert_eq!(notes.matches("redis_up is 0").count(), 1, "{notes}");
    assert!(notes.contains("INFO") || notes.contains("info"), "{notes}");
    assert!(!notes.contains("secret"), "{notes}");
}

#[test]
fn a_server_that_hangs_stops_no_scrape() {
    let server = Server::start().unwrap();
    let exporter = Exporter::of(&server.url());
    exporter.scrape();
    server.pause().unwrap();
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| exporter.scrape());
        let two = scope.spawn(|| exporter.scrape());
        (one.join().unwrap(), two.join().unwrap())
    });
    let zero = format!("redis_up{{node=\"127.0.0.1:{}\"}} 0\n", server.port());
    assert!(one.contains(&zero) && two.contains(&zero), "{one}{two}");
    server.resume().unwrap();
    exporter.scrape_until(&zero.replace(" 0\n", " 1"));
}

#[test]
fn garbage_and_slow_clients_stop_nobody() {
    let server = Server::start().unwrap();
    let exporter = Exporter::of(&server.url());
    let mut slow: Vec<TcpStream> = (0..50).map(|_| exporter.connect()).collect();
    for (number, stream) in slow.iter_mut().enumerate() {
        stream.write_all(if number % 2 == 0 { b"GET /metrics HTT" } else { b"G" }).unwrap();
    }
    let status = |request: &[u8]| exporter.send(request).0.split(' ').nth(1).unwrap().to_owned();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    for garbage in [
        &b"\x16\x03\x01\x02\0\x01\0\0\r\n\r\n"[..],
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /metrics SPDY/1\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n\r\n\r\n",
        long.as_bytes(),
    ] {
        assert_eq!(status(garbage), "400", "{}", String::from_utf8_lossy(garbage));
    }
    assert_eq!(status(b"GET /metric HTTP/1.1\r\n\r\n"), "404");
    assert_eq!(status(b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), "405");
    assert_eq!(status(b"GET /metrics?x=y HTTP/1.0\r\n\r\n"), "200");
    assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), "200");
    let (head, body) = exporter.send(b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(body.is_empty(), "{body}");
    let kind = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.lines().any(|line| line == kind), "{head}");
    std::thread::scope(|scope| {
        let scrapes: Vec<_> = (0..20).map(|_| scope.spawn(|| exporter.scrape())).collect();
        assert!(scrapes.into_iter().all(|scrape| scrape.join().unwrap().contains("redis_keys{")));
    });
    drop(slow);
}

#[test]
fn other_machines_are_refused_unless_asked_for() {
    let run = |arguments: &[&str]| program(arguments).output().unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let output = run(&["--listen", address, "--url", "redis://127.0.0.1:1/"]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--expose"), "{output:?}");
    }
    assert_eq!(run(&["--listen", "nowhere"]).status.code(), Some(2));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_eq!(run(&["--listen", &address, "--url", "redis://127.0.0.1:1/"]).status.code(), Some(1));

    let exposed = ["--listen", "0.0.0.0:0", "--expose", "--url", "redis://127.0.0.1:1/"];
    let exposed = Exporter::start(&exposed);
    assert!(exposed.address.starts_with("0.0.0.0:"), "{}", exposed.address);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_with_130() {
    let mut exporter = Exporter::of("redis://127.0.0.1:1/");
    exporter.scrape();
    let interrupted = Command::new("kill").args(["-INT", &exporter.child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(exporter.child.wait().unwrap().code(), Some(130));
}
