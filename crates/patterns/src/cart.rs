//! Carts: what a customer or a guest wants to buy, with the prices they saw.
//!
//! The naive way reads the quantity, adds one, and writes it back, so two tabs of one customer lose clicks. HINCRBY
//! loses none, but it has no limits, and a client that repeats it after a lost reply adds twice. Here each change is
//! one script. It costs the same for any number of lines, counts once, and is published on `cart_updates:1`.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `cart:1` | Hash | SKU to units |
//! | `cart:{cart:1}:prices` | Hash | SKU to the cents seen; an empty field to the sums of the cart |
//! | `cart:{cart:1}:deadlines` | Sorted Set | SKU, scored by the millisecond at which its line expires |
//! | `cart:{cart:1}:request:ID` | String | that a change was made, for ten minutes |
//! | `cart:guest:abc123` | Hash | the same for a guest |
//! | `cart:{cart:guest:abc123}:merging` | Hash | a guest's lines on their way into another cart |
//! | `cart:{cart:1}:merged:ID` | String | the outcome of a merge |
//! | `cart:{cart:1}:taken:ORDER` | String | that the lines of an order were removed |
//!
//! [`Representation::SortedSet`] keeps the units in a Sorted Set, `cart:{cart:1}:by_quantity`, with companions of its own.
//!
//! - **Promise**: a cart has at most [`MAX_LINES`] lines of at most [`MAX_UNITS`] units. A refused change changes
//!   nothing. A change that the client library sends twice counts once. To retry a change yourself, pick an ID with
//!   [`Item::with_request_id`]: within ten minutes, it counts once. You can repeat [`Cart::set_quantity`] and
//!   [`Cart::clear`] at any time. [`Cart::merge`] and [`Cart::take`] count once until a day after the cart's TTL.
//! - **Cost**: one round trip, O(1) for any number of lines; [`Cart::view`] and [`Cart::clear`] are O(lines). The first change
//!   after a line has expired takes two more. A merge takes three, or one if there is nothing to move.
//! - **Memory**: the lines, until nobody has used the cart for its TTL; about 150 bytes for each change of the last ten
//!   minutes; and each merge and each order, for a day longer than the TTL.
//! - **Faults**: an acknowledged change is lost if the server fails over before it has reached the replica; the cart is
//!   then as it was a moment before. Use `noeviction`. If `cart:1` is evicted, the cart is empty. Without `prices`, its
//!   lines have no price seen, and its total is unknown until they are added again. Without `deadlines`, lines live as
//!   long as the cart. Without `request`, `merged`, or `taken`, a repeated step counts again. Without `merging`, the
//!   lines in it are lost. The next merge finishes one that was cut off. On a cluster, if the user's node then loses
//!   its last writes, those units are lost. They are never in both carts. A clock that is set back or forward moves
//!   deadlines and TTLs by as much.
//!
//! ```
//! use patterns::cart::{Cart, Owner};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let url = server.url();
//! let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
//! let cart = Cart::new(connection, "");
//! cart.add(Owner::Guest("abc123"), "sku123", 2, "19.99".parse()?).await?;
//! cart.add("1", "sku123", 1, "17.99".parse()?).await?;
//!
//! // The guest logs in as user 1.
//! cart.merge("abc123", "1").await?;
//!
//! // Today's prices come from your catalog.
//! let view = cart.view("1").await?.at_prices(|_sku| "18.50".parse().ok())?;
//! assert_eq!((view.lines[0].line.quantity, view.total), (3, "55.50".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::ConnectionLike;
use serde::Deserialize;

use crate::key::{Key, KeyError, check_id, escape};
use crate::money::Cents;
use crate::script::{Call, Reply, Script, StoreError, by_operation, milliseconds, quote, send};

/// The most units of a line.
pub const MAX_UNITS: u32 = 99;
/// The most lines of a cart.
pub const MAX_LINES: usize = 100;
/// How long a change of a line is remembered, so that it counts once.
const CHANGE_WINDOW: Duration = Duration::from_mins(10);
/// How much longer than a cart a merge or an order is remembered.
const STEP_WINDOW: Duration = Duration::from_hours(24);
/// How often one call tidies a cart. Each try means that another client was faster.
const TRIES: usize = 10;

const FILE: &str = include_str!("cart.lua");

