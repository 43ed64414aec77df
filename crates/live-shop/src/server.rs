//! The HTTP server: how many connections there are, how slow they may be, and how they end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::limits::Peer;
use crate::slow_reader::SlowReader;
use crate::state::App;

/// The most bytes of the head of a request.
const MAX_HEAD: usize = 32 * 1024;
/// How long to wait when no more files can be opened.
const NO_FILES: Duration = Duration::from_millis(100);

/// Serves until the shop closes, and then lets open requests end for a while.
pub async fn serve(listener: TcpListener, router: Router, app: App) {
    let connections = Arc::new(Semaphore::new(app.settings.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = app.closed() => break,
        };
        let Ok((socket, peer)) = accepted else {
            tokio::time::sleep(NO_FILES).await;
            continue;
        };
        // A connection too many is closed at once. Nobody waits behind those that are slow.
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else { continue };
        let _ = socket.set_nodelay(true);
        let router = router.clone();
        let answer = move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer.ip()));
            let router = router.clone();
            async move {
                Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {}))
            }
        };
        let socket = SlowReader::new(socket, app.settings.slow_reader);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(app.settings.slow_head)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(socket), service_fn(answer));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A browser that went away is no error.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    // Those that did not end in time are cut.
    let _ = tokio::time::timeout(app.settings.drain, graceful.shutdown()).await;
}
