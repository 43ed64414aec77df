//! The requests that every policy gets: the same ones, in the same order.

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// Products that customers look at.
const PRODUCTS: u32 = 4_000;
/// Requests of customers.
const CUSTOMERS: usize = 8_000;
/// After so many requests of customers, a scan has read [`SCAN_LENGTH`] records.
const SCAN_EVERY: usize = 2_000;
/// While a scan goes on, it reads four records for each request of a customer.
const SCAN_WIDTH: u32 = 4;
const SCAN_LENGTH: usize = 500 * SCAN_WIDTH as usize;
/// Requests that come at the same time.
const BATCH: usize = 50;

/// Requests in order. Each number is a key.
#[derive(Clone, Debug)]
pub struct Trace {
    requests: Vec<u32>,
}

impl Trace {
    /// Customers look at products. The second product is asked for half as often as the first, the third a third as often, and so on
    /// (Zipf's law).
    #[must_use]
    pub fn zipf(seed: u64) -> Self {
        Self { requests: Customers::new(seed).take(CUSTOMERS).collect() }
    }

    /// The same customers. Four times, an export also reads 2,000 records that nobody else asks for, each once.
    #[must_use]
    pub fn with_scans(seed: u64) -> Self {
        let mut requests = Vec::new();
        let mut next_record = PRODUCTS;
        for (number, product) in Customers::new(seed).take(CUSTOMERS).enumerate() {
            requests.push(product);
            if number % SCAN_EVERY >= SCAN_EVERY - SCAN_LENGTH / SCAN_WIDTH as usize {
                requests.extend(next_record..next_record + SCAN_WIDTH);
                next_record += SCAN_WIDTH;
            }
        }
        Self { requests }
    }

    /// Requests that come together, in order: first all of them look, then what was missing is stored.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.requests.chunks(BATCH)
    }

    /// How many requests there are.
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }
}

/// Hits of customers. What a scan reads can never be a hit, and the first quarter only warms the cache, so neither counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct HitRate {
    hits: usize,
    requests: usize,
}

impl HitRate {
    /// Counts a request of this batch.
    pub fn count(&mut self, trace: &Trace, batch: usize, key: u32, hit: bool) {
        if key < PRODUCTS && batch >= trace.batches().len() / 4 {
            self.requests += 1;
            self.hits += usize::from(hit);
        }
    }

    /// From 0 to 100.
    #[must_use]
    pub fn percent(&self) -> f64 {
        100.0 * self.hits as f64 / self.requests.max(1) as f64
    }
}

/// The products that customers ask for, one after the other.
struct Customers {
    random: StdRng,
    /// The product on each rank, and the weight of all ranks up to it.
    ranks: Vec<(u32, f64)>,
}

impl Customers {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut products: Vec<u32> = (0..PRODUCTS).collect();
        products.shuffle(&mut random);
        let weigh = |sum: &mut f64, (rank, product): (u32, u32)| {
            *sum += 1.0 / f64::from(rank);
            Some((product, *sum))
        };
        let ranks = (1..).zip(products).scan(0.0, weigh).collect();
        Self { random, ranks }
    }
}

impl Iterator for Customers {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (_, all) = *self.ranks.last()?;
        let point = self.random.random_range(0.0..all);
        let rank = self.ranks.partition_point(|(_, sum)| *sum <= point);
        self.ranks.get(rank).map(|(product, _)| *product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scans_change_nothing_for_customers() {
        let (calm, scanned) = (Trace::zipf(1), Trace::with_scans(1));
        let customers: Vec<u32> = scanned.requests.iter().copied().filter(|key| *key < PRODUCTS).collect();
        assert_eq!(customers, calm.requests);
        assert_eq!(scanned.len(), CUSTOMERS + 4 * SCAN_LENGTH);
    }

    #[test]
    fn few_products_get_most_requests() {
        let trace = Trace::zipf(1);
        let mut times = vec![0; PRODUCTS as usize];
        trace.requests.iter().for_each(|key| times[*key as usize] += 1);
        times.sort_unstable_by(|a, b| b.cmp(a));
        let popular: usize = times[..40].iter().sum();
        assert!((CUSTOMERS * 2 / 5..CUSTOMERS * 3 / 5).contains(&popular), "{popular}");
    }
}
