//! Connections that break after the server has done what was asked: the client cannot know whether it was done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lab_server::{Cluster, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// A way to a server on which every so-many-th piece of an answer is lost together with its connection.
pub struct LossyProxy {
    url: String,
    broken: Arc<AtomicU32>,
}

impl LossyProxy {
    /// Listens in front of `server`. Every `each`-th piece that the server sends is thrown away, and its connection cut.
    pub async fn in_front_of(server: &Server, each: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            format!("redis://:{}@127.0.0.1:{}", server.password(), listener.local_addr().unwrap().port());
        let (broken, pieces) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
        let (port, counted) = (server.port(), Arc::clone(&broken));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (broken, pieces) = (Arc::clone(&counted), Arc::clone(&pieces));
                tokio::spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    if pass_on(client, server, || {
                        (pieces.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(each)
                    })
                    .await
                    {
                        broken.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { url, broken }
    }

    /// Where to connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many connections were cut so far.
    pub fn cuts(&self) -> u32 {
        self.broken.load(Ordering::Relaxed)
    }
}

/// Passes on in both directions until one side ends, or `cut` says so of a piece of an answer: then true.
async fn pass_on(client: TcpStream, server: TcpStream, cut: impl Fn() -> bool) -> bool {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    // What was sent before the cut still reaches the server.
    let asking = tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
    let mut piece = vec![0; 64 * 1024];
    let was_cut = loop {
        match from_server.read(&mut piece).await {
            Ok(0) | Err(_) => break false,
            Ok(_) if cut() => break true,
            Ok(length) if to_client.write_all(&piece[..length]).await.is_err() => break false,
            Ok(_) => {}
        }
    };
    asking.abort();
    was_cut
}

/// Cuts every connection to every node of a cluster again and again, until [`ConnectionKiller::end`].
pub struct ConnectionKiller {
    over: Arc<AtomicBool>,
    cutter: JoinHandle<u64>,
}

impl ConnectionKiller {
    /// Begins. The cluster is the test's own: everybody on it is cut off.
    pub fn connections_of(cluster: &Cluster, pause: Duration) -> Self {
        let clients: Vec<_> = cluster.nodes().iter().map(Server::client).collect();
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let cutter = std::thread::spawn(move || {
            let mut links: Vec<_> = clients.iter().map(|client| client.get_connection().unwrap()).collect();
            let mut cut = 0;
            while !told.load(Ordering::Relaxed) {
                for link in &mut links {
                    let mut kill = redis::cmd("CLIENT");
                    kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
                    cut += kill.query::<u64>(link).unwrap();
                }
                std::thread::sleep(pause);
            }
            cut
        });
        Self { over, cutter }
    }

    /// Stops, and tells how many connections were cut.
    pub fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.cutter.join().unwrap()
    }
}
