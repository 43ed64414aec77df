//! Flash sale: few units, many buyers, and a cap for each buyer.
//!
//! The naive way reads what is left and what the customer has, decides in the program, and writes. In between, other clients do
//! the same: the shop sells more than it has, and two clicks of one customer together exceed the cap. Here each purchase is one
//! short script that decides and writes in one step. It reads the server's clock, so a sale begins and ends at the same moment
//! for everyone.
//!
//! The customer's client picks a name for each order before it buys. If the answer is lost, it calls again with the same name,
//! gets the same answer, and has bought once. When nothing is left, the sale refuses or, with [`Plan::places`], keeps a
//! waitlist: numbers without gaps in the order of arrival. Units that come back go to the first customer on it.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `flash_sale:current` | Hash | the plan, and how many units are left and sold |
//! | `flash_sale:{flash_sale:current}:bought` | Hash | what each customer has, and the receipt of each order |
//! | `flash_sale:{flash_sale:current}:waitlist` | Sorted Set | who waits, by number |
//!
//! - **Promise**: `left + sold` is the number of units, no customer has more than the cap, and an order is answered the same
//!   way every time. Waiting customers are served in order; a customer who waits for more units than are left keeps everyone
//!   behind waiting.
//! - **Cost**: one round trip for each call. A purchase takes six commands in its script, whatever the size of the sale. Giving
//!   back takes longer with each customer it serves: at most one for each unit that is free then.
//! - **Memory**: about 150 bytes for each order, at most [`MAX_ORDERS`] orders for each customer. All keys are gone a day after the
//!   end ([`FlashSale::with_kept`]).
//! - **Faults**: use `noeviction`. If one of the keys is lost, the others show it, and the error says what to do. If it is the
//!   sale itself, nothing is sold until the sale is opened again with the same plan, which restores it ([`Lost::Sale`]). If it
//!   is the waitlist, nothing is sold until [`FlashSale::repair`] restores it ([`Lost::Waitlist`]). If the purchases are lost,
//!   nothing more is sold; close the sale, and open another with what is left ([`Lost::Purchases`]). A failover may forget the
//!   last purchases that were acknowledged, as a whole: their units are for sale again, and the same order buys them again. So
//!   wait for replicas before you charge ([`FlashSale::with_replicas`]). If the server's clock is set back or forward, the sale is open whenever that clock is between start and end.
//!
//! ```
//! use patterns::flash_sale::{FlashSale, FlashSaleError, Plan, Purchase};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let sales = FlashSale::new(connection, "");
//! let now = sales.now().await?;
//! let plan = Plan {
//!     name: "Black Friday".into(),
//!     product: "PROD123".into(),
//!     starts: now,
//!     ends: now + 60_000,
//!     units: 3,
//!     cap: 2,
//!     places: 0,
//! };
//! sales.open("current", &plan).await?;
//!
//! let first = sales.buy("current", "ann@example.com", 2, "order-1").await?;
//! let Purchase::Bought(receipt) = first else { panic!("{first:?}") };
//! assert_eq!((receipt.left, receipt.yours), (1, 2));
//! // The answer was lost, so the client asks again.
//! let again = sales.buy("current", "ann@example.com", 2, "order-1").await?;
//! assert_eq!(again, Purchase::AlreadyBought(receipt));
//! // One more is over the cap.
//! let refused = sales.buy("current", "ann@example.com", 1, "order-2").await;
//! assert!(matches!(refused, Err(FlashSaleError::OverCap { have: 2, cap: 2 })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::key::{Key, KeyError, check_id, escape, unescape};
use crate::script::{Reply, Script, StoreError, by_operation, milliseconds, quote, send};

/// The most units one customer can be allowed.
pub const MAX_CAP: u32 = 1_000;
/// The most orders of one customer in a sale, including those that were given back.
pub const MAX_ORDERS: u32 = 1_000;
/// The most places on a waitlist.
pub const MAX_PLACES: u32 = 1_000_000;
/// The longest name of a sale, in bytes.
pub const MAX_NAME_BYTES: usize = 200;

/// The latest time that Lua keeps exact, in milliseconds.
const LATEST: u64 = (1 << 53) - 1;
/// A value of more than 64 bytes turns the Hash into a hash table for good. In a small Hash without one, the server searches
/// from end to end.
const PLAN_BYTES: usize = 65;

