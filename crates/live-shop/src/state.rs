//! What the whole shop shares: each pattern once, all on one connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab_connection::Target;
use patterns::analytics::Analytics;
use patterns::autocomplete::Autocomplete;
use patterns::bought_together::BoughtTogether;
use patterns::cache::Cache;
use patterns::cart::Cart;
use patterns::checkout::Checkout;
use patterns::facets::Facets;
use patterns::flash_sale::FlashSale;
use patterns::funnel::{Funnel, FunnelError};
use patterns::inventory::Inventory;
use patterns::job_queue::JobQueue;
use patterns::limit::{IfUnreachable, Limit, LimitError};
use patterns::login_guard::{LoginGuard, LoginRules};
use patterns::notifications::Notifications;
use patterns::once::Once;
use patterns::popular_products::PopularProducts;
use patterns::recent_views::RecentViews;
use patterns::script::StoreError;
use patterns::sessions::Sessions;
use patterns::stores::Stores;
use patterns::token_bucket::TokenBucket;
use tokio::sync::watch;

use crate::bank::Bank;
use crate::buyers::Report;
use crate::changes::Change;
use crate::counters::Counters;
use crate::database::Database;
use crate::faults::Faults;
use crate::hub::Hub;
use crate::link::Link;
use crate::random::random;
use crate::wire::{Redis, Wire};

/// How long a sale waits for the replica.
const REPLICATED: Duration = Duration::from_millis(500);

/// The queue of the order emails.
pub const EMAILS: &str = "emails";
/// The steps of the funnel.
pub const STEPS: [&str; 4] = ["product", "cart", "checkout", "order"];

/// The shop, as each handler gets it.
pub type App = Arc<Shop>;

/// What you can set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests of one address in a minute. As many may come at once.
    pub requests: u32,
    /// How long a command of a page may take. A customer who waits longer has left, and the page says what works without Redis.
    pub answers_in: Duration,
    /// How long a browser may take for the head of a request.
    pub slow_head: Duration,
    /// How long a request may take, its body included. Event streams may take longer.
    pub slow_request: Duration,
    /// How long a browser may read nothing of what it is sent. Then its connection is closed, and an event stream resumes by its ID.
    pub slow_reader: Duration,
    /// How many logins may fail: of an address, and of a customer.
    pub logins: [LoginRules; 2],
    /// How often an idle event stream sends a line, and looks whether its session still lives.
    pub keep_alive: Duration,
    /// How many connections and event streams are open at once.
    pub connections: usize,
    /// How long open requests may go on after the signal to stop.
    pub drain: Duration,
    /// Names under which browsers may reach the shop, besides loopback.
    pub hosts: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            requests: 3_000,
            answers_in: Duration::from_secs(2),
            slow_head: Duration::from_secs(5),
            slow_request: Duration::from_secs(20),
            slow_reader: Duration::from_secs(30),
            logins: [LoginRules::OF_ADDRESSES, LoginRules::OF_ACCOUNTS],
            keep_alive: Duration::from_secs(10),
            connections: 10_000,
            drain: Duration::from_secs(10),
            hosts: Vec::new(),
        }
    }
}

/// Everything the handlers need.
pub struct Shop {
    /// What was set.
    pub settings: Settings,
    /// Where browsers reach it.
    pub address: SocketAddr,
    /// Which server is the primary now.
    pub link: Link,
    /// The connection that all patterns use.
    pub redis: Redis,
    /// What all keys begin with.
    pub prefix: String,
    /// The table that Redis caches.
    pub database: Database,
    /// Products by SKU, from Redis or else from the table.
    pub cache: Cache<Redis>,
    /// Names as one types them.
    pub autocomplete: Autocomplete<Redis>,
    /// The catalog, filtered.
    pub facets: Facets<Redis>,
    /// What goes with what.
    pub bought_together: BoughtTogether<Redis>,
    /// What a customer has looked at.
    pub recent_views: RecentViews<Redis>,
    /// What all customers look at.
    pub popular: PopularProducts<Redis>,
    /// Who is there.
    pub sessions: Sessions<Redis>,
    /// Who may try to log in.
    pub login_guard: LoginGuard<Redis>,
    /// What they want to buy.
    pub cart: Cart<Redis>,
    /// What there is.
    pub inventory: Inventory<Redis>,
    /// Orders.
    pub checkout: Checkout<Redis>,
    /// One answer to each idempotency key.
    pub once: Once<Redis>,
    /// The payment provider.
    pub bank: Bank,
    /// Emails to send.
    pub emails: JobQueue<Redis>,
    /// Messages to customers.
    pub notifications: Notifications<Redis>,
    /// A few units for many buyers.
    pub flash_sale: FlashSale<Redis>,
    /// Where the stores are.
    pub stores: Stores<Redis>,
    /// The numbers of each day.
    pub analytics: Analytics<Redis>,
    /// How far visitors get today.
    pub funnel: Funnel<Redis>,
    /// How many requests an address has left.
    pub limiter: TokenBucket<Redis>,
    /// Changes, for the event streams.
    pub events: Hub,
    /// What the clicks of each visitor sent.
    pub wire: Wire,
    /// Numbers of this process.
    pub counters: Counters,
    /// What came of the last crowd of buyers.
    pub crowd: Mutex<Option<Report>>,
    /// What the buttons that break things carry, because they must work without a session.
    pub lab_token: String,
    /// The servers that the buttons break, if they are ours.
    pub faults: Option<Faults>,
    /// Becomes true when the shop closes.
    pub closing: watch::Sender<bool>,
}

