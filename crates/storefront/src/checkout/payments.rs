use crate::{Cents, OrderId};

/// Whoever takes the money: a payment provider, behind idempotency keys.
///
/// All three are asked again after a crash or a lost answer, so they must be idempotent by the order's id. An error means
/// that the outcome is unknown, never that nothing was done.
pub trait Payments {
    /// What can go wrong on the way.
    type Error: std::error::Error;

    /// Charges the order, once; asked again, it answers as the first time. After [`Payments::refund`] it must be declined:
    /// a charge that was sent before its order was given up can arrive after it.
    fn charge(
        &self,
        order: &OrderId,
        amount: Cents,
    ) -> impl Future<Output = Result<Charge, Self::Error>> + Send;

    /// Ends the payment: gives back what was charged, if anything was, and lets no later charge of this order through.
    /// (Providers call the second part cancelling or voiding a payment.)
    fn refund(&self, order: &OrderId) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Whether the order is charged, and not refunded.
    fn was_charged(&self, order: &OrderId) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

/// What a charge has led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Charge {
    /// The money is there.
    Charged,
    /// It is not, and will not be.
    Declined,
}
