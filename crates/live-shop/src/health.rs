//! What a machine asks: is it well, and what are the numbers?

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use patterns::script::send;

use crate::errors::Problem;
use crate::state::App;

/// How long Redis may take for a PING.
const PING: Duration = Duration::from_secs(1);

/// Counts responses, and ends requests that take too long, their bodies included.
pub async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let begin = tokio::time::Instant::now();
    let response = match tokio::time::timeout(app.settings.slow_request, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::REQUEST_TIMEOUT, "The request took too long.").into_response(),
    };
    app.counters.response(response.status(), begin.elapsed());
    response
}

/// `GET /healthz`: 200 if Redis answers, 503 if not.
pub async fn healthz(State(app): State<App>) -> Result<&'static str, Problem> {
    let redis = app.redis.unrecorded();
    let ping = redis::cmd("PING");
    match tokio::time::timeout(PING, send::<String>(redis, &ping)).await {
        Ok(Ok(_)) => Ok("ok\n"),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Problem::no_redis()),
    }
}

/// `GET /metrics`, for Prometheus.
pub async fn metrics(State(app): State<App>) -> Response {
    let counters = &app.counters;
    let mut text = String::from("# TYPE shop_responses_total counter\n");
    for (class, count) in counters.responses.iter().enumerate().skip(1) {
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "shop_responses_total{{class=\"{class}xx\"}} {}", count.load(Ordering::Relaxed));
    }
    let seconds = counters.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
    let _ =
        writeln!(text, "# TYPE shop_response_seconds_total counter\nshop_response_seconds_total {seconds}");
    let cache = app.cache.statistics();
    for (name, value) in [
        ("cache_hits", cache.hits),
        ("cache_loads", cache.loads),
        ("changes_not_published", counters.untold.load(Ordering::Relaxed)),
        ("events_not_counted", counters.uncounted.load(Ordering::Relaxed)),
        ("follower_errors", counters.follower_errors.load(Ordering::Relaxed)),
        ("charges", app.bank.charges()),
    ] {
        let _ = writeln!(text, "# TYPE shop_{name}_total counter\nshop_{name}_total {value}");
    }
    let _ = writeln!(text, "# TYPE shop_event_streams gauge\nshop_event_streams {}", app.events.open());
    // Without Redis, the numbers of this process are still there.
    if let Ok(emails) = app.emails.counts().await {
        let _ = writeln!(text, "# TYPE shop_emails_pending gauge\nshop_emails_pending {}", emails.pending());
        let _ = writeln!(text, "# TYPE shop_emails_dead gauge\nshop_emails_dead {}", emails.dead);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