macro_rules! scripts {
    ($($(#[$doc:meta])+ $name:ident: $sections:expr,)+) => {
        /// The scripts of a cart, made of `cart.lua`.
        #[derive(Debug)]
        pub struct Scripts {
            $($(#[$doc])+ pub $name: Script,)+
        }

        impl Scripts {
            const fn new(file: &'static str) -> Self {
                Self { $($name: Script::new(concat!("cart.lua: ", stringify!($name)), file, $sections),)+ }
            }

            fn all(&'static self) -> Vec<(&'static str, &'static Script)> {
                by_operation(&[$(&self.$name,)+])
            }
        }
    };
}

scripts! {
    /// Adds units of one product.
    add: &["line", "add"],
    /// Removes units of one product.
    remove: &["line", "remove", "change"],
    /// Sets the units of a line.
    set: &["line", "set", "change"],
    /// Reads all lines.
    view: &["everything", "view"],
    /// Reads the sums.
    contents: &["sums", "contents"],
    /// Removes expired lines, and counts the rest.
    tidy: &["everything", "tables", "tidy"],
    /// Empties the cart.
    clear: &["everything", "tables", "clear"],
    /// First step of a merge: moves the guest's lines into a claim.
    claim: &["claimed", "sums", "everything", "tables", "claim"],
    /// Second step of a merge: adds the claimed lines to the user's cart.
    apply: &["recorded", "sums", "put", "apply"],
    /// Last step of a merge: returns what did not fit, and deletes the claim.
    finish: &["returned", "sums", "put", "finish"],
    /// Removes what was bought.
    take: &["recorded", "sums", "take"],
}

/// The scripts for carts that are Hashes.
pub static HASH: Scripts = Scripts::new(FILE);
/// The scripts for carts that are Sorted Sets.
pub static SORTED_SET: LazyLock<Scripts> = LazyLock::new(|| Scripts::new(for_sorted_set(FILE).leak()));

/// The same file for a Sorted Set, whose commands take their arguments in another order. A test checks that no Hash
/// command is left.
fn for_sorted_set(hash: &str) -> String {
    const SWAPS: [(&str, &str); 7] = [
        ("'HLEN', cart)", "'ZCARD', cart)"),
        ("'HGET', cart, sku)", "'ZSCORE', cart, sku)"),
        ("'HGETALL', cart)", "'ZRANGE', cart, 0, -1, 'WITHSCORES')"),
        ("'HSET', cart, sku, quantity)", "'ZADD', cart, quantity, sku)"),
        ("'HDEL', cart, ", "'ZREM', cart, "),
        ("require_commands(", "require_commands('ZADD', "),
        ("allowed('PEXPIRE', cart, 1)", "allowed('PEXPIRE', cart, 1) and allowed('ZADD', cart, 1, '')"),
    ];
    SWAPS.iter().fold(hash.to_owned(), |file, (hash, sorted_set)| file.replace(hash, sorted_set))
}

/// The scripts of this pattern, by name; those for a Sorted Set come second.
pub fn scripts() -> Vec<(&'static str, &'static Script)> {
    HASH.all().into_iter().chain(SORTED_SET.all()).collect()
}

/// Whose cart it is. A user and a guest of the same name have different carts: `cart:1` and `cart:guest:1`. Do not let a client
/// choose the ID.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Owner<'a> {
    /// A customer with an account. A `&str` is one.
    User(&'a str),
    /// A visitor who has not logged in, by session.
    Guest(&'a str),
}

impl<'a> From<&'a str> for Owner<'a> {
    fn from(user: &'a str) -> Self {
        Self::User(user)
    }
}

/// `1` or `guest:abc123`.
impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => f.write_str(id),
            Self::Guest(session) => write!(f, "guest:{session}"),
        }
    }
}

/// How the units are stored. Both behave alike, but they are separate carts: all clients must use the same one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Representation {
    /// A Hash at `cart:1`: field SKU, value units. The smaller one.
    #[default]
    Hash,
    /// A Sorted Set at `cart:{cart:1}:by_quantity`: member SKU, score units. Redis can rank the lines (ZREVRANGE) or count those
    /// above ten units (ZCOUNT).
    SortedSet,
}

/// Units of a product to add.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    sku: &'a str,
    quantity: u32,
    unit_price: Cents,
    ttl: Option<Duration>,
    request_id: Option<&'a str>,
}

impl<'a> Item<'a> {
    /// Units, 1 to [`MAX_UNITS`], at the price that the customer sees now, up to [`Cents::MAX_PRICE`].
    #[must_use]
    pub fn new(sku: &'a str, quantity: u32, unit_price: Cents) -> Self {
        Self { sku, quantity, unit_price, ttl: None, request_id: None }
    }

    /// The line expires after this time, a millisecond to a year. Without a TTL, it keeps the deadline that it has.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// An ID that you pick for this click, such as a UUID, so that you can repeat it after a timeout. It counts once in
    /// ten minutes.
    #[must_use]
    pub fn with_request_id(self, request_id: &'a str) -> Self {
        Self { request_id: Some(request_id), ..self }
    }
}

