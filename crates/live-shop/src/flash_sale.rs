//! The flash sale: a few units, a time when it begins, and a waitlist.

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use patterns::flash_sale::{Bought, FlashSaleError, Place, Plan, Sale, Served};
use serde::Deserialize;

use crate::changes::{Change, Kind};
use crate::errors::Problem;
use crate::page::{button, live, page};
use crate::session::{Form, Known, Nothing, Visitor};
use crate::state::{App, Shop};

/// The sale's ID.
pub const SALE: &str = "today";
/// How long it is announced, and how long it then goes on, in milliseconds.
const ANNOUNCED: u64 = 5_000;
const OPEN: u64 = 600_000;

/// `GET /flash`
pub async fn show(State(app): State<App>, Known(visitor): Known) -> Result<Markup, Problem> {
    let content = match app.flash_sale.sale(SALE).await? {
        Some(sale) => {
            let place = app.flash_sale.place(SALE, &visitor.id()).await?;
            let bought = app.flash_sale.bought(SALE, &visitor.id()).await?;
            html! { (times(&sale, app.flash_sale.now().await?)) (mine(&visitor, place.as_ref(), bought)) }
        }
        None => {
            html! { p { "There is no sale." } (button(&visitor, "/flash/open", &[], "Open a sale of 50 units")) }
        }
    };
    Ok(page("Flash sale", &visitor, &live("sale", "sale", &content)))
}

/// `POST /flash/open`: a new sale; the old one is gone.
pub async fn open(State(app): State<App>, _: Form<Nothing>) -> Result<Redirect, Problem> {
    app.flash_sale.close(SALE).await?;
    let starts = app.flash_sale.now().await? + ANNOUNCED;
    let (name, product) = ("Fifty turntables".to_owned(), "turntable".to_owned());
    let plan = Plan { name, product, starts, ends: starts + OPEN, units: 50, cap: 1, places: 1_000 };
    app.flash_sale.open(SALE, &plan).await?;
    told(&app).await
}

/// `POST /flash/buy`: the page has named the order, so a form that is sent twice is one order.
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

/// `POST /flash/give-back`: the unit goes to the first one on the waitlist, or is for sale again.
pub async fn give_back(
    State(app): State<App>,
    Known(visitor): Known,
    Form(form): Form<Order>,
) -> Result<Redirect, Problem> {
    let back = app.flash_sale.give_back(SALE, &visitor.id(), &form.order).await?;
    notify(&app, &back.served).await?;
    told(&app).await
}

/// `POST /flash/leave`: gives up the place on the waitlist.
pub async fn leave(
    State(app): State<App>,
    Known(visitor): Known,
    _: Form<Nothing>,
) -> Result<Redirect, Problem> {
    let served = app.flash_sale.leave(SALE, &visitor.id()).await?;
    notify(&app, &served).await?;
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

/// Tells those who were served from the waitlist, each once: the sale and the number on the waitlist make the notification's ID.
async fn notify(shop: &Shop, served: &[Served]) -> Result<(), Problem> {
    if served.is_empty() {
        return Ok(());
    }
    let starts = shop.flash_sale.sale(SALE).await?.map_or(0, |sale| sale.plan.starts);
    for one in served {
        let (id, text) =
            (format!("sale-{starts}-{}", one.number), "A unit of the flash sale came back. It is yours.");
        shop.notifications.send(&one.customer, &id, text).await?;
        shop.tell(Change::to(Kind::Note, &one.customer)).await;
    }
    Ok(())
}

fn times(sale: &Sale, now: u64) -> Markup {
    let Plan { name, starts, ends, .. } = &sale.plan;
    html! {
        p { strong { (name) } ": " span.left { (sale.left) } " left, " span.sold { (sale.sold) }
            " sold, " (sale.waiting) " waiting." }
        @if now < *starts {
            p { "It begins in " span data-counts-down=(starts - now) { ((starts - now) / 1000) " s" } "." }
        } @else if now < *ends {
            p { "It ends in " span data-counts-down=(ends - now) { ((ends - now) / 1000) " s" } "." }
        } @else {
            p { "It is over." }
        }
    }
}

/// Orders are numbered for each customer. So the page knows the name of the last one, and two pages of one customer name the same next
/// one.
fn mine(visitor: &Visitor, place: Option<&Place>, bought: Bought) -> Markup {
    let (last, next) = (bought.orders.to_string(), (bought.orders + 1).to_string());
    html! {
        @if let Some(place) = place {
            p { "You are on the waitlist. Customers before you: " (place.ahead) }
            (button(visitor, "/flash/leave", &[], "Leave the waitlist"))
        } @else if bought.units > 0 {
            p { "One unit is reserved for you." }
            (button(visitor, "/flash/give-back", &[("order", &last)], "Give it back"))
        } @else {
            (button(visitor, "/flash/buy", &[("order", &next)], "Buy one"))
        }
        (button(visitor, "/flash/open", &[], "Start over with 50 units"))
    }
}
