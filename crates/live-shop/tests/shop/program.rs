//! The program itself, as `cargo shop` runs it, which can be killed.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use lab_connection::{Target, TargetArgs};
use live_shop::hub::Hub;
use live_shop::link::Link;
use live_shop::wire::Redis;
use rustix::process::{Pid, Signal, kill_process};

/// The shared server, as the shop connects to it.
pub async fn redis(prefix: &str) -> Redis {
    let args = TargetArgs { prefix: Some(prefix.to_owned()), ..TargetArgs::at(lab_testing::server().url()) };
    Redis::new(Link::new(Target::open(&args).await.unwrap()))
}

/// What a shop under this prefix tells, from another process.
pub async fn hub(prefix: &str) -> Hub {
    Hub::new(redis(prefix).await, &format!("{prefix}live_shop:"))
}

/// A running shop on the shared server.
pub struct Program {
    pub address: SocketAddr,
    child: Child,
    _stdout: BufReader<ChildStdout>,
}

impl Program {
    /// Opens a shop at a port that no client's own end can have: it is free again after a kill.
    pub fn open(prefix: &str) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let first = std::process::id() % 8_000;
        loop {
            let port = 20_000 + u16::try_from(first).unwrap() + NEXT.fetch_add(1, Ordering::Relaxed);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if TcpListener::bind(address).is_ok()
                && let Some(program) = Self::open_at(address, prefix)
            {
                return program;
            }
        }
    }

    /// The same address and prefix again, after [`Program::kill`].
    pub fn open_again(&mut self, prefix: &str) {
        *self = Self::open_at(self.address, prefix).unwrap();
    }

    /// `None` if the address is taken.
    fn open_at(address: SocketAddr, prefix: &str) -> Option<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_live-shop"));
        command.args(["--url", &lab_testing::server().url(), "--prefix", prefix]);
        command.args(["--listen", &address.to_string()]);
        command.env_remove("REDIS_URL").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while stdout.read_line(&mut line).unwrap() > 0 {
            if line.contains("The shop is open") {
                return Some(Self { address, child, _stdout: stdout });
            }
        }
        child.wait().unwrap();
        None
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it with SIGTERM, and waits for it.
    pub fn stop(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
