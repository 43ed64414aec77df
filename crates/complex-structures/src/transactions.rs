//! When are several commands one step, and what does each way promise?
//!
//! `cargo complex transactions`

mod accounts;
mod crowd;
mod function;
mod interleaving;
mod no_rollback;
mod payments;
mod scripts;
mod transfer;
mod watch;

use lab_runner::{Comparison, Lesson, Need, Outcome, Page};

pub use self::accounts::Accounts;
pub use self::function::Library;
pub use self::interleaving::{Reads, Together};
pub use self::payments::{Audit, Payment};
pub use self::transfer::{Moved, Transfer};
use crate::keys::Keys;

/// Pipelines, MULTI, WATCH, scripts and functions, and what each of them promises.
pub static LESSON: Lesson = Lesson {
    name: "transactions",
    title: "Transactions",
    asks: "When are several commands one step, and which way of making them one costs what?",
    teaches: &["MULTI", "EXEC", "DISCARD", "WATCH", "SCRIPT", "EVALSHA", "FUNCTION", "FCALL"],
    needs: &[],
    teach: |page| Box::pin(teach(page)),
};

/// Functions came with Redis 7.0.
const FUNCTIONS: Need = Need { command: "FCALL", had_by: "--server valkey-9.1" };
/// Loading a function is felt by every user of a server, so it is done only on one of our own.
const OWN_LIBRARY: Need = Need {
    command: "FUNCTION library of ours, because loading one would change it for everybody who uses it",
    had_by: "a private one: --server valkey-9.1",
};

/// How much a transfer moves.
const CENTS: i64 = 10_000;
/// How often the comparison transfers.
const TIMES: usize = 100;

async fn teach(page: &mut Page) -> Outcome {
    let keys = Keys::new(page.prefix());
    page.start_clean(&[
        keys.pair_first(),
        keys.pair_second(),
        keys.pair_gate(),
        keys.order_status(),
        keys.order_total(),
        keys.order_changes(),
        keys.bank_notice(),
    ])
    .await?;
    page.start_clean(&["ada", "ben", "shop"].map(|owner| keys.account(owner))).await?;
    let customers = (1..=payments::CUSTOMERS).map(|customer| keys.account(&customer.to_string()));
    page.start_clean(&customers.collect::<Vec<_>>()).await?;

    interleaving::stop_between(page, &keys).await?;
    interleaving::race(page, &keys).await?;
    no_rollback::fail_inside(page, &keys).await?;
    no_rollback::give_up(page, &keys).await?;
    watch::overdraw(page, &keys).await?;
    watch::try_again(page, &keys).await?;
    watch::share_a_connection(page, &keys).await?;
    scripts::run_a_script(page, &keys).await?;

    let functions = may_load_functions(page).await;
    if functions {
        scripts::call_a_function(page, &keys).await?;
    }
    // The library is taken away again even if a claim below is broken.
    let counted = count_the_cost(page, &keys, functions).await;
    if functions {
        function::Library::delete(&mut page.redis()).await?;
    }
    counted?;

    page.say(
        "Rule: a pipeline to save round trips, MULTI when several writes must be seen together, a script or a function when \
         a decision lies between reading and writing. WATCH does the same without Lua, where few clients meet.",
    );
    page.keys([keys.order_status(), keys.order_changes(), keys.account("ada"), keys.account("ben")]);
    Ok(())
}

async fn may_load_functions(page: &Page) -> bool {
    if !page.can("FCALL").await {
        page.skip(FUNCTIONS);
        return false;
    }
    let own = page.target().private().is_some();
    if !own {
        page.skip(OWN_LIBRARY);
    }
    own
}

async fn count_the_cost(page: &Page, keys: &Keys, functions: bool) -> Outcome {
    payments::race(page, keys, functions).await?;

    page.say(format!(
        "And the price? {TIMES} transfers, one after the other, with the same balances afterwards. WATCH needs two round \
         trips, all others one. Only WATCH, script and function looked whether the money was there.",
    ));
    let accounts = Accounts::new(TIMES, CENTS, keys);
    let approaches = Transfer::all(functions);
    page.compare(Comparison { title: "Transfers", approaches: &approaches, subject: &accounts }).await
}
