//! What a request asks for in its query.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::errors::Problem;

/// The fields of the query.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let fields = serde_urlencoded::from_str(parts.uri.query().unwrap_or_default());
        fields
            .map(Self)
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("The query is wrong: {error}.")))
    }
}
