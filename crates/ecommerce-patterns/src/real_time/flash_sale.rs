//! A sale of few units to many customers: naive, right, and with a waitlist.

use lab_runner::table::Table;
use lab_runner::{LessonContext, Outcome};
use patterns::flash_sale::{self, FlashSale, FlashSaleError, Purchase};

use super::rush::{self, CUSTOMERS, Rush, UNITS};
use super::{CUSTOMER, SALE, unexpected};

pub(super) async fn run(ctx: &LessonContext) -> Outcome {
    everybody_clicks(ctx).await?;
    let sales = one_purchase(ctx).await?;
    wait(ctx, &sales).await
}

async fn everybody_clicks(ctx: &LessonContext) -> Outcome {
    ctx.step(format!(
        "A flash sale has {UNITS} units, and one customer gets one. {CUSTOMERS} customers click at the same moment, each in two \
         tabs. Break it: read what is left and what the customer has (HGET), decide in the program, and write (HINCRBY). Each \
         HINCRBY is atomic, and that does not help: all have decided before any of them writes. Fix it: a script decides and \
         writes in one step.",
    )).await?;
    let mut table =
        Table::new("A rush", &["bought by", "units", "told 'bought'", "sold", "oversold", "over the cap"]);
    let mut results = Vec::new();
    for rush in Rush::ALL {
        let outcome = rush.crowd(ctx.target(), ctx.prefix()).await?;
        let numbers = [UNITS as usize, outcome.told, outcome.sold, outcome.oversold(), outcome.over_cap];
        table = table
            .row(std::iter::once(rush.label().to_owned()).chain(numbers.map(|number| number.to_string())));
        results.push((outcome.sold, outcome.over_cap));
    }
    ctx.table(table);
    ctx.check_eq(
        "looking first sells to every tab; the script sells what there is, one to each customer",
        &results,
        &vec![(2 * CUSTOMERS, CUSTOMERS), (UNITS as usize, 0)],
    )
}

type Sales = FlashSale<lab_connection::Transcript<lab_connection::Connection>>;

async fn one_purchase(ctx: &LessonContext) -> Result<Sales, lab_runner::LessonError> {
    let mut redis = ctx.redis();
    let quiet = FlashSale::new(ctx.untraced("TODO"), ctx.prefix());
    quiet.close(SALE).await.map_err(unexpected)?;
    rush::open(&quiet, 2, 100).await?;
    let sales = FlashSale::new(redis.clone(), ctx.prefix());

    ctx.step("This is the script that buys:").await?;
    for (name, script) in flash_sale::scripts() {
        if name == "buy" {
            ctx.listing(script.source());
        }
    }
    ctx.step(
        "Now slowly, with two units. The server's clock decides whether the sale is on, so it is the same for everyone. The \
         customer's client names its order before it buys. If the answer is lost, it asks again with the same name, gets the \
         same answer, and has bought once:",
    ).await?;
    let first = sales.buy(SALE, CUSTOMER, 1, "order-1").await.map_err(unexpected)?;
    let again = sales.buy(SALE, CUSTOMER, 1, "order-1").await.map_err(unexpected)?;
    let unchanged = match (&first, &again) {
        (Purchase::Bought(first), Purchase::AlreadyBought(again)) => first == again,
        _ => false,
    };
    ctx.check("bought, then the same answer again", unchanged)?;
    ctx.step("Another order of the same customer is beyond the cap:").await?;
    let refused = sales.buy(SALE, CUSTOMER, 1, "order-2").await;
    ctx.check("one customer gets one", matches!(refused, Err(FlashSaleError::OverCap { have: 1, cap: 1 })))?;
    let [key, ..] = sales.keys(SALE).map_err(unexpected)?;
    let sale: [u32; 2] = redis::cmd("HMGET").arg(key).arg(&["left", "sold"]).query_async(&mut redis).await?;
    ctx.check("one is left, one is sold", sale == [1, 1])?;
    Ok(sales)
}

async fn wait(ctx: &LessonContext, sales: &Sales) -> Outcome {
    let mut redis = ctx.redis();
    ctx.step(
        "This sale has a waitlist. A customer who comes when nothing is left gets a number instead of a refusal: without gaps, \
         in order of arrival, one place for each customer. The numbers are scores of a Sorted Set.",
    ).await?;
    let quiet = FlashSale::new(ctx.untraced("TODO"), ctx.prefix());
    let mut numbers = Vec::new();
    for late in ["user7", "user8", "user9", "user10"] {
        // The first of them takes what is left; two tries are no two places.
        for _ in 0..2 {
            match quiet.buy(SALE, late, 1, "order-1").await.map_err(unexpected)? {
                Purchase::Waiting(place) => numbers.push(place.number),
                Purchase::Bought(_) | Purchase::AlreadyBought(_) => {}
            }
        }
    }
    ctx.check_eq("three wait, each with one number", &numbers, &vec![1, 1, 2, 2, 3, 3])?;
    let [_, _, waitlist] = quiet.keys(SALE).map_err(unexpected)?;
    let waiting: Vec<(String, f64)> =
        redis::cmd("ZRANGE").arg(waitlist).arg(&["0", "-1", "WITHSCORES"]).query_async(&mut redis).await?;
    ctx.check("the first on it is user8", waiting.first().is_some_and(|(first, _)| first == "user8"))?;

    // The server learns the script.
    let unknown = quiet.give_back(SALE, "nobody", "order-1").await;
    ctx.check("a customer who bought nothing has nothing to give back", unknown.is_err())?;
    ctx.step(
        "A customer gives a purchase back. In the same step, the first on the waitlist gets the unit, once:",
    )
    .await?;
    let back = sales.give_back(SALE, CUSTOMER, "order-1").await.map_err(unexpected)?;
    let again = quiet.give_back(SALE, CUSTOMER, "order-1").await.map_err(unexpected)?;
    let served: Vec<(&str, u64)> =
        back.served.iter().map(|served| (served.customer.as_str(), served.number)).collect();
    ctx.check(
        "user8, with number 1, has it; asking again changes nothing",
        served == [("user8", 1)] && again == back,
    )?;
    let sale = quiet.sale(SALE).await.map_err(unexpected)?;
    let sold = sale.map(|sale| (sale.left, sale.sold));
    ctx.check_eq("nothing is left, two are sold", &sold, &Some((0, 2)))
}
