//! Two sales come at every moment in turn: before, between, and after the commands of the function.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use exercises::check_prelude::*;
use redis::aio::MultiplexedConnection;
use tokio::time::sleep;

use super::attempt::follow;

const STOCK: u64 = 10;
const AFTER_TWO_SALES: u64 = STOCK - 2;
const MOST_MOMENTS: usize = 12;
/// When the function is silent for so long, it waits for a message.
const SILENCE: Duration = Duration::from_millis(60);
/// How long a number may take to be shown. It is there at once.
const SOON: Duration = Duration::from_millis(1_500);
const MOST_GETS: u64 = 20;

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut shop = server.connect().await?;
    let mut moments = 0;
    for moment in 1..=MOST_MOMENTS {
        set(&mut shop, STOCK).await?;
        let mut gate = Gate::in_front_of(&server).await?;
        let client = gate.client();
        server.forget_calls().await?;
        let (shown, log) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let (messages, sold, ended) = (Cell::new(0), Cell::new(false), Cell::new(false));
        let last_message = Cell::new(Instant::now());
        let following = follow(&client, |stock| shown.borrow_mut().push(stock));
        // Waits until what is left is shown, and then sells the rest.
        let mut till = server.connect().await?;
        let watching = async {
            while last_message.get().elapsed() < SILENCE {
                sleep(Duration::from_millis(2)).await;
            }
            let left = if sold.get() { AFTER_TWO_SALES } else { STOCK };
            let begun = Instant::now();
            while shown.borrow().last() != Some(&left) {
                ensure(begun.elapsed() < SOON, || {
                    Fault::new(format!(
                        "{left} are left, and it never showed that: it waits for the next sale."
                    ))
                })?;
                sleep(Duration::from_millis(2)).await;
            }
            ended.set(true);
            set(&mut till, 0).await?;
            let begun = Instant::now();
            loop {
                ensure(begun.elapsed() < SOON, || {
                    let what = if shown.borrow().last() == Some(&0) {
                        "It has shown 0, and does not return."
                    } else {
                        "The last one was sold, and it never showed 0."
                    };
                    Fault::new(what)
                })?;
                sleep(Duration::from_millis(2)).await;
            }
        };
        let both = async {
            tokio::select! {
                done = following => done.map_err(Fault::from),
                fault = watching => fault,
            }
        };
        let done = gate
            .during(both, async |message| {
                messages.set(messages.get() + 1);
                last_message.set(Instant::now());
                if messages.get() <= 2 * MOST_MOMENTS {
                    log.borrow_mut().push(message.shown());
                }
                if messages.get() == moment && !ended.get() {
                    sold.set(true);
                    log.borrow_mut().push("(two sales)".to_owned());
                    set(&mut shop, STOCK - 1).await?;
                    set(&mut shop, AFTER_TWO_SALES).await?;
                }
                let asked = server.calls().await?.get("get").copied().unwrap_or_default();
                ensure(asked <= MOST_GETS, || {
                    Fault::new(format!("It asked for `stock` {asked} times, and nothing had changed."))
                })?;
                Ok(Action::Pass)
            })
            .await;
        let shown = shown.into_inner();
        let observed = || {
            let numbers = shown.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            [vec![format!("It showed {numbers}")], log.borrow().clone()].concat()
        };
        done.and_then(|done| done).map_err(|fault| fault.observed(observed()))?;
        let back = shown.windows(2).find(|pair| pair[0] < pair[1]);
        ensure(back.is_none(), || {
            let (low, high) = back.map_or((0, 0), |pair| (pair[0], pair[1]));
            Fault::new(format!("It showed {high} after it had shown {low}: an old number."))
                .observed(observed())
        })?;
        ensure(shown.last() == Some(&0), || {
            Fault::new("It returned, and has not shown 0.").observed(observed())
        })?;
        if !sold.get() {
            break;
        }
        moments += 1;
    }
    Ok(Passed::with(format!(
        "Two sales at each of {moments} moments: all were seen, and none was shown late."
    )))
}

async fn set(shop: &mut MultiplexedConnection, stock: u64) -> Result<(), Fault> {
    let mut sale = redis::pipe();
    sale.atomic().set("stock", stock).ignore().publish("stock", stock).ignore();
    Ok(sale.exec_async(shop).await?)
}
