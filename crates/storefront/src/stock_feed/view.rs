use std::collections::BTreeMap;

use super::{Stock, StockUpdate};
use crate::Sku;

/// How many changes a view keeps while it waits for a snapshot. Of more, the oldest go: the snapshot brings them.
const MOST_KEPT: usize = 1_000;

/// What one subscriber knows of a product's stock.
#[derive(Clone, Debug)]
pub struct StockView {
    sku: Sku,
    shown: Option<Stock>,
    /// Changes that cannot be shown yet, by epoch and version.
    ahead: BTreeMap<(u64, u64), u32>,
    wants_snapshot: bool,
    gaps: u64,
}

/// What a view has made of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Heard {
    /// It is the next change: this is the level now.
    Shown(u32),
    /// It is no news, or of another product.
    Old,
    /// It is kept until a snapshot is read, as the level was not read yet, or as there is a gap before it.
    Kept,
}

impl StockView {
    /// A view that knows nothing yet, of this product.
    #[must_use]
    pub fn new(sku: Sku) -> Self {
        Self { sku, shown: None, ahead: BTreeMap::new(), wants_snapshot: true, gaps: 0 }
    }

    /// The level to show, `None` before the first snapshot.
    #[must_use]
    pub fn level(&self) -> Option<u32> {
        self.shown.map(|stock| stock.level)
    }

    /// The state to show, `None` before the first snapshot.
    #[must_use]
    pub fn stock(&self) -> Option<Stock> {
        self.shown
    }

    /// Whether there may be more to know than this view has heard of: then read a snapshot, with the subscription in
    /// place.
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        self.wants_snapshot
    }

    /// How often a gap in the numbers was noticed.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// The subscription was lost, so changes may have been too. What is shown stays; after subscribing again, read.
    pub fn disconnected(&mut self) {
        self.wants_snapshot = true;
    }

    /// A message came in.
    pub fn hear(&mut self, update: &StockUpdate) -> Heard {
        let news = update.stock();
        if update.sku != self.sku || self.shown.is_some_and(|shown| news.moment() <= shown.moment()) {
            return Heard::Old;
        }
        if let Some(shown) = self.shown
            && !self.wants_snapshot
        {
            if follows(news.moment(), shown) {
                self.shown = Some(news);
                return Heard::Shown(news.level);
            }
            self.gaps += 1;
            self.wants_snapshot = true;
        }
        self.ahead.insert(news.moment(), news.level);
        if self.ahead.len() > MOST_KEPT {
            self.ahead.pop_first();
        }
        Heard::Kept
    }

    /// A snapshot was read. One that is older than what is shown, as a replica may give it, changes nothing. Changes that
    /// were kept and follow it are shown; if there is still a gap, the view wants another snapshot.
    pub fn read(&mut self, snapshot: Stock) {
        if self.shown.is_some_and(|shown| snapshot.moment() < shown.moment()) {
            return;
        }
        let mut shown = snapshot;
        self.ahead.retain(|moment, _| *moment > snapshot.moment());
        while let Some(next) = self.ahead.first_entry()
            && follows(*next.key(), shown)
        {
            let ((epoch, version), level) = next.remove_entry();
            shown = Stock { level, version, epoch };
        }
        self.shown = Some(shown);
        self.wants_snapshot = !self.ahead.is_empty();
    }
}

/// Whether nothing can be between the two.
fn follows((epoch, version): (u64, u64), shown: Stock) -> bool {
    let first_of_an_epoch = epoch > shown.epoch && version == 1;
    first_of_an_epoch || epoch == shown.epoch && version == shown.version.saturating_add(1)
}
