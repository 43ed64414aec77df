//! A sale with few units, many buyers and a cap for each of them.
//!
//! The naive way reads how much is left and what the customer has, decides here, and writes. Between the reading and the
//! writing others do the same: more is sold than there is, and two clicks of one customer pass the cap together. Here each
//! purchase is one short script, so deciding and writing are one step. It asks the server's clock, so that a sale begins
//! and ends at the same moment for everyone.
//!
//! A customer's client names each purchase by an [`OrderId`] before it asks. If the answer is lost, it asks again with the
//! same name and gets the same answer, and has bought once.
//!
//! When nothing is left, the sale either says so or, with [`NewSale::places`], keeps a line: numbers without gaps in the
//! order in which customers came, and units that come back ([`FlashSale::give_back`]) go to the first in it.
//!
//! ```
//! use storefront::flash_sale::{BuyError, FlashSale, NewSale, Purchase};
//! use storefront::{CustomerId, Keys, Layout, OrderId, Quantity};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! # let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let sales = FlashSale::new(connection, Keys::new("", Layout::Standalone));
//! let now = sales.now().await?;
//! sales
//!     .open(&NewSale {
//!         name: "Black Friday".into(),
//!         product: "PROD123".parse()?,
//!         starts: now,
//!         ends: now + 60_000,
//!         units: 3,
//!         cap: Quantity::new(2)?,
//!         places: 0,
//!     })
//!     .await?;
//!
//! let (ann, order): (CustomerId, OrderId) = ("ann".parse()?, "ann-1".parse()?);
//! let first = sales.buy(&ann, Quantity::new(2)?, &order).await?;
//! let Purchase::Bought(receipt) = first else { panic!("{first:?}") };
//! assert_eq!((receipt.left, receipt.yours), (1, 2));
//! // The answer was lost, so the client asks again.
//! assert_eq!(sales.buy(&ann, Quantity::new(2)?, &order).await?, Purchase::AlreadyBought(receipt));
//! // One more is beyond the cap.
//! let refused = sales.buy(&ann, Quantity::ONE, &"ann-2".parse()?).await;
//! assert!(matches!(refused, Err(BuyError::OverCap { have: 2, cap: 2 })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buy;
mod line;
mod open;

use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{RedisError, Script, ScriptInvocation};

pub use buy::{BuyError, Purchase, Receipt};
pub use line::{GaveBack, GiveBackError, LeaveError, Place, Served};
pub use open::{NewSale, OpenError, Sale};

#[cfg(doc)]
use crate::OrderId;
use crate::script;
use crate::store::Reply;
use crate::{Keys, StoreError};

/// How long the keys of a sale stay after its end, unless [`FlashSale::with_kept`] says otherwise: long enough for every
/// retry, and for whoever counts afterwards.
pub const DEFAULT_KEPT: Duration = Duration::from_hours(24);

/// The flash sale that is on now, of a shop.
///
/// - What is left, sold and everybody's share always add up: `left + sold = units`, and no share is over the cap.
/// - Everything is gone some time after the end ([`FlashSale::with_kept`]).
/// - Each method takes one round trip, of a server that knows its scripts; the keys share a slot.
#[derive(Clone, Debug)]
pub struct FlashSale<C> {
    connection: C,
    keys: Keys,
    kept: Duration,
}

impl<C: ConnectionLike + Clone> FlashSale<C> {
    /// The flash sale under `keys`.
    pub fn new(connection: C, keys: Keys) -> Self {
        Self { connection, keys, kept: DEFAULT_KEPT }
    }

    /// How long the keys of a sale that is opened from now on stay after its end: a second to a year; other values become
    /// the nearest of these.
    #[must_use]
    pub fn with_kept(mut self, kept: Duration) -> Self {
        self.kept = kept;
        self
    }

    /// The server's clock, in milliseconds of the Unix epoch: what [`NewSale::starts`] and [`NewSale::ends`] are compared
    /// with.
    pub async fn now(&self) -> Result<u64, StoreError> {
        let (seconds, micros): (u64, u64) =
            redis::cmd("TIME").query_async(&mut self.connection.clone()).await?;
        Ok(seconds.saturating_mul(1000).saturating_add(micros / 1000))
    }

    /// A call of a script with all the keys of the sale.
    fn call(&self, script: &'static Script) -> ScriptInvocation<'static> {
        let mut call = script.prepare_invoke();
        for key in self.keys.flash_sale().all() {
            call.key(key);
        }
        call
    }

    async fn run(&self, call: &ScriptInvocation<'_>) -> Result<Reply, RedisError> {
        script::run(call, &self.connection).await
    }

    fn kept_ms(&self) -> u64 {
        const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;
        u64::try_from(self.kept.as_millis()).unwrap_or(YEAR).clamp(1000, YEAR)
    }
}

/// The keys of a flash sale, all in one slot.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct FlashSaleKeys {
    /// What is sold, and how it goes: a Hash.
    pub sale: String,
    /// Customer to units, and `customer:order` to the answer: a Hash. (One for both: a purchase reads and writes it once.)
    pub bought: String,
    /// Customers in line, by number: a Sorted Set.
    pub line: String,
    /// Customer in line to his order and its units: a Hash.
    pub tickets: String,
}

impl FlashSaleKeys {
    /// All of them, in the order in which the scripts take them.
    #[must_use]
    pub fn all(&self) -> [&str; 4] {
        [&self.sale, &self.bought, &self.line, &self.tickets]
    }
}

static OPEN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("scripts/types.lua"), include_str!("flash_sale/scripts/open.lua")))
});
static BUY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("flash_sale/scripts/buy.lua")));
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("scripts/types.lua"),
        include_str!("flash_sale/scripts/serve.lua"),
        include_str!("flash_sale/scripts/give_back.lua"),
    ))
});
static LEAVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("scripts/types.lua"),
        include_str!("flash_sale/scripts/serve.lua"),
        include_str!("flash_sale/scripts/leave.lua"),
    ))
});
static PLACE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("flash_sale/scripts/place.lua")));
