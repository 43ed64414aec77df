//! As much of HTTP/1.1 as Prometheus needs: one GET or HEAD a connection, each connection in a task of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::Exporter;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const END: &[u8] = b"\r\n\r\n";
const LONGEST_HEAD: usize = 8 * 1024;
/// A client that takes longer to send its request, or to read the answer, is cut off.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may go on sending after its answer.
const LINGER: Duration = Duration::from_secs(1);
/// Connections at a time. One more is closed at once.
const MOST_CONNECTIONS: usize = 200;

/// Answers until it is dropped.
pub(super) async fn serve(listener: &TcpListener, exporter: Arc<Exporter>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            // Perhaps too many files are open.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let exporter = Arc::clone(&exporter);
        tokio::spawn(async move {
            // An error means that the client has gone.
            let _ = answer(&mut stream, &exporter).await;
            drop(place);
        });
    }
}

async fn answer(stream: &mut TcpStream, exporter: &Exporter) -> io::Result<()> {
    let head = timeout(CLIENT_TIMEOUT, read_head(stream)).await??;
    let request = request(&head);
    let (status, kind, body) = match request {
        Some(("GET" | "HEAD", "/metrics")) => ("200 OK", OPENMETRICS, exporter.scrape().await),
        Some(("GET" | "HEAD", "/")) => ("200 OK", PLAIN, "The metrics are at /metrics.\n".to_owned()),
        Some((_, "/metrics" | "/")) => ("405 Method Not Allowed", PLAIN, "Only GET and HEAD.\n".to_owned()),
        Some(_) => ("404 Not Found", PLAIN, "The metrics are at /metrics.\n".to_owned()),
        None => ("400 Bad Request", PLAIN, "This is no HTTP/1 request.\n".to_owned()),
    };
    let length = body.len();
    let mut response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    if request.is_none_or(|(method, _)| method != "HEAD") {
        response.push_str(&body);
    }
    timeout(CLIENT_TIMEOUT, stream.write_all(response.as_bytes())).await??;
    stream.shutdown().await?;
    // If what it sent stays unread, the system resets the connection, and the client may lose the answer.
    let _ = timeout(LINGER, tokio::io::copy(stream, &mut tokio::io::sink())).await;
    Ok(())
}

/// Method and path; `None` if it is no request of HTTP/1.
fn request(head: &[u8]) -> Option<(&str, &str)> {
    let end = head.windows(END.len()).position(|window| window == END)?;
    let line = std::str::from_utf8(head.get(..end)?).ok()?.lines().next()?;
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
    let path = target.split('?').next()?;
    version.starts_with("HTTP/1.").then_some((method, path))
}

/// Everything up to the empty line, or the first 8 KB of it.
async fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while head.len() < LONGEST_HEAD && !head.windows(END.len()).any(|end| end == END) {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(head)
}