const FILE: &str = include_str!("flash_sale.lua");

/// Opens a sale, or restores it if its key was lost.
pub static OPEN: Script = Script::new("flash_sale.lua: open", FILE, &["open"]);
/// Sells units to a customer, or puts the customer on the waitlist.
pub static BUY: Script = Script::new("flash_sale.lua: buy", FILE, &["read", "receipt", "agree", "buy"]);
/// Takes back the units of an order, and sells them to the waitlist.
pub static GIVE_BACK: Script = Script::new(
    "flash_sale.lua: give_back",
    FILE,
    &["read", "given_back", "agree", "give_back", "serve", "finish_give_back"],
);
/// Takes a customer off the waitlist.
pub static LEAVE: Script =
    Script::new("flash_sale.lua: leave", FILE, &["read", "agree", "leave", "serve", "finish_leave"]);
/// Tells a customer's place on the waitlist.
pub static PLACE: Script = Script::new("flash_sale.lua: place", FILE, &["place"]);
/// Puts customers back on a waitlist that was lost.
pub static REFILL: Script = Script::new("flash_sale.lua: refill", FILE, &["refill"]);
/// Deletes a sale.
pub static CLOSE: Script = Script::new("flash_sale.lua: close", FILE, &["close"]);

/// The scripts of this pattern, by name.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    by_operation(&[&OPEN, &BUY, &GIVE_BACK, &LEAVE, &PLACE, &REFILL, &CLOSE])
}

/// What is sold, when, and to whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// For people: 1 to 200 bytes.
    pub name: String,
    /// What is sold: an ID.
    pub product: String,
    /// When the sale begins, in milliseconds since 1970 by the server's clock ([`FlashSale::now`]).
    pub starts: u64,
    /// When it ends: the first millisecond at which nothing is sold.
    pub ends: u64,
    /// How many units there are.
    pub units: u32,
    /// The most units one customer gets: 1 to [`MAX_CAP`].
    pub cap: u32,
    /// How many customers may wait when nothing is left: up to [`MAX_PLACES`]. With 0, there is no waitlist.
    pub places: u32,
}

/// A sale, and how it goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sale {
    /// As it was opened.
    pub plan: Plan,
    /// Units left to sell.
    pub left: u32,
    /// Units sold.
    pub sold: u32,
    /// Customers on the waitlist.
    pub waiting: u32,
    /// The number of the last customer who had to wait; 0 if there is none.
    pub numbers: u64,
}

/// What a customer got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Purchase {
    /// The units are the customer's.
    Bought(Receipt),
    /// Whether they were bought before: this order was answered already, or was served from the waitlist.
    AlreadyBought(Receipt),
    /// The customer is on the waitlist. While waiting, every order of this customer gets this answer: there is one place for
    /// each customer.
    Waiting(Place),
}

/// The first answer to an order. Every later answer is the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The units of this order.
    pub units: u32,
    /// The units that were left for others.
    pub left: u32,
    /// The units the customer had with it.
    pub yours: u32,
}

/// A place on the waitlist.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// 1 for the first customer who ever had to wait. No number is left out.
    pub number: u64,
    /// How many customers are ahead now.
    pub ahead: u64,
    /// The order that will be bought when it is the customer's turn.
    pub order: String,
    /// Its units.
    pub units: u32,
}

/// What a customer bought in a sale.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bought {
    /// The units the customer has, without those that were given back.
    pub units: u32,
    /// The orders that got units, including those that were given back. A client that numbers its orders goes on after it.
    pub orders: u32,
}

/// A customer who waited and now has the units. Notify them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Served {
    /// Who.
    pub customer: String,
    /// The order. Buying it again returns its receipt.
    pub order: String,
    /// The number on the waitlist.
    pub number: u64,
    /// The units.
    pub units: u32,
}

/// An order that was given back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GaveBack {
    /// The units that came back.
    pub units: u32,
    /// Who got them, in the order of the waitlist.
    pub served: Vec<Served>,
}

/// The flash sales under a prefix.
#[derive(Clone, Debug)]
pub struct FlashSale<C> {
    connection: C,
    prefix: String,
    kept: Duration,
    replicas: Option<(usize, Duration)>,
}

