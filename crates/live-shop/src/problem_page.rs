//! Problems as pages, for browsers.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use crate::errors::Problem;
use crate::page::page;
use crate::session::Visitor;

/// Shows problems as pages to those who ask for HTML. Other errors, such as those of a route that does not exist, become problems.
pub async fn as_page(request: Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let wants_page = accept.is_some_and(|accept| accept.contains("text/html"));
    let mut response = next.run(request).await;
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return response;
    }
    let problem = response.extensions_mut().remove::<Problem>();
    let problem = problem.unwrap_or_else(|| {
        let problem = of_status(response.status());
        let (headers, mut json) = (response.headers().clone(), problem.clone().into_response());
        let kept = |name: &header::HeaderName| ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name);
        json.headers_mut().extend(headers.into_iter().filter(|(name, _)| name.as_ref().is_some_and(kept)));
        response = json;
        problem
    });
    if !wants_page {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let visitor = parts.extensions.get::<Visitor>().cloned().unwrap_or_default();
    let html = of_problem(&problem, &visitor).into_string();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, html.into())
}

fn of_status(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::not_found("page"),
        _ => Problem::new(status, format!("{}.", status.canonical_reason().unwrap_or("The request failed"))),
    }
}

/// The page for a problem.
fn of_problem(problem: &Problem, visitor: &Visitor) -> Markup {
    let content = html! {
        p role="alert" { (problem.detail) }
        @if problem.status.as_u16() == 503 {
            p {
                "Without Redis you can still look at the catalog and at products: they come from the shop's own database. "
                "Carts, orders, and sessions wait until Redis is back; nothing that was confirmed is lost."
            }
        }
        @if problem.status.as_u16() == 401 { p { a href="/login" { "Log in" } } }
        p { a href="/" { "Back to the catalog" } }
    };
    page(problem.title(), visitor, &content)
}
