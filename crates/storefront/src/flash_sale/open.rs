use std::time::Duration;

use redis::aio::ConnectionLike;

use super::{FlashSale, OPEN};
use crate::shown::Shown;
use crate::store::holds_store_error;
use crate::{Quantity, Sku, StoreError};

/// The highest time that Lua, JSON and a score keep exact, in milliseconds.
const LATEST: u64 = (1 << 53) - 1;
/// The longest name of a sale, in bytes.
const LONGEST_NAME: usize = 200;
/// The most places a line can have.
const MOST_PLACES: u32 = 1_000_000;

/// A sale that is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewSale {
    /// What it is called: 1 to 200 bytes.
    pub name: String,
    /// What is sold.
    pub product: Sku,
    /// When it begins, in milliseconds of the Unix epoch.
    pub starts: u64,
    /// When it ends: the first millisecond in which nothing is sold any more.
    pub ends: u64,
    /// How many units there are.
    pub units: u32,
    /// The most units one customer gets.
    pub cap: Quantity,
    /// How many customers may wait in line when nothing is left, up to a million (more counts as that); with 0 there is no
    /// line.
    pub places: u32,
}

/// A sale, and how it goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sale {
    /// As it was opened.
    pub plan: NewSale,
    /// Units that nobody has.
    pub left: u32,
    /// Units that somebody has.
    pub sold: u32,
    /// The number that the last customer in line was given; 0 if nobody had to wait so far.
    pub numbers: u64,
}

impl<C: ConnectionLike + Clone> FlashSale<C> {
    /// Opens a sale. The same one may be opened again, which changes nothing; another one only when the former is over,
    /// and then nothing is left of that.
    pub async fn open(&self, sale: &NewSale) -> Result<(), OpenError> {
        if sale.name.is_empty() || sale.name.len() > LONGEST_NAME {
            return Err(OpenError::Name { name: Shown(&sale.name).to_string() });
        }
        if sale.starts >= sale.ends || sale.ends > LATEST - self.kept_ms() {
            return Err(OpenError::Times { starts: sale.starts, ends: sale.ends });
        }
        let mut call = self.call(&OPEN);
        call.arg(&sale.name).arg(sale.product.as_str()).arg(sale.starts).arg(sale.ends);
        call.arg(sale.units).arg(sale.cap.get()).arg(sale.places.min(MOST_PLACES));
        call.arg(sale.ends + self.kept_ms());
        let mut reply = self.run(&call).await?;
        match reply.outcome.as_str() {
            "OPENED" => Ok(()),
            "ANOTHER" => Err(OpenError::Another { ends_in: Duration::from_millis(reply.next()?) }),
            "OVER" => Err(OpenError::Over),
            _ => Err(reply.into_error().into()),
        }
    }

    /// The sale, `None` if there is none.
    pub async fn sale(&self) -> Result<Option<Sale>, StoreError> {
        const FIELDS: [&str; 10] =
            ["name", "product", "starts", "ends", "units", "cap", "places", "left", "sold", "numbers"];
        let key = self.keys.flash_sale().sale;
        let mut read = redis::cmd("HMGET");
        read.arg(&key).arg(&FIELDS);
        let stored: Vec<Option<Vec<u8>>> = read.query_async(&mut self.connection.clone()).await?;
        if stored.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut stored = stored.into_iter().zip(FIELDS);
        let mut text = || {
            let (bytes, field) = stored.next().unwrap_or((None, ""));
            crate::fields::parse::<String>(bytes, &key, field).map(|text| (text, field))
        };
        let (name, _) = text()?;
        let product = parsed(text()?, &key)?;
        let (starts, ends) = (parsed(text()?, &key)?, parsed(text()?, &key)?);
        let (units, cap, places) = (parsed(text()?, &key)?, parsed(text()?, &key)?, parsed(text()?, &key)?);
        let plan = NewSale { name, product, starts, ends, units, cap, places };
        let (left, sold, numbers) = (parsed(text()?, &key)?, parsed(text()?, &key)?, parsed(text()?, &key)?);
        Ok(Some(Sale { plan, left, sold, numbers }))
    }
}

fn parsed<T: std::str::FromStr>((text, field): (String, &str), key: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::malformed(key, field))
}

/// Why no sale was opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is empty or too long.
    #[error("{name} is no name for a sale: it must have 1 to {LONGEST_NAME} bytes")]
    Name {
        /// What was given, escaped and cut.
        name: String,
    },
    /// It would end before it begins, or beyond every calendar.
    #[error("a sale cannot begin at {starts} ms and end at {ends} ms")]
    Times {
        /// When it was to begin.
        starts: u64,
        /// When it was to end.
        ends: u64,
    },
    /// Its end has passed by the server's clock.
    #[error("the sale would be over already")]
    Over,
    /// Another sale is not over yet.
    #[error("there is another sale, which ends in {ends_in:?}")]
    Another {
        /// How long that one still takes.
        ends_in: Duration,
    },
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

holds_store_error!(OpenError);
