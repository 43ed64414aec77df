//! A way to a server on which a check decides, message by message, what happens.
//!
//! Faults that hurt happen between two commands: somebody else writes, or a reply is lost. Here a check does that at the moment it
//! chooses, and not by luck.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Client, IntoConnectionInfo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::lab::LabServer;
use crate::verdict::{Fault, check_failed};

/// Clients connect to it instead of the server. Nothing passes except in [`during`](Self::during). Dropping it cuts all connections.
pub struct Gate {
    client: Client,
    messages: UnboundedReceiver<(Message, oneshot::Sender<Action>)>,
    accepting: AbortHandle,
}

/// What a client or the server sent: one command or one pipeline, or the replies to it.
#[derive(Clone, Debug)]
pub struct Message {
    /// Whether the client sent it.
    pub request: bool,
    /// As it goes over the network.
    pub bytes: Vec<u8>,
}

impl Message {
    /// A line that shows it: the words of a command, or the beginning of a reply.
    #[must_use]
    pub fn shown(&self) -> String {
        const MOST: usize = 60;
        let text = String::from_utf8_lossy(&self.bytes);
        let words = text.split("\r\n").filter(|word| !word.is_empty() && !word.starts_with(['*', '$']));
        let line = words.collect::<Vec<_>>().join(" ");
        let line = lab_connection::transcript::for_terminal(&line).into_owned();
        let end = if line.chars().count() > MOST { "…" } else { "" };
        let arrow = if self.request { ">" } else { "<" };
        format!("{arrow} {}{end}", line.chars().take(MOST).collect::<String>())
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes on.
    Pass,
    /// It is thrown away, and its connection is cut.
    Cut,
}

impl Gate {
    /// A gate in front of this server.
    pub async fn in_front_of(server: &LabServer) -> Result<Self, Fault> {
        let to = server.client();
        let redis::ConnectionAddr::Tcp(_, server_port) = *to.get_connection_info().addr() else {
            return Err(check_failed("its server has no TCP port."));
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(check_failed)?;
        let port = listener.local_addr().map_err(check_failed)?.port();
        let address = redis::ConnectionAddr::Tcp(Ipv4Addr::LOCALHOST.to_string(), port);
        let info = to.get_connection_info().clone().set_addr(address);
        let (send, messages) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(accept(listener, server_port, send)).abort_handle();
        Ok(Self { client: Client::open(info.into_connection_info()?)?, messages, accepting })
    }

    /// A client whose connections go through the gate.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Runs the learner's code. Each of its messages, and of those to it, waits until `decide` has said what becomes of it. (What
    /// redis-rs sends of its own when it connects passes.)
    pub async fn during<T>(
        &mut self,
        attempt: impl Future<Output = T>,
        mut decide: impl AsyncFnMut(&Message) -> Result<Action, Fault>,
    ) -> Result<T, Fault> {
        tokio::pin!(attempt);
        loop {
            tokio::select! {
                biased;
                message = self.messages.recv() => {
                    let Some((message, answer)) = message else { continue };
                    let action = decide(&message).await?;
                    // An error means that the connection is gone.
                    let _ = answer.send(action);
                }
                done = &mut attempt => return Ok(done),
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Messages = UnboundedSender<(Message, oneshot::Sender<Action>)>;

async fn accept(listener: TcpListener, server_port: u16, messages: Messages) {
    // Ends its connections with this task.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let messages = messages.clone();
        connections.spawn(async move {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)).await else { return };
            let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let connected = Arc::new(AtomicBool::new(false));
            tokio::select! {
                () = forward(from_client, to_server, true, &connected, &messages) => {}
                () = forward(from_server, to_client, false, &connected, &messages) => {}
            }
        });
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    request: bool,
    connected: &AtomicBool,
    messages: &Messages,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        let connects = request && bytes.windows(7).any(|window| window == b"SETINFO");
        if request && !connects {
            connected.store(true, Ordering::Relaxed);
        }
        if connected.load(Ordering::Relaxed) && !connects {
            let (answer, answered) = oneshot::channel();
            let message = Message { request, bytes: bytes.to_vec() };
            if messages.send((message, answer)).is_err() || answered.await != Ok(Action::Pass) {
                return;
            }
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
