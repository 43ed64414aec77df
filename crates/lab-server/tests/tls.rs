//! TLS and mutual TLS in every group, with certificates made for the run. A program without TLS says so.

#![cfg(feature = "tls")]
#![expect(clippy::print_stdout, reason = "a program without TLS is named")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lab_server::{Certificates, Choice, ClusterBuilder, Error, PRIMARY_NAME, Replicated, Sentinels, Server};

/// Whatever takes longer does not come.
const READY_TIMEOUT: Duration = Duration::from_mins(3);

fn certificates() -> Certificates {
    Certificates::make().unwrap()
}

/// What was started, or none if the program has no TLS. Then the error must say so, and what helps.
fn with_tls<T>(started: Result<T, Error>) -> Option<T> {
    match started {
        Err(error @ Error::NoTls { .. }) => {
            let text = error.to_string();
            assert!(text.contains("was built without TLS. Name one that has it"), "{text}");
            println!("checked the error only: {text}");
            None
        }
        started => Some(started.unwrap()),
    }
}

fn info(server: &Server, section: &str) -> String {
    let mut connection = server.client().get_connection().unwrap();
    redis::cmd("INFO").arg(section).query(&mut connection).unwrap()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < READY_TIMEOUT, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What redis-cli says over TLS; none if there is no redis-cli with TLS on PATH.
fn redis_cli(server: &Server, with_certificate: bool, command: &[&str]) -> Option<String> {
    let files = server.certificate_files().unwrap();
    let mut cli = Command::new("redis-cli");
    cli.args(["-p", &server.tls_port().unwrap().to_string(), "--tls", "--cacert"]).arg(files.authority);
    if with_certificate {
        cli.arg("--cert").arg(files.client).arg("--key").arg(files.client_key);
    }
    let output = cli.args(command).env("REDISCLI_AUTH", server.password()).output();
    let text = output
        .ok()
        .map(|output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())?;
    if text.contains("Unrecognized option") {
        return None;
    }
    Some(text)
}

#[test]
fn a_server_with_tls_serves_who_trusts_its_authority() {
    let Some(server) = with_tls(Server::builder().tls(&certificates()).start()) else { return };
    if let Some(reply) = redis_cli(&server, false, &["PING"]) {
        assert_eq!(reply.trim(), "PONG");
    }
    let port = server.tls_port().unwrap();
    assert!(server.tls_url().unwrap().ends_with(&format!(":{port}/")));
    assert!(info(&server, "server").contains("tcp_port:"), "the other port is open, too");
}

#[test]
fn mutual_tls_refuses_a_client_without_a_certificate() {
    let Some(server) = with_tls(Server::builder().mutual_tls(&certificates()).start()) else { return };
    if let Some(reply) = redis_cli(&server, true, &["PING"]) {
        assert_eq!(reply.trim(), "PONG");
        let refused = redis_cli(&server, false, &["PING"]).unwrap();
        assert!(!refused.contains("PONG"), "{refused}");
    }
}

#[test]
fn keys_are_readable_by_their_owner_only_and_go_with_the_server() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(server) = with_tls(Server::builder().mutual_tls(&certificates()).start()) else { return };
    let files = server.certificate_files().unwrap();
    for file in [&files.server_key, &files.client_key] {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    drop(server);
    assert!(!files.authority.exists() && !files.server_key.exists());
}

#[test]
fn a_restart_keeps_the_port_and_the_certificates() {
    let Some(mut server) = with_tls(Server::builder().tls(&certificates()).start()) else { return };
    let port = server.tls_port();
    server.kill();
    server.restart().unwrap();
    assert_eq!(server.tls_port(), port);
    if let Some(reply) = redis_cli(&server, false, &["PING"]) {
        assert_eq!(reply.trim(), "PONG");
    }
}

#[test]
fn replicas_follow_over_mutual_tls() {
    let builder = Server::builder().mutual_tls(&certificates());
    let Some(group) = with_tls(Replicated::start_with(builder, 2)) else { return };
    let mut primary = group.primary.client().get_connection().unwrap();
    redis::cmd("SET").arg("k").arg("v").exec(&mut primary).unwrap();
    let copies: usize = redis::cmd("WAIT").arg(2).arg(10_000).query(&mut primary).unwrap();
    assert_eq!(copies, 2);
    let port = group.primary.tls_port().unwrap();
    for replica in &group.replicas {
        assert!(info(replica, "replication").contains(&format!("master_port:{port}\r\n")));
    }
}

#[test]
fn sentinels_fail_over_over_mutual_tls() {
    let builder = Server::builder().mutual_tls(&certificates()).password("a \"b\" c");
    let Some(mut group) = with_tls(Sentinels::start_with(builder, 2, 3, 2, Duration::from_millis(500)))
    else {
        return;
    };
    let mut sentinel = group.sentinels[0].client().get_connection().unwrap();
    let mut ask = || -> u16 {
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(PRIMARY_NAME);
        let (_, port): (String, u16) = command.query(&mut sentinel).unwrap();
        port
    };
    let old = ask();
    assert_eq!(Some(old), group.data.primary.tls_port());
    group.data.primary.kill();
    until("no failover", || ask() != old);
    let promoted = group.server_with_port(ask()).unwrap();
    until("the promoted replica takes writes", || {
        let mut connection = promoted.client().get_connection().unwrap();
        redis::cmd("SET").arg("k").arg("v").exec(&mut connection).is_ok()
    });
}

#[test]
fn a_cluster_talks_moves_slots_and_fails_over_over_mutual_tls() {
    let node = Server::builder().mutual_tls(&certificates()).password("one for all");
    let builder = ClusterBuilder::of(node).replicas_each(1).config("cluster-node-timeout", "1000");
    let Some(mut cluster) = with_tls(builder.start()) else { return };
    assert_eq!(cluster.nodes().iter().filter_map(Server::tls_url).count(), 6);
    let bus_is_tls: Vec<String> = redis::cmd("CONFIG")
        .arg("GET")
        .arg("tls-cluster")
        .query(&mut cluster.nodes()[0].client().get_connection().unwrap())
        .unwrap();
    assert_eq!(bus_is_tls, ["tls-cluster", "yes"]);
    let client = redis::cluster::ClusterClient::builder(cluster.urls()).build().unwrap();
    let mut connection = client.get_connection().unwrap();
    redis::cmd("SET").arg("user:1").arg("Parker").exec(&mut connection).unwrap();
    let slot: u16 = redis::cmd("CLUSTER")
        .arg("KEYSLOT")
        .arg("user:1")
        .query(&mut cluster.nodes()[0].client().get_connection().unwrap())
        .unwrap();
    let from = cluster.owner_of(slot).unwrap();
    cluster.move_slots(slot..=slot, from, (from + 1) % 3).unwrap();
    let name: String = redis::cmd("GET").arg("user:1").query(&mut connection).unwrap();
    assert_eq!(name, "Parker");

    cluster.nodes_mut()[0].kill();
    let replica = &cluster.replicas()[0];
    until("the replica takes over", || info(replica, "replication").contains("role:master"));
}

#[test]
fn every_process_and_file_of_a_group_with_tls_goes() {
    let builder = Server::builder().tls(&certificates());
    let Some(group) = with_tls(Sentinels::start_with(builder, 1, 3, 2, Duration::from_secs(1))) else {
        return;
    };
    let servers = std::iter::once(&group.data.primary).chain(&group.data.replicas).chain(&group.sentinels);
    let left: Vec<_> = servers.map(|server| (server.pid(), server.dir().to_owned())).collect();
    drop(group);
    for (pid, dir) in left {
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(!dir.exists());
    }
}

#[test]
fn the_program_prints_how_to_connect_or_that_there_is_no_tls() {
    for arguments in [&["--mutual-tls"][..], &["--mutual-tls", "--sentinel"], &["--tls", "--cluster", "3"]] {
        let mut owner = Command::new(env!("CARGO_BIN_EXE_lab-server"));
        let temporary = tempfile::tempdir().unwrap();
        owner.args(arguments).env("TMPDIR", temporary.path());
        let has_tls =
            with_tls(Server::builder().choice(Choice::from_env().unwrap()).tls(&certificates()).start());
        if has_tls.is_none() {
            let output = owner.output().unwrap();
            assert_eq!(output.status.code(), Some(3), "{output:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains("was built without TLS"), "{output:?}");
        } else {
            let mut process = owner.stdout(std::process::Stdio::piped()).spawn().unwrap();
            let mut lines = Vec::new();
            let output = process.stdout.take().unwrap();
            for line in std::io::BufRead::lines(std::io::BufReader::new(output)) {
                lines.push(line.unwrap());
                if lines.last().unwrap().contains("Ctrl-C") {
                    break;
                }
            }
            let text = lines.join("\n");
            assert!(text.contains("export REDIS_URL=rediss://"), "{text}");
            for line in
                lines.iter().filter(|line| line.starts_with("# authority: ") || line.starts_with("# client "))
            {
                assert!(Path::new(line.rsplit(": ").next().unwrap()).exists(), "{line}");
            }
            assert_eq!(text.contains("# client key: "), arguments.contains(&"--mutual-tls"), "{text}");
            let line = lines.iter().find(|line| line.contains("redis-cli")).unwrap().trim_start_matches("# ");
            let ping = Command::new("/bin/sh").args(["-c", &format!("{line} PING")]).output().unwrap();
            let said = String::from_utf8_lossy(&ping.stdout);
            let no_client = String::from_utf8_lossy(&ping.stderr).contains("not found");
            assert!(said.trim() == "PONG" || no_client, "{line}: {ping:?}");
            let pid = rustix::process::Pid::from_child(&process);
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
            assert_eq!(process.wait().unwrap().code(), Some(0));
        }
        let left = std::fs::read_dir(temporary.path()).unwrap().count();
        assert_eq!(left, 0, "{arguments:?}");
    }
}
