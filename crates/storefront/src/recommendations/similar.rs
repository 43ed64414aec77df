use std::collections::{BTreeMap, BTreeSet};

use redis::aio::ConnectionLike;

use super::{Interests, Purchases, Scored, best};
use crate::store::StoreError;
use crate::together::together;
use crate::{CustomerId, Keys, Sku};

/// How much is looked at: things of the customer, people of each thing, and people compared in the end. So a question costs
/// at most 20 reads of 100 names and 100 reads of up to 50, whatever the size of the shop.
const MOST_THINGS: usize = 20;
const PEOPLE_OF_EACH: usize = 100;
const MOST_COMPARED: usize = 100;
const THINGS_OF_EACH: usize = 50;
/// From how many similar customers products are recommended.
const MOST_ADVISERS: usize = 30;

/// By what customers are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Basis {
    /// What they say they like.
    Interests,
    /// What they bought.
    Purchases,
}

/// Who is like this customer, and what do those buy?
///
/// The naive way compares a customer with every other. Here an index leads from each thing he likes (or bought) to the newest
/// people who like it too; those who share most with him are compared by the Jaccard index, things in common divided by
/// things of either: 0 to 1.
#[derive(Clone, Debug)]
pub struct SimilarCustomers<C> {
    connection: C,
    keys: Keys,
    basis: Basis,
}

/// Somebody like the customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Similar {
    /// Who.
    pub customer: CustomerId,
    /// The Jaccard index, above 0, at most 1.
    pub similarity: f64,
}

impl<C: ConnectionLike + Clone> SimilarCustomers<C> {
    /// The customers under `keys`, compared by this.
    pub fn new(connection: C, keys: Keys, basis: Basis) -> Self {
        Self { connection, keys, basis }
    }

    /// Who is most like this customer, at most `count` and at most 100; among equals by id. Three round trips; on a cluster the
    /// second and third are one for each thing and each candidate, all in flight at once.
    pub async fn to(&self, customer: &CustomerId, count: usize) -> Result<Vec<Similar>, StoreError> {
        let Some(own) = self.things_of(std::slice::from_ref(customer)).await?.pop() else {
            return Ok(Vec::new());
        };
        let candidates = self.candidates(customer, &own).await?;
        let things = self.things_of(&candidates).await?;
        let compare = |(customer, things): (CustomerId, BTreeSet<String>)| {
            let similarity = jaccard(&own, &things);
            (similarity > 0.0).then_some(Similar { customer, similarity })
        };
        let mut similar: Vec<Similar> = candidates.into_iter().zip(things).filter_map(compare).collect();
        similar
            .sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then_with(|| a.customer.cmp(&b.customer)));
        similar.truncate(count);
        Ok(similar)
    }

    /// What the 30 customers most like this one bought, and he did not; each vote weighs as much as its voter is like him.
    /// Five round trips.
    pub async fn recommend(&self, customer: &CustomerId, count: usize) -> Result<Vec<Scored>, StoreError> {
        let similar = self.to(customer, MOST_ADVISERS).await?;
        let purchases = Purchases::new(self.connection.clone(), self.keys.clone());
        let own = purchases.of(customer, usize::MAX).await?;
        let people: Vec<CustomerId> = similar.iter().map(|similar| similar.customer.clone()).collect();
        let mut scores = BTreeMap::<Sku, f64>::new();
        for (adviser, bought) in similar.iter().zip(purchases.of_many(&people, THINGS_OF_EACH).await?) {
            for sku in bought {
                if !own.contains(&sku) {
                    *scores.entry(sku).or_default() += adviser.similarity;
                }
            }
        }
        Ok(best(scores, count))
    }

    /// Those who share the most things with the customer, as the indexes say.
    async fn candidates(
        &self,
        customer: &CustomerId,
        own: &BTreeSet<String>,
    ) -> Result<Vec<CustomerId>, StoreError> {
        let things: BTreeSet<String> = own.iter().take(MOST_THINGS).cloned().collect();
        let (connection, keys) = (self.connection.clone(), self.keys.clone());
        let people = match self.basis {
            Basis::Interests => Interests::new(connection, keys).interested(&things, PEOPLE_OF_EACH).await?,
            Basis::Purchases => Purchases::new(connection, keys).buyers(&things, PEOPLE_OF_EACH).await?,
        };
        let mut shared = BTreeMap::<String, usize>::new();
        for person in people.into_iter().flatten() {
            *shared.entry(person).or_default() += 1;
        }
        shared.remove(customer.as_str());
        let mut candidates: Vec<(String, usize)> = shared.into_iter().collect();
        candidates.sort_by(|(a, few), (b, many)| many.cmp(few).then_with(|| a.cmp(b)));
        Ok(candidates.iter().take(MOST_COMPARED).filter_map(|(person, _)| person.parse().ok()).collect())
    }

    /// What each of these likes or bought.
    async fn things_of(&self, customers: &[CustomerId]) -> Result<Vec<BTreeSet<String>>, StoreError> {
        let read = |customer: &CustomerId| match self.basis {
            Basis::Interests => redis::cmd("SMEMBERS").arg(self.keys.interests(customer)).take(),
            Basis::Purchases => super::memory::newest(self.keys.purchases(customer), THINGS_OF_EACH),
        };
        let read = customers.iter().map(read).collect();
        Ok(together(&self.connection, self.keys.layout(), read).await?)
    }
}

/// Things in common divided by things of either; 0 where there are none.
fn jaccard(one: &BTreeSet<String>, other: &BTreeSet<String>) -> f64 {
    let common = one.intersection(other).count();
    let either = one.len() + other.len() - common;
    if either == 0 { 0.0 } else { common as f64 / either as f64 }
}
