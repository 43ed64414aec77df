//! Where a raw client connects to, and with which login.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
#[cfg(feature = "tls")]
use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisResult, Value};

use super::{Bytes, Client, Socket};
use crate::address::host_and_port_of;
use crate::connection::CONNECT_TIMEOUT;
use crate::failure::Failure;
use crate::target::Target;
use crate::transcript::{for_terminal, whole_reply_text};

/// An address and a login.
#[derive(Clone)]
pub struct RawAddress {
    info: ConnectionInfo,
    #[cfg(feature = "tls")]
    tls: Option<Arc<rustls::ClientConfig>>,
    /// Where the name that `--sni` asks for really is.
    real_host: Option<String>,
}

impl RawAddress {
    /// The address of an opened server.
    pub fn of(target: &Target) -> Result<Self, Failure> {
        Ok(Self {
            info: target.connection_info().clone(),
            #[cfg(feature = "tls")]
            tls: target.tls_config()?.map(Arc::new),
            real_host: target.real_host().map(str::to_owned),
        })
    }

    /// The address in a URL, without TLS.
    pub fn parse(url: &str) -> RedisResult<Self> {
        Ok(Self {
            info: url.into_connection_info()?,
            #[cfg(feature = "tls")]
            tls: None,
            real_host: None,
        })
    }

    /// Another node of the same cluster, with the same login. An empty host is the host of this one.
    #[must_use]
    pub fn node(&self, host: &str, port: u16) -> Self {
        let named = |own: &str| if host.is_empty() { own.to_owned() } else { host.to_owned() };
        let addr = match self.info.addr().clone() {
            ConnectionAddr::Tcp(own, _) => ConnectionAddr::Tcp(named(&own), port),
            ConnectionAddr::TcpTls { host: own, insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host: named(&own), port, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(named("127.0.0.1"), port),
        };
        Self { info: self.info.clone().set_addr(addr), ..self.clone() }
    }

    /// The number of the database.
    #[must_use]
    pub fn db(&self) -> i64 {
        self.info.redis_settings().db()
    }

    /// Host and port, or the path of a socket. Never a password.
    #[must_use]
    pub fn shown(&self) -> String {
        for_terminal(&host_and_port_of(&self.info)).into_owned()
    }

    /// Connects, logs in, and selects the database.
    pub fn connect(&self) -> io::Result<Client> {
        let mut client = match self.info.addr() {
            ConnectionAddr::Tcp(host, port) => Client::over(self.dial(host, *port)?, plain)?,
            ConnectionAddr::TcpTls { host, port, .. } => self.connect_tls(host, *port)?,
            ConnectionAddr::Unix(path) => Client::over(Socket::unix(UnixStream::connect(path)?), plain)?,
            _ => return Err(io::Error::other("an address of a kind not known here")),
        };
        client.set_reply_timeout(Some(CONNECT_TIMEOUT))?;
        let login = self.info.redis_settings();
        accepted(&client.log_in(login.username(), login.password().unwrap_or_default())?)?;
        if login.protocol() == ProtocolVersion::RESP3 {
            accepted(&client.ask(&["HELLO", "3"])?)?;
        }
        if login.db() != 0 {
            accepted(&client.ask(&["SELECT", &login.db().to_string()])?)?;
        }
        Ok(client)
    }

    fn dial(&self, host: &str, port: u16) -> io::Result<Socket> {
        let host = self.real_host.as_deref().unwrap_or(host);
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => return Socket::tcp(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    #[cfg(feature = "tls")]
    fn connect_tls(&self, host: &str, port: u16) -> io::Result<Client> {
        let Some(config) = self.tls.clone() else { return Err(io::Error::other("TLS is not set up")) };
        let name = host.to_owned().try_into().map_err(io::Error::other)?;
        let connection = rustls::ClientConnection::new(config, name).map_err(io::Error::other)?;
        Client::over(self.dial(host, port)?, |socket| {
            Ok(Box::new(rustls::StreamOwned::new(connection, socket)))
        })
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "the same as with TLS")]
    fn connect_tls(&self, _host: &str, _port: u16) -> io::Result<Client> {
        Err(io::Error::other("this program was built without TLS"))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what puts TLS around a socket can fail")]
fn plain(socket: Socket) -> io::Result<Box<dyn Bytes>> {
    Ok(Box::new(socket))
}

/// The server's words if it refused.
fn accepted(reply: &Value) -> io::Result<()> {
    match reply {
        Value::ServerError(_) => Err(io::Error::other(whole_reply_text(reply))),
        _ => Ok(()),
    }
}