/// A cart in three numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Contents {
    /// Lines, one for each product.
    pub lines: usize,
    /// Units in all lines together.
    pub units: u64,
    /// The total at the prices seen; `None` if a line has none, because its key was lost or another program wrote the
    /// line.
    pub seen_total: Option<Cents>,
}

/// The result of a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Changed {
    /// The units added (positive) or removed (negative). A repeated request gets the same answer.
    pub change: i32,
    /// The units now in the line; 0 if it is gone.
    pub quantity: u32,
    /// The whole cart now.
    pub cart: Contents,
}

/// A cart as it was stored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CartView {
    /// One line for each product, ordered by SKU.
    pub lines: Vec<Line>,
    /// When the cart expires unless it is changed or viewed; `None` if it is empty.
    pub expires_in: Option<Duration>,
}

/// One product in a cart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// The product.
    pub sku: String,
    /// The units.
    pub quantity: u32,
    /// What one unit cost when it was last added; `None` if that was lost, or another program wrote the line.
    pub seen_price: Option<Cents>,
    /// When the line expires; `None` if it lives as long as the cart.
    pub expires_in: Option<Duration>,
}

/// A cart beside today's prices.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PricedCart {
    /// In the order of [`CartView::lines`].
    pub lines: Vec<PricedLine>,
    /// The total at today's prices, without what is no longer sold.
    pub total: Cents,
}

/// A line beside today's price.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PricedLine {
    /// The line.
    pub line: Line,
    /// What one unit costs today; `None` if it is no longer sold.
    pub unit_price: Option<Cents>,
    /// That times the units.
    pub line_total: Option<Cents>,
    /// What has changed since it was added.
    pub state: LineState,
}

/// What has changed about a product since it was added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineState {
    /// Nothing: on sale at the price seen.
    OnSale,
    /// On sale at another price.
    PriceChanged {
        /// The price seen.
        was: Cents,
    },
    /// No longer on sale. It counts in no total and can only be removed.
    NoLongerSold,
}

impl CartView {
    /// Compares the prices seen with today's, which you look up: `None` for what is no longer sold.
    pub fn at_prices(self, today: impl Fn(&str) -> Option<Cents>) -> Result<PricedCart, CartError> {
        let mut cart = PricedCart::default();
        for line in self.lines {
            let unit_price = today(&line.sku);
            let state = match (unit_price, line.seen_price) {
                (None, _) => LineState::NoLongerSold,
                (Some(price), Some(was)) if price != was => LineState::PriceChanged { was },
                _ => LineState::OnSale,
            };
            let line_total = match unit_price {
                Some(price) => Some(price.checked_mul(line.quantity).ok_or(CartError::TotalTooLarge)?),
                None => None,
            };
            let total = cart.total.checked_add(line_total.unwrap_or_default());
            cart.total = total.ok_or(CartError::TotalTooLarge)?;
            cart.lines.push(PricedLine { line, unit_price, line_total, state });
        }
        Ok(cart)
    }
}

/// What was in a cart before it was cleared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cleared {
    /// Lines.
    pub lines: usize,
    /// Units in all lines together.
    pub units: u64,
}

/// The result of a merge. Both lists are empty if there was nothing to move.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Merged {
    /// The SKU and units of what is now in the user's cart.
    pub moved: Vec<(String, u32)>,
    /// What stays in the guest's cart.
    pub left: Vec<Left>,
}

/// Units that did not fit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Left {
    /// The product.
    pub sku: String,
    /// The units.
    pub quantity: u32,
    /// Which limit they reached.
    pub why: LeftBehind,
}

/// Why units stay in the guest's cart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeftBehind {
    /// The user's line has [`MAX_UNITS`] units now.
    LineLimit,
    /// The user's cart has [`MAX_LINES`] lines.
    CartFull,
}

/// A guest's lines on their way to a user. See [`Cart::claim`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    guest: String,
    user: String,
    id: String,
    /// SKU, then units, cents, and deadline, as stored in the claim.
    lines: BTreeMap<String, [String; 3]>,
    /// An earlier merge made it.
    found: bool,
}

/// The outcome of applying a claim the first time.
#[derive(Debug)]
pub enum Applied {
    /// The lines that fit are in the user's cart.
    Merged(Merged),
    /// The user's cart cannot be read. All lines go back.
    Refused(StoreError),
}

/// All carts under a prefix.
#[derive(Clone, Debug)]
pub struct Cart<C> {
    connection: C,
    prefix: String,
    representation: Representation,
    ttl: Duration,
}

impl<C: ConnectionLike + Clone> Cart<C> {
    /// Carts in Hashes that live for 30 minutes after they were last changed or viewed.
    pub fn new(connection: C, prefix: &str) -> Self {
        let ttl = Duration::from_mins(30);
        Self { connection, prefix: prefix.to_owned(), representation: Representation::Hash, ttl }
    }

