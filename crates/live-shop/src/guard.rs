//! Whose requests are answered at all: those for a name of this shop, and forms only from its own pages.
//!
//! Without the check of `Host`, a site whose name leads to 127.0.0.1 (DNS rebinding) could read the shop from a browser on this
//! machine.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::errors::Problem;
use crate::state::{App, Shop};

/// What every response says: nothing from elsewhere, no frames, no guessing of types.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Refuses requests for other hosts and from other origins.
pub async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&app, request.headers()) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn refusal(shop: &Shop, headers: &HeaderMap) -> Option<Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(header::HOST).unwrap_or_default();
    if !is_ours(shop, host) {
        return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, "This shop does not have that name."));
    }
    let origin = text(header::ORIGIN);
    if origin.is_some_and(|origin| origin != format!("http://{host}")) {
        return Some(Problem::new(StatusCode::FORBIDDEN, "The request comes from another site."));
    }
    None
}

fn is_ours(shop: &Shop, host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, Some(80)),
    };
    let ip = shop.address.ip();
    let address = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    let local = ["127.0.0.1", "localhost", "[::1]"].contains(&name);
    let given = shop.settings.hosts.iter().any(|given| given.eq_ignore_ascii_case(name));
    port == Some(shop.address.port()) && (local || given || name == address)
}
