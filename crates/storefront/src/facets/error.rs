use super::MOST_VALUES;
use crate::store::holds_store_error;
use crate::{Cents, StoreError};

/// Why there is no page, or a product was not put.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FacetsError {
    /// More than [`Cents::MAX_PRICE`].
    #[error("the price {price} is too high: the most is {}", Cents::MAX_PRICE)]
    PriceTooHigh {
        /// The price.
        price: Cents,
    },
    /// More than [`MOST_VALUES`] values of one facet.
    #[error("{given} values of one facet are too many: the most is {MOST_VALUES}")]
    TooManyValues {
        /// How many were given.
        given: usize,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(FacetsError);