    /// How the units are stored.
    #[must_use]
    pub fn with_representation(self, representation: Representation) -> Self {
        Self { representation, ..self }
    }

    /// How long a cart lives after it was last changed or viewed: a millisecond to a year.
    #[must_use]
    pub fn with_ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// Adds units at the price that the customer sees now, all or none. To set a deadline, or to retry it yourself, see
    /// [`Cart::add_item`]. One round trip.
    pub async fn add<'a>(
        &self,
        owner: impl Into<Owner<'a>>,
        sku: &str,
        quantity: u32,
        unit_price: Cents,
    ) -> Result<Changed, CartError> {
        self.add_item(owner, &Item::new(sku, quantity, unit_price)).await
    }

    /// Adds units, all or none. One round trip.
    pub async fn add_item<'a>(
        &self,
        owner: impl Into<Owner<'a>>,
        item: &Item<'_>,
    ) -> Result<Changed, CartError> {
        let Item { sku, quantity, unit_price, ttl, request_id } = *item;
        check_units(quantity)?;
        if unit_price > Cents::MAX_PRICE {
            return Err(CartError::PriceTooHigh(unit_price));
        }
        let keys = self.keys_of(owner.into())?;
        let ttl = ttl.map_or_else(String::new, |ttl| milliseconds(ttl).to_string());
        let call = self.change(&self.scripts().add, &keys, "added", sku, request_id)?;
        let call = call.arg(quantity).arg(unit_price.get()).arg(ttl).arg(MAX_UNITS).arg(MAX_LINES);
        let mut reply = self.run(&call, &keys).await?;
        match reply.outcome.as_str() {
            "CHANGED" => Ok(Changed::from_reply(&mut reply)?),
            "LINE_LIMIT" => {
                Err(CartError::LineLimit { sku: sku.to_owned(), have: reply.next()?, asked: quantity })
            }
            "CART_FULL" => Err(CartError::CartFull),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// Sets the units of an existing line, 0 to [`MAX_UNITS`]; 0 removes it. The price seen stays. You can repeat it:
    /// the last call to arrive wins. One round trip.
    pub async fn set_quantity<'a>(
        &self,
        owner: impl Into<Owner<'a>>,
        sku: &str,
        quantity: u32,
    ) -> Result<Changed, CartError> {
        check_units(quantity.max(1))?;
        let keys = self.keys_of(owner.into())?;
        let call = self.change(&self.scripts().set, &keys, "set", sku, None)?.arg(quantity);
        let mut reply = self.run(&call, &keys).await?;
        match reply.outcome.as_str() {
            "CHANGED" => Ok(Changed::from_reply(&mut reply)?),
            "NOT_IN_CART" => Err(CartError::NotInCart(sku.to_owned())),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// Removes some units, or the whole line with `None`. The client library may send it twice; to retry it yourself, use
    /// [`Cart::set_quantity`]. One round trip.
    pub async fn remove<'a>(
        &self,
        owner: impl Into<Owner<'a>>,
        sku: &str,
        quantity: Option<u32>,
    ) -> Result<Changed, CartError> {
        check_units(quantity.unwrap_or(1))?;
        let keys = self.keys_of(owner.into())?;
        let units = quantity.map_or_else(String::new, |units| units.to_string());
        let call = self.change(&self.scripts().remove, &keys, "removed", sku, None)?.arg(units);
        let mut reply = self.run(&call, &keys).await?;
        match reply.outcome.as_str() {
            "CHANGED" => Ok(Changed::from_reply(&mut reply)?),
            "NOT_IN_CART" => Err(CartError::NotInCart(sku.to_owned())),
            "ONLY_IN_CART" => Err(CartError::OnlyInCart {
                sku: sku.to_owned(),
                quantity: reply.next()?,
                asked: quantity.unwrap_or_default(),
            }),
            _ => Err(reply.unexpected().into()),
        }
    }

    /// Reads the cart and renews its TTL. One round trip; two if a line has expired or another program has written the
    /// cart.
    pub async fn view<'a>(&self, owner: impl Into<Owner<'a>>) -> Result<CartView, StoreError> {
        let keys = self.keys_of(owner.into())?;
        let ttl = milliseconds(self.ttl);
        let mut reply: Reply = self.scripts().view.call(&keys.all).arg(ttl).run(&self.connection).await?;
        reply.must_be("LINES")?;
        let (stored, mut seen): (BTreeMap<String, String>, BTreeMap<String, String>) =
            (reply.next()?, reply.next()?);
        let (leaving, now): (BTreeMap<String, f64>, f64) = (reply.next()?, reply.next()?);
        let mut lines = Vec::new();
        for (sku, units) in stored {
            let quantity = digits(&units).filter(|units| *units > 0);
            let quantity = quantity.ok_or_else(|| malformed(&keys.all[0], &sku))?;
            let cents = seen.get(&sku).map(|text| digits(text).and_then(Cents::new));
            let seen_price =
                cents.map(|cents| cents.ok_or_else(|| malformed(&keys.all[1], &sku))).transpose()?;
            let expires_in = leaving.get(&sku).map(|time| time - now);
            if expires_in.is_none_or(|left| left > 0.0) {
                let expires_in =
                    expires_in.map(|left| Duration::try_from_secs_f64(left / 1000.0).unwrap_or_default());
                lines.push(Line { sku, quantity, seen_price, expires_in });
            }
        }
        let sums = seen.remove("").unwrap_or_else(|| "0 0 0 0 ".to_owned());
        if !sums.starts_with(&sums_of(&lines)) {
            self.tidy(&keys).await?;
        }
        let expires_in = (!lines.is_empty()).then_some(Duration::from_millis(ttl));
        Ok(CartView { lines, expires_in })
    }

    /// Counts what is in the cart. Its TTL stays. One round trip.
    pub async fn contents<'a>(&self, owner: impl Into<Owner<'a>>) -> Result<Contents, StoreError> {
        let keys = self.keys_of(owner.into())?;
        let mut reply = self.run(&self.scripts().contents.call(&keys.all), &keys).await?;
        reply.must_be("CONTENTS")?;
        Contents::from_reply(&mut reply)
    }

    /// Empties the cart, even one that cannot be read. One round trip.
    pub async fn clear<'a>(&self, owner: impl Into<Owner<'a>>) -> Result<Cleared, StoreError> {
        let keys = self.keys_of(owner.into())?;
        let call = self.call(&self.scripts().clear, &keys.all, &keys, "cleared", None);
        let mut reply: Reply = call.run(&self.connection).await?;
        reply.must_be("CLEARED")?;
        Ok(Cleared { lines: reply.next()?, units: reply.next()? })
    }

    /// Moves a guest's cart into a user's at login, up to the limits of a cart, each unit once. What does not fit stays
    /// in the guest's cart. Prices seen and deadlines move along. If both have a line, the user's price stays, and the
    /// later deadline wins. A merge that was cut off is finished first. Three round trips, or one if there is nothing
    /// to move.
    pub async fn merge(&self, guest: &str, user: &str) -> Result<Merged, StoreError> {
        let mut merged = Merged::default();
        while let Some(claim) = self.claim(guest, user).await? {
            let applied = self.apply(&claim).await?;
            self.finish(&claim, &applied).await?;
            match applied {
                // An earlier login of this guest that was cut off.
                _ if claim.user != user => {}
                Applied::Merged(Merged { moved, left }) => {
                    merged.moved.extend(moved);
                    merged.left = left;
                }
                Applied::Refused(error) => return Err(error),
            }
            // After an earlier claim, the guest may have added more.
            if !claim.found {
                break;
            }
        }
        Ok(merged)
    }

    /// First step of a merge, for services that finish it in the background. Takes the guest's lines, or finds those
    /// that an earlier merge took. `None` if there is nothing to move. One round trip.
    pub async fn claim(&self, guest: &str, user: &str) -> Result<Option<Claim>, StoreError> {
        self.key(Owner::User(user))?;
        let keys = self.keys_of(Owner::Guest(guest))?;
        let all = keys.with(self.companion(&keys, "merging"));
        let call = self.call(&self.scripts().claim, &all, &keys, "merged", None).arg(user);
        let mut reply = self.run(&call, &keys).await?;
        match reply.outcome.as_str() {
            "NOTHING" => return Ok(None),
            "CLAIMED" | "FOUND" => {}
            _ => return Err(reply.unexpected()),
        }
        let mut stored: BTreeMap<String, String> = reply.next()?;
        let mut take = |field| stored.remove(field).ok_or_else(|| malformed(&all[3], field));
        let (id, user) = (take("id")?, take("into")?);
        let mut lines = BTreeMap::new();
        for (field, line) in stored {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let (Some(sku), Ok(words)) = (field.strip_prefix("line:"), words.try_into()) else {
                return Err(malformed(&all[3], &field));
            };
            lines.insert(sku.to_owned(), words);
        }
        Ok(Some(Claim { guest: guest.to_owned(), user, id, lines, found: reply.outcome == "FOUND" }))
    }

    /// Second step: adds the claimed lines to the user's cart, once. One round trip.
    pub async fn apply(&self, claim: &Claim) -> Result<Applied, StoreError> {
        let keys = self.keys_of(Owner::User(&claim.user))?;
        let all = keys.with(keys.root.companion(&format!("merged:{}", claim.id)));
        let remember = milliseconds(self.ttl.saturating_add(STEP_WINDOW));
        let mut call = self.call(&self.scripts().apply, &all, &keys, "merged", None);
        call = call.arg(&claim.id).arg(MAX_UNITS).arg(MAX_LINES).arg(remember);
        for (sku, line) in &claim.lines {
            call = call.arg(sku).arg(line);
        }
        let reply = match self.run(&call, &keys).await {
            Err(error @ (StoreError::Malformed(_) | StoreError::WrongType(_))) => {
                // Record the refusal, unless the claim was applied meanwhile: lines that go back to the guest must not
                // be added here too.
                let mut refuse = redis::cmd("SET");
                refuse.arg(&all[3]).arg(r#"["REFUSED"]"#).arg("NX").arg("PX").arg(remember);
                let _: Option<String> = send(&self.connection, &refuse).await?;
                match self.run(&call, &keys).await? {
                    reply if reply.outcome == "REFUSED" => return Ok(Applied::Refused(error)),
                    reply => Ok(reply),
                }
            }
            other => other,
        };
        let mut reply = reply?;
        match reply.outcome.as_str() {
            "MERGED" => {
                let (moved, left): (_, Vec<(String, u32, String)>) = (reply.next()?, reply.next()?);
                let why = |word: &str| {
                    if word == "CART_FULL" { LeftBehind::CartFull } else { LeftBehind::LineLimit }
                };
                let left =
                    left.into_iter().map(|(sku, quantity, word)| Left { sku, quantity, why: why(&word) });
                Ok(Applied::Merged(Merged { moved, left: left.collect() }))
            }
            "REFUSED" => Ok(Applied::Refused(malformed(&keys.all[0], "as it was when the guest logged in"))),
            _ => Err(reply.unexpected()),
        }
    }

    /// Last step: returns what did not fit to the guest, and deletes the claim. One round trip.
    pub async fn finish(&self, claim: &Claim, applied: &Applied) -> Result<(), StoreError> {
        let keys = self.keys_of(Owner::Guest(&claim.guest))?;
        let all = keys.with(self.companion(&keys, "merging"));
        let mut call = self.call(&self.scripts().finish, &all, &keys, "merged", None);
        // The guest may have added more meanwhile. A line or a cart above its limit is better than lost units.
        call = call.arg(&claim.id).arg(u32::MAX).arg(u32::MAX).arg("");
        for (sku, [units, cents, deadline]) in &claim.lines {
            let units = match applied {
                Applied::Refused(_) => units.clone(),
                Applied::Merged(merged) => match merged.left.iter().find(|left| left.sku == *sku) {
                    Some(left) => left.quantity.to_string(),
                    None => continue,
                },
            };
            call = call.arg(sku).arg(units).arg(cents).arg(deadline);
        }
        self.run(&call, &keys).await?.must_be("FINISHED")
    }

    /// Removes what an order has bought, as SKU and units, as far as it is still in the cart, once for each order ID.
    /// Units added since then stay. Returns the units removed. One round trip.
    pub async fn take<'a>(
        &self,
        owner: impl Into<Owner<'a>>,
        order_id: &str,
        lines: &[(&str, u32)],
    ) -> Result<u64, StoreError> {
        check_id(order_id)?;
        let keys = self.keys_of(owner.into())?;
        let all = keys.with(self.companion(&keys, &format!("taken:{}", escape(order_id))));
        let remember = milliseconds(self.ttl.saturating_add(STEP_WINDOW));
        let mut call =
            self.call(&self.scripts().take, &all, &keys, "ordered", None).arg(order_id).arg(remember);
        let mut units: BTreeMap<&str, u64> = BTreeMap::new();
        for (sku, quantity) in lines {
            *units.entry(sku).or_default() += u64::from(*quantity);
        }
        for (sku, quantity) in units {
            check_id(sku)?;
            call = call.arg(sku).arg(quantity);
        }
        let mut reply = self.run(&call, &keys).await?;
        reply.must_be("TAKEN")?;
        reply.next()
    }

    /// The root key of a cart, `cart:1`.
    pub fn key<'a>(&self, owner: impl Into<Owner<'a>>) -> Result<Key, StoreError> {
        Ok(match owner.into() {
            // A user's ID may be `guest:abc123`: then the key is `cart:user:guest%3Aabc123`.
            Owner::User(id) if id.starts_with("guest:") => Key::new(&self.prefix, "cart", &["user", id]),
            Owner::User(id) => Key::new(&self.prefix, "cart", &[id]),
            Owner::Guest(session) => Key::new(&self.prefix, "cart", &["guest", session]),
        }?)
    }

    /// The keys of a cart's units, prices, and deadlines, and of a merge in progress. The first is a Hash or a Sorted
    /// Set.
    pub fn keys<'a>(&self, owner: impl Into<Owner<'a>>) -> Result<[String; 4], StoreError> {
        let keys = self.keys_of(owner.into())?;
        Ok(keys.with(self.companion(&keys, "merging")))
    }

    /// The channel on which the changes of a cart are published, as [`CartUpdate`].
    pub fn channel<'a>(&self, owner: impl Into<Owner<'a>>) -> Result<String, StoreError> {
        Ok(self.keys_of(owner.into())?.channel)
    }

    fn keys_of(&self, owner: Owner<'_>) -> Result<Keys, StoreError> {
        let root = self.key(owner)?;
        let all = match self.representation {
            Representation::Hash => {
                [root.as_str().to_owned(), root.companion("prices"), root.companion("deadlines")]
            }
            Representation::SortedSet => ["by_quantity", "by_quantity:prices", "by_quantity:deadlines"]
                .map(|name| root.companion(name)),
        };
        let name = &root.as_str()[self.prefix.len() + "cart".len()..];
        let channel = format!("{}cart_updates{name}", self.prefix);
        Ok(Keys { all, channel, owner: owner.to_string(), root })
    }

    fn companion(&self, keys: &Keys, name: &str) -> String {
        match self.representation {
            Representation::Hash => keys.root.companion(name),
            Representation::SortedSet => keys.root.companion(&format!("by_quantity:{name}")),
        }
    }

    fn scripts(&self) -> &'static Scripts {
        match self.representation {
            Representation::Hash => &HASH,
            Representation::SortedSet => &SORTED_SET,
        }
    }

    /// A call with the arguments that most scripts share: TTL, channel, and the start of the message.
    fn call<'s>(
        &self,
        script: &'s Script,
        all: &[String],
        keys: &Keys,
        event: &str,
        sku: Option<&str>,
    ) -> Call<'s> {
        // Without the closing brace: the script adds its own fields.
        let mut message = serde_json::json!({ "event": event, "owner": keys.owner, "sku": sku }).to_string();
        message.pop();
        script.call(all).arg(milliseconds(self.ttl)).arg(&keys.channel).arg(message)
    }

    /// A call that changes one line, once. Without the caller's ID, it gets a random one, because the client library
    /// may send it twice.
    fn change<'s>(
        &self,
        script: &'s Script,
        keys: &Keys,
        event: &str,
        sku: &str,
        request_id: Option<&str>,
    ) -> Result<Call<'s>, StoreError> {
        check_id(sku)?;
        let id = match request_id {
            Some(id) => {
                check_id(id)?;
                escape(id)
            }
            None => random_id(),
        };
        let all = keys.with(self.companion(keys, &format!("request:{id}")));
        let call = self.call(script, &all, keys, event, Some(sku));
        Ok(call.arg(id).arg(milliseconds(CHANGE_WINDOW)).arg(sku))
    }

    /// Runs a script, and tidies the cart first if the script asks for that.
    async fn run(&self, call: &Call<'_>, keys: &Keys) -> Result<Reply, StoreError> {
        let mut reply: Reply = call.run(&self.connection).await?;
        for _ in 0..TRIES {
            if reply.outcome != "TIDY" {
                break;
            }
            self.tidy(keys).await?;
            reply = call.run(&self.connection).await?;
        }
        Ok(reply)
    }

    async fn tidy(&self, keys: &Keys) -> Result<(), StoreError> {
        let call = self.scripts().tidy.call(&keys.all).arg(milliseconds(self.ttl)).arg(random_id());
        let _: Reply = call.run(&self.connection).await?;
        Ok(())
    }
}

