//! The data set: users made from their number. A number always gives the same user, so nothing has to be stored to
//! write a hundred million of them, or to check each of them afterward.

use fake::Fake;
use fake::faker::name::en::{FirstName, LastName};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// The first number in the sequence of the generator; another one makes other people.
const SEED: u64 = 1;
/// How many first names, and how many last names.
const NAMES: usize = 128;

/// The fields of a user, in the order in which they are written.
pub const FIELDS: [&str; 8] =
    ["firstname", "lastname", "email", "age", "city", "department", "salary", "signup"];

/// Where users live. New York comes first because the documented sample query asks for it.
pub const CITIES: [&str; 10] = [
    "New York",
    "Los Angeles",
    "Chicago",
    "Houston",
    "Phoenix",
    "Philadelphia",
    "San Antonio",
    "San Diego",
    "Dallas",
    "Austin",
];

/// Where users work.
pub const DEPARTMENTS: [&str; 8] =
    ["Engineering", "Sales", "Marketing", "Support", "Finance", "Legal", "Operations", "Research"];

/// The lowest salary, in whole dollars a year.
pub const LOWEST_SALARY: u32 = 40_000;
/// The highest salary, in whole dollars a year.
pub const HIGHEST_SALARY: u32 = 160_000;

/// Everybody, numbered from 1.
#[derive(Clone, Debug)]
pub struct People {
    first_names: Vec<String>,
    last_names: Vec<String>,
}

impl Default for People {
    fn default() -> Self {
        Self::new()
    }
}

impl People {
    /// Makes the name lists; a few milliseconds.
    pub fn new() -> Self {
        let rng = &mut StdRng::seed_from_u64(SEED);
        let first_names = distinct(|| FirstName().fake_with_rng(rng));
        let last_names = distinct(|| LastName().fake_with_rng(rng));
        Self { first_names, last_names }
    }

    /// The traits of the user with this number, from 1. User 1 is Parker Perry of New York.
    pub fn user(&self, number: u64) -> User<'_> {
        let mut dice = Dice::for_number(number);
        let mut user = User {
            number,
            firstname: &self.first_names[dice.below(self.first_names.len())],
            lastname: &self.last_names[dice.below(self.last_names.len())],
            age: 18 + dice.small(63),
            city: dice.below(CITIES.len()),
            department: dice.below(DEPARTMENTS.len()),
            salary: LOWEST_SALARY + 100 * dice.small((HIGHEST_SALARY - LOWEST_SALARY) / 100 + 1),
            signup: (2018 + dice.small(7), 1 + dice.small(12), 1 + dice.small(28)),
        };
        if number == 1 {
            (user.firstname, user.lastname, user.city) = ("Parker", "Perry", 0);
        }
        user
    }

    /// A user with the longest values that anybody up to this number can have.
    pub fn longest(&self, number: u64) -> User<'_> {
        let longest = |texts: &mut dyn Iterator<Item = usize>| {
            texts.enumerate().max_by_key(|(_, length)| *length).map_or(0, |(index, _)| index)
        };
        let first = longest(&mut self.first_names.iter().map(String::len));
        let last = longest(&mut self.last_names.iter().map(String::len));
        User {
            number,
            firstname: &self.first_names[first],
            lastname: &self.last_names[last],
            city: longest(&mut CITIES.iter().map(|city| city.len())),
            department: longest(&mut DEPARTMENTS.iter().map(|department| department.len())),
            salary: HIGHEST_SALARY,
            ..self.user(number)
        }
    }
}

/// A user. Text that is not a name is made when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User<'a> {
    /// From 1.
    pub number: u64,
    /// First name.
    pub firstname: &'a str,
    /// Last name.
    pub lastname: &'a str,
    /// 18 to 80 years.
    pub age: u32,
    /// Index into [`CITIES`].
    pub city: usize,
    /// Index into [`DEPARTMENTS`].
    pub department: usize,
    /// Whole dollars a year, in steps of 100.
    pub salary: u32,
    /// Year, month, day.
    pub signup: (u32, u32, u32),
}