impl<C: ConnectionLike + Clone> FlashSale<C> {
    /// Sales whose keys stay for a day after the end.
    pub fn new(connection: C, prefix: &str) -> Self {
        Self { connection, prefix: prefix.to_owned(), kept: Duration::from_hours(24), replicas: None }
    }

    /// How long the keys of a sale stay after its end, for sales opened from now on: a millisecond to a year. Make it longer
    /// than any retry and any correction of the server's clock.
    #[must_use]
    pub fn with_kept(self, kept: Duration) -> Self {
        Self { kept, ..self }
    }

    /// Waits after each purchase until this many replicas have it. After `timeout`, [`FlashSale::buy`] returns
    /// [`FlashSaleError::NotReplicated`]. The connection's response timeout must be longer.
    #[must_use]
    pub fn with_replicas(self, replicas: usize, timeout: Duration) -> Self {
        Self { replicas: Some((replicas, timeout)), ..self }
    }

    /// The server's clock in milliseconds since 1970, for [`Plan::starts`] and [`Plan::ends`].
    pub async fn now(&self) -> Result<u64, StoreError> {
        let (seconds, micros): (u64, u64) = send(&self.connection, &redis::cmd("TIME")).await?;
        Ok(seconds.saturating_mul(1000).saturating_add(micros / 1000))
    }

