//! What a customer has ticked, in which order, and which page of it.

use std::collections::BTreeSet;

use super::{FacetsError, MOST_ON_A_PAGE, MOST_VALUES, Stars};
use crate::{Cents, Label};

/// Prices from one to another, both included.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PriceRange {
    /// The lowest.
    pub from: Cents,
    /// The highest. Below `from` there is no price in the range.
    pub to: Cents,
}

/// What was ticked. Of the values of one facet a product needs one; of each facet with values, that. Nothing ticked is
/// the whole catalogue. At most [`MOST_VALUES`] values of each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// Brands.
    pub brands: BTreeSet<Label>,
    /// Categories.
    pub categories: BTreeSet<Label>,
    /// Prices. They may overlap.
    pub prices: Vec<PriceRange>,
    /// Ratings.
    pub ratings: BTreeSet<Stars>,
}

impl Selection {
    pub(super) fn check(&self) -> Result<(), FacetsError> {
        for given in [self.brands.len(), self.categories.len(), self.prices.len()] {
            if given > MOST_VALUES {
                return Err(FacetsError::TooManyValues { given });
            }
        }
        Ok(())
    }

    /// The prices as ranges that do not overlap, so that no product is in two of them.
    pub(super) fn disjoint_prices(&self) -> Vec<PriceRange> {
        let mut ranges: Vec<PriceRange> =
            self.prices.iter().copied().filter(|range| range.from <= range.to).collect();
        ranges.sort_unstable();
        let mut disjoint: Vec<PriceRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match disjoint.last_mut() {
                Some(last) if range.from <= last.to => last.to = last.to.max(range.to),
                _ => disjoint.push(range),
            }
        }
        disjoint
    }
}

/// In which order. Products that are equal in it come in the order of their SKUs by bytes, ascending or descending like
/// the order itself; so every product has one place, and no page repeats one of another.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// The most popular first.
    #[default]
    Popularity,
    /// The cheapest first.
    PriceAscending,
    /// The dearest first.
    PriceDescending,
    /// Most stars first.
    Rating,
    /// What was put last for the first time.
    Newest,
    /// By the bytes of the name.
    Name,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 6] = [
        Self::Popularity,
        Self::PriceAscending,
        Self::PriceDescending,
        Self::Rating,
        Self::Newest,
        Self::Name,
    ];
}

/// Which products of the result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PageOf {
    /// How many to leave out before the page.
    pub offset: u32,
    /// How many to show: at most [`MOST_ON_A_PAGE`], more counts as that. None at all is fine: the counts alone.
    pub limit: u32,
}

impl PageOf {
    /// The first page of this size.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { offset: 0, limit }
    }

    /// The page after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self { offset: self.offset.saturating_add(self.shown()), ..self }
    }

    pub(super) fn shown(self) -> u32 {
        self.limit.min(MOST_ON_A_PAGE)
    }
}
