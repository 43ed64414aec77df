//! A socket that never blocks once the connection is set up: TCP, TLS or a unix socket.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[cfg(feature = "tls")]
use crate::endpoint::Tls;
use crate::endpoint::{Address, Endpoint};

/// How long a connection attempt, and each reply of the set-up, may take.
const SETUP_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    #[cfg(feature = "tls")]
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects, blocking; reads and writes time out until [`Stream::never_block`].
    pub(crate) fn connect(address: &Address, endpoint: &Endpoint) -> io::Result<Self> {
        match address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(SETUP_TIMEOUT))?;
                stream.set_write_timeout(Some(SETUP_TIMEOUT))?;
                Ok(Self::Unix(stream))
            }
            Address::Tcp { host, port } => {
                let stream = connect_tcp(host, *port)?;
                #[cfg(feature = "tls")]
                if let Some(tls) = &endpoint.tls {
                    return tls_over(stream, host, tls);
                }
                let _ = endpoint;
                Ok(Self::Tcp(stream))
            }
        }
    }

    /// From now on reads and writes return at once.
    pub(crate) fn never_block(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_nonblocking(true),
            Self::Tcp(stream) => stream.set_nonblocking(true),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.sock.set_nonblocking(true),
        }
    }

    /// Whether TLS still holds bytes that the socket would not take.
    pub(crate) fn has_unsent(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.conn.wants_write(),
            _ => false,
        }
    }
}

fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in std::net::ToSocketAddrs::to_socket_addrs(&(host, port))? {
        match TcpStream::connect_timeout(&address, SETUP_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(SETUP_TIMEOUT))?;
                stream.set_write_timeout(Some(SETUP_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(feature = "tls")]
fn tls_over(stream: TcpStream, host: &str, tls: &Tls) -> io::Result<Stream> {
    let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
    let name = rustls::pki_types::ServerName::try_from(name).map_err(|_invalid| {
        io::Error::new(io::ErrorKind::InvalidData, "the host is no name that a certificate could have")
    })?;
    let mut connection = rustls::ClientConnection::new(tls.config.clone(), name).map_err(io::Error::other)?;
    // A burst of commands is more than the 64 kB that rustls keeps by default.
    connection.set_buffer_limit(Some(256 * 1024));
    Ok(Stream::Tls(Box::new(rustls::StreamOwned::new(connection, stream))))
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(into),
            Self::Tcp(stream) => stream.read(into),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(from),
            Self::Tcp(stream) => stream.write(from),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.flush(),
            Self::Tcp(stream) => stream.flush(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.sock.as_fd(),
        }
    }
}
