//! What one server is to be, and its configuration file.

use std::fmt::Write as _;
use std::path::Path;

use crate::certificates::Tls;
use crate::config::{LOG_FILE, SOCKET, line, quoted, write_private};
use crate::directory::{CONFIG_FILE, PID_FILE};
use crate::version::Version;
use crate::{Error, Program};

/// What a builder decided before the server was started.
pub(crate) struct Plan {
    pub(crate) program: Program,
    pub(crate) port: Option<u16>,
    pub(crate) password: Option<String>,
    pub(crate) tls: Option<Tls>,
    /// For a cluster node, the `nodes.conf` that it starts with; empty for none.
    pub(crate) cluster: Option<String>,
    pub(crate) config: Vec<(String, String)>,
    pub(crate) movable_clock: bool,
    pub(crate) losable_page_cache: bool,
    /// Whether it is a Sentinel, which stores no data.
    pub(crate) sentinel: bool,
}

impl Plan {
    /// The flag of the program, if it needs one.
    pub(crate) fn flag(&self) -> &'static str {
        if self.sentinel { "--sentinel" } else { "" }
    }

    /// Writes the configuration file. It holds the password: only its owner can read the file, but `ps` shows arguments to everyone.
    /// `extra` are the settings that come last, so they override the others.
    pub(crate) fn write_config(
        &self,
        directory: &Path,
        port: u16,
        extra: &[(String, String)],
    ) -> Result<(), Error> {
        write_private(&directory.join(CONFIG_FILE), &self.config_text(directory, port, extra)?)
    }

    fn config_text(&self, directory: &Path, port: u16, extra: &[(String, String)]) -> Result<String, Error> {
        let inside = |name: &str| quoted(&directory.join(name).to_string_lossy());
        let version = self.program.version();
        let mut text = format!(
            "bind 127.0.0.1\nprotected-mode yes\nport {}\nunixsocket {}\nunixsocketperm 700\ndaemonize no\n\
                 dir {}\nlogfile {}\npidfile {}\n",
            port,
            inside(SOCKET),
            quoted(&directory.to_string_lossy()),
            inside(LOG_FILE),
            inside(PID_FILE),
        );
        if !self.sentinel {
            text.push_str(
                "databases 16\nsave \"\"\nappendonly no\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\n",
            );
        }
        if version >= Version::new(6, 0, 0) && !self.sentinel {
            // Valkey 9.1 checks only once a second whether a replica's download to disk is complete.
            text.push_str("repl-diskless-load on-empty-db\n");
        }
        if version >= Version::new(6, 2, 0) {
            // So `ps` shows which server is which. On macOS, the sweep recognizes its servers by it.
            text.push_str("proc-title-template \"{title} {config-file} {listen-addr} {server-mode}\"\n");
        }
        if version >= Version::new(7, 0, 0) {
            text.push_str("enable-debug-command local\n");
        }
        if let Some(password) = &self.password {
            let password = quoted(password);
            let _ = writeln!(text, "requirepass {password}");
            if !self.sentinel {
                let _ = writeln!(text, "masterauth {password}");
            }
        }
        for module in self.program.modules().iter().filter(|_| !self.sentinel) {
            let _ = writeln!(text, "loadmodule {}", quoted(&module.to_string_lossy()));
        }
        for (key, value) in extra {
            text.push_str(&line(key, value)?);
        }
        Ok(text)
    }
}
