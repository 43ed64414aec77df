//! What the workloads leave out, so that every command of a pattern is sent: readers, subscriptions, and rare cases. Only
//! [`Fault::SmallestUser`](crate::workload::Fault::SmallestUser) makes these calls, after the workload.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, try_join_all};
use lab_testing::{TestConnection, until};
use patterns::analytics::Analytics;
use patterns::broadcast::{Broadcast, Position};
use patterns::cache::Cache;
use patterns::cart::{Cart, Item, Representation};
use patterns::checkout::{Checkout, Line};
use patterns::facets::{Facets, Product};
use patterns::flash_sale::{FlashSale, FlashSaleError, Plan};
use patterns::funnel::Funnel;
use patterns::inventory::Inventory;
use patterns::job_queue::{Effect, JobQueue, NewJob};
use patterns::login_guard::{Guarded, LoginGuard};
use patterns::money::Cents;
use patterns::notifications::Notifications;
use patterns::popular_products::PopularProducts;
use patterns::product_vectors::ProductVectors;
use patterns::recommendations::Recommendations;
use patterns::sessions::Sessions;
use patterns::social_graph::SocialGraph;
use patterns::stock_feed::StockFeed;
use patterns::stores::Stores;
use patterns::stream_worker::{self, StreamQueue, WhenFull};
use patterns::time_series::{Sample, TimeSeries};
use patterns::timeline::{MAX_POSTS, Timeline};
use patterns::users::Users;
use patterns::weekly_metrics::WeeklyMetrics;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

use crate::checkout::Bank;
use crate::workload::Failure;

/// Calls over this connection. The texts are the prefix, and the URL of the user for more connections.
pub type Rest = for<'a> fn(&'a TestConnection, &'a str, &'a str) -> BoxFuture<'a, Result<(), Failure>>;

/// The calls of each pattern.
const RESTS: &[(&str, Rest)] = &[
    ("users", |connection, prefix, _| Box::pin(users(connection, prefix))),
    ("cart", |connection, prefix, _| Box::pin(cart(connection, prefix))),
    ("sessions", |connection, prefix, _| Box::pin(sessions(connection, prefix))),
    ("cache", |connection, prefix, _| Box::pin(cache(connection, prefix))),
    ("inventory", |connection, prefix, _| Box::pin(inventory(connection, prefix))),
    ("checkout", |connection, prefix, _| Box::pin(checkout(connection, prefix))),
    ("login_guard", |connection, prefix, _| Box::pin(login_guard(connection, prefix))),
    ("flash_sale", |connection, prefix, _| Box::pin(flash_sale(connection, prefix))),
    ("notifications", |connection, prefix, _| Box::pin(notifications(connection, prefix))),
    ("stock_feed", |connection, prefix, url| Box::pin(stock_feed(connection, prefix, url))),
    ("stores", |connection, prefix, _| Box::pin(stores(connection, prefix))),
    ("stream_worker", |connection, prefix, _| Box::pin(stream_worker(connection, prefix))),
    ("broadcast", |connection, prefix, url| Box::pin(broadcast(connection, prefix, url))),
    ("facets", |connection, prefix, _| Box::pin(facets(connection, prefix))),
    ("popular_products", |connection, prefix, _| Box::pin(popular_products(connection, prefix))),
    ("product_vectors", |connection, prefix, _| Box::pin(product_vectors(connection, prefix))),
    ("recommendations", |connection, prefix, _| Box::pin(recommendations(connection, prefix))),
    ("analytics", |connection, prefix, _| Box::pin(analytics(connection, prefix))),
    ("weekly_metrics", |connection, prefix, _| Box::pin(weekly_metrics(connection, prefix))),
    ("funnel", |connection, prefix, _| Box::pin(funnel(connection, prefix))),
    ("time_series", |connection, prefix, _| Box::pin(time_series(connection, prefix))),
    ("social_graph", |connection, prefix, _| Box::pin(social_graph(connection, prefix))),
    ("timeline", |connection, prefix, _| Box::pin(timeline(connection, prefix))),
    ("job_queue", |connection, prefix, _| Box::pin(job_queue(connection, prefix))),
];

/// Makes the calls that the workload of this pattern leaves out.
pub async fn calls(
    pattern: &str,
    connection: &TestConnection,
    prefix: &str,
    url: &str,
) -> Result<(), Failure> {
    match RESTS.iter().find(|(name, _)| *name == pattern) {
        Some((_, rest)) => rest(connection, prefix, url).await,
        None => Ok(()),
    }
}

/// Longer than a millisecond, after which something here expires.
const A_WHILE: Duration = Duration::from_millis(5);
const MOMENT: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_mins(1);

