//! The connection behind a console: transactions, redirections, subscriptions, and the end of a wait by Ctrl-C.

use std::io::{self, ErrorKind, stdin};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lab_connection::connection::CONNECT_TIMEOUT;
use lab_connection::raw_client::{
    Client, RawAddress, Redirection, changes_subscriptions, has_word, reply_count, shown_reply_lines,
};
use lab_connection::transcript::for_terminal;
use redis::Value;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::print::print;

/// A healthy cluster redirects a client once or twice.
const MOST_REDIRECTIONS: usize = 16;
/// A command that takes less leaves the keyboard alone, so what is typed ahead is not lost.
const QUICK: Duration = Duration::from_millis(100);
/// After how long without a reply the console says how to end the wait.
const LONG: Duration = Duration::from_secs(2);
const CTRL_C: u8 = 3;

/// The connection of a console.
pub(crate) struct Session {
    home: RawAddress,
    /// The node of a cluster that the last redirection led to.
    here: RawAddress,
    follows_redirections: bool,
    client: Option<Client>,
    interrupted: Arc<AtomicBool>,
    in_transaction: bool,
    db: i64,
}

impl Session {
    /// A session that connects with its first command, or when asked to.
    pub(crate) fn new(address: RawAddress, follows_redirections: bool) -> Self {
        let db = address.db();
        Self {
            here: address.clone(),
            home: address,
            follows_redirections,
            client: None,
            interrupted: Arc::default(),
            in_transaction: false,
            db,
        }
    }

    /// The prompt of redis-cli: the server, the database if it is not 0, and whether a transaction is open.
    pub(crate) fn prompt(&self) -> String {
        if self.client.is_none() {
            return "not connected> ".into();
        }
        let db = if self.db == 0 { String::new() } else { format!("[{}]", self.db) };
        let transaction = if self.in_transaction { "(TX)" } else { "" };
        format!("{}{db}{transaction}> ", self.here.shown())
    }

    /// The database that is selected.
    pub(crate) fn db(&self) -> i64 {
        self.db
    }

    /// Connects, if it is not connected.
    pub(crate) fn connect(&mut self) -> io::Result<&mut Client> {
        let client = if let Some(client) = self.client.take() {
            client
        } else {
            let mut client = self.here.connect()?;
            if self.db != self.here.db() {
                client.ask(&["SELECT", &self.db.to_string()])?;
            }
            client
        };
        client.set_reply_timeout(None)?;
        Ok(self.client.insert(client))
    }

    /// Sends a command, and prints its replies until all are there, or until Ctrl-C. Returns whether all came.
    pub(crate) fn run(&mut self, words: &[Vec<u8>]) -> bool {
        let outcome = self.reconnect_if_closed().and_then(|()| self.exchange(words));
        if let Some(client) = &self.client {
            client.set_waiter(None);
        }
        outcome.map_err(|error| self.explain(&error, words)).is_ok()
    }

    /// A server closes idle connections. It is better to notice before a command is sent than after.
    fn reconnect_if_closed(&mut self) -> io::Result<()> {
        let mut lost = false;
        if let Some(client) = &mut self.client {
            while !lost && client.has_data(Duration::ZERO) {
                client.set_reply_timeout(Some(CONNECT_TIMEOUT))?;
                match client.next() {
                    Ok(message) => print_reply(&[], &message),
                    Err(_) => lost = true,
                }
            }
        }
        if lost {
            self.client = None;
            if std::mem::take(&mut self.in_transaction) {
                print("The server had closed the connection; the open transaction is gone.");
            }
        }
        self.connect()?;
        Ok(())
    }

    fn exchange(&mut self, words: &[Vec<u8>]) -> io::Result<()> {
        self.interrupted.store(false, Ordering::Relaxed);
        let streams = has_word(words, 0, &["MONITOR"]);
        self.wait_with_keys(true);
        self.client()?.send(words)?;
        for _ in 0..MOST_REDIRECTIONS {
            let reply = self.client()?.reply(changes_subscriptions(words))?;
            let redirection = Redirection::of(&reply).filter(|_| self.follows_redirections);
            let Some(redirection) = redirection else {
                print_reply(words, &reply);
                self.note(words, &reply);
                if changes_subscriptions(words) && matches!(reply, Value::Array(_) | Value::Push { .. }) {
                    return self.follow_subscription(words);
                }
                if streams && !matches!(reply, Value::ServerError(_)) && !self.in_transaction {
                    return self.follow();
                }
                while let Some(message) = self.client()?.next_pushed() {
                    print_reply(&[], &message);
                }
                return Ok(());
            };
            if self.in_transaction {
                print_reply(words, &reply);
                print("A transaction stays on one node. DISCARD it, and begin on a key of that slot.");
                return Ok(());
            }
            print(&redirection.line());
            self.here = self.here.node(&redirection.host, redirection.port);
            self.client = None;
            self.connect()?;
            self.wait_with_keys(true);
            if redirection.asks {
                self.client()?.ask(&["ASKING"])?;
            }
            self.client()?.send(words)?;
        }
        Err(io::Error::other("the nodes redirect the client in a circle"))
    }

    /// The replies of a subscription, and the messages after them.
    fn follow_subscription(&mut self, words: &[Vec<u8>]) -> io::Result<()> {
        let ends = has_word(words, 0, &["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"]);
        for _ in 1..reply_count(words) {
            let reply = self.client()?.reply(true)?;
            print_reply(words, &reply);
        }
        if ends { Ok(()) } else { self.follow() }
    }

