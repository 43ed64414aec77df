//! The patterns of a shop on Redis, to use or to copy into a service: right under concurrency, on one server and on a cluster.
//!
//! In reading order:
//!
//! 1. [`keys`]: every key and channel name, with hash tags where a cluster needs them.
//! 2. [`money`], [`quantity`], [`ids`], [`names`]: values that are checked once, when they are made.
//! 3. [`store`]: what can go wrong between us and the data.
//! 4. [`user`] and [`catalogue`]: Hashes with indexes that do not drift from them.
//! 5. [`cart`]: add, remove, view, merge at login, expiry and live updates; each change is one script, so one atomic step.
//!
//! Nothing here prints, parses a command line, or opens a connection: every type works over any
//! [`redis::aio::ConnectionLike`] that can be cloned, such as [`MultiplexedConnection`](redis::aio::MultiplexedConnection),
//! [`ConnectionManager`](redis::aio::ConnectionManager) and
//! [`ClusterConnection`](redis::cluster_async::ClusterConnection).
//!
//! A lost answer leaves open whether the command was done, and a `ClusterConnection` sends it again by itself when the answer
//! is lost or late. What bears an id counts once all the same: reservations, orders, purchases, notifications, events. What
//! does not may count twice: adding to a cart or removing a number of units from it, looking at a product, asking a limiter or
//! the login guard, creating a user.
//!
//! With redis-rs 1.8, use a tokio before 1.54 and let fewer than 50 requests be under way over one `ClusterConnection`:
//! otherwise it can stand still when slots move. The workspace's `ARCHITECTURE.md` says why. `InTurn` sees to it, one file of
//! `lab-connection` (`connection/in_turn.rs`) that needs nothing but redis and tokio: copy it, too.
//!
//! ```
//! use storefront::{Cart, Catalogue, Keys, Layout, NewUser, Product, Quantity, Representation, Users};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let server = lab_server::Server::start()?;
//! let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
//! let keys = Keys::new("", Layout::Standalone);
//!
//! let parker = NewUser { first_name: "Parker".parse()?, last_name: "Perry".parse()? };
//! let parker = Users::new(connection.clone(), keys.clone()).create(parker).await?;
//!
//! let mug = Product { sku: "sku123".parse()?, name: "Coffee mug".parse()?, price: "19.99".parse()? };
//! Catalogue::new(connection.clone(), keys.clone()).put(&mug).await?;
//!
//! let cart = Cart::new(connection, keys, Representation::Hash);
//! cart.add(&parker.id.into(), &mug.sku, "2".parse()?, None).await?;
//! cart.add(&parker.id.into(), &mug.sku, Quantity::ONE, None).await?;
//!
//! let view = cart.view(&parker.id.into()).await?;
//! assert_eq!(view.lines[0].quantity, 3);
//! assert_eq!(view.total.to_string(), "59.97");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cart;
pub mod catalogue;
pub mod checkout;
mod fields;
pub mod ids;
pub mod inventory;
pub mod keys;
pub mod money;
pub mod names;
pub mod quantity;
mod script;
mod shown;
mod span;
pub mod store;
pub mod user;

pub use cart::{
    AddError, Added, Cart, CartError, CartUpdate, CartView, Change, Cleared, Contents, ItemExpiry, Left,
    LeftBehind, Line, LineState, Merged, RemoveError, Removed, Representation,
};
pub use catalogue::{Catalogue, Product, Put, PutError};
pub use checkout::{Agreed, Charge, Checkout, CheckoutError, Order, OrderState, Payments};
pub use ids::{
    ApiKey, CartOwner, CustomerId, EventId, IdError, Label, OrderId, ReservationId, SessionId, Sku, UserId,
};
pub use inventory::{Inventory, InventoryError, ReserveError, SettleError, Sweeper};
pub use keys::{CartKeys, Keys, Layout};
pub use money::{Cents, PriceError};
pub use names::{NameError, PersonName, ProductName};
pub use quantity::{Quantity, QuantityError};
pub use store::StoreError;
pub use user::{CreateUserError, NewUser, User, Users};
