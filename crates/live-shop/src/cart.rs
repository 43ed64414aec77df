//! The cart. All browsers of one customer share it.

use axum::extract::State;
use axum::response::Redirect;
use futures_util::future::try_join_all;
use maud::{Markup, html};
use patterns::cart::{Line, PricedCart};
use patterns::checkout;
use patterns::money::Cents;
use serde::Deserialize;

use crate::catalog;
use crate::errors::Problem;
use crate::events::{Change, Kind};
use crate::numbers;
use crate::page::{button, csrf, live, page};
use crate::session::{Form, Known, Visitor, random};
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
    numbers::step(&app, &visitor, "cart").await;
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

/// The visitor's cart at today's prices.
pub async fn priced(shop: &Shop, visitor: &Visitor) -> Result<PricedCart, Problem> {
    let view = shop.cart.view(visitor.owner()).await?;
    let price =
        async |line: &Line| Ok::<_, Problem>((line.sku.clone(), catalog::find(shop, &line.sku).await.ok()));
    let products = try_join_all(view.lines.iter().map(price)).await?;
    let today = |sku: &str| -> Option<Cents> {
        products.iter().find(|(known, _)| known == sku).and_then(|(_, product)| Some(product.as_ref()?.price))
    };
    Ok(view.at_prices(today)?)
}

/// The lines as an order has them: what is still sold, at today's prices.
pub fn order_lines(cart: &PricedCart) -> Vec<checkout::Line> {
    let line = |line: &patterns::cart::PricedLine| {
        let (sku, quantity) = (line.line.sku.clone(), line.line.quantity);
        Some(checkout::Line { sku, quantity, unit_price: line.unit_price? })
    };
    cart.lines.iter().filter_map(line).collect()
}

fn shown(cart: &PricedCart, visitor: &Visitor, idempotency_key: &str) -> Markup {
    if cart.lines.is_empty() {
        return html! { p { "The cart is empty." } };
    }
    html! {
        table {
            thead { tr { th { "Product" } th { "Units" } th { "Price" } th { "Sum" } th {} } }
            tbody { @for line in &cart.lines {
                tr {
                    td { a href={ "/product/" (line.line.sku) } { (line.line.sku) } }
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
