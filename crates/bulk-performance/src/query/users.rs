//! The users that every question is about: written, removed, and what the right answers are.

use redis::RedisResult;
use redis::aio::ConnectionLike;
use serde_json::{Map, Value};

use crate::keys::Keys;
use crate::people::{CITIES, DEPARTMENTS, FIELDS, People, User};
use crate::stored;

/// The city that is asked about.
pub const CITY: usize = 0;
/// The department that is asked about.
pub const DEPARTMENT: usize = 0;
/// How many users one asks for by number.
const BY_NUMBER: u64 = 100;
/// Users on a page of the list by salary.
pub(super) const PAGE: usize = 100;
/// Users per pipeline.
const BATCH: usize = 1_000;

/// A place in the list by salary: lowest first, equal salaries in the order of their numbers as text, as Redis has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the user: the member.
    pub number: u64,
    /// Whole dollars a year: the score.
    pub salary: u32,
}

impl Place {
    /// Sorts as a Sorted Set does: by score, then by the bytes of the member.
    #[must_use]
    pub fn order(self) -> (u32, u64, u32) {
        // Text compares digit by digit: 10, 100, 11, 2. Filled up with zeros, numbers compare so too; of 1 and 10, the shorter
        // comes first.
        let digits = self.number.checked_ilog10().unwrap_or(0) + 1;
        (self.salary, self.number.saturating_mul(10_u64.pow(19_u32.saturating_sub(digits))), digits)
    }
}

/// A user as read: the values in the order of [`FIELDS`].
pub type Values = [String; 8];

/// Users 1 to `records`, their indexes, and the answers that follow from who they are.
#[derive(Clone, Debug)]
pub struct Users {
    keys: Keys,
    people: People,
    records: u64,
    asked: Vec<u64>,
    cursor: Option<Place>,
}

impl Users {
    /// Users 1 to `records`; nothing is written yet.
    #[must_use]
    pub fn new(keys: &Keys, records: u64) -> Self {
        let count = records.min(BY_NUMBER);
        let asked = (0..count).map(|index| 1 + index * records / count).collect();
        let mut users = Self { keys: keys.clone(), people: People::new(), records, asked, cursor: None };
        users.cursor =
            users.deep_start().checked_sub(1).and_then(|last| users.by_salary().get(last).copied());
        users
    }

    /// Their key names.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// How many there are.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The hundred numbers that are asked for, spread over all.
    #[must_use]
    pub fn asked(&self) -> &[u64] {
        &self.asked
    }

    /// Where the deep page begins: behind nine tenths of all.
    #[must_use]
    pub fn deep_start(&self) -> usize {
        usize::try_from(self.records * 9 / 10).unwrap_or(usize::MAX)
    }

    /// The last place before the deep page, which a reader of the pages before remembers.
    #[must_use]
    pub fn cursor(&self) -> Option<Place> {
        self.cursor
    }

    /// The number in the key of one of these users; none for any other key.
    #[must_use]
    pub fn number_of(&self, key: &str) -> Option<u64> {
        let digits = key.strip_prefix(&self.keys.user_prefix())?;
        let number: u64 = digits.parse().ok()?;
        ((1..=self.records).contains(&number) && number.to_string() == digits).then_some(number)
    }

