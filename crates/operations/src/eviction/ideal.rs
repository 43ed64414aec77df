//! What exact LRU and exact LFU would have kept, without a server.

use std::collections::{BTreeSet, HashMap};

use super::trace::{HitRate, Trace};

/// Which key goes first.
#[derive(Clone, Copy, Debug)]
pub enum Ideal {
    /// The one that was not used for the longest time.
    Lru,
    /// The one that was used least often since the trace began; of several, the one that was not used for the longest time. It also
    /// remembers how often keys were used that it no longer has.
    Lfu,
}

/// The hit rate of a cache that has room for so many keys.
#[must_use]
pub fn hit_rate(ideal: Ideal, trace: &Trace, capacity: usize) -> HitRate {
    let mut cache = Cache::new(ideal, capacity);
    let mut rate = HitRate::default();
    for (number, batch) in trace.batches().enumerate() {
        let found: Vec<bool> = batch.iter().map(|&key| cache.get(key)).collect();
        for (&key, hit) in batch.iter().zip(found) {
            rate.count(trace, number, key, hit);
            if !hit {
                cache.set(key);
            }
        }
    }
    rate
}

/// The smallest goes first.
type Rank = (u64, u64);

struct Cache {
    ideal: Ideal,
    capacity: usize,
    now: u64,
    uses: HashMap<u32, u64>,
    ranks: HashMap<u32, Rank>,
    order: BTreeSet<(Rank, u32)>,
}

impl Cache {
    fn new(ideal: Ideal, capacity: usize) -> Self {
        let (uses, ranks) = (HashMap::new(), HashMap::new());
        Self { ideal, capacity, now: 0, uses, ranks, order: BTreeSet::new() }
    }

    fn get(&mut self, key: u32) -> bool {
        self.now += 1;
        *self.uses.entry(key).or_default() += 1;
        let hit = self.ranks.contains_key(&key);
        if hit {
            self.rank(key);
        }
        hit
    }

    fn set(&mut self, key: u32) {
        if self.ranks.len() >= self.capacity
            && !self.ranks.contains_key(&key)
            && let Some((_, first)) = self.order.pop_first()
        {
            self.ranks.remove(&first);
        }
        self.rank(key);
    }

    fn rank(&mut self, key: u32) {
        let rank = match self.ideal {
            Ideal::Lru => (self.now, 0),
            Ideal::Lfu => (self.uses.get(&key).copied().unwrap_or_default(), self.now),
        };
        if let Some(old) = self.ranks.insert(key, rank) {
            self.order.remove(&(old, key));
        }
        self.order.insert((rank, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ideal: Ideal, keys: &[u32]) -> Vec<u32> {
        let mut cache = Cache::new(ideal, 2);
        for &key in keys {
            if !cache.get(key) {
                cache.set(key);
            }
        }
        let mut kept: Vec<u32> = cache.ranks.keys().copied().collect();
        kept.sort_unstable();
        kept
    }

    #[test]
    fn lru_keeps_what_was_used_last_and_lfu_what_was_used_most() {
        assert_eq!(kept(Ideal::Lru, &[1, 1, 1, 2, 3]), [2, 3]);
        assert_eq!(kept(Ideal::Lfu, &[1, 1, 1, 2, 3]), [1, 3]);
        assert_eq!(kept(Ideal::Lru, &[1, 2, 1, 3]), [1, 3]);
    }

    #[test]
    fn a_cache_with_room_for_all_misses_each_key_once() {
        let trace = Trace::zipf(1);
        let (lru, lfu) = (hit_rate(Ideal::Lru, &trace, 4_000), hit_rate(Ideal::Lfu, &trace, 4_000));
        assert!((lru.percent() - lfu.percent()).abs() < 1e-9);
        assert!(hit_rate(Ideal::Lru, &trace, 500).percent() < lru.percent());
    }
}
