//! What happens when an order is paid: the bank takes the money, and the shop counts what it sold.

use patterns::checkout::{Charge, Order, Payments};
use patterns::job_queue::NewJob;
use patterns::money::Cents;

use crate::bank::BankError;
use crate::changes::{Change, Kind};
use crate::emails;
use crate::numbers;
use crate::session::owner_of;
use crate::state::App;

/// The provider, with the shop to tell what was sold.
pub struct Till<'a>(pub &'a App);

impl Payments for Till<'_> {
    type Error = BankError;

    async fn charge(&self, order: &str, amount: Cents) -> Result<Charge, BankError> {
        Ok(self.0.bank.charge(order, amount))
    }

    async fn refund(&self, order: &str) -> Result<(), BankError> {
        self.0.bank.refund(order);
        Ok(())
    }

    async fn was_charged(&self, order: &str) -> Result<bool, BankError> {
        Ok(self.0.bank.was_charged(order))
    }

    /// Called again after a crash, so each step counts once for an order's ID.
    async fn sold(&self, order: &Order) -> Result<(), BankError> {
        let shop = self.0;
        let lines: Vec<_> = order.lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
        if let Some(owner) = owner_of(&order.owner) {
            shop.cart.take(owner, &order.id, &lines).await?;
        }
        shop.emails.enqueue(&NewJob::new(&order.id, emails::Email::of(order).to_json())).await?;
        let skus: Vec<_> = lines.iter().map(|(sku, _)| *sku).collect();
        shop.bought_together.count(&order.id, &skus).await?;
        numbers::order(shop, order).await;
        shop.tell(Change::to(Kind::Cart, &order.owner)).await;
        shop.tell(Change::all(Kind::Order)).await;
        for (sku, _) in lines {
            if let Ok(level) = shop.inventory.level(sku).await {
                shop.tell(Change::stock(sku, level.free)).await;
            }
        }
        Ok(())
    }
}
