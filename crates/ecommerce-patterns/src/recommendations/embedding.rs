//! Vectors without a model (random indexing).

use patterns::bought_together::Related;

/// Numbers of a vector.
const DIMENSIONS: usize = 64;

/// A vector of 64 numbers and of length 1, for a product or a customer.
///
/// Each trait, such as `category:Books` or `with:PROD7`, has its own direction: 64 signs from a hash of its name, so two traits are
/// nearly at right angles. A vector is the weighted sum of its traits' directions. So products that share traits point the same
/// way, and the same traits make the same vector on every machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding([f32; DIMENSIONS]);

impl Embedding {
    /// The vector of weighted traits; `None` if they add up to nothing.
    pub fn of<'a>(traits: impl IntoIterator<Item = (&'a str, f32)>) -> Option<Self> {
        let mut sum = [0.0; DIMENSIONS];
        for (name, weight) in traits {
            let signs = hash(name);
            for (index, number) in sum.iter_mut().enumerate() {
                *number += if signs >> index & 1 == 1 { weight } else { -weight };
            }
        }
        Self::of_length_one(sum)
    }

    /// The vector of a product: its category, itself, and its neighbors with their scores.
    pub fn of_product(sku: &str, category: &str, neighbors: &[Related]) -> Option<Self> {
        let mut traits = vec![(format!("category:{category}"), 1.0), (format!("with:{sku}"), 1.0)];
        for neighbor in neighbors {
            #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more digits")]
            traits.push((format!("with:{}", neighbor.sku), neighbor.score as f32));
        }
        Self::of(traits.iter().map(|(name, weight)| (name.as_str(), *weight)))
    }

    /// The mean of others, such as that of what a customer bought. `None` if there are none.
    pub fn between<'a>(others: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut sum = [0.0; DIMENSIONS];
        for other in others {
            for (number, more) in sum.iter_mut().zip(other.0) {
                *number += more;
            }
        }
        Self::of_length_one(sum)
    }

    /// The numbers.
    pub fn numbers(&self) -> &[f32] {
        &self.0
    }

    fn of_length_one(numbers: [f32; DIMENSIONS]) -> Option<Self> {
        let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
        let usable = length.is_finite() && length > f32::EPSILON;
        usable.then(|| Self(numbers.map(|number| number / length)))
    }
}

/// FNV-1a, then the finish of splitmix64, which spreads its bits: a fixed function, unlike the hash of the standard library.
fn hash(text: &str) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, fnv).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}
