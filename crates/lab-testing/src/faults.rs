//! Connections that break after the server has executed a command, so the client cannot know whether it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use lab_server::{Cluster, Proxy, Server};

/// A proxy in front of `server` that throws away every `each`-th reply and cuts its connection.
pub fn lossy_proxy(server: &Server, each: u32) -> Proxy {
    let proxy = Proxy::in_front_of(server).unwrap();
    proxy.cut_replies(each);
    proxy
}

/// Cuts every connection to every node of a cluster again and again, until [`ConnectionKiller::end`].
pub struct ConnectionKiller {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl ConnectionKiller {
    /// Starts, with this pause between two rounds. It cuts all connections, so the test needs its own cluster.
    pub fn connections_of(cluster: &Cluster, pause: Duration) -> Self {
        let clients: Vec<_> = cluster.nodes().iter().map(Server::client).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut nodes: Vec<_> = clients.iter().map(|client| client.get_connection().unwrap()).collect();
            let mut cut = 0;
            while !stopped.load(Ordering::Relaxed) {
                for node in &mut nodes {
                    let mut kill = redis::cmd("CLIENT");
                    kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
                    cut += kill.query::<u64>(node).unwrap();
                }
                std::thread::sleep(pause);
            }
            cut
        });
        Self { stop, thread }
    }

    /// Stops, and returns how many connections it cut.
    pub fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
