//! What a machine asks: is it well, and what are the numbers?

use std::fmt::{Display, Write as _};
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use patterns::script::send;

use crate::errors::Problem;
use crate::state::{App, Shop};

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
    let mut text = of_process(&app);
    // Without Redis, the numbers of this process are still there.
    if let Ok(emails) = app.emails.counts().await {
        add(&mut text, "shop_emails_pending", "gauge", emails.pending());
        add(&mut text, "shop_emails_dead", "gauge", emails.dead);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn of_process(shop: &Shop) -> String {
    let (counters, cache) = (&shop.counters, shop.cache.statistics());
    let mut text = String::from("# TYPE shop_responses_total counter\n");
    for (class, count) in counters.responses.iter().enumerate().skip(1) {
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "shop_responses_total{{class=\"{class}xx\"}} {}", count.load(Ordering::Relaxed));
    }
    let seconds = counters.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
    add(&mut text, "shop_response_seconds_total", "counter", seconds);
    for (name, value) in [
        ("shop_cache_hits_total", cache.hits),
        ("shop_cache_loads_total", cache.loads),
        ("shop_changes_not_published_total", counters.untold.load(Ordering::Relaxed)),
        ("shop_events_not_counted_total", counters.uncounted.load(Ordering::Relaxed)),
        ("shop_follower_errors_total", counters.follower_errors.load(Ordering::Relaxed)),
        ("shop_charges_total", shop.bank.charges()),
    ] {
        add(&mut text, name, "counter", value);
    }
    add(&mut text, "shop_event_streams", "gauge", shop.events.open());
    text
}

fn add(text: &mut String, name: &str, kind: &str, value: impl Display) {
    let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {value}");
}