    /// Everybody.
    pub fn all(&self) -> impl Iterator<Item = User<'_>> {
        (1..=self.records).map(|number| self.people.user(number))
    }

    /// The right answer: numbers of those in the city, ascending.
    #[must_use]
    pub fn in_city(&self) -> Vec<u64> {
        self.all().filter(|user| user.city == CITY).map(|user| user.number).collect()
    }

    /// The right answer: numbers of those in the city and in the department, ascending.
    #[must_use]
    pub fn in_both(&self) -> Vec<u64> {
        let both = |user: &User<'_>| user.city == CITY && user.department == DEPARTMENT;
        self.all().filter(both).map(|user| user.number).collect()
    }

    /// The right answer: the users that are asked for.
    #[must_use]
    pub fn asked_values(&self) -> Vec<Values> {
        self.asked.iter().map(|&number| self.people.user(number).values()).collect()
    }

    /// The right answer: everybody, lowest salary first.
    #[must_use]
    pub fn by_salary(&self) -> Vec<Place> {
        let mut places: Vec<Place> =
            self.all().map(|user| Place { number: user.number, salary: user.salary }).collect();
        places.sort_unstable_by_key(|place| place.order());
        places
    }

    /// The right answer: the average salary of the city, in cents.
    #[must_use]
    pub fn average_cents(&self) -> u64 {
        let salaries = self.all().filter(|user| user.city == CITY).map(|user| u64::from(user.salary));
        let (sum, count) = salaries.fold((0, 0), |(sum, count), salary| (sum + salary, count + 1));
        average_in_cents(sum, count)
    }

    /// Writes users, indexes, sums, and the JSON texts of the hundred that are asked for.
    pub async fn write(&self, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<()> {
        stored::write_users(&self.keys, &self.people, self.records, connection).await?;
        stored::write_indexes(&self.keys, &self.people, self.records, connection).await?;
        let everybody: Vec<User<'_>> = self.all().collect();
        for batch in everybody.chunks(BATCH) {
            let mut pipeline = redis::pipe();
            for user in batch {
                let salaries = self.keys.city_salaries(CITIES[user.city]);
                pipeline.cmd("SADD").arg(self.keys.all_users()).arg(user.number).ignore();
                pipeline.cmd("HINCRBY").arg(&salaries).arg("sum").arg(user.salary).ignore();
                pipeline.cmd("HINCRBY").arg(&salaries).arg("count").arg(1).ignore();
            }
            pipeline.exec_async(connection).await?;
        }
        let mut pipeline = redis::pipe();
        for (&number, values) in self.asked.iter().zip(self.asked_values()) {
            pipeline.cmd("SET").arg(self.keys.user_json(number)).arg(to_json(&values)).ignore();
        }
        pipeline.exec_async(connection).await
    }

    /// Removes exactly what [`Users::write`] wrote, and the stored intersection.
    pub async fn remove(&self, connection: &mut (impl ConnectionLike + Send)) -> RedisResult<()> {
        stored::remove_users(&self.keys, self.records, connection).await?;
        let mut names = stored::index_keys(&self.keys);
        names.push(self.keys.all_users());
        names.extend(CITIES.map(|city| self.keys.city_salaries(city)));
        names.extend(self.asked.iter().map(|&number| self.keys.user_json(number)));
        names.push(self.keys.city_and_department(CITIES[CITY], DEPARTMENTS[DEPARTMENT]));
        let mut pipeline = redis::pipe();
        for name in names {
            pipeline.cmd("UNLINK").arg(name).ignore();
        }
        pipeline.exec_async(connection).await
    }
}

/// Rounded half up; 0 without anybody.
#[must_use]
pub(super) fn average_in_cents(dollars: u64, count: u64) -> u64 {
    (dollars * 100 + count / 2).checked_div(count).unwrap_or(0)
}

fn to_json(values: &Values) -> String {
    let fields = FIELDS.iter().zip(values);
    let object: Map<String, Value> =
        fields.map(|(field, value)| ((*field).to_owned(), Value::from(value.as_str()))).collect();
    Value::Object(object).to_string()
}

/// The values in a JSON text; what is missing is empty.
pub(super) fn from_json(text: &str) -> Values {
    let object: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    FIELDS.map(|field| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_salaries_stand_in_the_order_of_their_numbers_as_text() {
        let numbers = (1..=2_000).chain([9_999_999, 10_000_000, 10_000_001]);
        let mut places: Vec<Place> = numbers.map(|number| Place { number, salary: 50_000 }).collect();
        let mut by_text = places.clone();
        places.sort_by_key(|place| place.order());
        by_text.sort_by_key(|place| place.number.to_string());
        assert_eq!(places, by_text);
    }

    #[test]
    fn only_the_keys_of_these_users_have_a_number() {
        let users = Users::new(&Keys::new("lab:"), 50);
        assert_eq!(users.number_of("lab:user:50"), Some(50));
        for other in [
            "lab:user:51",
            "lab:user:0",
            "lab:user:07",
            "lab:user:7:cart",
            "lab:user:+7",
            "user:7",
            "lab:user:",
        ] {
            assert_eq!(users.number_of(other), None, "{other}");
        }
    }

    #[test]
    fn an_average_is_rounded_half_up_and_nobody_earns_nothing() {
        assert_eq!(average_in_cents(0, 0), 0);
        assert_eq!(average_in_cents(100, 3), 3_333);
        assert_eq!(average_in_cents(200, 3), 6_667);
        assert_eq!(average_in_cents(1, 200), 1);
    }

    #[test]
    fn a_user_survives_json() {
        let values = People::new().user(1).values();
        assert_eq!(from_json(&to_json(&values)), values);
    }
}
