//! The cart. All browsers of one customer share it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Redirect;
use futures_util::future::join_all;
use maud::{Markup, html};
use patterns::cart::PricedCart;
use patterns::checkout;
use serde::Deserialize;

use crate::catalog;
use crate::changes::{Change, Kind};
use crate::errors::Problem;
use crate::numbers;
use crate::page::{button, csrf, live, page};
use crate::random::random;
use crate::session::{Form, Known, Visitor};
use crate::state::{App, Shop};

/// `GET /cart`
pub async fn cart(State(app): State<App>, Known(visitor): Known) -> Result<Markup, Problem> {
    let cart = priced(&app, &visitor).await?;
    // Made with the page: a form that is sent twice has the same key twice.
    let idempotency_key = random()?;
    Ok(page("Cart", &visitor, &live("cart", "cart", &shown(&cart, &visitor, &idempotency_key))))
}

/// `POST /cart/add`
pub async fn add(
    State(app): State<App>,
    Known(visitor): Known,
    Form(form): Form<Units>,
) -> Result<Redirect, Problem> {
    let product = catalog::find(&app, &form.sku).await?;
    app.cart.add(visitor.owner(), &product.sku, form.quantity, product.price).await?;
    numbers::step(&app, &visitor.id(), "cart").await;
    app.tell(Change::to(Kind::Cart, &visitor.id())).await;
    Ok(Redirect::to("/cart"))
}

/// `POST /cart/set`: this many units; none removes the line.
pub async fn set(
    State(app): State<App>,
    Known(visitor): Known,
    Form(form): Form<Units>,
) -> Result<Redirect, Problem> {
    app.cart.set_quantity(visitor.owner(), &form.sku, form.quantity).await?;
    app.tell(Change::to(Kind::Cart, &visitor.id())).await;
    Ok(Redirect::to("/cart"))
}

/// Units of a product.
#[derive(Deserialize)]
pub struct Units {
    sku: String,
    quantity: u32,
}

/// A cart at today's prices, and the names of what is in it.
pub struct Priced {
    cart: PricedCart,
    names: BTreeMap<String, String>,
}

/// The visitor's cart at today's prices.
pub async fn priced(shop: &Shop, visitor: &Visitor) -> Result<Priced, Problem> {
    let view = shop.cart.view(visitor.owner()).await?;
    let products = join_all(view.lines.iter().map(|line| catalog::find(shop, &line.sku))).await;
    // What is not found is no longer sold. The cart says so.
    let products: BTreeMap<_, _> =
        products.into_iter().flatten().map(|product| (product.sku.clone(), product)).collect();
    let cart = view.at_prices(|sku| products.get(sku).map(|product| product.price))?;
    Ok(Priced { cart, names: products.into_iter().map(|(sku, product)| (sku, product.name)).collect() })
}

/// The lines as an order has them: what is still sold, at today's prices.
pub fn order_lines(priced: &Priced) -> Vec<checkout::Line> {
    let line = |line: &patterns::cart::PricedLine| {
        let (sku, quantity) = (line.line.sku.clone(), line.line.quantity);
        Some(checkout::Line { sku, quantity, unit_price: line.unit_price? })
    };
    priced.cart.lines.iter().filter_map(line).collect()
}

fn shown(Priced { cart, names }: &Priced, visitor: &Visitor, idempotency_key: &str) -> Markup {
    if cart.lines.is_empty() {
        return html! { p { "The cart is empty." } };
    }
    html! {
        table.cart {
            thead { tr { th { "Product" } th { "Units" } th { "Price" } th { "Sum" } th {} } }
            tbody { @for line in &cart.lines {
                tr {
                    td { a href={ "/product/" (line.line.sku) } {
                        (names.get(&line.line.sku).unwrap_or(&line.line.sku))
                    } }
                    td { form.inline method="post" action="/cart/set" {
                        (csrf(visitor))
                        input type="hidden" name="sku" value=(line.line.sku);
                        input type="number" name="quantity" min="0" max="99" value=(line.line.quantity)
                            aria-label={ "Units of " (line.line.sku) };
                        button { "Set" }
                    } }
                    td { @match line.unit_price { Some(price) => (price), None => "no longer sold" } }
                    td { @if let Some(sum) = line.line_total { (sum) } }
                    td { (button(visitor, "/cart/set", &[("sku", &line.line.sku), ("quantity", "0")], "Remove")) }
                }
            } }
        }
        p { "Total: " strong #total { (cart.total) } }
        (button(visitor, "/checkout", &[("key", idempotency_key)], "Pay"))
    }
}
