//! The checkout: an idempotency key, so that a request that is sent again has one effect and one answer.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use maud::{Markup, html};
use patterns::checkout::{CheckoutError, Order};
use patterns::once::{Begun, Token};
use serde::Deserialize;

use crate::bank::BankError;
use crate::cart::{order_lines, priced};
use crate::errors::Problem;
use crate::numbers;
use crate::page::page;
use crate::session::{Form, Known};
use crate::state::{App, Shop};
use crate::till::Till;

/// `POST /checkout`: the form has a key. A customer who sends it again, because no answer came, gets the answer of the first time.
pub async fn place(
    State(app): State<App>,
    Known(visitor): Known,
    Form(form): Form<Key>,
) -> Result<Redirect, Problem> {
    let (buyer, mine) = (visitor.id(), Token::random()?);
    match app.once.begin(&form.key, &mine, buyer.as_bytes()).await? {
        Begun::Started { .. } => {}
        Begun::InProgress { retry_in } => return Err(Problem::in_progress(retry_in)),
        Begun::Done(_) => return Ok(to_order(&form.key)),
    }
    let lines = order_lines(&priced(&app, &visitor).await?);
    numbers::step(&app, &buyer, "checkout").await;
    match app.checkout.place(&form.key, &buyer, &lines, &Till(&app)).await {
        Ok(_) | Err(CheckoutError::Canceled(_)) => {}
        Err(error) => return Err(give_up(&app, &form.key, &mine, error).await),
    }
    app.once.finish(&form.key, &mine, buyer.as_bytes(), b"placed").await?;
    Ok(to_order(&form.key))
}

/// `GET /order/{id}`: only its owner sees it.
pub async fn order(
    State(app): State<App>,
    Known(visitor): Known,
    Path(id): Path<String>,
) -> Result<Markup, Problem> {
    let order = app.checkout.get(&id).await?.filter(|order| order.owner == visitor.id());
    let order = order.ok_or_else(|| Problem::not_found("order"))?;
    Ok(page("Order", &visitor, &shown(&order)))
}

/// The idempotency key. It becomes the order's ID.
#[derive(Deserialize)]
pub struct Key {
    key: String,
}

/// A customer who sends the form again may go on at once: the order has the ID of the key, so it is continued, never made twice.
async fn give_up(shop: &Shop, key: &str, mine: &Token, error: CheckoutError<BankError>) -> Problem {
    // If this fails, the lease ends by itself.
    let _ = shop.once.give_up(key, mine).await;
    match error {
        CheckoutError::Lines(why) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("This is not an order: {why}."))
        }
        error => error.into(),
    }
}

fn to_order(id: &str) -> Redirect {
    let safe: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    Redirect::to(&format!("/order/{safe}"))
}

fn shown(order: &Order) -> Markup {
    html! {
        p { "Order " code { (order.id) } ": " strong #state { (order.state) } }
        @if let Some(reason) = &order.reason { p role="alert" { (reason) } }
        ul { @for line in &order.lines { li { (line.quantity) " × " (line.sku) " at " (line.unit_price) } } }
        p { "Total: " strong { (order.total) } }
    }
}
