//! Runs the program as a person would, on servers of the tests. Each shop has a key prefix of its own.

mod output;
mod watcher;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lab_server::{Cluster, Server};
use redis::cluster::ClusterClient;
use redis::{Cmd, FromRedisValue};
use serde_json::Value;

pub use self::output::Run;
pub use self::watcher::Watcher;

/// Long enough on a busy machine.
pub const TIMEOUT: Duration = Duration::from_mins(1);

static SERVER: OnceLock<Server> = OnceLock::new();
static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static SHOPS: AtomicU32 = AtomicU32::new(0);

/// One shop: a server, a shape of carts, and a key prefix.
#[derive(Clone, Debug)]
pub struct Shop {
    pub url: String,
    pub cluster: bool,
    pub shape: &'static str,
    pub prefix: String,
}

/// Standalone and on a cluster, as Hash and as Sorted Set; each with two users and two products.
pub fn every_shop() -> Vec<Shop> {
    let shops =
        vec![standalone("hash"), standalone("sorted-set"), clustered("hash"), clustered("sorted-set")];
    shops.iter().for_each(Shop::open);
    shops
}

/// On one server, empty.
pub fn standalone(shape: &'static str) -> Shop {
    let server = SERVER.get_or_init(|| Server::start().unwrap());
    Shop { url: server.url(), cluster: false, shape, prefix: fresh_prefix() }
}

/// On three primaries, empty.
pub fn clustered(shape: &'static str) -> Shop {
    let cluster = CLUSTER.get_or_init(|| Cluster::start(3).unwrap());
    Shop { url: cluster.urls()[0].clone(), cluster: true, shape, prefix: fresh_prefix() }
}

fn fresh_prefix() -> String {
    format!("shop{}:", SHOPS.fetch_add(1, Ordering::Relaxed))
}

impl Shop {
    /// On a server that only this test uses, without a prefix.
    pub fn alone_on(url: String, cluster: bool, shape: &'static str) -> Self {
        Self { url, cluster, shape, prefix: String::new() }
    }

    /// Users 1 and 2, and two products.
    pub fn open(&self) {
        self.ok(["user", "add", "--first-name", "Parker", "--last-name", "Perry"]);
        self.ok(["user", "add", "--first-name", "Zoë", "--last-name", "de la Cruz"]);
        self.ok(["sku", "add", "sku123", "--name", "Wireless mouse", "--price", "19.99"]);
        self.ok(["sku", "add", "sku456", "--name", "Mechanical keyboard", "--price", "89.50"]);
    }

    /// The program with this shop's flags in front.
    pub fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = program();
        command.args(["--url", &self.url, "--cart", self.shape]);
        if !self.prefix.is_empty() {
            command.args(["--prefix", &self.prefix]);
        }
        if self.cluster {
            command.arg("--cluster");
        }
        command.args(arguments);
        command
    }

    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Run {
        run(&mut self.command(arguments))
    }

    /// What it printed. It must succeed.
    pub fn ok<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{self:?}: {run:?}");
        run.stdout
    }

    /// Its error, without the line that names the server.
    pub fn refused<'a>(&self, code: i32, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, code, "{self:?}: {run:?}");
        assert_eq!(run.stdout, "", "{self:?}");
        run.error()
    }

    /// One JSON document, whatever the exit code.
    pub fn json<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Value {
        let run = self.run(arguments.into_iter().chain(["--json"]));
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
    }

    /// The lines and the total of a cart, without its TTL.
    pub fn cart(&self, owner: &str) -> Value {
        let mut view = self.json(["view", owner]);
        view.as_object_mut().unwrap().remove("expires_in_ms");
        view
    }

    /// The units of every line.
    pub fn units(&self, owner: &str) -> Vec<(String, u64)> {
        let view = self.cart(owner);
        let lines = view["lines"].as_array().unwrap_or_else(|| panic!("{view}"));
        let line =
            |line: &Value| (line["sku"].as_str().unwrap().to_owned(), line["quantity"].as_u64().unwrap());
        lines.iter().map(line).collect()
    }

    /// The menu with this input.
    pub fn menu(&self, input: &[u8]) -> Run {
        let mut child = self
            .command(["menu"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        // On a thread, because each side may wait for the other to read.
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let run = Run::of(child.wait_with_output().unwrap());
        // A menu that has quit reads no more.
        let _ = writer.join().unwrap();
        run
    }

    /// Sends a command to the server.
    pub fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        if self.cluster {
            let client = ClusterClient::builder([self.url.as_str()]).connection_timeout(TIMEOUT).build();
            command.query(&mut client.unwrap().get_connection().unwrap()).unwrap()
        } else {
            let client = redis::Client::open(self.url.as_str()).unwrap();
            command.query(&mut client.get_connection().unwrap()).unwrap()
        }
    }

    /// The key with an owner's quantities.
    pub fn cart_key(&self, owner: &str) -> String {
        let user = owner.bytes().all(|byte| byte.is_ascii_digit());
        let root = format!("{}cart:{}{owner}", self.prefix, if user { "" } else { "guest:" });
        if self.shape == "hash" { root } else { format!("{}cart:{{{root}}}:by_quantity", self.prefix) }
    }
}

/// The program, without the settings of this machine.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shopping-cart"));
    for variable in ["REDIS_URL", "REDISCLI_AUTH", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    // Wide enough that no sentence is wrapped.
    command.env("COLUMNS", "200");
    command
}

/// The exit code and both outputs of a run that is not a terminal.
pub fn run(command: &mut Command) -> Run {
    Run::of(command.stdin(Stdio::null()).output().expect("the program starts"))
}

/// Waits for a condition.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIMEOUT, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