/// A lost counter, and more users than are tried one by one.
async fn users(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let users = Users::new(connection.clone(), prefix);
    for _ in 0..105 {
        users.create("Ann", "Lee").await?;
    }
    let _: u64 = connection.send(&["DEL", &format!("{prefix}users:{{{prefix}users}}:last")]).await;
    users.create("Ann", "Lee").await?;
    users.list().await?;
    Ok(())
}

async fn cart(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    for representation in [Representation::Hash, Representation::SortedSet] {
        let cart = Cart::new(connection.clone(), prefix).with_representation(representation);
        let user = format!("rest of {representation:?}");
        let price = Cents::new(100).unwrap_or_default();
        cart.add(user.as_str(), "stays", 2, price).await?;
        cart.add(user.as_str(), "goes", 1, price).await?;
        cart.remove(user.as_str(), "goes", None).await?;
        cart.add_item(user.as_str(), &Item::new("late", 1, price).with_ttl(MOMENT)).await?;
        tokio::time::sleep(A_WHILE).await;
        cart.contents(user.as_str()).await?;
        cart.view(user.as_str()).await?;
        cart.clear(user.as_str()).await?;
    }
    Ok(())
}

async fn sessions(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let sessions = Sessions::new(connection.clone(), prefix).with_replicas(0, MOMENT);
    let token = sessions.begin(Some("rest"), &[("theme", "dark")]).await?;
    sessions.peek(&token).await?;
    sessions.set_for(&token, "coupon", "x", MINUTE).await?;
    sessions.remove(&token, &["coupon"]).await?;
    let token = sessions.rotate(&token).await?;
    sessions.list("rest").await?;
    sessions.end(&token).await?;
    sessions.end_everywhere("rest").await?;
    Ok(())
}

/// A load that takes so long that its lease is renewed.
async fn cache(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let cache = Cache::new(connection.clone(), prefix, "product").with_ttl(MINUTE);
    let lease = cache.key(&["rest"])?.companion("load");
    let load = async || {
        let last = AtomicI64::new(i64::MAX);
        until("the lease is renewed or that is refused", async || {
            let left: i64 = connection.send(&["PTTL", &lease]).await;
            connection.refused() > 0 || left > last.swap(left, Ordering::Relaxed)
        })
        .await;
        Ok::<_, Infallible>(Some(1))
    };
    cache.get_or_load(&["rest"], load).await?;
    cache.put(&["rest"], Some(&2)).await?;
    cache.invalidate(&["rest"]).await?;
    Ok(())
}

/// Records that are forgotten, and deadlines that are lost.
async fn inventory(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let inventory =
        Inventory::new(connection.clone(), prefix).with_retry_window(MOMENT).with_replicas(0, MOMENT);
    inventory.set_up("rest", 10, Some(2)).await?;
    inventory.restock("rest", "delivery", 1).await?;
    inventory.reserve("rest", "sold", 1, MINUTE).await?;
    inventory.confirm("rest", "sold").await?;
    inventory.take_back("rest", "sold").await?;
    tokio::time::sleep(A_WHILE).await;
    inventory.sweep("rest").await?;
    inventory.reserve("rest", "held", 1, MINUTE).await?;
    let _: u64 = connection.send(&["DEL", &inventory.key("rest")?.companion("deadlines")]).await;
    inventory.sweep("rest").await?;
    inventory.sweep_all().await?;
    inventory.level("rest").await?;
    Ok(())
}

async fn checkout(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let inventory = Inventory::new(connection.clone(), prefix);
    // The sale makes it low, which is an alert.
    inventory.set_up("rest", 2, Some(1)).await?;
    let checkout = Checkout::new(connection.clone(), prefix, inventory).with_replicas(0, MOMENT);
    let price = Cents::new(100).unwrap_or_default();
    let lines = [Line { sku: "rest".to_owned(), quantity: 1, unit_price: price }];
    checkout.place("rest", "ann", &lines, &Bank::default()).await?;
    Ok(())
}

async fn login_guard(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let guard = LoginGuard::new(connection.clone(), prefix);
    let address = IpAddr::from([203, 0, 113, 77]);
    for who in [Guarded::Address(address), Guarded::Account("rest")] {
        guard.block(who, Some(MINUTE)).await?;
        guard.unblock(who).await?;
        guard.block(who, None).await?;
        guard.unblock(who).await?;
    }
    let _ = guard.attempt(address, Some("rest")).await?;
    guard.succeeded(address, Some("rest")).await?;
    Ok(())
}

