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
use crate::failures::parse;
use crate::input::CartOwner;
use crate::shop::{Shop, amount_json, counted, wrapped};

/// How long to try to reconnect.
const RECONNECT_FOR: Duration = Duration::from_mins(1);
const BETWEEN_TRIES: Duration = Duration::from_millis(250);
/// After this long without a message, PING asks whether the server is still there. A host that hangs and a cable that was cut close
/// no connection.
const SILENCE: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Shows every change until Ctrl-C. Pub/sub does not keep messages for subscribers who are away, so after a lost connection it says
/// so and shows the cart again.
pub async fn run(shop: &Shop, owner: &str) -> Result<(), Failure> {
    let owner: CartOwner = parse(owner)?;
    let mut subscription = subscribe(shop, &owner).await?;
    // Subscribe first and read second: a change in between is then shown twice rather than never.
    let (name, view) = carts::name_and_details(shop, &owner).await?;
    note(&format!("Watching the cart of {name}. Press Ctrl-C to stop. The cart now:"));
    shop.show(&view.to_json(), || carts::view_text(&name, &view))?;
    loop {
        show_updates(shop, &owner, &mut subscription).await?;
        note("The connection to the server is lost. Changes are missed until it is back.");
        subscription = reconnect(shop, &owner).await?;
    }
}

type Subscription = (PubSubSink, PubSubStream);

async fn subscribe(shop: &Shop, owner: &CartOwner) -> Result<Subscription, Failure> {
    let channel = shop.cart.channel(owner).map_err(|error| shop.failed(&error))?;
    let explain = |error| shop.target.explain(&error);
    let mut subscriber = shop.target.pubsub().await.map_err(explain)?;
    subscriber.subscribe(channel).await.map_err(explain)?;
    Ok(subscriber.split())
}

/// Shows every message until the connection is lost.
async fn show_updates(
    shop: &Shop,
    owner: &CartOwner,
    (sink, stream): &mut Subscription,
) -> Result<(), Failure> {
    loop {
        match timeout(SILENCE, stream.next()).await {
            Ok(Some(message)) => show_update(shop, owner, &message)?,
            Ok(None) => return Ok(()),
            Err(_silence) => match timeout(PING_TIMEOUT, sink.ping::<redis::Value>()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return Ok(()),
            },
        }
    }
}

/// Tries until the server answers again, for a minute at most, and shows the cart.
async fn reconnect(shop: &Shop, owner: &CartOwner) -> Result<Subscription, Failure> {
    const BACK: &str = "Back. Changes in between may have been missed.";
    let since = Instant::now();
    loop {
        let tried = async {
            let subscription = subscribe(shop, owner).await?;
            match carts::name_and_details(shop, owner).await {
                Ok((name, view)) => {
                    note(&format!("{BACK} The cart now:"));
                    shop.show(&view.to_json(), || carts::view_text(&name, &view))?;
                }
                // A server that has lost the customer answers, and somebody may add the customer again.
                Err(failure) if failure.class() == Class::Declined => {
                    note(&format!("{BACK} {}", failure.what()));
                }
                Err(failure) => return Err(failure),
            }
            Ok(subscription)
        };
        match tried.await {
            Err(failure) if may_pass(&failure) && since.elapsed() < RECONNECT_FOR => {
                sleep(BETWEEN_TRIES).await;
            }
            ended => return ended,
        }
    }
}

/// Whether waiting may help. A wrong password or a missing permission stays.
fn may_pass(failure: &Failure) -> bool {
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

fn show_update(shop: &Shop, owner: &CartOwner, message: &redis::Msg) -> Result<(), Failure> {
    match CartUpdate::parse(message.get_payload_bytes()) {
        Ok(update) if update.owner == Owner::from(owner).to_string() => {
            shop.show(&document(owner, &update), || update_text(&update))
        }
        _ => {
            note("Ignored a message on this channel that is no change of this cart.");
            Ok(())
        }
    }
}

fn note(text: &str) {
    Terminal.note(&wrapped(text));
}

/// Built from the parsed fields, so that nothing else that a publisher wrote is printed.
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
