//! Shows the changes of a cart as they happen.

use std::time::Duration;

use futures_util::StreamExt;
use lab_connection::Failure;
use lab_connection::failure::Class;
use lab_runner::Terminal;
use patterns::cart::{CartUpdate, Change, Owner};
use redis::aio::{PubSubSink, PubSubStream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::carts;
use crate::refusal::{self, parse};
use crate::shop::{Shop, amount_json, counted};
use crate::typed::CartOwner;

/// How long a lost server may stay away.
const PATIENCE: Duration = Duration::from_mins(1);
const BETWEEN_TRIES: Duration = Duration::from_millis(250);
/// After this long without a message the server is asked whether it is still there: a host that hangs, or a cable that
/// was cut, closes no connection.
const SILENCE: Duration = Duration::from_secs(15);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Shows every change until Ctrl-C. Pub/sub keeps nothing for those who are away: after a lost link it says so, and
/// shows the cart as it is.
pub async fn run(shop: &Shop, owner: &str) -> Result<(), Failure> {
    let owner: CartOwner = parse(owner)?;
    let mut link = subscribe(shop, &owner).await?;
    // Subscribed first, read second: a change in between is then told twice rather than never.
    let (name, view) = carts::read(shop, &owner).await?;
    Terminal.note(&format!("Watching the cart of {name}; Ctrl-C ends it. This is the cart now:"));
    shop.show(&view.to_json(), || carts::view_text(&name, &view))?;
    loop {
        follow(shop, &owner, &mut link).await?;
        Terminal.note("The link to the server is lost. Changes from now on are missed until it is back.");
        link = come_back(shop, &owner).await?;
    }
}

/// A subscription: one half asks, the other listens.
type Link = (PubSubSink, PubSubStream);

async fn subscribe(shop: &Shop, owner: &CartOwner) -> Result<Link, Failure> {
    let channel = shop.cart.channel(owner).map_err(|error| refusal::store(&error, &shop.target))?;
    let explain = |error| shop.explain(&error);
    let mut subscriber = shop.target.pubsub().await.map_err(explain)?;
    subscriber.subscribe(channel).await.map_err(explain)?;
    Ok(subscriber.split())
}

/// Tells every message until the link is lost.
async fn follow(shop: &Shop, owner: &CartOwner, (asks, listens): &mut Link) -> Result<(), Failure> {
    loop {
        match timeout(SILENCE, listens.next()).await {
            Ok(Some(message)) => tell(shop, owner, &message)?,
            Ok(None) => return Ok(()),
            Err(_silence) => match timeout(ANSWER_WITHIN, asks.ping::<redis::Value>()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return Ok(()),
            },
        }
    }
}

/// Tries until the server is back and answers, for a minute at most; then shows the cart.
async fn come_back(shop: &Shop, owner: &CartOwner) -> Result<Link, Failure> {
    let since = Instant::now();
    loop {
        let tried = async {
            let link = subscribe(shop, owner).await?;
            // A server that forgot the customer is a server that answers; the customer may be entered again.
            match carts::read(shop, owner).await {
                Ok(read) => Ok((link, Ok(read))),
                Err(failure) if failure.class() == Class::Declined => Ok((link, Err(failure))),
                Err(failure) => Err(failure),
            }
        };
        match tried.await {
            Ok((link, Ok((name, view)))) => {
                Terminal.note("Back. Changes in between may have been missed; this is the cart now:");
                shop.show(&view.to_json(), || carts::view_text(&name, &view))?;
                return Ok(link);
            }
            Ok((link, Err(failure))) => {
                Terminal.note(&format!("Back. Changes in between may have been missed. {}", failure.what()));
                return Ok(link);
            }
            Err(failure) if away(&failure) && since.elapsed() < PATIENCE => sleep(BETWEEN_TRIES).await,
            Err(failure) => return Err(failure),
        }
    }
}

/// Whether waiting may help. What is wrong with a password or a permission does not pass.
fn away(failure: &Failure) -> bool {
    matches!(
        failure.class(),
        Class::Closed
            | Class::Refused
            | Class::Timeout
            | Class::Unreachable
            | Class::NotFound
            | Class::Loading
            | Class::ClusterDown
            | Class::MasterDown
            | Class::MaxClients
            | Class::ReadOnly
    )
}

fn tell(shop: &Shop, owner: &CartOwner, message: &redis::Msg) -> Result<(), Failure> {
    let payload: Vec<u8> = message.get_payload().unwrap_or_default();
    match CartUpdate::parse(&payload) {
        Ok(update) if update.owner == Owner::from(owner).to_string() => {
            shop.show(&document(owner, &update), || update_text(&update))
        }
        _ => {
            Terminal.note("Somebody published something else on this channel; it was left out.");
            Ok(())
        }
    }
}

/// Made from what was understood, so that nothing else a publisher wrote gets out.
fn document(owner: &CartOwner, update: &CartUpdate) -> Value {
    let event = match update.event {
        Change::Added => "added",
        Change::Set => "set",
        Change::Removed => "removed",
        Change::Cleared => "cleared",
        Change::Merged => "merged",
        Change::Ordered => "ordered",
        Change::Other => "other",
    };
    json!({
        "event": event, "owner": owner, "sku": update.sku, "quantity": update.quantity, "change": update.change,
        "lines": update.lines, "units": update.units,
        "total": update.total.map(amount_json),
    })
}

fn update_text(update: &CartUpdate) -> String {
    let sku = update.sku.as_ref().map_or_else(String::new, |sku| format!(" {sku}"));
    let what = match update.event {
        Change::Added | Change::Set | Change::Removed => format!("{:+}{sku}", update.change),
        Change::Cleared => "emptied".to_owned(),
        Change::Merged => format!("{:+} units, merged at login", update.change),
        Change::Ordered => format!("{:+} units, ordered", update.change),
        Change::Other => format!("{:+} units", update.change),
    };
    format!(
        "{what}; now {}, {}, total {}",
        counted(update.lines as u64, "line"),
        counted(update.units, "unit"),
        update.total.map_or_else(|| "unknown".to_owned(), |total| total.to_string())
    )
}