    /// Opens a sale. Opening the same sale again changes nothing, or restores its first key if that was lost. When a sale is
    /// over, you can open another one under its ID: this deletes the former sale and takes a second round trip.
    pub async fn open(&self, sale: &str, plan: &Plan) -> Result<(), FlashSaleError> {
        let Plan { name, product, starts, ends, units, cap, places } = plan;
        check_id(product).map_err(StoreError::from)?;
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(FlashSaleError::Name { bytes: name.len() });
        }
        let kept = milliseconds(self.kept);
        if starts >= ends || *ends > LATEST - kept {
            return Err(FlashSaleError::Times { starts: *starts, ends: *ends });
        }
        if !(1..=MAX_CAP).contains(cap) {
            return Err(FlashSaleError::Units { units: *cap });
        }
        let (places, kept_until) = (*places.min(&MAX_PLACES), ends + kept);
        let text = format!("{ends}:{starts}:{units}:{cap}:{places}:{kept_until}:{}:{name}", escape(product));
        let keys = self.keys(sale)?;
        let call = OPEN.call(&keys).arg(format!("{text:<PLAN_BYTES$}")).arg(name).arg(product);
        let call = call.arg(starts).arg(ends).arg(units).arg(cap).arg(places).arg(kept_until);
        let mut reply: Reply = call.run(&self.connection).await?;
        if reply.outcome == "CLEARED" {
            reply = call.run(&self.connection).await?;
        }
        match reply.outcome.as_str() {
            "OPENED" => Ok(()),
            "ANOTHER" => Err(FlashSaleError::Another { ends_in: Duration::from_millis(reply.next()?) }),
            _ => Err(refused(reply)),
        }
    }

    /// Buys 1 to [`MAX_CAP`] units for a customer, under an order name that the client picked. Two customers may use the same
    /// name for different orders. After a lost answer, call again with the same order.
    pub async fn buy(
        &self,
        sale: &str,
        customer: &str,
        units: u32,
        order: &str,
    ) -> Result<Purchase, FlashSaleError> {
        if !(1..=MAX_CAP).contains(&units) {
            return Err(FlashSaleError::Units { units });
        }
        let (keys, [customer, purchase]) = (self.keys(sale)?, fields(customer, order)?);
        let call = BUY.call(&keys).arg(customer).arg(purchase).arg(escape(order)).arg(units).arg(MAX_ORDERS);
        let mut reply: Reply = match self.replicas {
            None => call.run(&self.connection).await?,
            Some((wanted, timeout)) => {
                let (reply, replicas): (Reply, _) =
                    call.run_and_wait(&self.connection, wanted, timeout).await?;
                let has_it = ["BOUGHT", "ANSWERED", "WAITING"].contains(&reply.outcome.as_str());
                if has_it && replicas < wanted {
                    return Err(FlashSaleError::NotReplicated { replicas });
                }
                reply
            }
        };
        match reply.outcome.as_str() {
            "BOUGHT" => Ok(Purchase::Bought(Receipt { units, left: reply.next()?, yours: reply.next()? })),
            "ANSWERED" => match answer(&reply.next::<String>()?) {
                Some(Answer::Bought(receipt)) => Ok(Purchase::AlreadyBought(receipt)),
                Some(Answer::GaveBack(back)) => Err(FlashSaleError::GivenBack { units: back.units }),
                None => Err(malformed(&keys[1], order).into()),
            },
            "WAITING" => Ok(Purchase::Waiting(place(&mut reply, &keys[1])?)),
            _ => Err(refused(reply)),
        }
    }

    /// Takes an order back. While the sale is open, its units go to the waitlist in order, and the rest is for sale again. A
    /// second call returns the same answer, and the units come back once.
    pub async fn give_back(
        &self,
        sale: &str,
        customer: &str,
        order: &str,
    ) -> Result<GaveBack, FlashSaleError> {
        let keys = self.keys(sale)?;
        let call = GIVE_BACK.call(&keys).arg(fields(customer, order)?.as_slice());
        let mut reply: Reply = call.run(&self.connection).await?;
        match reply.outcome.as_str() {
            "GIVEN_BACK" => match answer(&reply.next::<String>()?) {
                Some(Answer::GaveBack(back)) => Ok(back),
                _ => Err(malformed(&keys[1], order).into()),
            },
            _ => Err(refused(reply)),
        }
    }

    /// The customer's place on the waitlist; `None` if the customer does not wait.
    pub async fn place(&self, sale: &str, customer: &str) -> Result<Option<Place>, FlashSaleError> {
        check_id(customer).map_err(StoreError::from)?;
        let keys = self.keys(sale)?;
        let mut reply: Reply = PLACE.call(&keys).arg(escape(customer)).run(&self.connection).await?;
        match reply.outcome.as_str() {
            "WAITING" => Ok(Some(place(&mut reply, &keys[1])?)),
            "NOT_WAITING" => Ok(None),
            _ => Err(refused(reply)),
        }
    }

    /// What the customer bought; nothing if there is no such sale. One round trip.
    pub async fn bought(&self, sale: &str, customer: &str) -> Result<Bought, StoreError> {
        check_id(customer)?;
        let ([_, key, _], customer) = (self.keys(sale)?, escape(customer));
        let [entry]: [Option<String>; 1] =
            send(&self.connection, redis::cmd("HMGET").arg(&key).arg(&customer)).await?;
        let Some(entry) = entry else { return Ok(Bought::default()) };
        let mut numbers = entry.split(':').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(units)), Some(Ok(orders))) => Ok(Bought { units, orders }),
            _ => Err(malformed(&key, &customer)),
        }
    }

    /// Gives up the customer's place. Returns the customers behind who are served with what is left.
    pub async fn leave(&self, sale: &str, customer: &str) -> Result<Vec<Served>, FlashSaleError> {
        check_id(customer).map_err(StoreError::from)?;
        let (keys, customer) = (self.keys(sale)?, escape(customer));
        let call = LEAVE.call(&keys).arg(&customer).arg(&customer);
        let mut reply: Reply = call.run(&self.connection).await?;
        if reply.outcome != "LEFT" {
            return Err(refused(reply));
        }
        let text: String = reply.next()?;
        Ok(served(&text).ok_or_else(|| malformed(&keys[1], &customer))?)
    }

    /// The sale and how it goes; `None` if there is none.
    pub async fn sale(&self, sale: &str) -> Result<Option<Sale>, StoreError> {
        const FIELDS: [&str; 11] = [
            "name", "product", "starts", "ends", "units", "cap", "places", "left", "sold", "waiting",
            "numbers",
        ];
        let [key, ..] = self.keys(sale)?;
        let stored: Vec<Option<String>> =
            send(&self.connection, redis::cmd("HMGET").arg(&key).arg(&FIELDS)).await?;
        if stored.iter().all(Option::is_none) {
            return Ok(None);
        }
        let number = |index: usize| -> Result<u64, StoreError> {
            let text = stored.get(index).and_then(Option::as_deref);
            text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed(&key, FIELDS[index]))
        };
        let small = |index| u32::try_from(number(index)?).map_err(|_| malformed(&key, FIELDS[index]));
        let text = |index: usize| stored.get(index).cloned().flatten().unwrap_or_default();
        Ok(Some(Sale {
            plan: Plan {
                name: text(0),
                product: text(1),
                starts: number(2)?,
                ends: number(3)?,
                units: small(4)?,
                cap: small(5)?,
                places: small(6)?,
            },
            left: small(7)?,
            sold: small(8)?,
            waiting: small(9)?,
            numbers: number(10)?,
        }))
    }

    /// Restores a lost waitlist ([`Lost::Waitlist`]) from the purchases, 500 fields at a time. Nothing is sold until all
    /// waiting customers are back in their places. You can repeat it at any time.
    pub async fn repair(&self, sale: &str) -> Result<(), FlashSaleError> {
        let keys = self.keys(sale)?;
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("HSCAN");
            scan.arg(&keys[1]).arg(cursor).arg("COUNT").arg(500);
            let (next, found): (u64, Vec<String>) = send(&self.connection, &scan).await?;
            let pairs = found.chunks_exact(2).filter(|pair| !pair[0].contains(':') && pair[1].contains(':'));
            let customers: Vec<&str> = pairs.map(|pair| pair[0].as_str()).collect();
            for customers in customers.chunks(500) {
                let reply: Reply = REFILL.call(&keys).arg(customers).run(&self.connection).await?;
                if reply.outcome != "REFILLED" {
                    return Err(refused(reply));
                }
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    /// Ends a sale at once and deletes everything about it, including receipts; false if there is none.
    pub async fn close(&self, sale: &str) -> Result<bool, FlashSaleError> {
        let reply: Reply = CLOSE.call(&self.keys(sale)?).run(&self.connection).await?;
        match reply.outcome.as_str() {
            "CLOSED" => Ok(true),
            "NO_SALE" => Ok(false),
            _ => Err(refused(reply)),
        }
    }

    /// The keys of a sale: the sale, what was bought, the waitlist.
    pub fn keys(&self, sale: &str) -> Result<[String; 3], StoreError> {
        let key = Key::new(&self.prefix, "flash_sale", &[sale])?;
        Ok([key.as_str().to_owned(), key.companion("bought"), key.companion("waitlist")])
    }
}

/// The fields of a customer and of an order.
fn fields(customer: &str, order: &str) -> Result<[String; 2], StoreError> {
    let check = || -> Result<(), KeyError> {
        check_id(customer)?;
        check_id(order)
    };
    check()?;
    let customer = escape(customer);
    let purchase = format!("{customer}:{}", escape(order));
    Ok([customer, purchase])
}

/// What the scripts keep of an order: see the head of `flash_sale.lua`.
enum Answer {
    Bought(Receipt),
    GaveBack(GaveBack),
}

fn answer(text: &str) -> Option<Answer> {
    if let Some(rest) = text.strip_prefix("back:") {
        let (units, rest) = rest.split_once(':').unwrap_or((rest, ""));
        return Some(Answer::GaveBack(GaveBack { units: units.parse().ok()?, served: served(rest)? }));
    }
    let mut parts = text.split(':').map(|part| part.parse().ok());
    let mut part = || parts.next().flatten();
    Some(Answer::Bought(Receipt { units: part()?, left: part()?, yours: part()? }))
}

/// Reads `customer:order:number:units`, again and again.
fn served(text: &str) -> Option<Vec<Served>> {
    let mut parts = text.split(':');
    let mut served = Vec::new();
    while let Some(customer) = parts.next().filter(|customer| !customer.is_empty()) {
        served.push(Served {
            customer: unescape(customer)?,
            order: unescape(parts.next()?)?,
            number: parts.next()?.parse().ok()?,
            units: parts.next()?.parse().ok()?,
        });
    }
    Some(served)
}

/// Reads `number:units:order`, and how many are ahead.
fn place(reply: &mut Reply, key: &str) -> Result<Place, StoreError> {
    let ticket: String = reply.next()?;
    let ahead = reply.next()?;
    let mut parts = ticket.split(':');
    let mut parse = || {
        let (number, units) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Place { number, ahead, units, order: unescape(parts.next()?)? })
    };
    parse().ok_or_else(|| malformed(key, &ticket))
}

