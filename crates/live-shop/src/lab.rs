//! The buttons that break things, and many buyers at once.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Redirect;
use lab_connection::Failure;
use maud::{Markup, html};
use patterns::money::Cents;
use serde::Deserialize;
use tokio::runtime::Handle;

use crate::buyers::{self, Crowd};
use crate::errors::Problem;
use crate::faults::{Faults, State as Broken};
use crate::flash_sale::{SALE, tell};
use crate::lock;
use crate::page::{button, page};
use crate::session::{Form, Visitor, fields};
use crate::state::{App, Shop};
use crate::till::Till;

/// How often a sale tells how it goes while many buy.
const TOLD_EVERY: Duration = Duration::from_millis(200);
/// What one unit of the sale costs.
const PRICE: Cents = match Cents::new(9_900) {
    Some(price) => price,
    None => Cents::ZERO,
};
/// The most buyers at once.
const MAX_BUYERS: u32 = 500;

/// `GET /lab`
pub async fn show(State(app): State<App>, visitor: Visitor) -> Markup {
    // Cookies belong to a name. On loopback, the shop has two.
    let other = format!("http://localhost:{}/", app.address.port());
    let content = html! {
        @if app.address.ip().is_loopback() { p { a href=(other) target="_blank" rel="noopener" { "Open a second customer" }
            " (another name of this machine, so another cookie)" } }
        h2 { "Buyers" } (crowds(&app, &visitor))
        h2 { "Faults" } (faults(&app, &visitor))
    };
    page("Break it", &visitor, &content)
}

fn crowds(shop: &Shop, visitor: &Visitor) -> Markup {
    let report = lock(&shop.crowd).clone();
    html! {
        (button(visitor, "/lab/buyers", &[("buyers", "50")], "Fifty buyers at once"))
        (button(visitor, "/lab/buyers", &[("buyers", "500")], "Five hundred"))
        @if let Some(report) = &report {
            p { "The last crowd: " (report.bought) " bought, " (report.waiting) " wait, " (report.refused) " were refused, "
                (report.unknown) " have no answer. It took " (format!("{:.2} s", report.elapsed.as_secs_f64())) "." }
        }
    }
}

fn faults(shop: &Shop, visitor: &Visitor) -> Markup {
    let act =
        |what: &str, text: &str| button(visitor, "/lab", &[("what", what), ("token", &shop.lab_token)], text);
    html! {
        @match &shop.faults {
            Some(faults) => {
                p role="status" { (faults.broken().unwrap_or_else(|| "All is well.".to_owned())) }
                (act("kill", "Kill the primary")) (act("cut", "Cut the link"))
                (act("fill", "Fill the memory")) (act("empty", "Free the memory"))
                (act("off", "Turn Redis off")) (act("on", "Turn Redis on"))
            }
            None => p { "This is a server of yours, so the shop does not break it." },
        }
    }
}

/// `POST /lab`: without a session too, or else nobody could turn Redis on again. So the form has a token of its own.
pub async fn break_it(State(app): State<App>, body: Bytes) -> Result<Redirect, Problem> {
    let form: What = fields(&body)?;
    if form.token != app.lab_token {
        return Err(Problem::new(StatusCode::FORBIDDEN, "The form is not from this shop, or it is too old."));
    }
    let faults = app.faults.as_ref().ok_or_else(|| Problem::refused("This server is not the shop's."))?;
    change(faults, &form.what).await?.map_err(|failure| Problem::refused(failure.what()))?;
    Ok(Redirect::to("/lab"))
}

/// `POST /lab/buyers`: they come at once, and the answer does not wait for them.
pub async fn many(State(app): State<App>, Form(form): Form<Buyers>) -> Result<Redirect, Problem> {
    let replicas = usize::from(app.faults.is_some());
    let crowd = Crowd::new(&app.prefix, form.buyers.min(MAX_BUYERS), replicas)?;
    // A thread of their own, so that the pages of others do not wait for a crowd.
    tokio::task::spawn_blocking(move || Handle::current().block_on(buy(&app, &crowd)));
    Ok(Redirect::to("/flash"))
}

/// Tells how the sale goes while they buy, and keeps what came of it. Both go on at once: on a cluster, they share a connection with a
/// limited number of commands under way, so buyers that stand still could keep the telling waiting forever.
async fn buy(app: &App, crowd: &Crowd) {
    let till = Till(app);
    let report = tokio::select! {
        report = buyers::run(&app.redis, crowd, SALE, PRICE, &till) => report,
        never = tell_often(app) => match never {},
        () = app.closed() => return,
    };
    *lock(&app.crowd) = report.ok();
    told(app).await;
}

async fn tell_often(shop: &Shop) -> Infallible {
    let mut ticks = tokio::time::interval(TOLD_EVERY);
    loop {
        ticks.tick().await;
        told(shop).await;
    }
}

/// What to break or to repair.
#[derive(Deserialize)]
pub struct What {
    what: String,
    token: String,
}

/// How many buyers.
#[derive(Deserialize)]
pub struct Buyers {
    buyers: u32,
}

async fn change(faults: &Faults, what: &str) -> Result<Result<Broken, Failure>, Problem> {
    Ok(match what {
        "kill" => faults.kill_primary().await,
        "cut" => faults.cut_link().await,
        "fill" => faults.fill_memory(true).await,
        "empty" => faults.fill_memory(false).await,
        "off" => faults.turn_off(true).await,
        "on" => faults.turn_off(false).await,
        _ => return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "There is no such button.")),
    })
}

/// While Redis does not answer, there is nothing to tell.
async fn told(shop: &Shop) {
    let _ = tell(shop).await;
}
