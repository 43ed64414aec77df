//! Finishing what a buyer has left.

use std::time::Duration;

use redis::aio::ConnectionLike;

use super::scripts::DUE;
use super::{Checkout, CheckoutError, Order, OrderState, Payments, Reason};
use crate::OrderId;
use crate::script;
use crate::store::StoreError;

/// How many orders one call of [`Checkout::recover`] looks at.
const A_ROUND: usize = 1_000;

/// What was found and finished.
#[derive(Debug)]
pub struct Recovered<P: std::error::Error> {
    /// Orders that are done or cancelled now.
    pub finished: Vec<Order>,
    /// Orders that could not be finished; the next recovery tries again.
    pub failed: Vec<(OrderId, CheckoutError<P>)>,
}

impl<C: ConnectionLike + Clone> Checkout<C> {
    /// Finishes the orders whose buyers have let their time pass, at most 1,000. A service calls it every few seconds, and
    /// several may at once. One round trip if there are none.
    ///
    /// An order that never got to the payment is cancelled. One that did is done if it was charged, as the payments know,
    /// and cancelled if not. One that fails, because its payment cannot be asked about say, is tried again after the others
    /// that are due. What is no order, and so somebody else's, is the error that is returned in the end; the orders are
    /// finished all the same.
    pub async fn recover<P: Payments>(&self, payments: &P) -> Result<Recovered<P::Error>, StoreError> {
        let key = self.keys.unfinished_orders();
        let due: Vec<Vec<u8>> = script::run(DUE.key(&key).arg(A_ROUND), &self.connection).await?;
        let mut recovered = Recovered { finished: Vec::new(), failed: Vec::new() };
        let mut malformed = None;
        for id in due {
            let id = String::from_utf8_lossy(&id);
            let Ok(id) = id.parse::<OrderId>() else {
                // Somebody else's. It must not keep the orders behind it from being recovered.
                malformed = malformed.or(Some(StoreError::malformed(&key, &id)));
                continue;
            };
            match self.recover_one(&id, payments).await {
                Ok(order) => recovered.finished.extend(order),
                Err(error) => {
                    // Behind the others, which a round full of failures would never get to. Where even that fails, this
                    // order is due first again, and nothing is lost.
                    let _ = self.schedule(&id, Duration::ZERO).await;
                    recovered.failed.push((id, error));
                }
            }
        }
        malformed.map_or(Ok(recovered), Err)
    }

    async fn recover_one<P: Payments>(
        &self,
        id: &OrderId,
        payments: &P,
    ) -> Result<Option<Order>, CheckoutError<P::Error>> {
        let Some(order) = self.get(id).await? else {
            // Its buyer died before opening it, or is about to.
            self.unschedule(id, "overdue").await?;
            return Ok(None);
        };
        let order = match order.state {
            OrderState::Open => self.give_up(&order, Reason::Abandoned).await?,
            OrderState::Paying => {
                if payments.was_charged(id).await.map_err(CheckoutError::Payment)? {
                    self.paid(&order).await?
                } else {
                    // The charge may be on its way. Cancelling ends the payment first, so it comes too late.
                    self.give_up(&order, Reason::Abandoned).await?
                }
            }
            _ => order,
        };
        Ok(Some(self.advance(order, payments).await?))
    }
}
