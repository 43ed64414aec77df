//! Screens that show the stock of a product, live.

use lab_connection::Target;
use lab_runner::{AnyConnection, BoxError};
use patterns::stock_feed::{MessageEffect, StockFeed, StockUpdate, StockView};
use redis::aio::PubSub;

use super::{PRODUCT, next_message};

/// A screen with the pattern's view of the stock. It also remembers the last message, which a simpler screen would show.
pub(super) struct Screen {
    messages: Option<PubSub>,
    pub(super) view: StockView,
    pub(super) heard: u32,
    pub(super) last_message: u32,
    pub(super) snapshots: u32,
}

impl Screen {
    /// A screen that knows nothing.
    pub(super) fn new() -> Self {
        Self { messages: None, view: StockView::new(PRODUCT), heard: 0, last_message: 0, snapshots: 0 }
    }

    /// Subscribes first and reads the stock then, so that no change falls in between.
    pub(super) async fn connect<C: AnyConnection>(
        &mut self,
        target: &Target,
        feed: &StockFeed<C>,
    ) -> Result<(), BoxError> {
        let channel = feed.channel(PRODUCT)?;
        let mut messages = target.pubsub().await?;
        messages.subscribe(&channel).await?;
        self.messages = Some(messages);
        if self.view.wants_snapshot() {
            self.view.read(feed.snapshot(PRODUCT).await?);
            self.snapshots += 1;
        }
        Ok(())
    }

    /// Loses its connection.
    pub(super) fn disconnect(&mut self) {
        self.messages = None;
        self.view.refresh();
    }

    /// Hears this many changes, if it is connected.
    pub(super) async fn hear(&mut self, count: u32) -> Result<(), BoxError> {
        let Some(messages) = &mut self.messages else { return Ok(()) };
        let (mut messages, until) = (messages.on_message(), self.heard + count);
        while self.heard < until {
            let update = StockUpdate::parse(&next_message(&mut messages).await?)?;
            // On a cluster, a message may arrive at another node after the subscription that followed it.
            if self.view.hear(&update) != MessageEffect::Old {
                self.heard += 1;
                self.last_message = update.level;
            }
        }
        Ok(())
    }
}
