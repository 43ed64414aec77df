//! The stock of a product, live, on three screens.

use lab_connection::Target;
use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::stock_feed::{Hearing, StockFeed, StockUpdate, StockView};
use redis::AsyncTypedCommands;
use redis::aio::PubSub;

use super::{PRODUCT, next_message, unexpected};

/// Changes of the stock; the third screen is away for the last of them.
pub const CHANGES: u32 = 20;
/// How many of them come while the third is away.
pub const MISSED: u32 = 8;

/// A screen, with a view, and with what it would show if it just believed the last message.
struct Watcher {
    name: &'static str,
    messages: PubSub,
    view: StockView,
    heard: u32,
    last: u32,
    snapshots: u32,
}

impl Watcher {
    async fn new(name: &'static str, target: &Target, channel: &str) -> Result<Self, LessonError> {
        let messages = subscription(target, channel).await?;
        Ok(Self { name, messages, view: StockView::new(PRODUCT), heard: 0, last: 0, snapshots: 0 })
    }

    /// Hears of so many changes.
    async fn hear(&mut self, count: u32) -> Outcome {
        let mut messages = self.messages.on_message();
        let until = self.heard + count;
        while self.heard < until {
            let update = StockUpdate::parse(&next_message(&mut messages).await?).map_err(unexpected)?;
            // From one node of a cluster to the next, a message may come after a subscription that followed it.
            if self.view.hear(&update) != Hearing::Old {
                self.heard += 1;
                self.last = update.level;
            }
        }
        Ok(())
    }

    /// Reads where things stand, if the view says that it may have missed something.
    async fn read<C>(&mut self, feed: &StockFeed<C>) -> Outcome
    where
        C: redis::aio::ConnectionLike + Clone,
    {
        if self.view.wants_snapshot() {
            self.view.read(feed.snapshot(PRODUCT).await.map_err(unexpected)?);
            self.snapshots += 1;
        }
        Ok(())
    }
}

async fn subscription(target: &Target, channel: &str) -> Result<PubSub, LessonError> {
    let mut messages = target.pubsub().await?;
    messages.subscribe(channel).await?;
    Ok(messages)
}

pub(super) async fn run(ctx: &LessonContext) -> Outcome {
    let quiet = StockFeed::new(ctx.untraced("TODO"), ctx.prefix());
    let channel = quiet.channel(PRODUCT).map_err(unexpected)?;
    ctx.step(format!(
        "Three screens show a product's stock while it changes {CHANGES} times. The third loses its connection before the last \
         {MISSED}. Each change is one script: it sets the level, numbers the change, and publishes it with the number before. A \
         screen subscribes first and then reads the present, so it misses nothing in between. When a message does not follow \
         what it shows, or when its connection is lost, it reads again.",
    )).await?;
    quiet.set(PRODUCT, 2 * CHANGES).await.map_err(unexpected)?;
    let mut watchers = Vec::new();
    for name in ["first", "second", "third"] {
        let mut watcher = Watcher::new(name, ctx.target(), &channel).await?;
        watcher.read(&quiet).await?;
        watchers.push(watcher);
    }

    let stays = CHANGES - MISSED;
    for change in 1..=stays {
        quiet.set(PRODUCT, 2 * CHANGES - change).await.map_err(unexpected)?;
    }
    for watcher in &mut watchers {
        watcher.hear(stays).await?;
    }
    let Some(third) = watchers.pop() else { return Ok(()) };
    let Watcher { name, messages, mut view, heard, last, snapshots } = third;
    drop(messages);
    view.refresh();
    for change in stays + 1..=CHANGES {
        quiet.set(PRODUCT, 2 * CHANGES - change).await.map_err(unexpected)?;
    }
    for watcher in &mut watchers {
        watcher.hear(MISSED).await?;
    }
    ctx.step("The third is back: it subscribes, and reads, because its view wants a snapshot.").await?;
    let messages = subscription(ctx.target(), &channel).await?;
    let mut third = Watcher { name, messages, view, heard, last, snapshots };
    third.read(&StockFeed::new(ctx.redis(), ctx.prefix())).await?;
    watchers.push(third);

    let header = ["screen", "messages", "missed", "snapshots", "by the last message", "by its view"];
    let mut table = Table::new("Three screens", &header);
    for watcher in &watchers {
        let numbers = [watcher.heard, CHANGES - watcher.heard, watcher.snapshots, watcher.last];
        let shown = watcher.view.level().map_or_else(String::new, |level| level.to_string());
        let cells = std::iter::once(watcher.name.to_owned()).chain(numbers.map(|number| number.to_string()));
        table = table.row(cells.chain([shown]));
    }
    ctx.table(table);
    let by_message: Vec<u32> = watchers.iter().map(|watcher| watcher.last).collect();
    let by_view: Vec<Option<u32>> = watchers.iter().map(|watcher| watcher.view.level()).collect();
    ctx.check_eq(
        "a screen that believes the last message shows what is long sold",
        &by_message,
        &vec![CHANGES, CHANGES, CHANGES + MISSED],
    )?;
    ctx.check_eq("all views are right", &by_view, &vec![Some(CHANGES); 3])?;
    one_more(ctx).await
}

/// What goes over the wire: the level with its number, and a message that looks the same.
async fn one_more(ctx: &LessonContext) -> Outcome {
    let mut redis = ctx.redis();
    let feed = StockFeed::new(redis.clone(), ctx.prefix());
    let channel = feed.channel(PRODUCT).map_err(unexpected)?;
    ctx.step(
        "One more change, as the server sees it. The number of the change is in the Hash and in the message:",
    )
    .await?;
    let mut subscription = subscription(ctx.target(), &channel).await?;
    let mut messages = subscription.on_message();
    let set = feed.set(PRODUCT, 7).await.map_err(unexpected)?;
    let stored = redis.hgetall(feed.key(PRODUCT).map_err(unexpected)?.as_str()).await?;
    let said = StockUpdate::parse(&next_message(&mut messages).await?).map_err(unexpected)?;
    let in_hash = |field: &str| stored.get(field).and_then(|number| number.parse::<u64>().ok());
    ctx.check_eq(
        "Hash and message have level and number",
        &[(in_hash("level"), in_hash("version")), (Some(said.level.into()), Some(said.version))],
        &[(Some(7), Some(set.version)); 2],
    )?;
    ctx.step(
        "A client that may publish can publish anything, so a screen checks a message before it believes it:",
    )
    .await?;
    redis.publish(&channel, "7 or so").await?;
    ctx.check(
        "that is not a change of stock",
        StockUpdate::parse(&next_message(&mut messages).await?).is_err(),
    )
}
