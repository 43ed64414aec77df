//! Asks what listens on a port, if a failed connection leaves nothing but "closed" or "timed out".
//!
//! It sends a question and takes the first reply, so it never waits for a server that answers. A server that hangs up may have spoken
//! before the question arrived, to greet or to say that it takes no more clients. A question that reaches it after that can make the system
//! drop what it said. So if it hangs up on two questions, the probe connects a third time and only listens.

use std::io;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Endpoint;
use super::class::{Cause, Class, TlsFault};
use super::server_reply;
use crate::connection::CONNECT_TIMEOUT;

/// The bytes of a reply that are read.
const REPLY_BYTES: usize = 512;

/// The first message of TLS 1.2, as short as possible: two suites that every OpenSSL knows, no extensions. A TLS server replies with a
/// record, even if it refuses. The 32 random bytes in the middle need not be random here.
const CLIENT_HELLO: &[u8] = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03\
    ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ\
    \x00\x00\x04\xc0\x2f\xc0\x2b\x01\x00";

/// What listens there, if the probe finds more than is known already.
pub async fn run(endpoint: &Endpoint) -> Option<Cause> {
    let answer = timeout(CONNECT_TIMEOUT, answer(endpoint)).await.ok().flatten()?;
    let said = String::from_utf8_lossy(&answer);
    let line = said.lines().next().unwrap_or_default();
    let class = if endpoint.tls && line.starts_with(['+', '-']) {
        Class::Tls(TlsFault::ServerIsPlain)
    } else if let Some(error) = line.strip_prefix('-') {
        let (code, message) = error.split_once(' ').unwrap_or((error, ""));
        server_reply::class_of(code, message)
    } else if endpoint.tls || line.starts_with('+') {
        return None;
    } else if is_tls(&answer) {
        Class::Tls(TlsFault::ServerWantsTls)
    } else if answer.is_empty() {
        return None;
    } else {
        Class::NotRedis
    };
    // Other reasons may be over by now. Only these explain a connection that failed.
    let explains = matches!(
        class,
        Class::Tls(_)
            | Class::NotRedis
            | Class::MaxClients
            | Class::ProtectedMode
            | Class::Loading
            | Class::Busy
    );
    explains.then(|| Cause { class, server_reply: line.trim_start_matches('-').to_owned() })
}

/// The first reply to a question of Redis, to one of TLS, or to nothing at all.
async fn answer(endpoint: &Endpoint) -> Option<Vec<u8>> {
    for question in [&b"PING\r\n"[..], CLIENT_HELLO] {
        let answer = ask(endpoint, question).await?;
        if !answer.is_empty() {
            return Some(answer);
        }
    }
    ask(endpoint, b"").await
}

/// An alert or a handshake record.
fn is_tls(answer: &[u8]) -> bool {
    matches!(answer, [0x15 | 0x16, 3, ..])
}

/// The beginning of the reply to `question`, or of a greeting. Empty if the other side hangs up, `None` if it is not there.
async fn ask(endpoint: &Endpoint, question: &[u8]) -> Option<Vec<u8>> {
    let (host, port) = endpoint.shown().rsplit_once(':')?;
    let host = host.trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, port.parse().ok()?)).await.ok()?;
    stream.writable().await.ok()?;
    // If it has just hung up, the read says so.
    let _ = stream.try_write(question);
    let mut answer = vec![0; REPLY_BYTES];
    loop {
        stream.readable().await.ok()?;
        match stream.try_read(&mut answer) {
            Ok(length) => {
                answer.truncate(length);
                return Some(answer);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Some(Vec::new()),
        }
    }
}
