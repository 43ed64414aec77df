//! A request comes twice. How does it have one effect and one answer?
//!
//! `cargo work idempotency`

mod payments;

use std::time::Duration;

use lab_runner::pattern_scripts::{load, lua};
use lab_runner::table::Table;
use lab_runner::{BoxError, Lesson, LessonContext, outcome, source};
use patterns::once::{self, BEGIN, Begun, FINISH, Once, OnceError, Token};

pub use self::payments::{Payments, Way, after_a_crash, pay_at_once};

/// One effect, however often a request is sent.
pub static LESSON: Lesson = Lesson {
    name: "idempotency",
    title: "Idempotency",
    question: "A request comes twice. How does it have one effect and one answer?",
    commands: &["SET", "EVALSHA"],
    needs: &[],
    sources: &[source!("src/idempotency.rs"), source!("src/idempotency/payments.rs")],
    rule: "The client names the request, and the server keeps the name with a lease, and then with the answer.",
    takeaways: &[
        "Every client retries. So the same request comes again, at the same moment or an hour later.",
        "A mark without an answer only moves the problem: the retry is refused, and nobody knows what happened.",
        "An attempt above 1 may find the effect there already. Write effect and answer in one step where you can.",
    ],
    quiz: &[75, 91, 95],
    run: |ctx| Box::pin(outcome(run(ctx))),
};

/// Copies of one payment at the same moment.
const COPIES: usize = 10;

async fn run(ctx: &mut LessonContext) -> Result<(), BoxError> {
    let once = Once::new(ctx.target().connection(), ctx.prefix());
    let order = once.key("order-7")?.as_str().to_owned();
    let mut keys = vec![order.clone(), mark(ctx.prefix())];
    keys.extend(payments::keys(ctx.target())?);
    ctx.start_clean(&keys).await?;
    load(ctx, &[once::scripts()]).await?;

    charge_twice(ctx).await?;
    lose_the_answer(ctx).await?;
    keep_the_answer(ctx).await?;
    count(ctx).await?;

    ctx.keys([order]);
    Ok(())
}

async fn charge_twice(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(format!(
        "A customer's app sends a payment, gets no answer, and sends it again. So each payment has a key that the client picks. The \
         obvious code asks whether the key is known, charges, and stores it. {COPIES} copies come at the same moment:",
    ))
    .await?;
    ctx.function("by_get_and_set");
    let guess = ctx.predict("How often is the customer charged?", ["once", "twice", "10 times"]).await?;
    ctx.announce("Each copy sends GET and SET. UNLINK cleans up.");
    let payments = pay_at_once(Way::GetAndSet, ctx.target(), COPIES).await?;
    guess.answer(match payments.charges {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        charges => format!("{charges} times"),
    })?;
    ctx.check_eq("the customer is charged ten times", &payments.charges, &COPIES)?;
    Ok(())
}

async fn lose_the_answer(ctx: &LessonContext) -> Result<(), BoxError> {
    let (mut redis, mark) = (ctx.redis(), mark(ctx.prefix()));
    let guess = ctx
        .step(
            "SET with NX marks the key before the charge, and lets one through. That one dies before it charges, and the app sends the \
             payment again:",
        )
        .predict("How often is the customer charged?", ["never", "once", "twice"])
        .await?;
    let mut set = redis::cmd("SET");
    set.arg(&mark).arg("seen").arg("NX").arg("EX").arg(86_400);
    let first: Option<String> = set.query_async(&mut redis).await?;
    // The server dies here, before it charges. The app sends the payment again:
    let again: Option<String> = set.query_async(&mut redis).await?;
    guess.answer(if again.is_none() { "never" } else { "once" })?;
    ctx.check("the retry is refused as a copy", first.is_some() && again.is_none())?;
    ctx.say(
        "The order is never paid. And if the first one had charged, the retry could not say so: the mark has no answer. Without the TTL, \
         it would be so forever.",
    );
    ctx.start_clean(&[mark]).await?;
    Ok(())
}

