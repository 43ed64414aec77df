//! A shop in the browser: the example of how [`patterns`] go into a web service.
//!
//! In reading order:
//!
//! 1. `routes`: each path and its handler, and the layers before them. [`state`]: the patterns, each made once.
//! 2. `catalog`, `cart`, `checkout` with its [`bank`], [`till`], and `emails`; `flash_sale`, `stores`, `notifications`,
//!    `dashboard` with its [`numbers`]. [`database`] is what Redis caches.
//! 3. `query` and `session`: what a request has with it; cookie and CSRF token. `login`: password, and a pause for those who guess. `limits`, `guard`, `errors`,
//!    `problem_page`: what stops a request. `health` with its `counters`. `random`.
//! 4. [`changes`], [`hub`], `events`: live changes for any number of browsers, from one stream.
//! 5. `panel` shows what [`wire`] has recorded. `lab` has the buttons of [`faults`] and [`buyers`].
//! 6. `server`: connections, their limits, and their end; `slow_reader`. `page`: the frame of each page. [`link`]: the connection to Redis.

pub mod bank;
pub mod buyers;
mod cart;
mod catalog;
pub mod changes;
mod checkout;
mod counters;
mod dashboard;
pub mod database;
mod emails;
mod errors;
mod events;
pub mod faults;
mod flash_sale;
mod guard;
mod health;
pub mod hub;
mod lab;
mod limits;
pub mod link;
mod login;
mod notifications;
pub mod numbers;
mod page;
mod panel;
mod problem_page;
mod query;
mod random;
mod routes;
mod server;
mod session;
mod slow_reader;
pub mod state;
mod stores;
pub mod till;
pub mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Parser;
use lab_connection::failure::Class;
use lab_connection::{Failure, Target, TargetArgs};
use lab_runner::Terminal;
use lab_runner::start::Cli;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::changes::{Change, Kind};
use crate::errors::Problem;
use crate::faults::Faults;
use crate::state::{App, Settings, Shop};
use crate::till::Till;

/// How often orders that were left are finished, and expired holds are returned.
const TIDY: Duration = Duration::from_secs(2);
/// From how many units on a product is running low.
const LOW: u64 = 3;

/// A shop in the browser, on Redis: every click shows the commands that it sends.
///
/// Without options, it starts a private primary and a replica, which you can break from the page.
#[derive(Parser, Debug)]
#[command(name = "live-shop", bin_name = "cargo shop", version, disable_help_flag = true)]
pub struct Arguments {
    /// Where browsers reach the shop. Anything but loopback is open to the network, and everybody
    /// knows the password
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Another name under which browsers reach it; can be repeated
    #[arg(long, value_name = "NAME")]
    pub name: Vec<String>,

    /// Which server to use
    #[command(flatten)]
    pub target: TargetArgs,
}

impl Cli for Arguments {
    fn json(&self) -> bool {
        false
    }
}

/// Runs the shop until Ctrl-C or SIGTERM.
pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let settings = Settings { hosts: arguments.name, ..Settings::default() };
    let shop = Running::open(&arguments.target, arguments.listen, settings).await?;
    Terminal.line(&format!("The shop is open: http://{}/", shop.app.address));
    Terminal.line("Ctrl-C closes it.");
    stopped().await;
    Terminal.line("Closing.");
    shop.close().await;
    Ok(())
}

/// An open shop.
pub struct Running {
    /// What its handlers share.
    pub app: App,
    tasks: JoinSet<()>,
}

impl Running {
    /// Opens a shop: finds or starts the server, fills it, and listens. Port 0 is any free port.
    pub async fn open(
        args: &TargetArgs,
        listen: SocketAddr,
        mut settings: Settings,
    ) -> Result<Self, Failure> {
        let not = |why: String| Failure::new(Class::Other, "The shop does not open.", why);
        settings.connections = settings.connections.min(files());
        let listener = TcpListener::bind(listen).await.map_err(|error| not(format!("{listen}: {error}")))?;
        let address = listener.local_addr().map_err(|error| not(error.to_string()))?;
        let (faults, target) = if args.names_a_server() {
            (None, Target::open(args).await?)
        } else {
            let (faults, args) = Faults::start(args).await?;
            (Some(faults), Target::open(&args).await?)
        };
        let app =
            Arc::new(Shop::new(target, address, settings, faults).map_err(|error| not(error.to_string()))?);
        fill(&app).await.map_err(|problem| not(problem.detail))?;
        app.events.catch_up().await.map_err(|error| not(error.to_string()))?;
        app.link.limit(app.settings.answers_in);

        let mut tasks = JoinSet::new();
        let router = routes::routes(&app);
        tasks.spawn(server::serve(listener, router, Arc::clone(&app)));
        tasks.spawn(events::follow(Arc::clone(&app)));
        tasks.spawn(work(Arc::clone(&app)));
        tasks.spawn(tidy(Arc::clone(&app)));
        Ok(Self { app, tasks })
    }

    /// Takes no more requests, lets open ones end for a while, and ends the background work.
    pub async fn close(mut self) {
        self.app.closing.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn work(app: App) {
    let (shop, closed) = (Arc::clone(&app), async move { app.closed().await });
    // An error means that a key has no valid name, which opening the shop has ruled out.
    let _ = emails::work(shop, closed).await;
}

/// Finishes orders whose buyer did not come back, and returns units whose hold is over.
async fn tidy(app: App) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TIDY) => {}
            () = app.closed() => return,
        }
        // Errors are those of a Redis that does not answer. The next round tries again.
        let recovered = app.checkout.recover(&Till(&app)).await.is_ok_and(|done| !done.finished.is_empty());
        let returned = app.inventory.sweep_all().await.is_ok_and(|swept| swept.returned > 0);
        if recovered || returned {
            app.tell(Change::all(Kind::Stock)).await;
        }
    }
}

/// Stocks the shop. What is there already stays.
async fn fill(app: &App) -> Result<(), Problem> {
    for product in app.database.products().await {
        app.inventory.set_up(&product.sku, product.units, Some(LOW)).await?;
        catalog::index(app, &product).await?;
    }
    Ok(stores::fill(app).await?)
}

/// Locks what is whole after each change, so that a panic elsewhere does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ctrl-C, or SIGTERM from a supervisor.
async fn stopped() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => drop(signals.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

/// How many connections the system allows this process, after asking for as many as it may have.
fn files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Files that are not connections of browsers.
    const OTHERS: u64 = 100;
    let limit = getrlimit(Resource::Nofile);
    // If it is refused, the lower limit holds.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(now.saturating_sub(OTHERS)).unwrap_or(usize::MAX).max(10)
}