/// How the sums of a cart with these lines begin.
fn sums_of(lines: &[Line]) -> String {
    let units: u64 = lines.iter().map(|line| u64::from(line.quantity)).sum();
    let cents =
        |line: &Line| i128::from(line.quantity) * i128::from(line.seen_price.unwrap_or_default().get());
    let unpriced = lines.iter().filter(|line| line.seen_price.is_none()).count();
    format!("{} {units} {} {unpriced} ", lines.len(), lines.iter().map(cents).sum::<i128>())
}

/// The names of one cart.
struct Keys {
    root: Key,
    all: [String; 3],
    channel: String,
    owner: String,
}

impl Keys {
    fn with(&self, fourth: String) -> [String; 4] {
        let [units, prices, deadlines] = self.all.clone();
        [units, prices, deadlines, fourth]
    }
}

/// 64 random bits, from the seed that the standard library gives every `HashMap`. They only have to differ from the
/// cart's recent IDs.
fn random_id() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

fn check_units(units: u32) -> Result<(), CartError> {
    if (1..=MAX_UNITS).contains(&units) { Ok(()) } else { Err(CartError::Quantity(units)) }
}

fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn malformed(key: &str, field: &str) -> StoreError {
    StoreError::Malformed(quote(&format!("{key} {field}")))
}

