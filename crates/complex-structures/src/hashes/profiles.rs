//! Customers and their profiles: made up, but the same on every run and every machine.

use fake::Fake;
use fake::faker::address::en::{CityName, StreetName};
use fake::faker::name::en::{FirstName, LastName};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::aio::ConnectionLike;
use redis::{Pipeline, RedisResult};

use crate::keys::Keys;

/// The first number in the sequence of the generator; another one makes other customers.
const SEED: u64 = 7;
/// The customers of the comparison have the numbers from here on.
const FIRST_ID: u64 = 1001;
const DEPARTMENTS: [&str; 5] = ["audio", "garden", "kitchen", "office", "travel"];

/// What a list of customers shows of each.
pub const WANTED: [&str; 3] = ["firstname", "lastname", "city"];

/// Field and value, in the order in which they are written.
pub type Fields = Vec<(&'static str, String)>;

/// Customers, and where their profiles are stored.
#[derive(Clone, Debug)]
pub struct Profiles {
    ids: Vec<u64>,
    fields: Vec<Fields>,
    keys: Keys,
}

impl Profiles {
    /// The customers 1001 and following.
    #[must_use]
    pub fn with(count: usize, keys: &Keys) -> Self {
        let ids: Vec<u64> = (FIRST_ID..).take(count).collect();
        Self { fields: ids.iter().copied().map(profile).collect(), ids, keys: keys.clone() }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ids.len()
    }

    /// Their Hashes, in order.
    #[must_use]
    pub fn hashes(&self) -> Vec<String> {
        self.ids.iter().map(|&id| self.keys.profile(id)).collect()
    }

    /// The keys of these properties, customer by customer.
    #[must_use]
    pub fn property_keys(&self, properties: &[&str]) -> Vec<String> {
        let of = |id| properties.iter().map(move |property| self.keys.profile_property(id, property));
        self.ids.iter().copied().flat_map(of).collect()
    }

    /// The names of all properties.
    #[must_use]
    pub fn properties(&self) -> Vec<&'static str> {
        self.fields.first().into_iter().flatten().map(|(name, _)| *name).collect()
    }

    /// Writes each profile as one Hash.
    pub async fn fill_hashes(&self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        let mut pipeline = Pipeline::new();
        for (key, fields) in self.hashes().iter().zip(&self.fields) {
            pipeline.cmd("HSET").arg(key).arg(fields).ignore();
        }
        pipeline.exec_async(connection).await
    }

    /// Writes each property of each profile as a string.
    pub async fn fill_property_keys(&self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        let mut pipeline = Pipeline::new();
        for (&id, fields) in self.ids.iter().zip(&self.fields) {
            for (property, value) in fields {
                pipeline.cmd("SET").arg(self.keys.profile_property(id, property)).arg(value).ignore();
            }
        }
        pipeline.exec_async(connection).await
    }
}

/// The profile of the customer with this number; the same on every run. The first is Parker Perry. No value is longer than 64 bytes.
#[must_use]
pub fn profile(id: u64) -> Fields {
    let rng = &mut StdRng::seed_from_u64(SEED.wrapping_add(id));
    let mut firstname: String = FirstName().fake_with_rng(rng);
    let mut lastname: String = LastName().fake_with_rng(rng);
    if id == 1 {
        (firstname, lastname) = ("Parker".into(), "Perry".into());
    }
    let city: String = CityName().fake_with_rng(rng);
    let street: String = StreetName().fake_with_rng(rng);
    let email = format!("{firstname}.{lastname}.{id}@example.com").to_lowercase();
    let number: u32 = rng.random_range(1..200);
    let signup = format!("2024-{:02}-{:02}", rng.random_range(1..=12), rng.random_range(1..=28));
    vec![
        ("firstname", firstname),
        ("lastname", lastname),
        ("email", email),
        ("age", rng.random_range(18..90).to_string()),
        ("street", format!("{street} {number}")),
        ("city", city),
        ("department", DEPARTMENTS[rng.random_range(0..DEPARTMENTS.len())].to_owned()),
        ("signup", signup),
        ("visits", rng.random_range(1..500).to_string()),
        ("about", format!("Likes to buy for the {} on weekends.", ["garden", "house"][number as usize % 2])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_always_gives_the_same_profile() {
        assert_eq!(profile(1001), Profiles::with(1, &Keys::new("")).fields[0]);
        assert_ne!(profile(1001), profile(1002));
    }

    #[test]
    fn every_profile_has_what_is_wanted_and_stays_small() {
        for fields in (1..300).map(profile) {
            assert!(fields.iter().all(|(_, value)| (1..=64).contains(&value.len())), "{fields:?}");
            assert!(WANTED.iter().all(|wanted| fields.iter().any(|(name, _)| name == wanted)), "{fields:?}");
        }
    }
}
