//! A browser for tests: plain HTTP over a socket, with a cookie, and an event stream.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use lab_testing::TIMEOUT;
use live_shop::database::PASSWORD;

/// A response.
pub struct Response {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// What is between two texts in the body.
    pub fn between(&self, from: &str, to: &str) -> &str {
        let (_, after) =
            self.body.split_once(from).unwrap_or_else(|| panic!("{from} is not in {}", self.body));
        after.split_once(to).unwrap().0
    }

    /// The value of a field that the page has filled in.
    pub fn field(&self, name: &str) -> String {
        self.between(&format!("name=\"{name}\" value=\""), "\"").to_owned()
    }
}

/// One browser: an address, and the cookie of the shop.
#[derive(Clone)]
pub struct Browser {
    pub address: SocketAddr,
    pub cookie: String,
    pub csrf: String,
}

impl Browser {
    /// A browser that has opened the shop.
    pub fn new(address: SocketAddr) -> Self {
        let mut browser = Self { address, cookie: String::new(), csrf: String::new() };
        browser.refresh();
        browser
    }

    /// Loads a page, and takes the CSRF token from it.
    pub fn refresh(&mut self) {
        let page = self.get("/login");
        assert_eq!(page.status, 200, "{}", page.body);
        self.csrf = page.field("csrf");
    }

    pub fn log_in(&mut self, name: &str) {
        let answer = self.post("/login", &[("name", name), ("password", PASSWORD)]);
        assert_eq!(answer.status, 303, "{}", answer.body);
        self.refresh();
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.send("GET", path, "Accept: text/html\r\n", "")
    }

    /// Sends a form with the CSRF token.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let csrf = self.csrf.clone();
        let fields = [&[("csrf", csrf.as_str())], fields].concat();
        self.send("POST", path, "", &form(&fields))
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Response {
        let host = format!("Host: {}\r\n", self.address);
        let host = if headers.contains("Host:") { "" } else { &host };
        let cookie = self.cookie.clone();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}Cookie: {cookie}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        let response = raw(self.address, request.as_bytes());
        if let Some(cookie) = response.headers.get("set-cookie") {
            cookie.split(';').next().unwrap().clone_into(&mut self.cookie);
        }
        response
    }

    /// Opens the event stream, after the event with this ID.
    pub fn events(&self, last: Option<&str>) -> Events {
        self.events_over(connect(self.address), last).unwrap()
    }

    /// Opens the event stream, which has said hello.
    pub fn listening(&self) -> Events {
        self.events(None).after_hello()
    }

    /// [`Browser::events`] over this connection. A shop that was killed does not answer.
    pub fn events_over(&self, mut socket: TcpStream, last: Option<&str>) -> std::io::Result<Events> {
        let last = last.map_or_else(String::new, |last| format!("Last-Event-ID: {last}\r\n"));
        let (host, cookie) = (self.address, &self.cookie);
        write!(socket, "GET /events HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n{last}\r\n")?;
        let mut reader = BufReader::new(socket);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Events { reader, text: String::new(), retries: Vec::new() })
    }

    /// The status line of a response that may have no end.
    pub fn first_line_of(&mut self, path: &str) -> String {
        let mut socket = connect(self.address);
        let (host, cookie) = (self.address, &self.cookie);
        write!(socket, "GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n").unwrap();
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).unwrap();
        line
    }

    /// Listens as a browser does: whenever the stream ends, it comes back with the last ID. `go_on` sees each event, and says whether to
    /// go on listening (true), to come back first, or to stop.
    pub fn listen(&self, go_on: impl FnMut(&Event) -> ControlFlow<(), bool>) -> Vec<Event> {
        self.listen_from(None, go_on)
    }

    /// The same, after the event with this ID.
    pub fn listen_after(&self, last: &str, go_on: impl FnMut(&Event) -> ControlFlow<(), bool>) -> Vec<Event> {
        self.listen_from(Some(last.to_owned()), go_on)
    }

    fn listen_from(
        &self,
        mut last: Option<String>,
        mut go_on: impl FnMut(&Event) -> ControlFlow<(), bool>,
    ) -> Vec<Event> {
        let (mut seen, start) = (Vec::new(), Instant::now());
        loop {
            assert!(start.elapsed() < 3 * TIMEOUT, "it listens in vain after {:?}", seen.last());
            let socket = TcpStream::connect(self.address);
            let Ok(mut events) = socket.and_then(|socket| {
                socket.set_read_timeout(Some(TIMEOUT))?;
                self.events_over(socket, last.as_deref())
            }) else {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            while let Some(event) = events.next() {
                last = Some(event.id.clone()).filter(|id| !id.is_empty()).or(last);
                let next = go_on(&event);
                seen.push(event);
                match next {
                    ControlFlow::Break(()) => return seen,
                    ControlFlow::Continue(true) => {}
                    ControlFlow::Continue(false) => break,
                }
            }
        }
    }
}

/// The units that an event says are left.
pub fn left(data: &str) -> u64 {
    data.split_once("\"left\":").unwrap().1.split([',', '}']).next().unwrap().parse().unwrap()
}

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub kind: String,
    pub id: String,
    pub data: String,
}

/// An open event stream.
pub struct Events {
    reader: BufReader<TcpStream>,
    text: String,
    /// When to come back, in milliseconds, each time the shop has said it.
    pub retries: Vec<u64>,
}

impl Events {
    /// The next event; `None` at the end of the stream. Comments are skipped.
    pub fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let mut event = Event::default();
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("event", kind)) => kind.clone_into(&mut event.kind),
                        Some(("id", id)) => id.clone_into(&mut event.id),
                        Some(("data", data)) => data.clone_into(&mut event.data),
                        Some(("retry", after)) => self.retries.push(after.parse().unwrap()),
                        _ => {}
                    }
                }
                self.text = rest.to_owned();
                if !event.kind.is_empty() {
                    return Some(event);
                }
            }
            let mut size = String::new();
            self.reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok().filter(|size| *size > 0)?;
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).ok()?;
            self.text.push_str(std::str::from_utf8(&chunk[..size]).unwrap());
        }
    }

    pub fn after_hello(mut self) -> Self {
        self.next_of("hello");
        self
    }

    /// The next event of this kind.
    pub fn next_of(&mut self, kind: &str) -> Event {
        loop {
            let event = self.next().unwrap_or_else(|| panic!("the stream ended before {kind}"));
            if event.kind == kind {
                return event;
            }
        }
    }
}

pub fn form(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        text.bytes().fold(String::new(), |escaped, byte| escaped + &format!("%{byte:02X}"))
    };
    fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&")
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// The status of `/healthz`, for anybody who asks.
pub fn health(address: SocketAddr) -> u16 {
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    raw(address, request.as_bytes()).status
}

/// Sends bytes, and reads until the server closes.
pub fn raw(address: SocketAddr, request: &[u8]) -> Response {
    let mut socket = connect(address);
    // A server may answer and close before it has read everything.
    let _ = socket.write_all(request);
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers = pairs.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Response { status, headers, body: body.to_owned() }
}
