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

use lab_runner::{Comparison, Lesson, LessonContext, Need, Outcome};

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
    question: "When are several commands one step, and which way of making them one costs what?",
    commands: &["MULTI", "EXEC", "DISCARD", "WATCH", "SCRIPT", "EVALSHA", "FUNCTION", "FCALL"],
    needs: &[],
    sources: &[lab_runner::source!("src/transactions.rs")],
    rule: "",
    takeaways: &[],
    quiz: &[],
    run: |ctx| Box::pin(run(ctx)),
};

/// Functions came with Redis 7.0.
const FUNCTIONS: Need = Need { command: "FCALL", available_in: "--server valkey-9.1" };
/// Loading a function is felt by every user of a server, so it is done only on one of our own.
const OWN_LIBRARY: Need = Need {
    command: "FUNCTION library of ours, because loading one would change it for everybody who uses it",
    available_in: "a private one: --server valkey-9.1",
};

/// How much a transfer moves.
const CENTS: i64 = 10_000;
/// How often the comparison transfers.
const TIMES: usize = 100;

async fn run(ctx: &mut LessonContext) -> Outcome {
    let keys = Keys::new(ctx.prefix());
    ctx.start_clean(&[
        keys.pair_first(),
        keys.pair_second(),
        keys.pair_gate(),
        keys.order_status(),
        keys.order_total(),
        keys.order_changes(),
        keys.bank_notice(),
    ])
    .await?;
    ctx.start_clean(&["ada", "ben", "shop"].map(|owner| keys.account(owner))).await?;
    let customers = (1..=payments::CUSTOMERS).map(|customer| keys.account(&customer.to_string()));
    ctx.start_clean(&customers.collect::<Vec<_>>()).await?;

    interleaving::stop_between(ctx, &keys).await?;
    interleaving::race(ctx, &keys).await?;
    no_rollback::fail_inside(ctx, &keys).await?;
    no_rollback::give_up(ctx, &keys).await?;
    watch::overdraw(ctx, &keys).await?;
    watch::try_again(ctx, &keys).await?;
    watch::share_a_connection(ctx, &keys).await?;
    scripts::run_a_script(ctx, &keys).await?;

    let functions = may_load_functions(ctx).await;
    if functions {
        scripts::call_a_function(ctx, &keys).await?;
    }
    // The library is taken away again even if a claim below is broken.
    let counted = count_the_cost(ctx, &keys, functions).await;
    if functions {
        function::Library::delete(&mut ctx.redis()).await?;
    }
    counted?;

    ctx.step(
        "Rule: a pipeline to save round trips, MULTI when several writes must be seen together, a script or a function when \
         a decision lies between reading and writing. WATCH does the same without Lua, where few clients meet.",
    ).await?;
    ctx.keys([keys.order_status(), keys.order_changes(), keys.account("ada"), keys.account("ben")]);
    Ok(())
}

async fn may_load_functions(ctx: &LessonContext) -> bool {
    if !ctx.can("FCALL").await {
        ctx.skip(FUNCTIONS);
        return false;
    }
    let own = ctx.target().private().is_some();
    if !own {
        ctx.skip(OWN_LIBRARY);
    }
    own
}

async fn count_the_cost(ctx: &LessonContext, keys: &Keys, functions: bool) -> Outcome {
    payments::race(ctx, keys, functions).await?;

    ctx.step(format!(
        "And the price? {TIMES} transfers, one after the other, with the same balances afterwards. WATCH needs two round \
         trips, all others one. Only WATCH, script and function looked whether the money was there.",
    )).await?;
    let accounts = Accounts::new(TIMES, CENTS, keys);
    let approaches = Transfer::all(functions);
    ctx.compare(Comparison { title: "Transfers", approaches: &approaches, input: &accounts }).await
}