/// A sale that is closed, and a waitlist that is lost.
async fn flash_sale(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let sales = FlashSale::new(connection.clone(), prefix).with_replicas(0, MOMENT);
    let now = sales.now().await?;
    let plan = |ends| Plan {
        name: "Rest".to_owned(),
        product: "PROD123".to_owned(),
        starts: now.saturating_sub(1_000),
        ends,
        units: 1,
        cap: 1,
        places: 10,
    };
    sales.open("rest", &plan(now + 3_600_000)).await?;
    sales.buy("rest", "ann", 1, "1").await?;
    sales.buy("rest", "bob", 1, "2").await?;
    sales.repair("rest").await?;
    let ends = loop {
        let ends = sales.now().await? + 100;
        match sales.open("over", &plan(ends)).await {
            // The machine was busy for longer than the sale is open.
            Err(FlashSaleError::Over) => {}
            opened => break opened.map(|()| ends)?,
        }
    };
    while sales.now().await? < ends {
        tokio::time::sleep(A_WHILE).await;
    }
    sales.close("over").await?;
    Ok(())
}

/// Deadlines that are lost, and all read at once.
async fn notifications(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let notifications = Notifications::new(connection.clone(), prefix).with_cap(2);
    let [_, _, deadlines, ..] = notifications.keys("rest")?;
    for id in ["a", "b"] {
        notifications.send("rest", id, "").await?;
    }
    notifications.take("rest", 2, MINUTE).await?;
    let _: u64 = connection.send(&["DEL", &deadlines]).await;
    notifications.send("rest", "c", "").await?;
    notifications.take("rest", 2, MINUTE).await?;
    notifications.mark_all_read("rest").await?;
    notifications.counts("rest").await?;
    Ok(())
}