    /// Prints what comes until Ctrl-C.
    fn follow(&mut self) -> io::Result<()> {
        print("Reading messages... (Ctrl-C ends this)");
        self.wait_with_keys(false);
        loop {
            let message = self.client()?.next()?;
            print_reply(&[], &message);
        }
    }

    fn client(&mut self) -> io::Result<&mut Client> {
        self.client.as_mut().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// What the reply means for the prompt.
    fn note(&mut self, words: &[Vec<u8>], reply: &Value) {
        let failed = matches!(reply, Value::ServerError(_));
        if self.in_transaction {
            let aborted = matches!(reply, Value::ServerError(error) if error.code() == "EXECABORT");
            let ends = has_word(words, 0, &["EXEC", "DISCARD", "RESET"]);
            self.in_transaction = !(ends && !failed || aborted);
        } else if has_word(words, 0, &["MULTI"]) {
            self.in_transaction = !failed;
        }
        if failed || self.in_transaction {
            return;
        }
        if has_word(words, 0, &["SELECT"])
            && let Some(db) = words.get(1).and_then(|db| std::str::from_utf8(db).ok()?.parse().ok())
        {
            self.db = db;
        } else if has_word(words, 0, &["RESET"]) {
            self.db = 0;
            // The login is gone, too.
            self.client = None;
        }
    }

    fn explain(&mut self, error: &io::Error, words: &[Vec<u8>]) {
        use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let connected = self.client.take().is_some();
        let in_transaction = std::mem::take(&mut self.in_transaction);
        if self.interrupted.swap(false, Ordering::Relaxed) {
            let listens = changes_subscriptions(words) || has_word(words, 0, &["MONITOR"]);
            // The server learns of the end by the closed connection.
            match self.connect() {
                Ok(_) if listens => print("Ended, on a new connection."),
                Ok(_) => print("Stopped waiting, on a new connection. The command may still run to its end."),
                Err(error) => print(&format!("Stopped waiting. {}", cannot_connect(&error, &self.here))),
            }
        } else if connected {
            match error.kind() {
                BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => {
                    print("Error: Server closed the connection");
                }
                ErrorKind::InvalidData => {
                    print(&format!("The server sent what is no reply: {}", for_terminal(&error.to_string())));
                }
                _ => print(&format!("No reply: {}", for_terminal(&error.to_string()))),
            }
            // The node of a cluster may be gone, and others know where its slots are.
            self.here = self.home.clone();
            if self.connect().is_ok() {
                print("Connected again. Nobody knows whether the command ran.");
            }
        } else {
            print(&cannot_connect(error, &self.here));
            self.here = self.home.clone();
        }
        if in_transaction {
            print("The open transaction is gone.");
        }
    }

    /// From here on, Ctrl-C ends the wait for a reply. `says_so` after a while.
    fn wait_with_keys(&self, says_so: bool) {
        let Some(client) = &self.client else { return };
        let interrupted = Arc::clone(&self.interrupted);
        let begun = Instant::now();
        let mut silent = says_so;
        client.set_waiter(Some(Box::new(move |socket| wait(socket, begun, &mut silent, &interrupted))));
    }
}

/// Why there is no connection.
pub(crate) fn cannot_connect(error: &io::Error, address: &RawAddress) -> String {
    let why = match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "it does not answer".into(),
        _ => for_terminal(&error.to_string()).into_owned(),
    };
    format!("Could not connect to {}: {why}", address.shown())
}

fn print_reply(words: &[Vec<u8>], reply: &Value) {
    for line in shown_reply_lines(words, reply) {
        print(&line);
    }
}

/// Waits until the socket can be read or Ctrl-C is pressed. Other keys mean nothing here.
fn wait(
    socket: BorrowedFd<'_>,
    begun: Instant,
    silent: &mut bool,
    interrupted: &AtomicBool,
) -> io::Result<()> {
    let quick = QUICK.saturating_sub(begun.elapsed());
    if !quick.is_zero() && readable(&mut [PollFd::new(&socket, PollFlags::IN)], quick)? {
        return Ok(());
    }
    let stdin = stdin();
    let mut keys = true;
    loop {
        let mut both = [PollFd::new(&socket, PollFlags::IN), PollFd::new(&stdin, PollFlags::IN)];
        let watched = if keys { &mut both[..] } else { &mut both[..1] };
        readable(watched, LONG)?;
        let pressed = keys && !both[1].revents().is_empty();
        if pressed {
            let mut bytes = [0; 64];
            match rustix::io::read(&stdin, &mut bytes) {
                Ok(0) | Err(_) => keys = false,
                Ok(count) if bytes[..count].contains(&CTRL_C) => {
                    interrupted.store(true, Ordering::Relaxed);
                    return Err(io::Error::other("Ctrl-C"));
                }
                Ok(_) => {}
            }
        }
        if !both[0].revents().is_empty() {
            return Ok(());
        }
        if *silent && begun.elapsed() >= LONG {
            *silent = false;
            print("(no reply yet; Ctrl-C stops waiting)");
        }
    }
}

/// Whether one of them can be read within a time.
fn readable(watched: &mut [PollFd<'_>], time: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(time).map_err(io::Error::other)?;
    match poll(watched, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
