//! A socket over TCP, TLS, or a Unix socket. It blocks in the handshake and never afterward.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[cfg(feature = "tls")]
use crate::endpoint::Tls;
use crate::endpoint::{Address, Endpoint};

/// The timeout for connecting, and for each read and write in the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    #[cfg(feature = "tls")]
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

impl Socket {
    /// Connects. Reads and writes block, with a timeout, until [`Socket::set_nonblocking`].
    pub(crate) fn connect(address: &Address, endpoint: &Endpoint) -> io::Result<Self> {
        match address {
            Address::Unix(path) => {
                let socket = UnixStream::connect(path)?;
                socket.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
                socket.set_write_timeout(Some(HANDSHAKE_TIMEOUT))?;
                Ok(Self::Unix(socket))
            }
            Address::Tcp { host, port } => {
                let socket = connect_tcp(host, *port)?;
                #[cfg(feature = "tls")]
                if let Some(tls) = &endpoint.tls {
                    return tls_over(socket, host, tls);
                }
                let _ = endpoint;
                Ok(Self::Tcp(socket))
            }
        }
    }

    /// From now on, reads and writes return at once.
    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.set_nonblocking(true),
            Self::Tcp(socket) => socket.set_nonblocking(true),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.sock.set_nonblocking(true),
        }
    }

    /// Whether TLS still holds bytes that the socket did not take.
    pub(crate) fn has_unsent(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.conn.wants_write(),
            _ => false,
        }
    }
}

fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in std::net::ToSocketAddrs::to_socket_addrs(&(host, port))? {
        match TcpStream::connect_timeout(&address, HANDSHAKE_TIMEOUT) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                socket.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
                socket.set_write_timeout(Some(HANDSHAKE_TIMEOUT))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(feature = "tls")]
fn tls_over(socket: TcpStream, host: &str, tls: &Tls) -> io::Result<Socket> {
    let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
    let name = rustls::pki_types::ServerName::try_from(name).map_err(|_invalid| {
        io::Error::new(io::ErrorKind::InvalidData, "the host is not a valid name for a certificate")
    })?;
    let mut connection = rustls::ClientConnection::new(tls.config.clone(), name).map_err(io::Error::other)?;
    // The default of 64 kB is less than one burst of commands.
    connection.set_buffer_limit(Some(256 * 1024));
    Ok(Socket::Tls(Box::new(rustls::StreamOwned::new(connection, socket))))
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.read(into),
            Self::Tcp(socket) => socket.read(into),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.read(into),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(socket) => socket.write(from),
            Self::Tcp(socket) => socket.write(from),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.flush(),
            Self::Tcp(socket) => socket.flush(),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.flush(),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(socket) => socket.as_fd(),
            Self::Tcp(socket) => socket.as_fd(),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.sock.as_fd(),
        }
    }
}
