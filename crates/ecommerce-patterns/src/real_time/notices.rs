//! Telling a customer: by publishing, and by a queue whose items are acknowledged.

use std::collections::BTreeSet;
use std::time::Duration;

use lab_connection::{Connection, Target};
use lab_runner::table::Facts;
use lab_runner::{LessonError, Outcome, Page};
use redis::AsyncTypedCommands;
use storefront::notifications::{Counts, Notifications, Sent};
use storefront::{CustomerId, EventId, Keys};

use super::{customer, next_message, unexpected};
use crate::names::known;

/// Messages for the customer: a third before his phone is in a tunnel, a third meanwhile, a third afterwards.
pub const MESSAGES: usize = 30;
const THIRD: usize = MESSAGES / 3;
/// How many messages the phone had in its hands when it died.
pub const IN_HANDS: usize = 5;
const LONG: Duration = Duration::from_mins(1);

pub(super) async fn teach(page: &Page, keys: &Keys) -> Outcome {
    count_the_lost(page, keys).await?;
    take_and_acknowledge(page, keys).await
}

async fn count_the_lost(page: &Page, keys: &Keys) -> Outcome {
    page.say(format!(
        "Tell a customer {MESSAGES} things. His phone listens, is in a tunnel for the second third of them, and comes back. PUBLISH \
         reaches who listens at that moment. Beside it a queue: send puts each into a List; the phone takes some, shows them, \
         acknowledges them. Once it dies with {IN_HANDS} in its hands, before it has shown them.",
    ));
    let published = publish(page.target(), keys).await?;
    let (queued, deliveries) = queue(page, keys).await?;
    let row = |label: &str, shown: usize, deliveries: usize| {
        let numbers = [MESSAGES, deliveries, shown, MESSAGES - shown].map(|number| number.to_string());
        std::iter::once(label.to_owned()).chain(numbers)
    };
    let facts = Facts::new("A phone in a tunnel", &["told by", "sent", "delivered", "shown", "lost"]);
    let facts = facts.row(row("PUBLISH", published, published));
    page.facts(facts.row(row("a queue with acknowledgement", queued, deliveries)));
    page.check_eq("what was published into the tunnel is lost", &published, &(MESSAGES - THIRD))?;
    page.check(
        format!("the queue lost none; {IN_HANDS} were delivered twice, as the first time nobody saw them"),
        (queued, deliveries) == (MESSAGES, MESSAGES + IN_HANDS),
    )
}

/// How many of the messages the phone has heard.
async fn publish(target: &Target, keys: &Keys) -> Result<usize, LessonError> {
    // Any name will do: a channel is no key.
    let channel = format!("{}:live", keys.notifications(&customer()).waiting);
    let mut redis = target.connection();
    let mut heard = 0;
    for third in 0..3 {
        let listening = third != 1;
        let mut phone = target.pubsub().await?;
        if listening {
            phone.subscribe(&channel).await?;
        }
        for number in 0..THIRD {
            redis::cmd("PUBLISH").arg(&channel).arg(number).exec_async(&mut redis).await?;
        }
        if listening {
            let mut messages = phone.on_message();
            for _ in 0..THIRD {
                next_message(&mut messages).await?;
                heard += 1;
            }
        }
    }
    Ok(heard)
}

