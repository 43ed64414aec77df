//! A TCP proxy that injects faults: it closes connections, adds latency, and drops traffic.
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use lab_server::{Proxy, Server};
//!
//! let server = Server::start()?;
//! let proxy = Proxy::in_front_of(&server)?;
//! let mut connection = redis::Client::open(proxy.url())?.get_connection()?;
//!
//! // 20 milliseconds each way.
//! proxy.set_delay(Duration::from_millis(20));
//! let start = Instant::now();
//! redis::cmd("INCR").arg("visits").exec(&mut connection)?;
//! assert!(start.elapsed() >= Duration::from_millis(40));
//!
//! // The server executes the command, and the client never gets the reply.
//! proxy.set_delay(Duration::ZERO);
//! proxy.cut_replies(1);
//! redis::cmd("INCR").arg("visits").exec(&mut connection).unwrap_err();
//! let visits: u64 = redis::cmd("GET").arg("visits").query(&mut server.client().get_connection()?)?;
//! assert_eq!(visits, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{Error, Server, url};

/// The most bytes that are forwarded at once.
const PIECE: usize = 64 * 1024;
/// How many pieces can be in flight in one direction.
const PIECES_IN_FLIGHT: usize = 64;

/// A TCP proxy on 127.0.0.1 in front of one server at a time. At first it forwards everything. A setting takes effect at once, for
/// open connections too. Dropping the proxy cuts all connections.
///
/// Don't use it for a cluster: nodes redirect clients to their own ports.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    password: String,
    settings: Arc<Settings>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Settings {
    server_port: AtomicU16,
    delay_us: AtomicU64,
    /// 0: none are cut.
    cut_replies: AtomicU32,
    replies: AtomicU32,
    cuts: AtomicU32,
    bytes_from_server: AtomicU64,
    dropping: watch::Sender<bool>,
    /// How often all connections were cut.
    cut_all: watch::Sender<u32>,
}

impl Proxy {
    /// Listens on a free port in front of this server. When the server is restarted, the proxy forwards to it again.
    pub fn in_front_of(server: &Server) -> Result<Self, Error> {
        let settings = Arc::new(Settings {
            server_port: AtomicU16::new(server.port()),
            delay_us: AtomicU64::new(0),
            cut_replies: AtomicU32::new(0),
            replies: AtomicU32::new(0),
            cuts: AtomicU32::new(0),
            bytes_from_server: AtomicU64::new(0),
            dropping: watch::Sender::new(false),
            cut_all: watch::Sender::new(0),
        });
        // Its own runtime, because callers may have none, or a busy one.
        let start = || -> io::Result<_> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            let port = listener.local_addr()?.port();
            let entered = runtime.enter();
            let listener = TcpListener::from_std(listener)?;
            drop(entered);
            Ok((runtime, listener, port))
        };
        let (runtime, listener, port) = start().map_err(Error::io("start a proxy"))?;
        let (end, ended) = oneshot::channel();
        let accepting = accept(listener, Arc::clone(&settings));
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accepting => {}
                    _ = ended => {}
                }
            });
        });
        let password = server.password().to_owned();
        Ok(Self { port, password, settings, end: Some(end), thread: Some(thread) })
    }

    /// `redis://default:PASSWORD@127.0.0.1:PORT/`. Holds the password: not for logs.
    #[must_use]
    pub fn url(&self) -> String {
        url::tcp("redis", &self.password, self.port)
    }

    /// The port on 127.0.0.1, for example for a replica that follows through the proxy.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads to this server from now on, as an address in front of a primary does after a failover. Open connections are cut, so
    /// that no client stays with the server before. It must have the same password, as a replica has
    /// ([`Builder::replica_of`](crate::Builder::replica_of)).
    pub fn lead_to(&self, server: &Server) {
        self.settings.server_port.store(server.port(), Ordering::Release);
        self.cut_all();
    }

    /// Cuts all connections that are open now. New ones are accepted.
    pub fn cut_all(&self) {
        self.settings.cut_all.send_modify(|times| *times += 1);
    }

    /// Throws away every n-th piece that the server sends, over all connections, and cuts its connection. The server has executed the
    /// command, and the client cannot know. A small reply is one piece. 0 turns it off.
    pub fn cut_replies(&self, every: u32) {
        self.settings.replies.store(0, Ordering::Relaxed);
        self.settings.cut_replies.store(every, Ordering::Relaxed);
    }

    /// How many connections were cut so far by [`cut_all`](Self::cut_all) and [`cut_replies`](Self::cut_replies).
    #[must_use]
    pub fn cuts(&self) -> u32 {
        self.settings.cuts.load(Ordering::Relaxed)
    }

    /// How many bytes the proxy has passed on from the server so far, over all connections.
    #[must_use]
    pub fn bytes_from_server(&self) -> u64 {
        self.settings.bytes_from_server.load(Ordering::Relaxed)
    }

    /// Delays everything by this time in each direction, so a round trip takes twice as long. The bandwidth stays the same.
    pub fn set_delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.settings.delay_us.store(micros, Ordering::Relaxed);
    }

    /// Forwards nothing in either direction and closes nothing, like a pulled cable. Connections stay open, and clients run into their
    /// timeouts. With `false`, what was sent in the meantime arrives, as with TCP's retransmission.
    pub fn set_dropping(&self, dropping: bool) {
        self.settings.dropping.send_replace(dropping);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, settings: Arc<Settings>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(serve(client, Arc::clone(&settings)));
            }
            // Perhaps there are too many open files. Some may be closed soon.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Forwards in both directions until one side ends or the connection is cut.
async fn serve(client: TcpStream, settings: Arc<Settings>) {
    let mut cut = settings.cut_all.subscribe();
    // Read after subscribing, so a connection that gets the old port is cut by `lead_to`.
    let port = settings.server_port.load(Ordering::Acquire);
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    // Small requests wait for nothing but the delay.
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Counted first, so a client that notices the cut finds it counted.
    let cut_all = async {
        let _ = cut.changed().await;
        settings.count_cut();
    };
    tokio::select! {
        () = forward(from_server, to_client, &settings, true) => {}
        () = forward(from_client, to_server, &settings, false) => {}
        () = cut_all => {}
    }
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    settings: &Settings,
    replies: bool,
) {
    let (send, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_IN_FLIGHT);
    let reading = async move {
        let mut buffer = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if send.send((Instant::now(), buffer[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async {
        let mut dropping = settings.dropping.subscribe();
        while let Some((arrived, piece)) = pieces.recv().await {
            sleep_until(arrived + Duration::from_micros(settings.delay_us.load(Ordering::Relaxed))).await;
            // An error means that the proxy is gone, and this task ends with it.
            let _ = dropping.wait_for(|dropping| !dropping).await;
            if replies && settings.cuts_this_reply() {
                settings.count_cut();
                return;
            }
            if replies {
                // Counted before it arrives, so a client that has the reply finds it counted.
                settings.bytes_from_server.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    // Writing ends if it fails, or after it has written everything that was read.
    tokio::pin!(writing);
    tokio::select! {
        () = &mut writing => return,
        () = reading => {}
    }
    writing.await;
}

impl Settings {
    fn cuts_this_reply(&self) -> bool {
        let every = self.cut_replies.load(Ordering::Relaxed);
        every > 0 && (self.replies.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(every)
    }

    fn count_cut(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }
}