impl Contents {
    fn from_reply(reply: &mut Reply) -> Result<Self, StoreError> {
        let (lines, units) = (reply.next()?, reply.next()?);
        Ok(Self { lines, units, seen_total: reply.next::<Option<i64>>()?.and_then(Cents::new) })
    }
}

impl Changed {
    fn from_reply(reply: &mut Reply) -> Result<Self, StoreError> {
        let (change, quantity) = (reply.next()?, reply.next()?);
        Ok(Self { change, quantity, cart: Contents::from_reply(reply)? })
    }
}

/// A change of a cart, as the script that makes it publishes it.
///
/// Pub/sub delivers at most once: a subscriber who is away misses it. After a reconnect, view the cart. A line or a cart that
/// expires is not published. While a cluster moves the cart's slot, an update may overtake the one before it.
///
/// ```
/// use patterns::cart::{CartUpdate, Change};
///
/// let update = CartUpdate::parse(
///     br#"{"event":"added","owner":"1","sku":"sku123","change":2,"quantity":3,"lines":1,"units":3,"total_cents":5997}"#,
/// )?;
/// assert_eq!(update.event, Change::Added);
/// assert_eq!(update.total, "59.97".parse().ok());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct CartUpdate {
    /// What happened.
    pub event: Change,
    /// Whose cart it is, as [`Owner`] is written.
    pub owner: String,
    /// The product, if the change is about one.
    pub sku: Option<String>,
    /// The units added (positive) or removed (negative).
    pub change: i64,
    /// The units now in the product's line; 0 if the line is gone, or the change is about the whole cart.
    pub quantity: u32,
    /// The lines now in the cart.
    pub lines: usize,
    /// The units now in the cart.
    pub units: u64,
    /// The new total at the prices seen; `None` if a line has none.
    #[serde(rename = "total_cents")]
    pub total: Option<Cents>,
}

