//! A customer's notifications.

use std::time::Duration;

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};

use crate::errors::Problem;
use crate::page::{button, live, page};
use crate::session::{Form, Known, Nothing};
use crate::state::App;

/// How many are shown at once.
const SHOWN: usize = 20;
/// A page only looks: it holds nothing back from other devices.
const HOLD: Duration = Duration::from_millis(1);

/// `GET /notifications`: what is unread; the button acknowledges it.
pub async fn show(State(app): State<App>, Known(visitor): Known) -> Result<Markup, Problem> {
    let taken = app.notifications.take(&visitor.id(), SHOWN, HOLD).await?;
    let counts = app.notifications.counts(&visitor.id()).await?;
    let content = html! {
        p { (counts.unread) " unread, " (counts.read) " read." }
        ul { @for one in &taken { li { (one.text) } } }
        (button(&visitor, "/notifications/read", &[], "Mark all as read"))
    };
    Ok(page("Notifications", &visitor, &live("notes", "note", &content)))
}

/// `POST /notifications/read`
pub async fn read(
    State(app): State<App>,
    Known(visitor): Known,
    _: Form<Nothing>,
) -> Result<Redirect, Problem> {
    app.notifications.mark_all_read(&visitor.id()).await?;
    Ok(Redirect::to("/notifications"))
}
