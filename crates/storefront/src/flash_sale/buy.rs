use std::time::Duration;

use redis::aio::ConnectionLike;

use super::line::Place;
use super::{BUY, FlashSale};
use crate::store::holds_store_error;
use crate::{CustomerId, OrderId, Quantity, StoreError};

/// What a customer has got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Purchase {
    /// The units are his.
    Bought(Receipt),
    /// They were his already: this order was answered before, with this receipt, or was served from the line.
    AlreadyBought(Receipt),
    /// He waits in line. If he asks again, for whatever order, this is still the answer: one place for each customer.
    Waiting(Place),
}

/// What the first answer to a purchase said; every later one says the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The units of this purchase.
    pub units: u32,
    /// The units that were left to others after it.
    pub left: u32,
    /// The units that the customer had with it.
    pub yours: u32,
}

/// Why a customer has got nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuyError {
    /// There is no sale.
    #[error("there is no flash sale")]
    NoSale,
    /// The sale has not begun.
    #[error("the sale begins in {starts_in:?}")]
    NotStarted {
        /// How long that takes.
        starts_in: Duration,
    },
    /// The sale has ended.
    #[error("the sale is over")]
    Over,
    /// Less is left than was asked for; and if there is a line, it is full.
    #[error("not enough is left of the sale: {left}")]
    SoldOut {
        /// What is left.
        left: u32,
    },
    /// It would be more than one customer gets.
    #[error("one customer gets {cap}, and {have} are yours already")]
    OverCap {
        /// The units he has.
        have: u32,
        /// The most he can have.
        cap: u32,
    },
    /// This order was bought and given back. To buy again takes another order.
    #[error("this order was given back")]
    GivenBack {
        /// The units it had.
        units: u32,
    },
    /// Redis, or the data in it. If it was the connection, ask again with the same order.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<C: ConnectionLike + Clone> FlashSale<C> {
    /// Buys units for a customer under an order that his client has named. Who has lost the answer asks again with the
    /// same order; an order is the customer's own, so another customer's of the same name is another one.
    ///
    /// One round trip, and five commands in its script whatever the size of the sale (seven in one with a line).
    pub async fn buy(
        &self,
        customer: &CustomerId,
        quantity: Quantity,
        order: &OrderId,
    ) -> Result<Purchase, BuyError> {
        let mut call = self.call(&BUY);
        call.arg(customer.as_str()).arg(purchase(customer, order)).arg(order.as_str()).arg(quantity.get());
        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "BOUGHT" => {
                let (left, yours) = (reply.next()?, reply.next()?);
                Ok(Purchase::Bought(Receipt { units: quantity.get(), left, yours }))
            }
            "ANSWERED" => {
                let answer: String = reply.next()?;
                match Answer::parse(&answer) {
                    Some(Answer::Bought(receipt)) => Ok(Purchase::AlreadyBought(receipt)),
                    Some(Answer::GivenBack(units, _)) => Err(BuyError::GivenBack { units }),
                    None => Err(StoreError::malformed(&self.keys.flash_sale().bought, &answer).into()),
                }
            }
            "WAITING" => Ok(Purchase::Waiting(Place::of(&mut reply, &self.keys.flash_sale().tickets)?)),
            "NO_SALE" => Err(BuyError::NoSale),
            "NOT_STARTED" => Err(BuyError::NotStarted { starts_in: Duration::from_millis(reply.next()?) }),
            "OVER" => Err(BuyError::Over),
            "SOLD_OUT" => Err(BuyError::SoldOut { left: reply.next()? }),
            "OVER_CAP" => Err(BuyError::OverCap { have: reply.next()?, cap: reply.next()? }),
            _ => Err(reply.into_error().into()),
        }
    }
}

holds_store_error!(BuyError);

/// The field of a purchase. Neither a customer nor an order has a colon.
pub(super) fn purchase(customer: &CustomerId, order: &OrderId) -> String {
    format!("{customer}:{order}")
}

/// What is kept of a purchase: `2 98 2` (units, left, yours), or `back 2` and whoever was served with them.
pub(super) enum Answer<'a> {
    Bought(Receipt),
    GivenBack(u32, Vec<&'a str>),
}

impl<'a> Answer<'a> {
    pub(super) fn parse(stored: &'a str) -> Option<Self> {
        let mut words = stored.split(' ');
        let first = words.next()?;
        if first == "back" {
            let units = words.next()?.parse().ok()?;
            return Some(Self::GivenBack(units, words.collect()));
        }
        let units = first.parse().ok()?;
        let (left, yours) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self::Bought(Receipt { units, left, yours }))
    }
}
