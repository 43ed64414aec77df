//! A subscriber that does not read.

use std::net::{Ipv4Addr, SocketAddr};

use lab_runner::BoxError;
use lab_server::Server;
use redis::aio::MultiplexedConnection;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// So many bytes wait for it in the end, or more.
pub(super) const BEHIND: usize = 1_000_000;
/// Valkey 9.1 shares messages from 16 KB on between clients, and does not count them.
const MESSAGE_BYTES: usize = 8 * 1024;
const AT_ONCE: usize = 100;
/// 64 MB, many times what the system buffers between two processes.
const MOST: usize = 8_000;

/// It is connected until it is dropped.
pub(super) struct SlowReader {
    _connection: TcpStream,
}

impl SlowReader {
    /// Subscribes to `news`, and reads nothing.
    pub(super) async fn start(server: &Server) -> Result<Self, BoxError> {
        let socket = TcpSocket::new_v4()?;
        // The system keeps little of what is not read, so the server has to.
        socket.set_recv_buffer_size(4_096)?;
        let mut connection = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()))).await?;
        let login = format!("AUTH default {}\r\n", server.password());
        connection.write_all(login.as_bytes()).await?;
        connection.write_all(b"CLIENT SETNAME slow-reader\r\nSUBSCRIBE news\r\n").await?;
        Ok(Self { _connection: connection })
    }

    /// Publishes until it is [`BEHIND`] and stays so. Returns how many messages that took.
    pub(super) async fn fall_behind(&self, redis: &mut MultiplexedConnection) -> Result<usize, BoxError> {
        let message = vec![b'n'; MESSAGE_BYTES];
        let mut published = 0;
        while published < MOST {
            let mut pipe = redis::pipe();
            for _ in 0..AT_ONCE {
                pipe.publish("news", message.as_slice());
            }
            let received: Vec<usize> = pipe.query_async(redis).await?;
            published += received.iter().sum::<usize>();
            // As long as it gets less, the system still takes what waits.
            let mut before = usize::MAX;
            loop {
                let mut list = redis::cmd("CLIENT");
                let list: String = list.arg("LIST").arg("TYPE").arg("pubsub").query_async(redis).await?;
                let now = waiting(&list);
                if now <= BEHIND {
                    break;
                }
                if now == before {
                    return Ok(published);
                }
                before = now;
            }
        }
        Err("nothing waits for the subscriber".into())
    }
}

/// The bytes that wait for clients, by CLIENT LIST.
pub(super) fn waiting(list: &str) -> usize {
    list.split_whitespace().filter_map(|field| field.strip_prefix("omem=")?.parse::<usize>().ok()).sum()
}