/// How many of the messages were shown, and how often one was delivered.
async fn queue(page: &Page, keys: &Keys) -> Result<(usize, usize), LessonError> {
    let notifications = Notifications::new(page.quietly(), keys.clone());
    let customer = customer();
    let (mut shown, mut deliveries) = (BTreeSet::new(), 0);
    for third in 0..3 {
        for number in third * THIRD..(third + 1) * THIRD {
            let event: EventId = known(&format!("event-{number}"));
            notifications.send(&customer, &event, "Something has happened").await.map_err(unexpected)?;
        }
        if third == 0 {
            // The phone dies, and the millisecond for which it wanted them is soon over.
            let taken = notifications
                .take(&customer, IN_HANDS, Duration::from_millis(1))
                .await
                .map_err(unexpected)?;
            deliveries += taken.len();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        if third != 1 {
            deliveries += show_all(&notifications, &customer, &mut shown).await?;
        }
    }
    Ok((shown.len(), deliveries))
}

/// Takes, shows and acknowledges until nothing is there; returns how many were delivered.
async fn show_all(
    notifications: &Notifications<Connection>,
    customer: &CustomerId,
    shown: &mut BTreeSet<EventId>,
) -> Result<usize, LessonError> {
    let mut deliveries = 0;
    loop {
        let taken = notifications.take(customer, 7, LONG).await.map_err(unexpected)?;
        if taken.is_empty() {
            let counts = notifications.counts(customer).await.map_err(unexpected)?;
            if counts.unread == 0 {
                return Ok(deliveries);
            }
            // With the phone that died; the server's clock says for how long.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        deliveries += taken.len();
        let ids: Vec<EventId> = taken.into_iter().map(|notification| notification.id).collect();
        notifications.acknowledge(customer, &ids).await.map_err(unexpected)?;
        shown.extend(ids);
    }
}

async fn take_and_acknowledge(page: &Page, keys: &Keys) -> Outcome {
    let mut redis = page.redis();
    let customer = customer();
    let names = keys.notifications(&customer);
    page.start_clean(&names.all().map(str::to_owned)).await?;
    let notifications = Notifications::new(redis.clone(), keys.clone());

    page.say(
        "Slowly: three are sent, one of them twice, because its answer was lost. It is named by its event, so it waits once. \
         The List is the queue: the newest on the left, the next to take on the right.",
    );
    let quiet = Notifications::new(page.quietly(), keys.clone());
    for (event, text) in
        [("order-1-paid", "Your payment has arrived"), ("order-1-shipped", "Your order is on its way")]
    {
        quiet.send(&customer, &known(event), text).await.map_err(unexpected)?;
    }
    let text = "The kettle is in stock again";
    let first = notifications.send(&customer, &known("kettle-back"), text).await.map_err(unexpected)?;
    let again = notifications.send(&customer, &known("kettle-back"), text).await.map_err(unexpected)?;
    let unread = 3;
    page.check(
        "three are unread, also after sending again",
        first == Sent::New { unread, dropped: 0 } && again == Sent::Again { unread },
    )?;
    let waiting = redis.lrange(&names.waiting, 0, -1).await?;
    page.check("the list has three", waiting.len() == 3)?;

    page.say(
        "The phone takes one for a minute. It is still unread: it is in a Hash now, with its deadline in a Sorted Set, and \
         only acknowledging removes it. When the minute is over, whoever takes next gets it first.",
    );
    let taken = notifications.take(&customer, 1, LONG).await.map_err(unexpected)?;
    let deadlines: Vec<String> =
        redis::cmd("ZRANGE").arg(&names.deadlines).arg(&["0", "-1"]).query_async(&mut redis).await?;
    page.check_eq("the oldest is with the phone", &deadlines, &vec!["order-1-paid".to_owned()])?;
    let ids: Vec<EventId> = taken.into_iter().map(|notification| notification.id).collect();
    let read = notifications.acknowledge(&customer, &ids).await.map_err(unexpected)?;
    let again = quiet.acknowledge(&customer, &ids).await.map_err(unexpected)?;
    page.check("acknowledging twice counts once", (read, again) == (1, 0))?;
    let counts = quiet.counts(&customer).await.map_err(unexpected)?;
    page.check_eq(
        "three sent: two unread, one read, none dropped",
        &counts,
        &Counts { sent: 3, unread: 2, read: 1, dropped: 0 },
    )?;
    page.say(
        "At least once: if a phone is slow but alive, another may show the same notice; both can tell by the event's id. Publish as \
         well, as a signal to come and take; then it is quick and nothing is lost.",
    );
    Ok(())
}
