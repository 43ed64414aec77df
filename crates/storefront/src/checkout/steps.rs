//! The steps of an order. Each can be taken again, by anyone, whatever became of it the last time.

use futures_util::future::join_all;
use redis::ScriptInvocation;
use redis::aio::ConnectionLike;

use super::error::lost;
use super::scripts::{MOVE, OPEN, take_out};
use super::{
    Agreed, Charge, Checkout, CheckoutError, KEPT, Order, OrderLine, OrderState, Payments, PriceChange,
    Reason, milliseconds,
};
use crate::script;
use crate::store::{Reply, StoreError};
use crate::{
    CartOwner, CartView, InventoryError, LineState, OrderId, Quantity, ReservationId, ReserveError,
    SettleError,
};

impl<C: ConnectionLike + Clone> Checkout<C> {
    /// First step: writes down what is in the cart, at the prices the customer has agreed to. If there is an order with this
    /// id it is left as it is, and returned. Four round trips; two more each time that a buyer stands still for as long
    /// as he has to reserve.
    pub async fn open<P: std::error::Error>(
        &self,
        owner: &CartOwner,
        id: &OrderId,
        agreed: Agreed,
    ) -> Result<Order, CheckoutError<P>> {
        let view = self.cart.view(owner).await?;
        let lines = agreed_lines(&view, agreed)?;
        let mut time = self.to_reserve;
        let order = loop {
            // The list of unfinished orders is in another slot. It comes first: an id in it without an order is passed
            // over, an order without its entry would never be recovered. So once the entry is due, no order is opened
            // for it.
            let due = self.schedule(id, time).await?;
            let mut call = OPEN.key(self.keys.order(id));
            call.arg(milliseconds(KEPT)).arg(due).arg("state").arg(OrderState::Open.to_string());
            call.arg("owner").arg(owner.to_string()).arg("total_cents").arg(view.total.get());
            for line in &lines {
                let (field, value) = line.stored();
                call.arg(field).arg(value);
            }
            let reply: Reply = script::run(&call, &self.connection).await?;
            if reply.outcome != "LATE" {
                break self.changed(id, reply)?.1;
            }
            time = time.saturating_mul(2);
        };
        if order.owner == *owner { Ok(order) } else { Err(CheckoutError::NotYours(id.clone())) }
    }

    /// Second step: holds every line. If one is refused, the order is to be cancelled. One round trip for each line, all
    /// at once.
    pub async fn reserve<P: std::error::Error>(&self, order: &Order) -> Result<Order, CheckoutError<P>> {
        let id = reservation(order)?;
        let holds = order.lines.iter().map(|line| async {
            let held = self.inventory.reserve(&line.sku, &id, line.units, self.to_reserve).await;
            (line.sku.clone(), held)
        });
        for (sku, held) in join_all(holds).await {
            let reason = match held {
                Ok(_) => continue,
                Err(ReserveError::OutOfStock { available }) => Reason::OutOfStock { sku, available },
                Err(ReserveError::Inventory(InventoryError::UnknownProduct(sku))) => {
                    Reason::NotInStock { sku }
                }
                Err(ReserveError::Inventory(error)) => return Err(error.into()),
                // Released: somebody has given the order up. Expired: the buyer was too slow.
                Err(ReserveError::Settled(_) | ReserveError::OtherQuantity { .. }) => {
                    Reason::LostHold { sku }
                }
            };
            return self.give_up(order, reason).await;
        }
        Ok(order.clone())
    }

    /// Third step: makes the holds outlive the charge, and says that money is about to be asked for. Two round trips and
    /// one for each line, those all at once; one more if somebody else has finished the order meanwhile.
    pub async fn begin_payment<P: std::error::Error>(
        &self,
        order: &Order,
    ) -> Result<Order, CheckoutError<P>> {
        self.schedule(&order.id, self.to_pay).await?;
        let order = self.extend_and_ask(order).await?;
        if order.state.is_finished() {
            // Somebody was faster, and had taken the order off the list when it was put there again.
            self.unschedule(&order.id, "").await?;
        }
        Ok(order)
    }