fn malformed(key: &str, field: &str) -> StoreError {
    StoreError::Malformed(quote(&format!("{key} {field}")))
}

/// The refusals that several operations share.
fn refused(mut reply: Reply) -> FlashSaleError {
    let outcome = reply.outcome.clone();
    let mut parse = || -> Result<FlashSaleError, StoreError> {
        Ok(match outcome.as_str() {
            "NO_SALE" => FlashSaleError::NoSale,
            "NOT_STARTED" => FlashSaleError::NotStarted { starts_in: Duration::from_millis(reply.next()?) },
            "OVER" => FlashSaleError::Over,
            "SOLD_OUT" => FlashSaleError::SoldOut { left: reply.next()? },
            "OVER_CAP" => FlashSaleError::OverCap { have: reply.next()?, cap: reply.next()? },
            "TOO_MANY_ORDERS" => FlashSaleError::TooManyOrders,
            "UNKNOWN" => FlashSaleError::UnknownOrder,
            "NOT_WAITING" => FlashSaleError::NotWaiting,
            "SALE_LOST" => FlashSaleError::Damaged(Lost::Sale),
            "PURCHASES_LOST" => FlashSaleError::Damaged(Lost::Purchases),
            "WAITLIST_LOST" => FlashSaleError::Damaged(Lost::Waitlist),
            _ => reply.unexpected().into(),
        })
    };
    parse().unwrap_or_else(FlashSaleError::from)
}

