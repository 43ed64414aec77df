//! The shops every test runs against: one server and a cluster of three primaries, each with every kind of cart that the
//! server can do. Servers are shared by the tests of one program; each shop has a namespace of its own.

#![allow(dead_code, reason = "each program of tests uses its own part")]
#![allow(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not reach the functions they share"
)]

pub mod faults;
pub mod moving;

use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use lab_connection::connection::InTurn;
use lab_server::{Cluster, Server};
use moving::Restless;
use proptest::test_runner::{Config, RngSeed};
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisFuture, Value};
use storefront::{
    Cart, CartOwner, Catalogue, ItemExpiry, Keys, Layout, NewUser, Product, Quantity, Representation,
    SessionId, Sku, UserId, Users,
};

static SERVER: OnceLock<Server> = OnceLock::new();
static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static SHOPS: AtomicU32 = AtomicU32::new(0);

/// The servers are shared by tests that run at once on few cores.
const PATIENCE: Duration = Duration::from_mins(1);
const CONNECTING: Duration = Duration::from_secs(5);

pub fn server() -> &'static Server {
    SERVER.get_or_init(|| Server::start().unwrap())
}

pub fn cluster() -> &'static Cluster {
    CLUSTER.get_or_init(|| Cluster::start(3).unwrap())
}

/// Either kind of connection, with a count of the round trips made over it and its clones.
#[derive(Clone)]
pub struct Wire {
    to: To,
    round_trips: Arc<AtomicUsize>,
    restless: Option<Restless>,
}

#[derive(Clone)]
enum To {
    One(MultiplexedConnection),
    Reconnecting(ConnectionManager),
    Many(InTurn),
}

impl Wire {
    pub async fn standalone() -> Self {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE));
        let client = redis::Client::open(server().url()).unwrap();
        let connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        Self { to: To::One(connection), round_trips: Arc::default(), restless: None }
    }

    /// A connection of its own that reconnects when it is lost; what was under way then ends with an error.
    pub async fn reconnecting(url: &str) -> Self {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE))
            .set_max_delay(Duration::from_millis(5));
        let client = redis::Client::open(url).unwrap();
        let connection = ConnectionManager::new_with_config(client, config).await.unwrap();
        Self { to: To::Reconnecting(connection), round_trips: Arc::default(), restless: None }
    }

    pub async fn cluster() -> Self {
        if Restless::asked_for() { Self::restless().await } else { Self::of_cluster(cluster()).await }
    }

    /// One that moves slots, whether the environment asks for it or not.
    pub async fn restless() -> Self {
        Self { restless: Some(Restless::default()), ..Self::of_cluster(cluster()).await }
    }

    pub async fn of_cluster(cluster: &Cluster) -> Self {
        Self::of_cluster_with_patience(cluster, PATIENCE).await
    }

    /// A connection that takes an answer for lost after this long, so that who asks again need not wait for a minute.
    pub async fn of_cluster_with_patience(cluster: &Cluster, patience: Duration) -> Self {
        Self { to: To::Many(connect(cluster, patience).await), round_trips: Arc::default(), restless: None }
    }
}

/// A connection on which nothing is counted.
pub async fn bare_connection() -> InTurn {
    connect(cluster(), PATIENCE).await
}

async fn connect(cluster: &Cluster, patience: Duration) -> InTurn {
    let client = ClusterClientBuilder::new(cluster.urls())
        // Otherwise the first retry waits for more than a second, and that of a slot on the move for as long. So many of them
        // are a minute: a slot is not half way for longer.
        .retries(2_000)
        .min_retry_wait(5)
        .retry_wait_formula(50, 1)
        .response_timeout(patience)
        // A cluster's client that is stuck connecting to a node keeps what is meant for the others waiting too.
        .connection_timeout(CONNECTING)
        .build()
        .unwrap();
    InTurn::new(client.get_async_connection().await.unwrap())
}

