//! A look at what listens on a port, for when a failed connection leaves nothing but "closed" or "timed out".
//!
//! It asks and takes what comes, so a server that answers is not waited for. One that hangs up may have exchange before
//! it was asked: to greet, or to say that it takes no more clients. A question that reaches it after that can make the
//! system drop what it said. So whoever hangs up on two questions is listened to without a word.

use std::io;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Place;
use super::class::{Cause, Class, TlsFault};
use super::said;
use crate::connection::CONNECT_TIMEOUT;

/// As much of an answer as is read.
const GLANCE: usize = 512;

/// The first message of TLS 1.2, as short as it gets: two suites every OpenSSL knows, no extensions. A TLS server
/// answers it with a record of its own, if only to refuse.
const CLIENT_HELLO: [u8; 52] = {
    let mut hello = [0x5a; 52];
    let head = [0x16, 3, 1, 0, 47, 1, 0, 0, 43, 3, 3];
    let tail = [0, 0, 4, 0xc0, 0x2f, 0xc0, 0x2b, 1, 0];
    let mut index = 0;
    while index < head.len() {
        hello[index] = head[index];
        index += 1;
    }
    index = 0;
    while index < tail.len() {
        // 32 random bytes stand between; they need not be random here.
        hello[head.len() + 32 + index] = tail[index];
        index += 1;
    }
    hello
};

/// What listens at this place, if a look tells more than is known already.
pub async fn at(place: &Place) -> Option<Cause> {
    let answer = timeout(CONNECT_TIMEOUT, answer(place)).await.ok().flatten()?;
    let said = String::from_utf8_lossy(&answer);
    let line = said.lines().next().unwrap_or_default();
    let class = if place.tls && line.starts_with(['+', '-']) {
        Class::Tls(TlsFault::ServerIsPlain)
    } else if let Some(error) = line.strip_prefix('-') {
        let (code, message) = error.split_once(' ').unwrap_or((error, ""));
        said::class_of(code, message)
    } else if place.tls || line.starts_with('+') {
        return None;
    } else if is_tls(&answer) {
        Class::Tls(TlsFault::ServerWantsTls)
    } else if answer.is_empty() {
        return None;
    } else {
        Class::NotRedis
    };
    // Another reason may have passed by now; only these explain a connection that failed.
    let explains = matches!(
        class,
        Class::Tls(_)
            | Class::NotRedis
            | Class::MaxClients
            | Class::ProtectedMode
            | Class::Loading
            | Class::Busy
    );
    explains.then(|| Cause { class, said: line.trim_start_matches('-').to_owned() })
}

/// The first thing that is said to a question of Redis, to one of TLS, or to nothing at all.
async fn answer(place: &Place) -> Option<Vec<u8>> {
    for question in [&b"PING\r\n"[..], &CLIENT_HELLO] {
        let answer = ask(place, question).await?;
        if !answer.is_empty() {
            return Some(answer);
        }
    }
    ask(place, b"").await
}

/// An alert or a handshake record.
fn is_tls(answer: &[u8]) -> bool {
    matches!(answer, [0x15 | 0x16, 3, ..])
}

/// The beginning of the answer to `question`, or of what is said unasked; empty when the other side hangs up, and
/// nothing when it is not there.
async fn ask(place: &Place, question: &[u8]) -> Option<Vec<u8>> {
    let (host, port) = place.shown().rsplit_once(':')?;
    let host = host.trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, port.parse().ok()?)).await.ok()?;
    stream.writable().await.ok()?;
    // Should it have hung up just now, reading tells.
    let _ = stream.try_write(question);
    let mut answer = vec![0; GLANCE];
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