    async fn extend_and_ask<P: std::error::Error>(&self, order: &Order) -> Result<Order, CheckoutError<P>> {
        let id = reservation(order)?;
        let time = self.to_pay.saturating_mul(2);
        let holds = order
            .lines
            .iter()
            .map(|line| async { (line.sku.clone(), self.inventory.extend(&line.sku, &id, time).await) });
        for (sku, extended) in join_all(holds).await {
            if let Err(error) = extended {
                lost(error)?;
                return self.give_up(order, Reason::LostHold { sku }).await;
            }
        }
        self.move_to(order, OrderState::Paying, &[("asked_for_money", "yes")]).await
    }

    /// Fourth step: asks for the money, and writes down what came of it. If the order was given up meanwhile, the charge does
    /// not count: cancelling refunds it. One round trip, and that of the payments.
    pub async fn pay<P: Payments>(
        &self,
        order: &Order,
        payments: &P,
    ) -> Result<Order, CheckoutError<P::Error>> {
        match payments.charge(&order.id, order.total).await.map_err(CheckoutError::Payment)? {
            Charge::Charged => self.paid(order).await,
            Charge::Declined => self.give_up(order, Reason::Declined).await,
        }
    }

    /// Writes down that the order is paid, unless it was given up.
    pub(super) async fn paid<P: std::error::Error>(&self, order: &Order) -> Result<Order, CheckoutError<P>> {
        self.move_to(order, OrderState::Paid, &[("paid", "yes")]).await
    }

    /// Fifth step: sells every hold. If one is lost, the order is to be cancelled and the money refunded. One round trip,
    /// and one for each line, one after the other.
    pub async fn sell<P: std::error::Error>(&self, order: &Order) -> Result<Order, CheckoutError<P>> {
        let id = reservation(order)?;
        // One after the other: once one is lost, the others need not be sold and taken back.
        for line in &order.lines {
            if let Err(error) = self.inventory.confirm(&line.sku, &id).await {
                lost(error)?;
                return self.give_up(order, Reason::LostHold { sku: line.sku.clone() }).await;
            }
        }
        self.move_to(order, OrderState::Sold, &[]).await
    }

    /// Last step: takes what was bought out of the cart, and ends the order. Three round trips.
    pub async fn empty_cart<P: std::error::Error>(&self, order: &Order) -> Result<Order, CheckoutError<P>> {
        self.take_out(order).await?;
        let order = self.move_to(order, OrderState::Done, &[]).await?;
        self.unschedule(&order.id, "").await?;
        Ok(order)
    }

    /// Takes what was bought out of the cart, once: units that were added since stay. One round trip.
    pub async fn take_out(&self, order: &Order) -> Result<(), StoreError> {
        let keys = self.keys.cart(&order.owner, self.cart.representation());
        let script = take_out(self.cart.representation(), self.cart.item_expiry());
        let mut call = script.key(keys.quantities);
        call.key(keys.prices).key(keys.deadlines).key(self.keys.bought(&order.owner, &order.id));
        call.arg(self.keys.cart_updates(&order.owner)).arg(order.owner.to_string()).arg(milliseconds(KEPT));
        for line in &order.lines {
            call.arg(line.sku.as_str()).arg(line.units.get());
        }
        let reply: Reply = script::run(&call, &self.connection).await?;
        match reply.outcome.as_str() {
            "TAKEN" | "TAKEN_BEFORE" => Ok(()),
            _ => Err(reply.into_error()),
        }
    }