impl Wire {
    /// The round trips that `work` makes over this connection and its clones.
    pub async fn round_trips_of<T: Debug>(&self, work: impl Future<Output = T>) -> usize {
        let before = self.round_trips.load(Ordering::Relaxed);
        work.await;
        self.round_trips.load(Ordering::Relaxed) - before
    }

    /// Sends one command as somebody else would.
    pub async fn send(&self, words: &[&str]) -> Value {
        let mut cmd = redis::cmd(words[0]);
        for word in &words[1..] {
            cmd.arg(word);
        }
        cmd.query_async(&mut self.clone()).await.unwrap()
    }
}

impl ConnectionLike for Wire {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let Self { to, restless, .. } = self;
        match to {
            To::One(connection) => connection.req_packed_command(cmd),
            To::Reconnecting(connection) => connection.req_packed_command(cmd),
            To::Many(connection) => Box::pin(async move {
                if let Some(restless) = restless {
                    restless.before(cmd).await;
                }
                let reply = connection.req_packed_command(cmd).await;
                moving::note_failed_scripts(&reply);
                reply
            }),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let Self { to, restless, .. } = self;
        match to {
            To::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            To::Reconnecting(connection) => connection.req_packed_commands(pipeline, offset, count),
            To::Many(connection) => Box::pin(async move {
                if let (Some(restless), Some(first)) = (restless, pipeline.cmd_iter().next()) {
                    restless.before(first).await;
                }
                connection.req_packed_commands(pipeline, offset, count).await
            }),
        }
    }

    fn get_db(&self) -> i64 {
        0
    }
}

/// One kind of cart in a namespace that nobody else uses.
#[derive(Clone)]
pub struct Shop {
    pub wire: Wire,
    pub keys: Keys,
    pub users: Users<Wire>,
    pub catalogue: Catalogue<Wire>,
    pub cart: Cart<Wire>,
    /// Which kind it is, for the message of a test that fails.
    pub kind: String,
}

/// Runs a test in every kind of shop, one after the other.
pub async fn in_every_shop<F: Future<Output = ()>>(test: impl Fn(Shop) -> F) {
    for layout in [Layout::Standalone, Layout::Cluster] {
        in_every_shop_of(layout, &test).await;
    }
}

/// Runs a test in every kind of shop that has this layout.
#[expect(
    clippy::print_stdout,
    reason = "shown only if the test fails: the last kind is the one it failed in"
)]
pub async fn in_every_shop_of<F: Future<Output = ()>>(layout: Layout, test: impl Fn(Shop) -> F) {
    let mut wire = match layout {
        Layout::Standalone => Wire::standalone().await,
        Layout::Cluster => Wire::cluster().await,
    };
    let mut kinds = vec![
        (Representation::Hash, ItemExpiry::DeadlineSet),
        (Representation::SortedSet, ItemExpiry::DeadlineSet),
    ];
    if ItemExpiry::of_server(&mut wire).await.unwrap() == ItemExpiry::FieldTtl {
        kinds.push((Representation::Hash, ItemExpiry::FieldTtl));
    }
    for (representation, expiry) in kinds {
        let shop = Shop::new(wire.clone(), layout, representation, expiry);
        println!("in a shop with {}", shop.kind);
        test(shop).await;
    }
}

/// Names that no other test uses.
pub fn own_keys(layout: Layout) -> Keys {
    Keys::new(&format!("shop{}:", SHOPS.fetch_add(1, Ordering::Relaxed)), layout)
}

/// Runs a test of a pattern on one server, then on a cluster, each time behind a prefix of its own. What the test says of
/// where it is, [`Keys::layout`] tells.
pub async fn in_each_layout<F: Future<Output = ()>>(test: impl Fn(Wire, Keys) -> F) {
    test(Wire::standalone().await, own_keys(Layout::Standalone)).await;
    test(Wire::cluster().await, own_keys(Layout::Cluster)).await;
}

