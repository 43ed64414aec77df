//! One private server: private indeed, and gone when its owner lets go of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lab_server::{Certificates, Choice, Disk, Error, Identity, Release, Server};

/// How long a test waits for what must happen: long, because a virtual machine can stand still for a minute.
const TIMEOUT: Duration = Duration::from_mins(3);

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn ping(url: &str) -> redis::RedisResult<String> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    redis::cmd("PING").query(&mut connection)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn every_release_starts_and_answers() {
    for release in Release::ALL {
        let start = Instant::now();
        let server = match Server::builder().choice(Choice::release(release)).start() {
            Err(error @ (Error::NotInstalled { .. } | Error::LibcTooOld { .. })) => {
                println!("skipped: {error}");
                continue;
            }
            started => started.unwrap(),
        };
        println!("{release}: {} in {:?}", server.program().describe(), start.elapsed());
        assert_eq!(ping(&server.url()).unwrap(), "PONG", "{release} over TCP");
        assert_eq!(ping(&server.unix_url()).unwrap(), "PONG", "{release} over its unix socket");
    }
}

#[test]
fn modules_answer() {
    let server = Server::builder().choice(Choice::release(Release::Redis82Modules)).start().unwrap();
    let mut connection = server.client().get_connection().unwrap();
    redis::cmd("JSON.SET").arg("doc").arg("$").arg(r#"{"a":1}"#).exec(&mut connection).unwrap();
    let sum: String =
        redis::cmd("JSON.NUMINCRBY").arg("doc").arg("$.a").arg(2).query(&mut connection).unwrap();
    assert_eq!(sum, "[3]");
    let added: bool = redis::cmd("BF.ADD").arg("bloom").arg("x").query(&mut connection).unwrap();
    assert!(added);
    let indexes: Vec<String> = redis::cmd("FT._LIST").query(&mut connection).unwrap();
    assert!(indexes.is_empty());
}

#[test]
fn a_stranger_is_not_let_in() {
    let server = Server::start().unwrap();
    let error = ping(&format!("redis://127.0.0.1:{}/", server.port())).unwrap_err();
    assert_eq!(error.code(), Some("NOAUTH"), "{error}");
}

#[test]
fn without_a_password_anyone_here_is_let_in() {
    let server = Server::builder().no_password().start().unwrap();
    assert_eq!(server.password(), "");
    assert_eq!(ping(&format!("redis://127.0.0.1:{}/", server.port())).unwrap(), "PONG");
}

#[test]
fn files_are_for_their_owner_only_and_argv_has_no_password() {
    let server = Server::start().unwrap();
    assert_eq!(mode(server.dir()), 0o700);
    assert_eq!(mode(&server.dir().join("server.conf")), 0o600);
    assert_eq!(mode(&server.socket()), 0o700);
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let argv = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        for bytes in [argv, environment] {
            assert!(
                !String::from_utf8_lossy(&bytes).contains(server.password()),
                "{}",
                process.path().display()
            );
        }
    }
    assert!(!format!("{server:?}").contains(server.password()));
}

#[test]
fn a_dropped_server_leaves_nothing() {
    let server = Server::start().unwrap();
    let (pid, dir) = (server.pid(), server.dir().to_owned());
    assert!(exists(pid) && dir.exists());
    drop(server);
    assert!(!exists(pid), "the process is still there");
    assert!(!dir.exists(), "the directory is still there");
}

#[test]
fn a_panicking_owner_leaves_nothing() {
    let (tell, told) = std::sync::mpsc::channel();
    let owner = std::thread::spawn(move || {
        let server = Server::start().unwrap();
        tell.send((server.pid(), server.dir().to_owned())).unwrap();
        panic!("on purpose");
    });
    assert!(owner.join().is_err());
    let (pid, dir) = told.recv().unwrap();
    assert!(!exists(pid) && !dir.exists());
}

#[test]
fn saved_data_survives_a_kill() {
    let mut server =
        Server::builder().config("appendonly", "yes").config("appendfsync", "always").start().unwrap();
    let mut connection = server.client().get_connection().unwrap();
    redis::cmd("SET").arg("k").arg("v").exec(&mut connection).unwrap();
    let (port, pid) = (server.port(), server.pid());
    server.kill();
    assert!(!server.is_running() && !exists(pid));
    assert!(server.dir().exists());
    server.restart().unwrap();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    let mut connection = server.client().get_connection().unwrap();
    let value: String = redis::cmd("GET").arg("k").query(&mut connection).unwrap();
    assert_eq!(value, "v");
}

#[test]
fn a_killed_server_that_is_dropped_leaves_nothing() {
    let mut server = Server::start().unwrap();
    server.kill();
    let dir = server.dir().to_owned();
    assert!(server.pause().is_err(), "its pid may be another process's by now");
    drop(server);
    assert!(!dir.exists());
}