    /// Undoes an order that was given up: refunds the money if it may have been charged, returns every line to sale, and
    /// ends the order. Two round trips, one for each line, one after the other, and that of the payments.
    pub async fn cancel<P: Payments>(
        &self,
        order: &Order,
        payments: &P,
    ) -> Result<Order, CheckoutError<P::Error>> {
        if order.asked_for_money {
            payments.refund(&order.id).await.map_err(CheckoutError::Payment)?;
        }
        let id = reservation(order)?;
        for line in &order.lines {
            // Only what was paid can have been sold.
            let released = if order.paid {
                self.inventory.take_back(&line.sku, &id).await
            } else {
                self.inventory.release(&line.sku, &id).await
            };
            // Any other error says that nothing is held: no stock is kept of it, or the id is not ours.
            if let Err(SettleError::Inventory(InventoryError::Store(error))) = released {
                return Err(error.into());
            }
        }
        let order = self.move_to(order, OrderState::Cancelled, &[]).await?;
        self.unschedule(&order.id, "").await?;
        Ok(order)
    }

    /// Decides that the order is to be cancelled, unless somebody has decided otherwise since it was read.
    pub(super) async fn give_up<P: std::error::Error>(
        &self,
        order: &Order,
        reason: Reason,
    ) -> Result<Order, CheckoutError<P>> {
        self.move_to(order, OrderState::Cancelling, &[("reason", &reason.to_string())]).await
    }

    /// Moves the order on, if it is still in the state in which it was read; returns it as it is now.
    async fn move_to<P: std::error::Error>(
        &self,
        order: &Order,
        to: OrderState,
        fields: &[(&str, &str)],
    ) -> Result<Order, CheckoutError<P>> {
        let mut call = MOVE.key(self.keys.order(&order.id));
        call.arg(order.state.to_string()).arg(to.to_string());
        call.arg(if to.is_finished() { milliseconds(KEPT).to_string() } else { String::new() });
        for (field, value) in fields {
            call.arg(*field).arg(*value);
        }
        Ok(self.order(&order.id, &call).await?.1)
    }

    /// Whether the script has changed the order, and the order as it is now.
    async fn order<P: std::error::Error>(
        &self,
        id: &OrderId,
        call: &ScriptInvocation<'_>,
    ) -> Result<(bool, Order), CheckoutError<P>> {
        self.changed(id, script::run(call, &self.connection).await?)
    }

    fn changed<P: std::error::Error>(
        &self,
        id: &OrderId,
        mut reply: Reply,
    ) -> Result<(bool, Order), CheckoutError<P>> {
        match reply.outcome.as_str() {
            "ORDER" => {
                let changed = reply.next()?;
                let stored: Vec<(String, String)> = reply.next()?;
                Ok((changed, Order::parse(id, &self.keys.order(id), &stored)?))
            }
            "UNKNOWN" => Err(CheckoutError::UnknownOrder(id.clone())),
            _ => Err(reply.into_error().into()),
        }
    }
}

/// The lines of a cart, if they cost what the customer has agreed to.
fn agreed_lines<P: std::error::Error>(
    view: &CartView,
    agreed: Agreed,
) -> Result<Vec<OrderLine>, CheckoutError<P>> {
    let (mut lines, mut changes, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for line in &view.lines {
        let Some(now) = line.unit_price else {
            gone.push(line.sku.clone());
            continue;
        };
        if let LineState::PriceChanged { was } = line.state {
            changes.push(PriceChange { sku: line.sku.clone(), was, now });
        }
        let units = Quantity::new(line.quantity)
            .map_err(|_| StoreError::malformed("the cart", &format!("the quantity of {}", line.sku)))?;
        lines.push(OrderLine { sku: line.sku.clone(), units, unit_price: now });
    }
    let fine = match agreed {
        Agreed::PricesSeen => changes.is_empty(),
        Agreed::Total(total) => total == view.total,
    };
    match () {
        () if !gone.is_empty() => Err(CheckoutError::NoLongerSold(gone)),
        () if lines.is_empty() => Err(CheckoutError::EmptyCart),
        () if !fine => Err(CheckoutError::PricesChanged { changes, total: view.total }),
        () => Ok(lines),
    }
}

/// The id of an order's holds: its own, since a hold's id is one of its product.
fn reservation(order: &Order) -> Result<ReservationId, StoreError> {
    order.id.as_str().parse().map_err(|_| StoreError::malformed("an order", order.id.as_str()))
}
