//! The shop that the lessons share: products, customers, and orders, generated from a seed, always the same.
//!
//! Each customer has a taste: most of what they buy is of one category. So there is a right answer to "what goes with this?", and
//! recommendations can be measured against it.

use fake::Fake;
use fake::faker::company::en::CompanyName;
use fake::faker::name::en::Name;
use patterns::money::Cents;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Categories, and the products in each.
#[rustfmt::skip]
const CATEGORIES: [(&str, [&str; 8]); 8] = [
    ("Audio", ["Headphones", "Speaker", "Turntable", "Microphone", "Earbuds", "Amplifier", "Radio", "Soundbar"]),
    ("Books", ["Novel", "Atlas", "Cookbook", "Comic", "Biography", "Dictionary", "Guide", "Anthology"]),
    ("Camping", ["Tent", "Stove", "Lantern", "Backpack", "Hammock", "Compass", "Flask", "Sleeping bag"]),
    ("Computers", ["Mouse", "Keyboard", "Monitor", "Laptop", "Webcam", "Docking station", "Tablet", "Printer"]),
    ("Garden", ["Spade", "Hose", "Trellis", "Lawn mower", "Planter", "Rake", "Greenhouse", "Bird feeder"]),
    ("Kitchen", ["Kettle", "Saucepan", "Toaster", "Blender", "Coffee mug", "Chef's knife", "Scale", "Espresso maker"]),
    ("Sports", ["Football", "Racket", "Yoga mat", "Dumbbell", "Skateboard", "Helmet", "Goggles", "Running shoes"]),
    ("Toys", ["Puzzle", "Kite", "Robot", "Dollhouse", "Train set", "Marbles", "Board game", "Plush bear"]),
];
const QUALITIES: [&str; 10] =
    ["Classic", "Compact", "Deluxe", "Eco", "Foldable", "Giant", "Mini", "Pocket", "Silent", "Ultra"];
const BRANDS: usize = 24;
/// The share of purchases that are to the customer's taste.
const TO_TASTE: f64 = 0.8;

/// How much there is of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Products in eight categories.
    pub products: usize,
    /// Customers, from `user1`.
    pub customers: usize,
    /// Orders of one to five different products.
    pub orders: usize,
}

impl Size {
    /// The size in lessons.
    pub const LESSON: Self = Self { products: 2_000, customers: 5_000, orders: 10_000 };
}

/// A product as the search page shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// `PROD123`.
    pub sku: String,
    /// Brand, quality, and thing. No two are the same.
    pub name: String,
    /// The maker.
    pub brand: String,
    /// One of eight.
    pub category: String,
    /// 1.99 to 999.99.
    pub price: Cents,
    /// One to five stars.
    pub rating: u8,
    /// How likely it is viewed and bought, compared with others.
    pub popularity: f64,
}

/// A customer with an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    /// `user123`.
    pub id: String,
    /// First and last name.
    pub name: String,
    /// Index of the favorite category.
    pub taste: usize,
    /// The favorite category, and one or two others.
    pub interests: Vec<String>,
}

/// What a customer bought at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// `ORD-1`.
    pub id: String,
    /// Index into [`Data::customers`].
    pub customer: usize,
    /// Indexes into [`Data::products`], each once.
    pub products: Vec<usize>,
    /// 0 to 27, a day of four weeks.
    pub day: u32,
}

/// The whole shop.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// By number. Product `n` is of category `n % 8`.
    pub products: Vec<Product>,
    /// By number.
    pub customers: Vec<Customer>,
    /// In the order in which they were placed.
    pub orders: Vec<Order>,
}

impl Data {
    /// The shop of this seed.
    pub fn new(seed: u64, size: Size) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let products = products(&mut rng, size.products);
        let customers = customers(&mut rng, size.customers);
        let orders = orders(&mut rng, &products, &customers, size.orders);
        Self { products, customers, orders }
    }

    /// The category of the product with this index, from 0 to 7.
    pub fn taste_of(product: usize) -> usize {
        product % CATEGORIES.len()
    }
}

