//! Where other programs find the server, and how they log in without a password among their arguments.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab_connection::address::{Address, PrivateServer};
use lab_connection::{Target, TargetArgs};
use redis::{ConnectionAddr, ConnectionInfo};

/// Every user of the machine can read the arguments of a process, but not its environment.
const PASSWORD_VARIABLE: &str = "REDISCLI_AUTH";

/// The address and login of the server, as other programs take them.
#[derive(Clone)]
pub struct ServerLogin {
    socket: Socket,
    user: Option<String>,
    password: Option<String>,
    db: i64,
}

#[derive(Clone, Debug)]
enum Socket {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl ServerLogin {
    /// How to reach a target that was opened with `args`; or why no other program can.
    pub fn of(target: &Target, args: Option<&TargetArgs>) -> Result<Self, String> {
        if target.is_cluster() {
            return Err("on a cluster they do not send each key to its node".into());
        }
        if let Some(PrivateServer::Single(server)) = target.private() {
            let socket = Socket::Tcp { host: "127.0.0.1".into(), port: server.port() };
            let password = Some(server.password().to_owned()).filter(|password| !password.is_empty());
            return Ok(Self { socket, user: None, password, db: target.db() });
        }
        let args = args.ok_or("how this server is reached is not known here")?;
        if args.askpass {
            return Err("a password that was typed stays in this program; set REDISCLI_AUTH instead".into());
        }
        let address = Address::find(&naming_the_server(args)).map_err(|failure| failure.what().to_owned())?;
        Self::at(&address.info)
    }

    fn at(info: &ConnectionInfo) -> Result<Self, String> {
        let socket = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Socket::Tcp { host: host.clone(), port: *port },
            ConnectionAddr::Unix(path) => Socket::Unix(path.clone()),
            _ => return Err("over TLS only what runs in this process is compared".into()),
        };
        let login = info.redis_settings();
        Ok(Self {
            socket,
            user: login.username().map(str::to_owned),
            password: login.password().map(str::to_owned),
            db: login.db(),
        })
    }

    /// The same server for a user who needs no password.
    pub(crate) fn without_password(&self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), password: None, ..self.clone() }
    }

    /// Whether the server wants a password.
    pub(crate) fn needs_login(&self) -> bool {
        self.password.is_some()
    }

    /// `redis-cli`, logged in.
    pub(crate) fn redis_cli(&self, program: &Path) -> Command {
        let mut command = self.command(program);
        self.add_socket(&mut command);
        command.arg("-n").arg(self.db.to_string());
        if let Some(user) = self.user.as_ref().filter(|_| self.needs_login()) {
            command.arg("--user").arg(user);
        }
        command
    }

    /// `redis-benchmark`, which takes a password only as an argument and is therefore given none: a user who needs
    /// none is named with a word in the password's place, because the program otherwise does not log in at all.
    pub(crate) fn redis_benchmark(&self, program: &Path) -> Command {
        let mut command = self.command(program);
        self.add_socket(&mut command);
        command.arg("--dbnum").arg(self.db.to_string());
        if let Some(user) = &self.user {
            command.arg("--user").arg(user).arg("-a").arg("none");
        }
        command
    }

    /// A script of ours, which reads the address from the environment.
    pub(crate) fn script(&self, program: &Path) -> Command {
        let mut command = self.command(program);
        match &self.socket {
            Socket::Tcp { host, port } => command.env("PEER_HOST", host).env("PEER_PORT", port.to_string()),
            Socket::Unix(path) => command.env("PEER_SOCKET", path),
        };
        command.env("PEER_DB", self.db.to_string());
        if let Some(user) = &self.user {
            command.env("PEER_USER", user);
        }
        command
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // A URL in the environment may hold another password.
        command.env_remove("REDIS_URL");
        match &self.password {
            Some(password) => command.env(PASSWORD_VARIABLE, password),
            None => command.env_remove(PASSWORD_VARIABLE),
        };
        command
    }

    fn add_socket(&self, command: &mut Command) {
        match &self.socket {
            Socket::Tcp { host, port } => command.arg("-h").arg(host).arg("-p").arg(port.to_string()),
            Socket::Unix(path) => command.arg("-s").arg(path),
        };
    }
}

/// Hides the password.
impl fmt::Debug for ServerLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLogin")
            .field("socket", &self.socket)
            .field("db", &self.db)
            .finish_non_exhaustive()
    }
}

/// The same arguments, but never a private server: the one that listened is named, should it have ended since.
fn naming_the_server(args: &TargetArgs) -> TargetArgs {
    let mut args = args.clone();
    let from_environment = std::env::var_os("REDIS_URL").is_some_and(|url| !url.is_empty());
    if args.url.is_none() && args.host.is_none() && args.port.is_none() && !from_environment {
        args.host = Some("127.0.0.1".into());
    }
    args
}
