//! A way to a server on which a load gets no further than a test wants: however late the test looks, and however late a
//! signal comes, there is still something to write.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use lab_server::Server;

/// A server reads no more than this at once. So when it answers a question of the test, it has read about all that came
/// before.
const PIECE: usize = 16 * 1024;

/// Passes on what a program sends, piece by piece, and at once what the server answers.
pub struct Relay {
    port: u16,
    gate: Arc<Gate>,
}

impl Relay {
    /// In front of the server at this port; everything passes.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let gate = Arc::new(Gate::default());
        let shared = Arc::clone(&gate);
        // It ends with the test's process.
        thread::spawn(move || {
            for program in listener.incoming().map_while(Result::ok) {
                // While the server is away, the connection just ends.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    pass_on(program, server, &shared);
                }
            }
        });
        Self { port, gate }
    }

    /// The same for this server, and the URL of the relay.
    pub fn in_front_of(server: &Server) -> (Self, String) {
        let relay = Self::to(server.port());
        let url = format!("redis://:{}@127.0.0.1:{}", server.password(), relay.port());
        (relay, url)
    }

    /// Where to connect instead.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Nothing passes any more.
    pub fn hold(&self) {
        self.gate.set(Some(0));
    }

    /// So many pieces pass and nothing behind them. What passes is not known; nobody may want to send anything.
    pub fn let_pass(&self, pieces: usize) {
        self.gate.set(Some(pieces));
    }

    /// Everything passes again.
    pub fn open(&self) {
        self.gate.set(None);
    }
}

impl Drop for Relay {
    /// What is still held never arrives.
    fn drop(&mut self) {
        self.gate.close();
    }
}

fn pass_on(program: TcpStream, server: TcpStream, gate: &Arc<Gate>) {
    for end in [&program, &server] {
        end.set_nodelay(true).unwrap();
    }
    let (asking, asked, gate) = (program.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(gate));
    thread::spawn(move || copy(asking, asked, || gate.pass()));
    thread::spawn(move || copy(server, program, || true));
}

/// Until one of them ends, or nothing may pass any more; then both do.
fn copy(mut from: TcpStream, mut to: TcpStream, may_pass: impl Fn() -> bool) {
    let mut piece = vec![0; PIECE];
    while let Ok(bytes @ 1..) = from.read(&mut piece)
        && may_pass()
        && to.write_all(&piece[..bytes]).is_ok()
    {}
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}

/// Where pieces wait.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How many more pieces pass; without a number, all.
    left: Option<usize>,
    closed: bool,
}

impl Gate {
    /// Waits until one more piece may pass; false if none ever may.
    fn pass(&self) -> bool {
        let held = |state: &mut State| state.left == Some(0) && !state.closed;
        let mut state = self.changed.wait_while(self.state(), held).unwrap();
        state.left = state.left.map(|left| left.saturating_sub(1));
        !state.closed
    }

    fn set(&self, left: Option<usize>) {
        self.state().left = left;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