/// A connection over RESP3, as `listen` and `watch` want it.
async fn hearing(
    url: &str,
    inbox: impl redis::aio::AsyncPushSender,
) -> Result<MultiplexedConnection, redis::RedisError> {
    let config = AsyncConnectionConfig::new().set_push_sender(inbox);
    redis::Client::open(format!("{url}?protocol=resp3"))?
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

async fn stock_feed(connection: &TestConnection, prefix: &str, url: &str) -> Result<(), Failure> {
    let feed = StockFeed::new(connection.clone(), prefix);
    feed.set("rest", 9).await?;
    let mut screen = feed.watch("rest", |channel, inbox| async move {
        let mut connection = hearing(url, inbox).await?;
        connection.subscribe(channel).await?;
        Ok(connection)
    })?;
    screen.next().await?;
    feed.set("rest", 8).await?;
    screen.next().await?;
    Ok(())
}

async fn stores(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    Stores::new(connection.clone(), prefix).clear().await?;
    Ok(())
}

/// A full stream.
async fn stream_worker(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let queue = StreamQueue::new(connection.clone(), prefix, "rest").with_max_entries(2);
    let queue = queue.when_full(WhenFull::Drop);
    queue.group("billing").create().await?;
    for number in 0..5 {
        queue.publish(&number.to_string(), b"").await?;
    }
    let group = queue.group("billing");
    group.read(connection, "worker", 1, Duration::ZERO).await?;
    group
        .complete(&group.own_pending("worker", "0-0", 1).await?.0[0], &stream_worker::Effect::none())
        .await?;
    tokio::time::sleep(A_WHILE).await;
    group.retire(Duration::ZERO).await?;
    group.status().await?;
    Ok(())
}

async fn broadcast(connection: &TestConnection, prefix: &str, url: &str) -> Result<(), Failure> {
    let news = Broadcast::new(connection.clone(), prefix, "rest");
    news.publish(b"first").await?;
    let mut follower = news.follow(Position::Start, || async { Ok(connection.clone()) });
    follower.next().await?;
    let (heard, published) = tokio::join!(follower.next(), news.publish(b"second"));
    heard?;
    published?;
    for sharded in [false, true] {
        let news = if sharded { news.clone().sharded() } else { news.clone() };
        let mut listener = news.listen(|channel, inbox| async move {
            let mut connection = hearing(url, inbox).await?;
            if sharded {
                redis::cmd("SSUBSCRIBE").arg(channel).exec_async(&mut connection).await?;
            } else {
                connection.subscribe(channel).await?;
            }
            Ok(connection)
        })?;
        listener.connect().await?;
        news.announce(b"now").await?;
        listener.next().await?;
    }
    Ok(())
}

/// The last product of a brand, and the last of all.
async fn facets(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    // Its own keys: others stay in the workload's.
    let facets = Facets::new(connection.clone(), prefix);
    let product = |id: &str, brand: &str| Product {
        id: id.to_owned(),
        name: id.to_owned(),
        brand: brand.to_owned(),
        category: brand.to_owned(),
        price: Cents::new(100).unwrap_or_default(),
        rating: 1,
        popularity: 1,
        added: 1,
    };
    facets.put(&product("rest1", "Rest one")).await?;
    facets.put(&product("rest2", "Rest two")).await?;
    facets.remove("rest2").await?;
    facets.get("rest1").await?;
    let root = format!("{prefix}facets:{{{prefix}facets}}:products");
    let _: u64 = connection.send(&["DEL", &root]).await;
    facets.repair().await?;
    Ok(())
}

/// More products than there may be.
async fn popular_products(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let popular = PopularProducts::new(connection.clone(), prefix).with_max_products(10);
    for number in 0..13 {
        popular.viewed(&format!("rest{number}"), Some("Books")).await?;
    }
    popular.top_in("Books", 10).await?;
    Ok(())
}

async fn product_vectors(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    ProductVectors::new(connection.clone(), prefix).remove("rest").await?;
    Ok(())
}

/// A product that is looked at twice.
async fn recommendations(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let shop = Recommendations::new(connection.clone(), prefix);
    for sku in ["TENT", "STOVE", "TENT"] {
        shop.viewed("rest", sku, Some("Tents")).await?;
    }
    shop.recommend("rest", 5, &["LAMP"]).await?;
    Ok(())
}

async fn analytics(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let analytics = Analytics::new(connection.clone(), prefix);
    analytics.add("rest", "2024-02-01", "clicks", 1).await?;
    analytics.top("2024-02-01", 10).await?;
    analytics.close("2024-02-01").await?;
    Ok(())
}

/// A metric and a product that are gone from the days.
async fn weekly_metrics(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let analytics = Analytics::new(connection.clone(), prefix);
    let weekly = WeeklyMetrics::new(connection.clone(), prefix);
    let price = Cents::new(100).unwrap_or_default();
    analytics.add("rest", "2024-02-05", "clicks", 1).await?;
    analytics.order("order", "2024-02-05", "ann", &[("TENT", price)]).await?;
    analytics.order("order", "2024-02-06", "ann", &[("STOVE", price)]).await?;
    weekly.roll_up("2024-W06", &["2024-02-05"]).await?;
    weekly.roll_up("2024-W06", &["2024-02-06"]).await?;
    Ok(())
}

/// One of two keys is lost.
async fn funnel(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let funnel = Funnel::named(connection.clone(), prefix, "rest", &["viewed", "paid"])?;
    funnel.reached("ann", "viewed").await?;
    let _: u64 = connection.send(&["DEL", &funnel.key().companion("visitors")]).await;
    funnel.reached("bob", "viewed").await?;
    Ok(())
}

async fn time_series(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let series = TimeSeries::new(connection.clone(), prefix);
    let now = series.now().await?;
    for at in [now - 120_000, now] {
        series.append("rest", Sample::new(at, 1.0)).await?;
    }
    series.range("rest", now - 200_000, now, 10).await?;
    series.delete("rest", now - 120_000, now).await?;
    series.append("rest", Sample::new(now, 1.0)).await?;
    series.rebuild("rest", now).await?;
    series.trim("rest").await?;
    series.remove("rest").await?;
    Ok(())
}

async fn social_graph(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    SocialGraph::new(connection.clone(), prefix).next_followers("bob", 0, 10).await?;
    Ok(())
}

/// More posts than are kept.
async fn timeline(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let timeline = Timeline::new(connection.clone(), prefix).with_max_entries(1);
    timeline.follow("rest", "author").await?;
    let posts = (0..=MAX_POSTS).map(|number| {
        let timeline = timeline.clone();
        async move { timeline.post("author", &number.to_string()).await }
    });
    try_join_all(posts).await?;
    while timeline.push("author").await?.more {}
    timeline.read("rest", None, 10).await?;
    timeline.drop_timeline("rest").await?;
    Ok(())
}

/// An effect of each kind, twice, so that numbers are read first.
async fn job_queue(connection: &TestConnection, prefix: &str) -> Result<(), Failure> {
    let queue = JobQueue::new(connection.clone(), prefix, "rest")?;
    let key = |name: &str| queue.effect_key(name);
    let effects = [
        Effect::set(&key("text")?, "x"),
        Effect::increment(&key("number")?, 1),
        Effect::hash_set(&key("hash")?, "field", "x"),
        Effect::hash_increment(&key("numbers")?, "field", 1),
        Effect::set_add(&key("set")?, "member"),
        Effect::list_push(&key("list")?, "element"),
        Effect::sorted_set_add(&key("sorted")?, 1, "member"),
    ];
    for id in ["1", "2"] {
        queue.enqueue(&NewJob::new(id, "payload")).await?;
        for job in queue.reserve(1).await?.jobs {
            queue.payload(&job.id).await?;
            queue.complete_with(&job, &effects).await?;
        }
    }
    Ok(())
}