impl User<'_> {
    /// The values, in the order of [`FIELDS`].
    pub fn values(&self) -> [String; 8] {
        let mut record = Record::default();
        record.write(self);
        record.values().map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

/// The values of one user as text, in memory that is used again for the next: what a loader needs.
#[derive(Clone, Debug, Default)]
pub struct Record {
    bytes: Vec<u8>,
    ends: [usize; 8],
}

impl Record {
    /// Replaces the values by those of `user`.
    pub fn write(&mut self, user: &User<'_>) {
        let bytes = &mut self.bytes;
        bytes.clear();
        bytes.extend_from_slice(user.firstname.as_bytes());
        self.ends[0] = bytes.len();
        bytes.extend_from_slice(user.lastname.as_bytes());
        self.ends[1] = bytes.len();
        bytes.extend(user.firstname.bytes().map(|letter| letter.to_ascii_lowercase()));
        bytes.push(b'.');
        bytes.extend(user.lastname.bytes().map(|letter| letter.to_ascii_lowercase()));
        bytes.push(b'.');
        push_number(bytes, user.number);
        bytes.extend_from_slice(b"@example.com");
        self.ends[2] = bytes.len();
        push_number(bytes, user.age.into());
        self.ends[3] = bytes.len();
        bytes.extend_from_slice(CITIES[user.city].as_bytes());
        self.ends[4] = bytes.len();
        bytes.extend_from_slice(DEPARTMENTS[user.department].as_bytes());
        self.ends[5] = bytes.len();
        push_number(bytes, user.salary.into());
        self.ends[6] = bytes.len();
        let (year, month, day) = user.signup;
        push_number(bytes, year.into());
        bytes.push(b'-');
        push_two_digits(bytes, month);
        bytes.push(b'-');
        push_two_digits(bytes, day);
        self.ends[7] = bytes.len();
    }

    /// The values, in the order of [`FIELDS`].
    pub fn values(&self) -> [&[u8]; 8] {
        let mut start = 0;
        self.ends.map(|end| {
            let value = &self.bytes[start..end];
            start = end;
            value
        })
    }

    /// Appends the values to `text`, separated by commas, which no value contains.
    pub fn push_text(&self, text: &mut Vec<u8>) {
        for (index, value) in self.values().into_iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            text.extend_from_slice(value);
        }
    }
}

/// Appends a number in decimal digits.
pub fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    bytes.extend_from_slice(&digits[at..]);
}

fn push_two_digits(bytes: &mut Vec<u8>, number: u32) {
    if number < 10 {
        bytes.push(b'0');
    }
    push_number(bytes, number.into());
}

fn distinct(mut name: impl FnMut() -> String) -> Vec<String> {
    let mut names = Vec::with_capacity(NAMES);
    while names.len() < NAMES {
        let name = name();
        // Letters only, because names become e-mail addresses.
        if name.bytes().all(|byte| byte.is_ascii_alphabetic()) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Choices that depend on a number alone: splitmix64 (Steele, Lea and Flood, 2014), whose output is cut into pieces.
struct Dice {
    state: u64,
}

impl Dice {
    fn for_number(number: u64) -> Self {
        Self { state: number.wrapping_mul(0xA076_1D64_78BD_642F) ^ SEED }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `limit` - 1.
    fn small(&mut self, limit: u32) -> u32 {
        (((self.next() >> 32) * u64::from(limit)) >> 32) as u32
    }

    fn below(&mut self, limit: usize) -> usize {
        self.small(u32::try_from(limit).unwrap_or(u32::MAX)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_1_is_parker_perry_of_new_york() {
        let people = People::new();
        let values = people.user(1).values();
        assert_eq!(values[..3], ["Parker", "Perry", "parker.perry.1@example.com"]);
        assert_eq!(values[4], "New York");
    }

    #[test]
    fn a_number_always_gives_the_same_user() {
        let (one, two) = (People::new(), People::new());
        for number in [1, 2, 1_000, 100_000_000] {
            assert_eq!(one.user(number), two.user(number));
        }
        assert_ne!(one.user(2).values(), one.user(3).values());
    }

    #[test]
    fn every_city_and_department_gets_its_share() {
        let people = People::new();
        let (mut cities, mut departments) = ([0; CITIES.len()], [0; DEPARTMENTS.len()]);
        for number in 1..=8_000 {
            let user = people.user(number);
            cities[user.city] += 1;
            departments[user.department] += 1;
            assert!((18..=80).contains(&user.age) && user.values().iter().all(|value| !value.is_empty()));
            assert!((LOWEST_SALARY..=HIGHEST_SALARY).contains(&user.salary));
        }
        assert!(cities.iter().all(|&users| (700..900).contains(&users)), "{cities:?}");
        assert!(departments.iter().all(|&users| (900..1_100).contains(&users)), "{departments:?}");
    }
}