impl Shop {
    /// The shop on this server.
    pub fn new(
        target: Target,
        address: SocketAddr,
        settings: Settings,
        faults: Option<Faults>,
    ) -> Result<Self, SetUpError> {
        let prefix = format!("{}live_shop:", target.prefix());
        let link = Link::new(target);
        let (redis, prefix_ref) = (Redis::new(link.clone()), prefix.as_str());
        let minute = Limit::new("minute", settings.requests, Duration::from_mins(1));
        // If Redis cannot count, this process does, so that the shop goes on.
        let admit = IfUnreachable::Admit { processes: 1 };
        let inventory = Inventory::new(redis.clone(), prefix_ref);
        let mut checkout = Checkout::new(redis.clone(), prefix_ref, inventory.clone());
        let mut flash_sale = FlashSale::new(redis.clone(), prefix_ref);
        if faults.is_some() {
            // The primary may be killed. What is sold is on the replica before anybody is told.
            checkout = checkout.with_replicas(1, REPLICATED);
            flash_sale = flash_sale.with_replicas(1, REPLICATED);
        }
        Ok(Self {
            database: Database::filled(),
            cache: Cache::new(redis.clone(), prefix_ref, "product"),
            autocomplete: Autocomplete::new(redis.clone(), prefix_ref),
            facets: Facets::new(redis.clone(), prefix_ref),
            bought_together: BoughtTogether::new(redis.clone(), prefix_ref).with_min_support(1),
            recent_views: RecentViews::new(redis.clone(), prefix_ref),
            popular: PopularProducts::new(redis.clone(), prefix_ref),
            sessions: Sessions::new(redis.clone(), prefix_ref),
            login_guard: LoginGuard::new(redis.clone(), prefix_ref)
                .with_rules(settings.logins[0], settings.logins[1]),
            cart: Cart::new(redis.clone(), prefix_ref),
            checkout,
            inventory,
            once: Once::new(redis.clone(), prefix_ref),
            bank: Bank::default(),
            emails: JobQueue::new(redis.clone(), prefix_ref, EMAILS)?,
            notifications: Notifications::new(redis.clone(), prefix_ref),
            flash_sale,
            stores: Stores::new(redis.clone(), prefix_ref),
            analytics: Analytics::new(redis.clone(), prefix_ref),
            funnel: Funnel::today(redis.clone(), prefix_ref, &STEPS)?,
            limiter: TokenBucket::new(redis.clone(), prefix_ref, &[minute], admit)?,
            events: Hub::new(redis.clone(), prefix_ref),
            wire: Wire::default(),
            counters: Counters::default(),
            crowd: Mutex::default(),
            lab_token: random()?,
            closing: watch::Sender::new(false),
            settings,
            address,
            link,
            redis,
            faults,
            prefix,
        })
    }

    /// Tells the event streams. A change that Redis does not take is not told; the page shows it when it is loaded again.
    pub async fn tell(&self, change: Change) {
        if self.events.publish(&change).await.is_err() {
            self.counters.untold();
        }
    }

    /// Ready when the shop closes.
    pub async fn closed(&self) {
        // An error means that the sender is gone, and with it the shop.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }
}

/// Why the shop cannot open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetUpError {
    /// A key has no valid name, or Redis refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The steps are not a funnel.
    #[error(transparent)]
    Funnel(#[from] FunnelError),
    /// The rate is not one that a token bucket can have.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The system has no random bits.
    #[error(transparent)]
    NoRandomness(#[from] getrandom::Error),
}
