//! Where other programs find the server, and how they log in without a password among their arguments.

use std::path::Path;
use std::process::Command;

use bulk_loader::{Address, Endpoint};
use lab_connection::Target;
use redis::ConnectionAddr;

/// Every user of the machine can read the arguments of a process, but not its environment.
const PASSWORD_VARIABLE: &str = "REDISCLI_AUTH";

/// The address and login of the server, as other programs take them.
#[derive(Clone, Debug)]
pub struct ServerLogin(Endpoint);

impl ServerLogin {
    /// How to reach a target; or why no other program can. With `askpass`, its password was typed.
    pub fn of(target: &Target, askpass: bool) -> Result<Self, String> {
        if target.is_cluster() {
            return Err("on a cluster they do not send each key to its node".into());
        }
        if askpass && target.private().is_none() {
            return Err("a password that was typed stays in this program; set REDISCLI_AUTH instead".into());
        }
        let info = target.connection_info();
        let over_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let endpoint = Endpoint::from_info(info, false).filter(|_| !over_tls);
        endpoint.map(Self).ok_or_else(|| "over TLS only what runs in this process is compared".into())
    }

    /// The same server for a user who needs no password.
    pub(crate) fn without_password(&self, user: &str) -> Self {
        Self(Endpoint { user: Some(user.to_owned()), password: None, ..self.0.clone() })
    }

    /// Whether the server wants a password.
    pub(crate) fn needs_login(&self) -> bool {
        self.0.password.is_some()
    }

    /// `redis-cli`, logged in.
    pub(crate) fn redis_cli(&self, program: &Path) -> Command {
        let mut command = self.command(program);
        self.add_socket(&mut command);
        command.arg("-n").arg(self.0.db.to_string());
        if let Some(user) = self.0.user.as_ref().filter(|_| self.needs_login()) {
            command.arg("--user").arg(user);
        }
        command
    }

    /// `redis-benchmark`, which takes a password only as an argument and is therefore given none: a user who needs
    /// none is named with a word in the password's place, because the program otherwise does not log in at all.
    pub(crate) fn redis_benchmark(&self, program: &Path) -> Command {
        let mut command = self.command(program);
        self.add_socket(&mut command);
        command.arg("--dbnum").arg(self.0.db.to_string());
        if let Some(user) = &self.0.user {
            command.arg("--user").arg(user).arg("-a").arg("none");
        }
        command
    }

    /// A script of ours, which reads the address from the environment.
    pub(crate) fn script(&self, program: &Path) -> Command {
        let mut command = self.command(program);
        match &self.0.address {
            Address::Tcp { host, port } => command.env("PEER_HOST", host).env("PEER_PORT", port.to_string()),
            Address::Unix(path) => command.env("PEER_SOCKET", path),
        };
        command.env("PEER_DB", self.0.db.to_string());
        if let Some(user) = &self.0.user {
            command.env("PEER_USER", user);
        }
        command
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // A URL in the environment may hold another password.
        command.env_remove("REDIS_URL");
        match &self.0.password {
            Some(password) => command.env(PASSWORD_VARIABLE, password),
            None => command.env_remove(PASSWORD_VARIABLE),
        };
        command
    }

    fn add_socket(&self, command: &mut Command) {
        match &self.0.address {
            Address::Tcp { host, port } => command.arg("-h").arg(host).arg("-p").arg(port.to_string()),
            Address::Unix(path) => command.arg("-s").arg(path),
        };
    }
}
