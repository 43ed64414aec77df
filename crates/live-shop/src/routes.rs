//! Which path leads to which handler, and what each request passes first.

use std::future::{Ready, ready};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::state::App;
use crate::{
    cart, catalog, checkout, dashboard, events, flash_sale, guard, health, lab, limits, login, notifications,
    panel, problem_page, session, stores,
};

/// The most bytes of a body. No form of this shop is longer.
const MAX_BODY: usize = 64 * 1024;

/// All routes. A request passes the layers from the bottom up.
pub fn routes(app: &App) -> Router {
    let shop = Router::new()
        .route("/", get(catalog::catalog))
        .route("/suggest", get(catalog::suggest))
        .route("/product/{sku}", get(catalog::product))
        .route("/product/{sku}/rename", post(catalog::rename))
        .route("/cart", get(cart::cart))
        .route("/cart/add", post(cart::add))
        .route("/cart/set", post(cart::set))
        .route("/checkout", post(checkout::place))
        .route("/order/{id}", get(checkout::order))
        .route("/login", get(login::show).post(login::login))
        .route("/logout", post(login::logout))
        .route("/flash", get(flash_sale::show))
        .route("/flash/open", post(flash_sale::open))
        .route("/flash/buy", post(flash_sale::buy))
        .route("/flash/give-back", post(flash_sale::give_back))
        .route("/flash/leave", post(flash_sale::leave))
        .route("/notifications", get(notifications::show))
        .route("/notifications/read", post(notifications::read))
        .route("/stores", get(stores::near))
        .route("/dashboard", get(dashboard::dashboard))
        .route("/lab", get(lab::show).post(lab::break_it))
        .route("/lab/buyers", post(lab::many))
        .layer(from_fn_with_state(app.clone(), session::attach))
        .layer(from_fn_with_state(app.clone(), limits::limit))
        .layer(from_fn_with_state(app.clone(), panel::record));
    let unrecorded = Router::new()
        .route("/events", get(events::events))
        .route("/wire", get(panel::requests))
        .route("/wire/script", get(panel::script))
        .route("/wire/key", get(panel::key))
        .layer(from_fn_with_state(app.clone(), session::attach))
        .layer(from_fn_with_state(app.clone(), limits::limit));
    let machines = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(health::metrics))
        .route("/assets/shop.css", get(|| file("text/css; charset=utf-8", include_str!("assets/shop.css"))))
        .route(
            "/assets/shop.js",
            get(|| file("text/javascript; charset=utf-8", include_str!("assets/shop.js"))),
        );
    shop.merge(unrecorded)
        .merge(machines)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(app.clone(), guard::check))
        .layer(from_fn(problem_page::as_page))
        .layer(from_fn_with_state(app.clone(), health::count))
        .with_state(app.clone())
}

fn file(kind: &'static str, text: &'static str) -> Ready<impl IntoResponse> {
    ready(([(header::CONTENT_TYPE, kind)], text))
}
