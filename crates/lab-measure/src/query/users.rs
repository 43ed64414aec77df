//! The users that every question is about, and the right answers, which follow from who the users are.

use lab_connection::{Connection, own_keys};
use redis::RedisResult;
use serde_json::{Map, Value};

use crate::Timed;
use crate::keys::Keys;
use crate::people::{CITIES, DEPARTMENTS, FIELDS, People, User};
use crate::stored;

/// The index in [`CITIES`] that every query uses.
pub const CITY: usize = 0;
/// The index in [`DEPARTMENTS`] that every query uses.
pub const DEPARTMENT: usize = 0;
/// Users on a page of the list by salary.
pub const PAGE: usize = 100;
/// The most users that are read by number.
pub const SELECTED: usize = 100;

/// A user in the list by salary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserSalary {
    /// The user's number: the member.
    pub number: u64,
    /// Whole dollars a year: the score.
    pub salary: u32,
}

impl UserSalary {
    /// Sorts as a Sorted Set does: by score, then by the bytes of the member.
    pub fn sort_key(self) -> (u32, u64, u32) {
        // Members compare as text: 10, 100, 11, 2. Padding with zeros on the right gives that order; of 1 and 10, the shorter
        // comes first.
        let digits = self.number.checked_ilog10().unwrap_or(0) + 1;
        (self.salary, self.number.saturating_mul(10_u64.pow(19_u32.saturating_sub(digits))), digits)
    }
}

/// A user's values in the order of [`FIELDS`].
pub type Values = [String; 8];

/// Users 1 to `records`, their indexes, and the right answers.
#[derive(Clone, Debug)]
pub struct Users {
    /// Their key names.
    pub keys: Keys,
    /// How many users there are.
    pub records: u64,
    /// The numbers of the users that are read by number.
    pub selected: Vec<u64>,
    /// The last user before the deep page. A client that read the page before remembers it.
    pub cursor: Option<UserSalary>,
    people: People,
}

impl Users {
    /// Users 1 to `records`, of which `selected` are read by number, [`SELECTED`] at most. Nothing is written yet.
    pub fn new(keys: &Keys, records: u64, selected: usize) -> Self {
        let count = records.min(SELECTED as u64);
        let selected = (0..count).map(|index| 1 + index * records / count).take(selected).collect();
        let mut users = Self { keys: keys.clone(), people: People::new(), records, selected, cursor: None };
        users.cursor =
            users.deep_start().checked_sub(1).and_then(|last| users.by_salary().get(last).copied());
        users
    }

    /// The numbers of all users.
    pub fn numbers(&self) -> Vec<u64> {
        (1..=self.records).collect()
    }

    /// The index of the deep page's first user, behind nine tenths of all.
    pub fn deep_start(&self) -> usize {
        usize::try_from(self.records * 9 / 10).unwrap_or(usize::MAX)
    }

    /// The numbers of these users among `keys`. Other clients may keep keys with similar names.
    pub fn numbers_in(&self, keys: &[impl AsRef<[u8]>]) -> Vec<u64> {
        let numbers = keys.iter().filter_map(|key| self.keys.number_in(key.as_ref()));
        numbers.filter(|number| *number <= self.records).collect()
    }