#[test]
fn a_paused_server_does_not_answer_until_resumed() {
    let server = Server::start().unwrap();
    let mut connection = server.client().get_connection().unwrap();
    server.pause().unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(redis::cmd("PING").exec(&mut connection).is_err());
    server.resume().unwrap();
    assert_eq!(ping(&server.url()).unwrap(), "PONG");
}

#[test]
fn a_paused_server_can_be_dropped() {
    let server = Server::start().unwrap();
    server.pause().unwrap();
    let pid = server.pid();
    drop(server);
    assert!(!exists(pid));
}

#[test]
fn sixteen_servers_at_once_do_not_collide() {
    let threads: Vec<_> = (0..16).map(|_| std::thread::spawn(|| Server::start().unwrap())).collect();
    let servers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let ports: std::collections::BTreeSet<_> = servers.iter().map(Server::port).collect();
    assert_eq!(ports.len(), 16);
    for server in &servers {
        assert_eq!(ping(&server.url()).unwrap(), "PONG");
    }
}

#[test]
fn a_bad_setting_is_explained_by_the_server() {
    let error = Server::builder().config("maxmemory", "plenty").start().unwrap_err();
    assert!(matches!(error, Error::Died { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("maxmemory plenty"), "{text}");
    assert!(text.contains("argument must be a memory value"), "{text}");
}

#[test]
fn a_setting_with_a_line_break_is_refused() {
    let error = Server::builder().config("maxmemory", "1mb\nsave 1 1").start().unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
}

#[test]
fn a_port_in_use_is_named() {
    let server = Server::start().unwrap();
    let error = Server::builder().port(server.port()).start().unwrap_err();
    assert!(matches!(error, Error::PortInUse { port } if port == server.port()), "{error:?}");
}

#[test]
fn acl_users_can_be_configured() {
    let server = Server::builder().config("user", "reader on >secret ~* +@read +ping").start().unwrap();
    let url = format!("redis://reader:secret@127.0.0.1:{}/", server.port());
    assert_eq!(ping(&url).unwrap(), "PONG");
}

#[test]
fn a_default_user_that_is_off_does_not_keep_the_server_from_starting() {
    let server = Server::builder().no_password().config("user", "default off").start().unwrap();
    assert!(server.is_running());
}

#[test]
fn a_server_that_was_shut_down_can_be_restarted() {
    let mut server = Server::start().unwrap();
    let mut connection = server.client().get_connection().unwrap();
    assert!(
        redis::cmd("SHUTDOWN").arg("NOSAVE").exec(&mut connection).is_err(),
        "it hangs up instead of answering"
    );
    let start = Instant::now();
    while server.is_running() {
        assert!(start.elapsed() < TIMEOUT);
    }
    server.restart().unwrap();
    assert_eq!(ping(&server.url()).unwrap(), "PONG");
}

#[test]
fn tls_that_the_program_lacks_is_explained() {
    let choice = Choice::release(Release::Valkey91);
    let identity = || Identity { certificate: "certificate".to_owned(), key: "key".to_owned() };
    let certificates =
        Certificates { authority: "authority".to_owned(), server: identity(), client: identity() };
    let error = Server::builder().choice(choice).tls(&certificates).start().unwrap_err();
    assert!(matches!(error, Error::NoTls { .. }), "{error:?}");
    assert!(error.to_string().contains("was built without TLS. Name one that has it"), "{error}");
}

#[test]
fn a_password_of_one_s_own_may_hold_anything() {
    let server = Server::builder().password("p\"a#s:s/@ \u{e9}%").start().unwrap();
    assert_eq!(ping(&server.url()).unwrap(), "PONG");
    assert_eq!(ping(&server.unix_url()).unwrap(), "PONG");
}

#[test]
fn a_movable_clock_moves_time_in_scripts_and_expiry() {
    for release in Release::ALL {
        let builder = Server::builder().choice(Choice::release(release)).movable_clock();
        let server = match builder.start() {
            Err(error @ (Error::NotInstalled { .. } | Error::LibcTooOld { .. } | Error::NoFaketime)) => {
                println!("skipped: {error}");
                continue;
            }
            started => started.unwrap(),
        };
        let mut connection = server.client().get_connection().unwrap();
        let mut hours_ahead = || {
            let time =
                redis::cmd("EVAL").arg("return redis.call('TIME')[1]").arg(0).query::<u64>(&mut connection);
            let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            (time.unwrap().cast_signed() - real.cast_signed() + 60).div_euclid(3600)
        };
        assert_eq!(hours_ahead(), 0, "{release}");
        server.set_clock(-3600).unwrap();
        assert_eq!(hours_ahead(), -1, "{release}");
        let mut other = server.client().get_connection().unwrap();
        redis::cmd("SET").arg("k").arg("v").arg("EX").arg(7200).exec(&mut other).unwrap();
        server.set_clock(0).unwrap();
        let left: i64 = redis::cmd("TTL").arg("k").query(&mut other).unwrap();
        assert!((3500..=3600).contains(&left), "{release}: {left}");
        server.set_clock(24 * 3600).unwrap();
        assert_eq!(hours_ahead(), 24, "{release}");
        let value: Option<String> = redis::cmd("GET").arg("k").query(&mut other).unwrap();
        assert_eq!(value, None, "{release}");
        let trace = format!("/dev/shm/faketime_shm_{}", server.pid());
        drop(server);
        assert!(!Path::new(&trace).exists(), "{release}");
    }
}

#[test]
fn an_ordinary_clock_does_not_move() {
    let server = Server::start().unwrap();
    assert!(matches!(server.set_clock(1), Err(Error::ClockNotMovable)));
}

#[test]
fn an_added_setting_counts_from_the_next_restart_on() {
    let mut server = Server::start().unwrap();
    let hz = |server: &Server| -> Vec<String> {
        let mut ask = redis::cmd("CONFIG");
        ask.arg("GET").arg("hz").query(&mut server.client().get_connection().unwrap()).unwrap()
    };
    server.add_config("hz", "17").unwrap();
    assert_ne!(hz(&server)[1], "17");
    server.restart().unwrap();
    assert_eq!(hz(&server)[1], "17");
    let error = server.add_config("hz", "1\nport 1").unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_crash_of_the_machine_ends_the_child_that_writes_a_snapshot() {
    // So the snapshot takes half a minute.
    let builder = Server::builder().losable_page_cache().config("rdb-key-save-delay", "30000");
    let mut server = builder.start().unwrap();
    let mut connection = server.client().get_connection().unwrap();
    let mut pipeline = redis::pipe();
    for key in 0..1_000 {
        pipeline.set(key, "v").ignore();
    }
    pipeline.exec(&mut connection).unwrap();
    redis::cmd("BGSAVE").exec(&mut connection).unwrap();
    let info = |section: &str, connection: &mut redis::Connection| -> String {
        redis::cmd("INFO").arg(section).query(connection).unwrap()
    };
    assert!(info("persistence", &mut connection).contains("rdb_bgsave_in_progress:1"));
    server.kill();
    server.lose_page_cache().unwrap();
    let owned = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == server.dir()));
    assert!(!owned, "a child still runs");
    server.restart().unwrap();
    let mut connection = server.client().get_connection().unwrap();
    assert_eq!(redis::cmd("DBSIZE").query::<usize>(&mut connection).unwrap(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_refuses_writes_until_it_is_freed_and_goes_with_its_owner() {
    let disk = match Disk::start(4_096) {
        Err(error @ Error::NoPrivateDisk { .. }) => {
            println!("skipped: {error}");
            return;
        }
        started => started.unwrap(),
    };
    let builder = Server::builder().config("dir", disk.path().to_string_lossy()).config("appendonly", "yes");
    let mut server = builder.start().unwrap();
    let mut connection = server.client().get_connection().unwrap();
    let mut set = |value: &str| redis::cmd("SET").arg("k").arg(value).exec(&mut connection);
    set("before").unwrap();
    disk.fill().unwrap();
    let start = Instant::now();
    // The page that the file has already takes some more.
    let error = loop {
        match set(&"x".repeat(1_000)) {
            Err(error) => break error,
            Ok(()) => assert!(start.elapsed() < TIMEOUT, "it takes writes"),
        }
    };
    assert_eq!(error.code(), Some("MISCONF"), "{error}");
    disk.free().unwrap();
    while set("after").is_err() {
        assert!(start.elapsed() < TIMEOUT, "it takes no writes");
        std::thread::sleep(Duration::from_millis(20));
    }
    server.restart().unwrap();
    let mut connection = server.client().get_connection().unwrap();
    assert_eq!(redis::cmd("GET").arg("k").query::<String>(&mut connection).unwrap(), "after");
    let path = disk.path();
    let holder = path.parent().unwrap();
    assert!(holder.exists());
    drop(disk);
    assert!(!holder.exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_crash_of_the_machine_keeps_what_was_synced_and_nothing_else() {
    for (policy, kept) in [("always", 1), ("no", 0)] {
        let builder = Server::builder().losable_page_cache();
        let mut server = builder.config("appendonly", "yes").config("appendfsync", policy).start().unwrap();
        let mut connection = server.client().get_connection().unwrap();
        redis::cmd("SET").arg("k").arg("v").exec(&mut connection).unwrap();
        assert!(matches!(server.lose_page_cache(), Err(Error::PageCacheNotLosable)), "it still runs");
        server.kill();
        server.restart().unwrap();
        let exists = |server: &Server| -> usize {
            redis::cmd("EXISTS").arg("k").query(&mut server.client().get_connection().unwrap()).unwrap()
        };
        assert_eq!(exists(&server), 1, "killing a process loses nothing that it wrote: {policy}");
        server.kill();
        server.lose_page_cache().unwrap();
        server.restart().unwrap();
        assert_eq!(exists(&server), kept, "{policy}");
    }
}
