//! What went wrong, as RFC 9457 says it: `application/problem+json`.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use patterns::cart::CartError;
use patterns::checkout::CheckoutError;
use patterns::facets::FacetsError;
use patterns::flash_sale::FlashSaleError;
use patterns::funnel::FunnelError;
use patterns::inventory::InventoryError;
use patterns::notifications::SendError;
use patterns::once::OnceError;
use patterns::script::StoreError;
use patterns::sessions::SessionError;
use patterns::stores::{PlaceError, StoresError};
use serde_json::json;

use crate::bank::BankError;

/// Why a request failed.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The status of the response.
    pub status: StatusCode,
    /// What happened, in a sentence for the customer.
    pub detail: String,
    /// When to try again.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// A problem with nothing to wait for.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None }
    }

    /// There is no such page, product, or order.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("There is no such {what}."))
    }

    /// The request is fine, but not now.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, why)
    }

    /// Another copy of this request is being worked on.
    pub fn in_progress(retry_in: Duration) -> Self {
        let problem = Self::refused("This request is already being worked on.");
        Self { retry_after: Some(retry_in), ..problem }
    }

    /// Not so many of these at once; `retry_after` is `None` if that has no end.
    pub fn too_many(why: &str, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, why) }
    }

    /// Redis does not answer, so nobody knows whose request it is.
    pub fn no_redis() -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "Redis does not answer.");
        Self { retry_after: Some(Duration::from_secs(1)), ..problem }
    }

    /// The title of the status, such as `Not Found`.
    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = json!({
            "type": "about:blank",
            "title": self.title(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let json = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, json, document.to_string()).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(1)));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Redis(error) => {
                let wait = Some(Duration::from_secs(1));
                let detail = format!("Redis does not do this now: {error}");
                Self { retry_after: wait, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
            }
            StoreError::Key(error) => {
                Self::new(StatusCode::BAD_REQUEST, format!("This cannot be stored: {error}."))
            }
            error => Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

impl From<redis::RedisError> for Problem {
    fn from(error: redis::RedisError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<Infallible> for Problem {
    fn from(error: Infallible) -> Self {
        match error {}
    }
}

/// The errors of patterns: those of Redis as above, all others with this status and their own words.
macro_rules! problems {
    ($($error:ident => $status:ident,)*) => { $(
        impl From<$error> for Problem {
            fn from(error: $error) -> Self {
                match error {
                    $error::Store(error) => error.into(),
                    error => Self::new(StatusCode::$status, sentence(&error.to_string())),
                }
            }
        }
    )* };
}

problems! {
    CartError => CONFLICT,
    FacetsError => UNPROCESSABLE_ENTITY,
    FlashSaleError => CONFLICT,
    FunnelError => INTERNAL_SERVER_ERROR,
    InventoryError => CONFLICT,
    OnceError => UNPROCESSABLE_ENTITY,
    SendError => UNPROCESSABLE_ENTITY,
    SessionError => UNAUTHORIZED,
    StoresError => UNPROCESSABLE_ENTITY,
}

impl From<CheckoutError<BankError>> for Problem {
    fn from(error: CheckoutError<BankError>) -> Self {
        match error {
            CheckoutError::Store(error) | CheckoutError::Payment(BankError::Store(error)) => error.into(),
            CheckoutError::Inventory(error) => error.into(),
            error => Self::refused(sentence(&error.to_string())),
        }
    }
}

impl From<PlaceError> for Problem {
    fn from(error: PlaceError) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, sentence(&error.to_string()))
    }
}

impl From<getrandom::Error> for Problem {
    fn from(error: getrandom::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

/// `Nothing is left.` for `nothing is left`.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", rest.as_str())
}
