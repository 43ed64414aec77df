//! How to start a server.

use std::fmt;

use rand::RngExt as _;
use rand::distr::Alphanumeric;

use crate::certificates::Tls;
use crate::directory;
use crate::plan::Plan;
use crate::server::Server;
use crate::{Certificates, Choice, Error, Program, replicated};

/// Settings of a private server; made by [`Server::builder`].
#[derive(Clone, Default)]
pub struct Builder {
    choice: Option<Choice>,
    port: Option<u16>,
    password: Password,
    config: Vec<(String, String)>,
    primary: Option<u16>,
    tls: Option<Tls>,
    cluster: Option<String>,
    movable_clock: bool,
    losable_page_cache: bool,
    sentinel: bool,
}

/// Where the password of a server comes from.
#[derive(Clone, Default)]
enum Password {
    #[default]
    Generated,
    Given(String),
    None,
}

impl Builder {
    /// Which program to run. Without it [`Choice::from_env`] decides.
    #[must_use]
    pub fn choice(mut self, choice: Choice) -> Self {
        self.choice = Some(choice);
        self
    }

    /// Adds one line to the server's configuration, for example `("maxmemory", "2mb")` or
    /// `("user", "reader on >secret ~* +@read")`. Lines keep their order and override this crate's own.
    #[must_use]
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.push((key.into(), value.into()));
        self
    }

    /// Listens on this port of 127.0.0.1 instead of a free one; it is an error if it is in use.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets this password instead of one generated for this server.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Password::Given(password.into());
        self
    }

    /// No password: every process of this machine may connect.
    #[must_use]
    pub fn no_password(mut self) -> Self {
        self.password = Password::None;
        self
    }

    /// Makes the server a replica of `primary`, with the same password and certificates, so either can take over from the other.
    /// [`start`](Self::start) then returns when the replica is in sync.
    #[must_use]
    pub fn replica_of(mut self, primary: &Server) -> Self {
        self.primary = Some(primary.peer_port());
        self.with_tls(primary.tls().cloned()).with_password_of(primary)
    }

    /// Also listens for TLS, on a port of its own: [`Server::tls_url`]. Clients need no certificate. Replication, Sentinels, and the bus of a
    /// cluster use TLS, too. The files are in [`Server::dir`]: [`Server::certificate_files`]. The port without TLS stays open on 127.0.0.1
    /// for this crate's own use. A program without TLS ends the start with [`Error::NoTls`].
    #[must_use]
    pub fn tls(mut self, certificates: &Certificates) -> Self {
        self.tls = Some(Tls { certificates: certificates.clone(), mutual: false });
        self
    }

    /// The same, and clients must show a certificate that the authority signed.
    #[must_use]
    pub fn mutual_tls(mut self, certificates: &Certificates) -> Self {
        self.tls = Some(Tls { certificates: certificates.clone(), mutual: true });
        self
    }

    /// Lets [`Server::set_clock`] move the server's clock. This needs libfaketime (Debian and Ubuntu: `apt install faketime`). Without it,
    /// the start fails with [`Error::NoFaketime`]. It makes the server slower, because each question for the time reads a file.
    #[must_use]
    pub fn movable_clock(mut self) -> Self {
        self.movable_clock = true;
        self
    }

    /// Lets [`Server::lose_page_cache`] simulate a crash of the machine. This needs Linux and a C compiler. Without them, the start fails
    /// with [`Error::NoFsyncLog`].
    #[must_use]
    pub fn losable_page_cache(mut self) -> Self {
        self.losable_page_cache = true;
        self
    }

    /// Starts the server and returns when it answers. First it removes what killed owners left behind.
    pub fn start(self) -> Result<Server, Error> {
        let program = self.prepare()?;
        self.start_program(program)
    }

    /// Finds the program, and removes what killed owners left behind.
    pub(crate) fn prepare(&self) -> Result<Program, Error> {
        let choice = self.choice.clone().map_or_else(Choice::from_env, Ok)?;
        let program = Program::find(&choice)?;
        directory::sweep();
        Ok(program)
    }

    /// A node of a cluster, whose `nodes.conf` has this content when it starts; none if empty.
    pub(crate) fn cluster_node(mut self, nodes_conf: String) -> Self {
        self.cluster = Some(nodes_conf);
        self
    }

    /// Every server that is started with it, and with its clones, has the same password.
    pub(crate) fn with_one_password(mut self) -> Self {
        if let Password::Generated = self.password {
            self.password = Password::Given(generate_password());
        }
        self
    }

    pub(crate) fn with_password_of(mut self, server: &Server) -> Self {
        self.password = match server.password() {
            "" => Password::None,
            password => Password::Given(password.to_owned()),
        };
        self
    }

    /// The value of a setting, if it was asked for.
    pub(crate) fn setting(&self, key: &str) -> Option<&str> {
        let mut last_first = self.config.iter().rev();
        last_first.find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    /// A Sentinel instead of a server.
    pub(crate) fn sentinel(mut self) -> Self {
        self.sentinel = true;
        self
    }

    /// TLS as another server of the group has it.
    pub(crate) fn with_tls(mut self, tls: Option<Tls>) -> Self {
        self.tls = tls;
        self
    }

    pub(crate) fn any_port(mut self) -> Self {
        self.port = None;
        self
    }

    /// Starts the server with a program that was found before, so the servers of a group look for it once.
    pub(crate) fn start_program(self, program: Program) -> Result<Server, Error> {
        let follows = self.primary;
        let server = Server::launch(self.plan(program))?;
        if follows.is_some() {
            replicated::wait_for_link(&server)?;
        }
        Ok(server)
    }

    fn plan(self, program: Program) -> Plan {
        let mut config = Vec::new();
        if let Some(port) = self.primary {
            config.push(("replicaof".to_owned(), format!("127.0.0.1 {port}")));
        }
        if self.cluster.is_some() {
            let settings = [
                ("cluster-enabled", "yes"),
                ("cluster-config-file", "nodes.conf"),
                ("cluster-announce-ip", "127.0.0.1"),
            ];
            config.extend(settings.map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        config.extend(self.tls.iter().flat_map(Tls::settings));
        config.extend(self.config);
        Plan {
            program,
            port: self.port,
            password: match self.password {
                Password::Generated => Some(generate_password()),
                Password::Given(password) => Some(password),
                Password::None => None,
            },
            tls: self.tls,
            cluster: self.cluster,
            config,
            movable_clock: self.movable_clock,
            losable_page_cache: self.losable_page_cache,
            sentinel: self.sentinel,
        }
    }
}

/// Leaves out the configuration, which may hold passwords.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("choice", &self.choice)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// 32 letters and digits from a cryptographic generator, about 190 bits. Nothing in it needs escaping.
fn generate_password() -> String {
    rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect()
}
