//! A relay that keeps what clients send.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Forwards to a port of this machine. Dropping it ends the relay.
pub(super) struct Tap {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Tap {
    pub(super) async fn in_front_of(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let copy = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, server, Arc::clone(&copy)));
            }
        });
        Ok(Self { port, heard, task })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What clients have sent so far.
    pub(super) fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Ends when one side closes.
async fn forward(client: TcpStream, server: u16, heard: Arc<Mutex<Vec<u8>>>) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async {
        let mut bytes = [0; 4096];
        loop {
            let count = from_client.read(&mut bytes).await?;
            if count == 0 {
                return to_server.shutdown().await;
            }
            heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..count]);
            to_server.write_all(&bytes[..count]).await?;
        }
    };
    let back = async { tokio::io::copy(&mut from_server, &mut to_client).await.map(|_| ()) };
    tokio::select! {
        there = there => there,
        back = back => back,
    }
}
