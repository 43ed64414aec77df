//! What an example does to a server itself.

use std::fs;
use std::io;

use lab_server::Server;

use super::Session;
use crate::block::Action;

impl Session {
    /// Does it, and returns when it is done. Clients of a killed server connect anew with their next command.
    pub(super) fn act(&mut self, action: &Action) -> io::Result<()> {
        match action {
            Action::Kill(name) => {
                self.server(name)?.kill();
                self.forget_clients(name)
            }
            Action::Start(name) => self.server(name)?.restart().map_err(io::Error::other),
            Action::PowerCut => {
                let server = self.server("")?;
                server.kill();
                server.lose_page_cache().map_err(io::Error::other)?;
                self.forget_clients("")
            }
            Action::Copy(from, to) => {
                let directory = self.server("")?.dir();
                fs::copy(directory.join(from), directory.join(to)).map(drop)
            }
            Action::Cut(file, before) => cut(self.server("")?, file, before),
        }
    }

    fn server(&mut self, name: &str) -> io::Result<&mut Server> {
        let missing = || io::Error::other(format!("there is no server `{name}` here"));
        self.servers.named_mut(name).ok_or_else(missing)
    }

    /// Closes the connections to a server that is gone.
    fn forget_clients(&mut self, name: &str) -> io::Result<()> {
        let port = self.server(name)?.port();
        self.clients.retain(|_, client| client.server_port().is_some_and(|of| of != port));
        self.observer = None;
        self.visited.remove(&port);
        Ok(())
    }
}

/// Ends a file before the last place where these bytes are.
fn cut(server: &Server, file: &str, before: &[u8]) -> io::Result<()> {
    let path = server.dir().join(file);
    let bytes = fs::read(&path)?;
    let missing = || io::Error::other(format!("{file} does not have these bytes"));
    let end = bytes.windows(before.len().max(1)).rposition(|part| part == before).ok_or_else(missing)?;
    fs::write(&path, &bytes[..end])
}