    /// Every user.
    pub fn all(&self) -> impl Iterator<Item = User<'_>> {
        (1..=self.records).map(|number| self.people.user(number))
    }

    /// The numbers of the users in the city, ascending; with `department`, only those who work in the department.
    pub fn in_city(&self, department: bool) -> Vec<u64> {
        let matches = |user: &User<'_>| user.city == CITY && (!department || user.department == DEPARTMENT);
        self.all().filter(matches).map(|user| user.number).collect()
    }

    /// The values of the selected users.
    pub fn selected_values(&self) -> Vec<Values> {
        self.selected.iter().map(|&number| self.people.user(number).values()).collect()
    }

    /// Every user, the lowest salary first.
    pub fn by_salary(&self) -> Vec<UserSalary> {
        let mut salaries: Vec<UserSalary> =
            self.all().map(|user| UserSalary { number: user.number, salary: user.salary }).collect();
        salaries.sort_unstable_by_key(|user| user.sort_key());
        salaries
    }

    /// The average salary in the city, in cents.
    pub fn average_cents(&self) -> u64 {
        let salaries = self.all().filter(|user| user.city == CITY).map(|user| u64::from(user.salary));
        let (sum, count) = salaries.fold((0, 0), |(sum, count), salary| (sum + salary, count + 1));
        average_in_cents(sum, count)
    }

    /// Writes the users, their indexes and sums, and the JSON texts of the selected ones.
    pub fn write<'a>(&'a self, redis: &'a mut Connection) -> Timed<'a, RedisResult<()>> {
        Box::pin(async move {
            stored::write_users(&self.keys, &self.people, self.records, redis).await?;
            stored::write_indexes(&self.keys, &self.people, self.records, redis).await?;
            stored::in_batches(self.records, redis, |number, pipeline| {
                let user = self.people.user(number);
                let salaries = self.keys.city_salaries(CITIES[user.city]);
                pipeline.sadd(self.keys.all_users(), number).ignore();
                pipeline.hincr(&salaries, "sum", user.salary).ignore();
                pipeline.hincr(&salaries, "count", 1).ignore();
            })
            .await?;
            let mut pipeline = redis::pipe();
            for (&number, values) in self.selected.iter().zip(self.selected_values()) {
                pipeline.set(self.keys.user_json(number), to_json(&values)).ignore();
            }
            pipeline.exec_async(redis).await
        })
    }

    /// Removes exactly what [`Users::write`] wrote, and the stored intersection.
    pub async fn remove(&self, redis: &mut Connection) -> RedisResult<()> {
        stored::remove_users(&self.keys, self.records, redis).await?;
        let mut names = stored::index_keys(&self.keys);
        names.push(self.keys.all_users());
        names.extend(CITIES.map(|city| self.keys.city_salaries(city)));
        names.extend(self.selected.iter().map(|&number| self.keys.user_json(number)));
        names.push(self.keys.city_and_department(CITIES[CITY], DEPARTMENTS[DEPARTMENT]));
        own_keys::unlink(redis, &names).await.map(|_removed| ())
    }
}

/// Rounded half up; 0 if there is nobody.
pub(super) fn average_in_cents(dollars: u64, count: u64) -> u64 {
    (dollars * 100 + count / 2).checked_div(count).unwrap_or(0)
}

fn to_json(values: &Values) -> String {
    let fields = FIELDS.iter().zip(values);
    let object: Map<String, Value> =
        fields.map(|(field, value)| ((*field).to_owned(), Value::from(value.as_str()))).collect();
    Value::Object(object).to_string()
}

/// The values in a JSON text; a missing one is empty.
pub(super) fn from_json(text: &str) -> Values {
    let object: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    FIELDS.map(|field| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_salaries_are_in_the_order_of_their_numbers_as_text() {
        let numbers = (1..=2_000).chain([9_999_999, 10_000_000, 10_000_001]);
        let mut users: Vec<UserSalary> =
            numbers.map(|number| UserSalary { number, salary: 50_000 }).collect();
        let mut by_text = users.clone();
        users.sort_by_key(|user| user.sort_key());
        by_text.sort_by_key(|user| user.number.to_string());
        assert_eq!(users, by_text);
    }

    #[test]
    fn only_keys_of_these_users_have_a_number() {
        let users = Users::new(&Keys::new("lab:"), 50, 1);
        assert_eq!(users.numbers_in(&["lab:user:50"]), [50]);
        let others = ["lab:user:51", "lab:user:0", "lab:user:07", "lab:user:7:cart", "lab:user:+7", "user:7"];
        assert!(users.numbers_in(&others).is_empty());
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
