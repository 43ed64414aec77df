//! A sale of few units to many customers: naive, right, and with a line.

use lab_runner::table::Facts;
use lab_runner::{Outcome, Page};
use storefront::flash_sale::{BuyError, FlashSale, Purchase};
use storefront::{CustomerId, Keys, OrderId, Quantity};

use super::rush::{self, CUSTOMERS, Rush, UNITS};
use super::unexpected;
use crate::names::known;

pub(super) async fn teach(page: &Page, keys: &Keys) -> Outcome {
    everybody_clicks(page, keys).await?;
    let sales = one_purchase(page, keys).await?;
    wait_in_line(page, keys, &sales).await
}

async fn everybody_clicks(page: &Page, keys: &Keys) -> Outcome {
    page.say(format!(
        "A flash sale has {UNITS} units, and one customer gets one. {CUSTOMERS} customers click at the same moment, each in two \
         tabs. Break it: read what is left and what the customer has (HGET), decide in the program, and write (HINCRBY). Each \
         HINCRBY is atomic, and that does not help: all have decided before any of them writes. Fix it: a script decides and \
         writes in one step.",
    ));
    let mut facts =
        Facts::new("A rush", &["bought by", "units", "told 'bought'", "sold", "oversold", "over the cap"]);
    let mut results = Vec::new();
    for rush in Rush::ALL {
        let outcome = rush.crowd(page.target(), keys).await?;
        let numbers = [UNITS as usize, outcome.told, outcome.sold, outcome.oversold(), outcome.over_cap];
        facts = facts
            .row(std::iter::once(rush.label().to_owned()).chain(numbers.map(|number| number.to_string())));
        results.push((outcome.sold, outcome.over_cap));
    }
    page.facts(facts);
    page.check_eq(
        "who looks first sells to every tab; the script sells what there is, one to each",
        &results,
        &vec![(2 * CUSTOMERS, CUSTOMERS), (UNITS as usize, 0)],
    )
}

type Sales = FlashSale<lab_connection::Transcript<lab_connection::Connection>>;

async fn one_purchase(page: &Page, keys: &Keys) -> Result<Sales, lab_runner::LessonError> {
    let mut redis = page.redis();
    page.start_clean(&keys.flash_sale().all().map(str::to_owned)).await?;
    rush::open(&FlashSale::new(page.quietly(), keys.clone()), 2, 100).await?;
    let sales = FlashSale::new(redis.clone(), keys.clone());

    page.say(
        "Now slowly, with two units. Whether the sale is on, the server's clock says, the same for everyone. The customer's \
         client names its order before it asks. Was the answer lost? Then it asks again with the same name, gets the same \
         answer, and has bought once:",
    );
    let (ann, order): (CustomerId, OrderId) = (known("user123"), known("order-1"));
    let first = sales.buy(&ann, Quantity::ONE, &order).await.map_err(unexpected)?;
    let again = sales.buy(&ann, Quantity::ONE, &order).await.map_err(unexpected)?;
    let unchanged = match (&first, &again) {
        (Purchase::Bought(first), Purchase::AlreadyBought(again)) => first == again,
        _ => false,
    };
    page.check("bought, then the same answer again", unchanged)?;
    page.say("Another order of the same customer is beyond the cap:");
    let refused = sales.buy(&ann, Quantity::ONE, &known("order-2")).await;
    page.check("one customer gets one", matches!(refused, Err(BuyError::OverCap { have: 1, cap: 1 })))?;
    let sale: [u32; 2] = redis::cmd("HMGET")
        .arg(keys.flash_sale().sale)
        .arg(&["left", "sold"])
        .query_async(&mut redis)
        .await?;
    page.check("one is left, one is sold", sale == [1, 1])?;
    Ok(sales)
}

async fn wait_in_line(page: &Page, keys: &Keys, sales: &Sales) -> Outcome {
    let mut redis = page.redis();
    page.say(
        "This sale has a line. Who comes when nothing is left gets a number instead of a refusal: without gaps, in order of \
         arrival, one place for each customer. The numbers are scores of a Sorted Set.",
    );
    let quiet = FlashSale::new(page.quietly(), keys.clone());
    let mut numbers = Vec::new();
    for late in ["user7", "user8", "user9", "user10"] {
        // The first of them takes what is left; two tries are no two places.
        for _ in 0..2 {
            match quiet.buy(&known(late), Quantity::ONE, &known("order-1")).await.map_err(unexpected)? {
                Purchase::Waiting(place) => numbers.push(place.number),
                Purchase::Bought(_) | Purchase::AlreadyBought(_) => {}
            }
        }
    }
    page.check_eq("three wait, each with one number", &numbers, &vec![1, 1, 2, 2, 3, 3])?;
    let line: Vec<String> = redis::cmd("ZRANGE")
        .arg(keys.flash_sale().line)
        .arg(&["0", "-1", "WITHSCORES"])
        .query_async(&mut redis)
        .await?;
    page.check("the first in line is user8", line.first().is_some_and(|first| first == "user8"))?;

    // The server learns the script.
    let unknown = quiet.give_back(&known("nobody"), &known("order-1")).await;
    page.check("who has bought nothing can give nothing back", unknown.is_err())?;
    page.say(
        "A customer gives his purchase back. In the same step the first in the line gets the unit, once:",
    );
    let back = sales.give_back(&known("user123"), &known("order-1")).await.map_err(unexpected)?;
    let again = quiet.give_back(&known("user123"), &known("order-1")).await.map_err(unexpected)?;
    let served: Vec<(&str, u64)> =
        back.served.iter().map(|served| (served.customer.as_str(), served.number)).collect();
    page.check(
        "user8, with number 1, has it; asking again changes nothing",
        served == [("user8", 1)] && again == back,
    )?;
    let sale = quiet.sale().await.map_err(unexpected)?;
    let sold = sale.map(|sale| (sale.left, sale.sold));
    page.check_eq("nothing is left, two are sold", &sold, &Some((0, 2)))
}