async fn keep_the_answer(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(
        "The pattern keeps a record for each key: what was asked, who works on it and until when, and at the end the answer. This script \
         begins. It decides by the server's clock whether another caller still works:",
    )
    .await?;
    ctx.script(&lua(&BEGIN).whole()).await?;
    ctx.script(&lua(&FINISH).section()).await?;

    let once = Once::new(ctx.redis(), ctx.prefix());
    let (request, mine, other) = (b"pay 25.00 EUR", Token::random()?, Token::random()?);
    ctx.step("The first caller starts. A copy comes meanwhile, and again when the answer is there:").await?;
    let started = once.begin("order-7", &mine, request).await?;
    let copy = once.begin("order-7", &other, request).await?;
    once.finish("order-7", &mine, request, b"charge 4711").await?;
    let later = once.begin("order-7", &other, request).await?;
    ctx.check_eq("the first one starts", &started, &Begun::Started { attempt: 1 })?;
    ctx.check("the copy learns when to ask again", matches!(copy, Begun::InProgress { .. }))?;
    ctx.check_eq("later it gets the first one's answer", &later, &Begun::Done(b"charge 4711".to_vec()))?;

    ctx.step("A client with an error sends another request under the same key. It must not get the answer of the first:").await?;
    let wrong = once.begin("order-7", &Token::random()?, b"pay 99.00 EUR").await;
    ctx.check("another request is refused", matches!(wrong, Err(OnceError::OtherRequest)))?;

    let once = once.with_lease(Duration::from_millis(20));
    let guess = ctx
        .step(
            "A caller seems to be dead: its lease ends, and the next one starts, charges, and finishes. But the first one was only slow. It \
             finishes, too, with a charge of its own:",
        )
        .predict("Which charge does the slow caller get as the answer?", ["4712, the next one's", "4713, its own"])
        .await?;
    let (dead, next) = (Token::random()?, Token::random()?);
    once.begin("order-8", &dead, request).await?;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let second = once.begin("order-8", &next, request).await?;
    once.finish("order-8", &next, request, b"charge 4712").await?;
    let late = once.finish("order-8", &dead, request, b"charge 4713").await?;
    guess.answer(if late == b"charge 4713" { "4713, its own" } else { "4712, the next one's" })?;
    ctx.check_eq("the second caller starts, as attempt 2", &second, &Begun::Started { attempt: 2 })?;
    ctx.check("the first one gets the answer that counts", late == b"charge 4712")?;
    ctx.say(
        "Attempt 2 means that the first caller may have charged before it died. The record cannot know. So attempt 2 looks first, for \
         example by giving the payment provider the same key. If the effect is in Redis, in the same slot, one script writes both, \
         and there is nothing to ask.",
    );
    let cleaned = [Once::new(ctx.target().connection(), ctx.prefix()).key("order-8")?.as_str().to_owned()];
    ctx.start_clean(&cleaned).await?;
    Ok(())
}

async fn count(ctx: &LessonContext) -> Result<(), BoxError> {
    ctx.step(format!(
        "All three side by side. First {COPIES} copies of a payment at the same moment. Then a payment whose first worker dies before it \
         charges, and that is sent again until it is answered or refused.",
    ))
    .await?;
    ctx.announce("The copies send GET and SET, SET with NX, or EVALSHA. UNLINK cleans up.");
    let header = ["approach", "copies", "charged", "answered", "after a crash: charged"];
    let mut table = Table::new("Copies of a payment", &header);
    let mut results = Vec::new();
    for way in Way::ALL {
        let payments = pay_at_once(way, ctx.target(), COPIES).await?;
        let crashed = after_a_crash(way, ctx.target()).await?;
        table = table.labeled(way.label(), [COPIES, payments.charges, payments.answers, crashed]);
        results.push((payments, crashed));
    }
    ctx.table(table);
    let expected = vec![
        (Payments { charges: COPIES, answers: COPIES }, 1),
        (Payments { charges: 1, answers: 1 }, 0),
        (Payments { charges: 1, answers: COPIES }, 1),
    ];
    ctx.check_eq("only the record charges once and answers all", &results, &expected)?;
    // It stays for a day, so that you find it in Redis Insight.
    Ok(())
}

/// The mark without an answer.
fn mark(prefix: &str) -> String {
    format!("{prefix}payment:order-7")
}