/// Which key of a sale was lost, by eviction or deletion.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Lost {
    /// The sale itself.
    #[error("its first key; open it again with the same plan, which restores it")]
    Sale,
    /// What all customers bought.
    #[error("what its customers bought; close it, and open another with the units that are left")]
    Purchases,
    /// The waitlist.
    #[error("its waitlist; call `repair`, which restores it")]
    Waitlist,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlashSaleError {
    /// There is no sale with this ID.
    #[error("there is no such flash sale")]
    NoSale,
    /// The sale has not begun.
    #[error("the sale begins in {starts_in:?}")]
    NotStarted {
        /// How long that takes.
        starts_in: Duration,
    },
    /// The sale has ended, or would have.
    #[error("the sale is over")]
    Over,
    /// Fewer units are left than the customer wants, and the waitlist, if any, is full.
    #[error("not enough is left of the sale: {left}")]
    SoldOut {
        /// What is left.
        left: u32,
    },
    /// It would be more than one customer gets.
    #[error("one customer gets {cap}, and you have {have}")]
    OverCap {
        /// The units the customer has.
        have: u32,
        /// The most a customer can have.
        cap: u32,
    },
    /// The customer has made [`MAX_ORDERS`] orders.
    #[error("one customer makes at most {MAX_ORDERS} orders")]
    TooManyOrders,
    /// This order was bought and given back. To buy again, use another order.
    #[error("this order was given back")]
    GivenBack {
        /// The units it had.
        units: u32,
    },
    /// The customer bought nothing under this order, but may be waiting for it.
    #[error("nothing was bought under this order")]
    UnknownOrder,
    /// The customer was not on the waitlist, or was served.
    #[error("you are not on the waitlist")]
    NotWaiting,
    /// Zero units, or more than [`MAX_CAP`].
    #[error("a customer buys 1 to {MAX_CAP} units, not {units}")]
    Units {
        /// What was given.
        units: u32,
    },
    /// The name is empty or too long.
    #[error("a sale's name has 1 to {MAX_NAME_BYTES} bytes, not {bytes}")]
    Name {
        /// Its length.
        bytes: usize,
    },
    /// It would end before it begins, or after the year 285,000.
    #[error("a sale cannot begin at {starts} ms and end at {ends} ms")]
    Times {
        /// When it was to begin.
        starts: u64,
        /// When it was to end.
        ends: u64,
    },
    /// Another sale with this ID is not over.
    #[error("there is another sale, which ends in {ends_in:?}")]
    Another {
        /// How long that takes.
        ends_in: Duration,
    },
    /// One of the sale's keys was lost. Nothing more is sold until it is repaired.
    #[error("the sale is damaged: it lost {0}")]
    Damaged(Lost),
    /// The order is answered, but fewer replicas have it than [`FlashSale::with_replicas`] requires. Buy it again: that changes
    /// nothing and waits again.
    #[error("the order is answered, but only {replicas} replicas have it")]
    NotReplicated {
        /// The replicas that have it.
        replicas: usize,
    },
    /// Redis, or the data in it. After a connection error, call again with the same order.
    #[error(transparent)]
    Store(#[from] StoreError),
}
