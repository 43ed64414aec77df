//! Notifying a customer: by publishing, and by a queue whose items are acknowledged.

use std::collections::BTreeSet;
use std::time::Duration;

use lab_connection::{Connection, Target};
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::notifications::{Counts, Notification, Notifications, Sent};
use redis::AsyncTypedCommands;

use super::{CUSTOMER, next_message, unexpected};

/// Messages for the customer: a third before his phone is in a tunnel, a third meanwhile, a third afterwards.
pub const MESSAGES: usize = 30;
const THIRD: usize = MESSAGES / 3;
/// How many messages the phone had in its hands when it died.
pub const IN_HANDS: usize = 5;
const LONG: Duration = Duration::from_mins(1);

pub(super) async fn run(ctx: &LessonContext) -> Outcome {
    count_the_lost(ctx).await?;
    take_and_acknowledge(ctx).await
}

async fn count_the_lost(ctx: &LessonContext) -> Outcome {
    ctx.step(format!(
        "A customer is sent {MESSAGES} notifications. The phone listens, is in a tunnel for the second third of them, and comes \
         back. PUBLISH reaches only those who listen at that moment. The other way is a queue: send puts each notification into \
         a List; the phone takes some, shows them, and acknowledges them. Once it dies with {IN_HANDS} in its hands, before it \
         shows them.",
    )).await?;
    let published = publish(ctx.target()).await?;
    let (queued, deliveries) = queue(ctx).await?;
    let row = |label: &str, shown: usize, deliveries: usize| {
        let numbers = [MESSAGES, deliveries, shown, MESSAGES - shown].map(|number| number.to_string());
        std::iter::once(label.to_owned()).chain(numbers)
    };
    let table = Table::new("A phone in a tunnel", &["told by", "sent", "delivered", "shown", "lost"]);
    let table = table.row(row("PUBLISH", published, published));
    ctx.table(table.row(row("a queue with acknowledgement", queued, deliveries)));
    ctx.check_eq("what was published into the tunnel is lost", &published, &(MESSAGES - THIRD))?;
    ctx.check(
        format!("the queue lost none; {IN_HANDS} were delivered twice, as the first time nobody saw them"),
        (queued, deliveries) == (MESSAGES, MESSAGES + IN_HANDS),
    )
}

/// How many of the messages the phone has heard.
async fn publish(target: &Target) -> Result<usize, LessonError> {
    // Any name will do: a channel is no key.
    let channel = format!("{}notifications:{CUSTOMER}:live", target.prefix());
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
async fn queue(ctx: &LessonContext) -> Result<(usize, usize), LessonError> {
    let notifications = Notifications::new(ctx.untraced("TODO"), ctx.prefix());
    let (mut shown, mut deliveries) = (BTreeSet::new(), 0);
    for third in 0..3 {
        for number in third * THIRD..(third + 1) * THIRD {
            let id = format!("event-{number}");
            notifications.send(CUSTOMER, &id, "Something happened").await.map_err(unexpected)?;
        }
        if third == 0 {
            // The phone dies, and the millisecond for which it wanted them is soon over.
            let taken =
                notifications.take(CUSTOMER, IN_HANDS, Duration::from_millis(1)).await.map_err(unexpected)?;
            deliveries += taken.len();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        if third != 1 {
            deliveries += show_all(&notifications, &mut shown).await?;
        }
    }
    Ok((shown.len(), deliveries))
}

/// Takes, shows and acknowledges until nothing is there; returns how many were delivered.
async fn show_all(
    notifications: &Notifications<Connection>,
    shown: &mut BTreeSet<String>,
) -> Result<usize, LessonError> {
    let mut deliveries = 0;
    loop {
        let taken = notifications.take(CUSTOMER, 7, LONG).await.map_err(unexpected)?;
        if taken.is_empty() {
            let counts = notifications.counts(CUSTOMER).await.map_err(unexpected)?;
            if counts.unread == 0 {
                return Ok(deliveries);
            }
            // With the phone that died; the server's clock says for how long.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        deliveries += taken.len();
        let ids = ids(taken);
        notifications.acknowledge(CUSTOMER, &ids).await.map_err(unexpected)?;
        shown.extend(ids);
    }
}

fn ids(taken: Vec<Notification>) -> Vec<String> {
    taken.into_iter().map(|notification| notification.id).collect()
}

async fn take_and_acknowledge(ctx: &LessonContext) -> Outcome {
    let mut redis = ctx.redis();
    let notifications = Notifications::new(redis.clone(), ctx.prefix());
    let keys = notifications.keys(CUSTOMER).map_err(unexpected)?;
    ctx.start_clean(&keys).await?;
    let [waiting, _, deadlines, ..] = keys;

    ctx.step(
        "Now slowly. Three are sent, one of them twice, because its answer was lost. The sender picks the ID, so it waits once. \
         The List is the queue: the newest on the left, the next to take on the right.",
    ).await?;
    let quiet = Notifications::new(ctx.untraced("TODO"), ctx.prefix());
    for (id, text) in
        [("order-1-paid", "Your payment has arrived"), ("order-1-shipped", "Your order is on its way")]
    {
        quiet.send(CUSTOMER, id, text).await.map_err(unexpected)?;
    }
    let text = "The kettle is in stock again";
    let first = notifications.send(CUSTOMER, "kettle-back", text).await.map_err(unexpected)?;
    let again = notifications.send(CUSTOMER, "kettle-back", text).await.map_err(unexpected)?;
    let unread = 3;
    ctx.check(
        "three are unread, even after sending again",
        first == Sent::New { unread, dropped: 0 } && again == Sent::Again { unread },
    )?;
    let waiting = redis.lrange(&waiting, 0, -1).await?;
    ctx.check("the list has three", waiting.len() == 3)?;

    ctx.step(
        "The phone takes one for a minute. It is still unread: it is in a Hash now, with its deadline in a Sorted Set, and \
         only acknowledging removes it. When the minute is over, the next device that asks gets it first.",
    ).await?;
    let taken = notifications.take(CUSTOMER, 1, LONG).await.map_err(unexpected)?;
    let deadlines: Vec<String> =
        redis::cmd("ZRANGE").arg(&deadlines).arg(&["0", "-1"]).query_async(&mut redis).await?;
    ctx.check_eq("the oldest is with the phone", &deadlines, &vec!["order-1-paid".to_owned()])?;
    let ids = ids(taken);
    let read = notifications.acknowledge(CUSTOMER, &ids).await.map_err(unexpected)?;
    let again = quiet.acknowledge(CUSTOMER, &ids).await.map_err(unexpected)?;
    ctx.check("acknowledging twice counts once", (read, again) == (1, 0))?;
    let counts = quiet.counts(CUSTOMER).await.map_err(unexpected)?;
    ctx.check_eq(
        "three sent: two unread, one read, none dropped",
        &counts,
        &Counts { sent: 3, unread: 2, read: 1, dropped: 0 },
    )?;
    ctx.step(
        "This is at least once: if a phone is slow but alive, another device may show the same notification. Both know it by its \
         ID. Publish as well, as a signal to come and take; then it is quick, and nothing is lost.",
    ).await?;
    Ok(())
}
