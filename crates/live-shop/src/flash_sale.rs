//! The flash sale: a few units, a time when it begins, and a waitlist.

use std::time::Duration;

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use patterns::flash_sale::{FlashSaleError, Place, Plan, Sale};
use serde::Deserialize;

use crate::changes::{Change, Kind};
use crate::errors::Problem;
use crate::page::{button, live, page};
use crate::random::random;
use crate::session::{Form, Known, Nothing, Visitor};
use crate::state::{App, Shop};

/// The sale's ID.
pub const SALE: &str = "today";
/// How long it is announced, and how long it then goes on.
const TIMES: [Duration; 2] = [Duration::from_secs(5), Duration::from_mins(10)];

/// `GET /flash`
pub async fn show(State(app): State<App>, Known(visitor): Known) -> Result<Markup, Problem> {
    let sale = app.flash_sale.sale(SALE).await?;
    let place = match &sale {
        Some(_) => app.flash_sale.place(SALE, &visitor.id()).await?,
        None => None,
    };
    let (now, order) = (app.flash_sale.now().await?, random()?);
    let content = live("sale", "sale", &shown(&visitor, sale.as_ref(), place.as_ref(), now, &order));
    Ok(page("Flash sale", &visitor, &content))
}

/// `POST /flash/open`: a new sale; the old one is gone.
pub async fn open(State(app): State<App>, _: Form<Nothing>) -> Result<Redirect, Problem> {
    app.flash_sale.close(SALE).await?;
    let starts = app.flash_sale.now().await? + milliseconds(TIMES[0]);
    let ends = starts + milliseconds(TIMES[1]);
    let (name, product) = ("Fifty turntables".to_owned(), "turntable".to_owned());
    let plan = Plan { name, product, starts, ends, units: 50, cap: 1, places: 1_000 };
    app.flash_sale.open(SALE, &plan).await?;
    told(&app).await
}

/// `POST /flash/buy`: the order's name was made with the page, so a form that is sent twice is one order.
pub async fn buy(
    State(app): State<App>,
    Known(visitor): Known,
    Form(form): Form<Order>,
) -> Result<Redirect, Problem> {
    match app.flash_sale.buy(SALE, &visitor.id(), 1, &form.order).await {
        // The page shows the unit, or the place on the waitlist.
        Ok(_) | Err(FlashSaleError::SoldOut { .. }) => told(&app).await,
        Err(error) => Err(error.into()),
    }
}

/// `POST /flash/leave`: gives up the place on the waitlist.
pub async fn leave(
    State(app): State<App>,
    Known(visitor): Known,
    _: Form<Nothing>,
) -> Result<Redirect, Problem> {
    app.flash_sale.leave(SALE, &visitor.id()).await?;
    told(&app).await
}

/// The name of an order.
#[derive(Deserialize)]
pub struct Order {
    order: String,
}

async fn told(shop: &Shop) -> Result<Redirect, Problem> {
    tell(shop).await?;
    Ok(Redirect::to("/flash"))
}

/// Tells everybody how the sale goes.
pub async fn tell(shop: &Shop) -> Result<(), Problem> {
    let left = shop.flash_sale.sale(SALE).await?.map(|sale| u64::from(sale.left));
    shop.tell(Change { left, ..Change::all(Kind::Sale) }).await;
    Ok(())
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn shown(visitor: &Visitor, sale: Option<&Sale>, place: Option<&Place>, now: u64, order: &str) -> Markup {
    let Some(sale) = sale else {
        return html! { p { "There is no sale." } (button(visitor, "/flash/open", &[], "Open a sale of 50 units")) };
    };
    html! {
        p { strong { (sale.plan.name) } ": " span.left { (sale.left) } " left, " span.sold { (sale.sold) }
            " sold, " (sale.waiting) " waiting." }
        @if now < sale.plan.starts {
            p { "It begins in " span data-counts-down=(sale.plan.starts - now) { ((sale.plan.starts - now) / 1000) " s" } "." }
        } @else if now < sale.plan.ends {
            p { "It ends in " span data-counts-down=(sale.plan.ends - now) { ((sale.plan.ends - now) / 1000) " s" } "." }
        } @else {
            p { "It is over." }
        }
        @if let Some(place) = place {
            p { "You are on the waitlist: " (place.ahead) " are before you." }
            (button(visitor, "/flash/leave", &[], "Leave the waitlist"))
        } @else {
            (button(visitor, "/flash/buy", &[("order", order)], "Buy one"))
        }
        (button(visitor, "/flash/open", &[], "Start over with 50 units"))
    }
}