fn products(rng: &mut StdRng, count: usize) -> Vec<Product> {
    let brands = brands(rng);
    let product = |number: usize| {
        let (category, things) = CATEGORIES[Data::taste_of(number)];
        // Numbers of one category are eight apart; thing, quality and brand are its digits, so no two names are the same.
        let within = number / CATEGORIES.len();
        let (thing, rest) = (things[within % things.len()], within / things.len());
        let (quality, rest) = (QUALITIES[rest % QUALITIES.len()], rest / QUALITIES.len());
        let (brand, series) = (&brands[rest % BRANDS], rest / BRANDS);
        let series = if series == 0 { String::new() } else { format!(" {}", series + 1) };
        let cents =
            199 + 100 * i64::from(rng.random_range(0..500_u32)) * i64::from(rng.random_range(1..=2_u32));
        Product {
            sku: format!("PROD{number}"),
            name: format!("{brand} {quality} {thing}{series}"),
            brand: brand.to_owned(),
            category: category.to_owned(),
            price: Cents::new(cents).unwrap_or(Cents::ZERO),
            rating: rng.random_range(1..=5),
            // A few are bought by many, most by few.
            popularity: rng.random::<f64>().powi(4),
        }
    };
    (0..count).map(product).collect()
}

fn brands(rng: &mut StdRng) -> Vec<String> {
    let mut brands = Vec::with_capacity(BRANDS);
    while brands.len() < BRANDS {
        let company: String = CompanyName().fake_with_rng(rng);
        let brand = company.split([' ', ',', '-']).next().unwrap_or_default().replace('\'', "");
        if !brand.is_empty() && !brands.contains(&brand) {
            brands.push(brand);
        }
    }
    brands
}

fn customers(rng: &mut StdRng, count: usize) -> Vec<Customer> {
    (1..=count)
        .map(|number| {
            let taste = rng.random_range(0..CATEGORIES.len());
            let mut likes = vec![taste];
            for _ in 0..rng.random_range(1..=2_u32) {
                let other = rng.random_range(0..CATEGORIES.len());
                if !likes.contains(&other) {
                    likes.push(other);
                }
            }
            Customer {
                id: format!("user{number}"),
                name: Name().fake_with_rng(rng),
                taste,
                interests: likes.into_iter().map(|category| CATEGORIES[category].0.to_owned()).collect(),
            }
        })
        .collect()
}

fn orders(rng: &mut StdRng, products: &[Product], customers: &[Customer], count: usize) -> Vec<Order> {
    (1..=count)
        .filter(|_| !products.is_empty() && !customers.is_empty())
        .map(|number| {
            let customer = rng.random_range(0..customers.len());
            let taste = rng.random_bool(TO_TASTE).then_some(customers[customer].taste);
            let mut bought = Vec::new();
            for _ in 0..rng.random_range(1..=5_u32) {
                // Most of an order is of one kind, and now and then something else comes along.
                let taste = if rng.random_bool(TO_TASTE) { taste } else { None };
                let product = draw(rng, products, taste);
                if !bought.contains(&product) {
                    bought.push(product);
                }
            }
            let day = u32::try_from(28 * (number - 1) / count).unwrap_or(0);
            Order { id: format!("ORD-{number}"), customer, products: bought, day }
        })
        .collect()
}

/// Draws a product by its popularity, of one category or of all.
fn draw(rng: &mut StdRng, products: &[Product], taste: Option<usize>) -> usize {
    let fits = |index: &usize| taste.is_none_or(|taste| Data::taste_of(*index) == taste);
    let candidates = || (0..products.len()).filter(fits);
    let total: f64 = candidates().map(|index| products[index].popularity).sum();
    let mut left = rng.random::<f64>() * total;
    let found = candidates().find(|index| {
        left -= products[*index].popularity;
        left < 0.0
    });
    found.or_else(|| candidates().next_back()).unwrap_or(0)
}
