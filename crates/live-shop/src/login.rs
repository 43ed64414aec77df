//! Who may log in: a name and a password, and a pause for those who guess.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Redirect, Response};
use maud::{Markup, html};
use patterns::login_guard::Attempt;
use serde::Deserialize;

use crate::changes::{Change, Kind};
use crate::database::{CUSTOMERS, PASSWORD};
use crate::errors::Problem;
use crate::limits::Peer;
use crate::page::{csrf, page};
use crate::session::{self, Form, Known, Nothing, Visitor};
use crate::state::{App, Shop};

/// The longest name of a customer, and the longest password, in bytes.
const MAX_BYTES: usize = 100;

/// `GET /login`: it says which customers there are, because nobody can register here.
pub async fn show(visitor: Visitor) -> Markup {
    page("Log in", &visitor, &shown(&visitor))
}

/// `POST /login`: the session gets a new token, the guest's cart moves into the customer's.
pub async fn login(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Known(visitor): Known,
    Form(form): Form<Login>,
) -> Result<Response, Problem> {
    let name = form.name.trim();
    check_password(&app, peer, name, &form.password).await?;
    let token = session::log_in(&app, &visitor, name).await?;
    app.cart.merge(&visitor.guest, name).await?;
    app.tell(Change::to(Kind::Bye, &visitor.public_id)).await;
    app.tell(Change::to(Kind::Cart, &format!("user:{name}"))).await;
    Ok(session::with_cookie(&app, Redirect::to("/cart"), &token))
}

/// `POST /logout`: the session ends, and with it its event streams.
pub async fn logout(
    State(app): State<App>,
    Known(visitor): Known,
    _: Form<Nothing>,
) -> Result<Response, Problem> {
    session::log_out(&app, &visitor).await?;
    app.tell(Change::to(Kind::Bye, &visitor.public_id)).await;
    Ok(session::with_cookie(&app, Redirect::to("/"), ""))
}

/// The form of a login.
#[derive(Deserialize)]
pub struct Login {
    name: String,
    password: String,
}

/// An attempt counts before anybody looks at the password. So many guesses at once get no further than guesses one by one. If Redis does
/// not answer, nobody logs in: otherwise, guesses would be free.
async fn check_password(shop: &Shop, peer: Peer, name: &str, password: &str) -> Result<(), Problem> {
    if name.is_empty() || name.len().max(password.len()) > MAX_BYTES {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "A name has 1 to 100 bytes, and a password at most 100.",
        ));
    }
    if let Attempt::Blocked { retry_after } = shop.login_guard.attempt(peer.0, Some(name)).await? {
        return Err(Problem::too_many("Too many logins have failed. Wait a moment.", retry_after));
    }
    let stored = shop.database.password(name).await.unwrap_or_default();
    if !session::same(password, &stored) {
        // A name that does not exist gets the same answer, so nobody learns which names do.
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "The name or the password is wrong."));
    }
    Ok(shop.login_guard.succeeded(peer.0, Some(name)).await?)
}

fn shown(visitor: &Visitor) -> Markup {
    if !visitor.is_known() {
        return html! { p { "Nobody can log in now: Redis does not answer." } };
    }
    html! {
        form.fields method="post" action="/login" {
            (csrf(visitor))
            label { "Name " input name="name" required maxlength="100" autocomplete="username"; }
            label { "Password " input type="password" name="password" required autocomplete="current-password"; }
            button { "Log in" }
        }
        p { "To try the shop, log in as one of these customers. Each has the password " code { (PASSWORD) } "." }
        ul.row { @for name in CUSTOMERS { li { strong { (name) } } } }
        p { "After five wrong passwords from one address, or ten for one customer, each further guess has to wait: "
            "a second, then two, then four, and so on." }
    }
}
