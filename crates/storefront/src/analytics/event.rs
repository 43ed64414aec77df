use std::collections::BTreeMap;

use super::Day;
use crate::{Cents, CustomerId, EventId, Label, Sku};

/// The most different products of an order that is recorded.
pub const MOST_ORDER_LINES: usize = 100;

/// Something that happened in the shop, named and dated where it happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Its name. Sending it again with the same name counts nothing.
    pub id: EventId,
    /// The day on which it happened, whenever it arrives.
    pub day: Day,
    /// Whose doing it was, if that is known.
    pub visitor: Option<CustomerId>,
    /// What it was.
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Happening {
    /// Somebody looked at a page: `page_views` grows by one.
    PageView,
    /// Somebody ordered: `orders` grows by one, `revenue` by the sum in cents, and each product's revenue by its own.
    Order {
        /// What each product brought, at most [`MOST_ORDER_LINES`] of them.
        lines: Vec<(Sku, Cents)>,
    },
    /// Anything else one counts.
    Other {
        /// The field of the Hash.
        metric: Label,
        /// By how much it grows; negative to make it less.
        amount: i64,
    },
}

impl Event {
    /// A page view.
    #[must_use]
    pub fn page_view(id: EventId, day: Day, visitor: CustomerId) -> Self {
        Self { id, day, visitor: Some(visitor), what: Happening::PageView }
    }

    /// An order.
    #[must_use]
    pub fn order(id: EventId, day: Day, visitor: CustomerId, lines: Vec<(Sku, Cents)>) -> Self {
        Self { id, day, visitor: Some(visitor), what: Happening::Order { lines } }
    }

    /// Something else, of which it is not known or does not matter who did it. The amount may be negative; [`i64::MIN`], which
    /// could not be taken back, is refused when the event is recorded.
    #[must_use]
    pub fn other(id: EventId, day: Day, metric: Label, amount: i64) -> Self {
        Self { id, day, visitor: None, what: Happening::Other { metric, amount } }
    }

    /// The metric whose change may be too large.
    pub(super) fn metric(&self) -> &str {
        match &self.what {
            Happening::PageView => "page_views",
            Happening::Order { .. } => "revenue",
            Happening::Other { metric, .. } => metric.as_str(),
        }
    }

    /// What it adds to which metric; `None` if that is no `i64`, or one that cannot be taken back.
    pub(super) fn changes(&self) -> Option<Vec<(&str, i64)>> {
        match &self.what {
            Happening::PageView => Some(vec![("page_views", 1)]),
            Happening::Order { lines } => {
                let revenue =
                    lines.iter().try_fold(Cents::ZERO, |sum, (_, cents)| sum.checked_add(*cents))?;
                Some(vec![("revenue", revenue.get()), ("orders", 1)])
            }
            Happening::Other { metric, amount } => {
                Some(vec![(metric.as_str(), *amount)]).filter(|_| *amount != i64::MIN)
            }
        }
    }

    /// The cents of each product, each once; `None` beyond `i64::MAX`.
    pub(super) fn revenues(&self) -> Option<BTreeMap<&Sku, Cents>> {
        let mut revenues = BTreeMap::new();
        if let Happening::Order { lines } = &self.what {
            for (sku, cents) in lines {
                let sum: &mut Cents = revenues.entry(sku).or_default();
                *sum = sum.checked_add(*cents)?;
            }
        }
        Some(revenues)
    }
}