/// What happened to a cart.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Units of a product were added.
    Added,
    /// A line got another quantity.
    Set,
    /// Units of a product, or all of them, were removed.
    Removed,
    /// The cart was emptied.
    Cleared,
    /// A guest logged in: units left the guest's cart, or entered the user's.
    Merged,
    /// The lines of an order were removed.
    Ordered,
    /// An event of a later version.
    #[serde(other)]
    Other,
}

impl CartUpdate {
    /// Reads a message. Any client that may publish on the channel can send one.
    pub fn parse(message: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(message)
    }
}

/// Why nothing was changed. After a connection error, the outcome is unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CartError {
    /// The units of a change are 0 or more than [`MAX_UNITS`].
    #[error("a change has 1 to {MAX_UNITS} units, not {0}")]
    Quantity(u32),
    /// More than [`Cents::MAX_PRICE`].
    #[error("the price {0} is too high: the maximum is {max}", max = Cents::MAX_PRICE)]
    PriceTooHigh(Cents),
    /// The line would have more than [`MAX_UNITS`] units.
    #[error(
        "the cart holds {have} of {} already; {asked} more would exceed the limit of {MAX_UNITS}",
        quote(.sku)
    )]
    LineLimit {
        /// The product.
        sku: String,
        /// The units in the line.
        have: u32,
        /// The units to add.
        asked: u32,
    },
    /// The cart would have more than [`MAX_LINES`] lines.
    #[error("the cart is full: it has {MAX_LINES} lines")]
    CartFull,
    /// The cart has no line of this product.
    #[error("{} is not in the cart", quote(.0))]
    NotInCart(String),
    /// The line has fewer units.
    #[error("only {quantity} of {} in the cart, {asked} cannot be removed", quote(.sku))]
    OnlyInCart {
        /// The product.
        sku: String,
        /// The units in the line.
        quantity: u32,
        /// The units to remove.
        asked: u32,
    },
    /// The total is more than `i64::MAX` cents. Only a quantity that another program wrote can cause that.
    #[error("the total of the cart is too large")]
    TotalTooLarge,
    /// Redis, or the data in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<KeyError> for CartError {
    fn from(error: KeyError) -> Self {
        Self::Store(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_command_of_a_hash_is_left_for_a_sorted_set() {
        let sorted_set = for_sorted_set(include_str!("cart.lua"));
        assert_eq!(sorted_set.matches("allowed('ZADD', cart, 1, '')").count(), 1);
        for command in ["HLEN", "HGET", "HGETALL", "HSET", "HDEL", "HMGET", "HINCRBY", "HEXISTS"] {
            assert!(!sorted_set.contains(&format!("'{command}', cart")), "{command}");
        }
        assert_eq!(scripts().len(), 22);
    }
}
