use redis::aio::ConnectionLike;

use super::buy::{Answer, purchase};
use super::{FlashSale, GIVE_BACK, LEAVE, PLACE};
use crate::store::{Reply, holds_store_error};
use crate::{CustomerId, OrderId, StoreError};

/// A place in the line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The customer's number: 1 for the first who ever had to wait, and no number is left out.
    pub number: u64,
    /// How many are before him now.
    pub ahead: u64,
    /// The order that is bought when it is his turn.
    pub order: OrderId,
    /// Its units.
    pub units: u32,
}

impl Place {
    /// Reads what the scripts keep as `number units order`, and then how many are ahead.
    pub(super) fn of(reply: &mut Reply, key: &str) -> Result<Self, StoreError> {
        let ticket: String = reply.next()?;
        let ahead: Option<u64> = reply.next()?;
        let mut words = ticket.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (number, units, order) = (word().parse().ok(), word().parse().ok(), word().parse().ok());
        match (number, units, order, ahead) {
            (Some(number), Some(units), Some(order), Some(ahead)) => Ok(Self { number, ahead, order, units }),
            _ => Err(StoreError::malformed(key, &ticket)),
        }
    }
}

/// A customer who waited and has got his units: somebody to tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Served {
    /// Who.
    pub customer: CustomerId,
    /// The order he waited with. If he asks again for it, he is told that he bought it.
    pub order: OrderId,
    /// The number he had in line.
    pub number: u64,
    /// The units he has got.
    pub units: u32,
}

impl Served {
    /// Reads `customer:order:number:units`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let customer = parts.next()?.parse().ok()?;
        let order = parts.next()?.parse().ok()?;
        let (number, units) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { customer, order, number, units })
    }
}

/// A purchase that was taken back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GaveBack {
    /// The units that came back.
    pub units: u32,
    /// Who has got them since, in the order of the line.
    pub served: Vec<Served>,
}

impl<C: ConnectionLike + Clone> FlashSale<C> {
    /// Takes a purchase back. While the sale is on, its units go to those in line, the first first; who is first and
    /// waits for more than there is keeps everybody behind him waiting, as he would in a shop. What is not taken is for
    /// sale again. Who asks twice gets the same answer, and the units come back once.
    ///
    /// One round trip; its script takes longer with each customer it serves, of whom there are at most as many as units.
    pub async fn give_back(&self, customer: &CustomerId, order: &OrderId) -> Result<GaveBack, GiveBackError> {
        let mut call = self.call(&GIVE_BACK);
        call.arg(customer.as_str()).arg(purchase(customer, order));
        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "GIVEN_BACK" => {
                let answer: String = reply.next()?;
                let Some(Answer::GivenBack(units, served)) = Answer::parse(&answer) else {
                    return Err(self.malformed_purchase(&answer).into());
                };
                let served: Option<Vec<Served>> = served.into_iter().map(Served::parse).collect();
                let served = served.ok_or_else(|| self.malformed_purchase(&answer))?;
                Ok(GaveBack { units, served })
            }
            "UNKNOWN" | "NO_SALE" => Err(GiveBackError::Unknown(order.clone())),
            _ => Err(reply.into_error().into()),
        }
    }

    /// Where the customer stands, `None` if he does not wait.
    pub async fn place(&self, customer: &CustomerId) -> Result<Option<Place>, StoreError> {
        let keys = self.keys.flash_sale();
        let mut call = PLACE.key(&keys.line);
        call.key(&keys.tickets).arg(customer.as_str());
        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "WAITING" => Place::of(&mut reply, &keys.tickets).map(Some),
            "NOT_IN_LINE" => Ok(None),
            _ => Err(reply.into_error()),
        }
    }

    /// Gives up the customer's place. Whoever was behind him and is content with what is left gets it, and is returned.
    pub async fn leave(&self, customer: &CustomerId) -> Result<Vec<Served>, LeaveError> {
        let mut call = self.call(&LEAVE);
        call.arg(customer.as_str());
        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "LEFT" => {
                let mut served = Vec::new();
                while let Some(text) = reply.next::<Option<String>>()? {
                    served.push(Served::parse(&text).ok_or_else(|| self.malformed_purchase(&text))?);
                }
                Ok(served)
            }
            "NOT_IN_LINE" | "NO_SALE" => Err(LeaveError::NotInLine),
            _ => Err(reply.into_error().into()),
        }
    }

    fn malformed_purchase(&self, text: &str) -> StoreError {
        StoreError::malformed(&self.keys.flash_sale().bought, text)
    }
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GiveBackError {
    /// The customer has bought nothing under this order; he may wait with it.
    #[error("nothing was bought under the order {0}")]
    Unknown(OrderId),
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(GiveBackError);

/// Why nobody left the line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaveError {
    /// He was not in it, or has been served.
    #[error("you are not in the line")]
    NotInLine,
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(LeaveError);
