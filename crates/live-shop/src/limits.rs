//! The rate limit, as a layer before all handlers: a token bucket for each address.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::errors::Problem;
use crate::events;
use crate::state::App;

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Admits a request or refuses it, and says in each response how many are left.
pub async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let address =
        request.extensions().get::<Peer>().map_or_else(|| "unknown".to_owned(), |peer| peer.0.to_string());
    let decision = match app.limiter.admit(&address).await {
        Ok(decision) => decision,
        Err(error) => return Problem::from(error).into_response(),
    };
    let mut response = if decision.admitted {
        next.run(request).await
    } else if request.uri().path() == "/events" {
        events::come_back()
    } else {
        let why = "Too many requests came from your address.";
        Problem::too_many(why, decision.retry_after).into_response()
    };
    for (name, value) in decision.headers() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