impl Shop {
    fn new(wire: Wire, layout: Layout, representation: Representation, expiry: ItemExpiry) -> Self {
        let keys = own_keys(layout);
        Self {
            users: Users::new(wire.clone(), keys.clone()),
            catalogue: Catalogue::new(wire.clone(), keys.clone()),
            cart: Cart::new(wire.clone(), keys.clone(), representation).with_item_expiry(expiry),
            kind: format!("{layout:?}, {representation:?}, {expiry:?}"),
            wire,
            keys,
        }
    }

    /// The same kind of shop in another namespace.
    pub fn clone_behind_another_prefix(&self) -> Self {
        let layout = self.keys.layout();
        Self::new(self.wire.clone(), layout, self.cart.representation(), self.cart.item_expiry())
    }

    /// The same shop with carts that live this long.
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.cart = self.cart.with_ttl(ttl);
        self
    }

    pub async fn user(&self, id: u64) -> CartOwner {
        let new = NewUser { first_name: "Parker".parse().unwrap(), last_name: "Perry".parse().unwrap() };
        self.users.create_with_id(UserId::new(id).unwrap(), new).await.unwrap();
        CartOwner::User(UserId::new(id).unwrap())
    }

    /// Puts a product on sale under its SKU as name.
    pub async fn product(&self, code: &str, price: &str) -> Sku {
        let product = Product { sku: sku(code), name: code.parse().unwrap(), price: price.parse().unwrap() };
        self.catalogue.put(&product).await.unwrap();
        product.sku
    }

    /// Sends one command as somebody else would.
    pub async fn send(&self, words: &[&str]) -> Value {
        self.wire.send(words).await
    }

    /// The key of the quantities of one cart.
    pub fn cart_key(&self, owner: &CartOwner) -> String {
        self.keys.cart(owner, self.cart.representation()).quantities
    }

    /// The units of one product in a cart.
    pub async fn units(&self, owner: &CartOwner, sku: &Sku) -> u32 {
        let view = self.cart.view(owner).await.unwrap();
        view.lines.iter().find(|line| line.sku == *sku).map_or(0, |line| line.quantity)
    }

    /// DUMP of all the keys of a cart, to see that nothing has changed.
    pub async fn dump(&self, owner: &CartOwner) -> Vec<Value> {
        let mut dumps = Vec::new();
        for key in self.keys.all_of_cart(owner) {
            dumps.push(self.send(&["DUMP", &key]).await);
        }
        dumps
    }

    /// The round trips that `work` makes.
    pub async fn round_trips<T: Debug>(&self, work: impl Future<Output = T>) -> usize {
        self.wire.round_trips_of(work).await
    }
}

pub fn sku(code: &str) -> Sku {
    code.parse().unwrap()
}

pub fn guest(session: &str) -> SessionId {
    session.parse().unwrap()
}

pub fn units(quantity: u32) -> Quantity {
    Quantity::new(quantity).unwrap()
}

pub fn user_id(owner: &CartOwner) -> UserId {
    match owner {
        CartOwner::User(id) => *id,
        CartOwner::Guest(_) => panic!("{owner} is a guest"),
    }
}

/// Asks again and again until it is so; fails after a time that no working server needs.
pub async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A node that one can subscribe on: a cluster forwards what is published to all of them.
pub fn any_url(layout: Layout) -> String {
    match layout {
        Layout::Standalone => server().url(),
        Layout::Cluster => cluster().urls()[0].clone(),
    }
}

/// The next message of a subscription. `what` it must be is said if it does not come: nobody sends it again, and a link
/// between two nodes that is made anew loses what was on it.
pub async fn next_of<T>(messages: &mut (impl Stream<Item = T> + Unpin), what: &str) -> T {
    let Ok(message) = tokio::time::timeout(PATIENCE, messages.next()).await else {
        panic!("waited in vain for {what}");
    };
    message.unwrap_or_else(|| panic!("the subscription ended before {what}"))
}

/// So many random cases, in every run the same: a test must not pass by luck.
pub fn cases(number: u32) -> Config {
    Config { cases: number, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() }
}
