//! How far visitors come.

use lab_runner::table::Table;
use lab_runner::{LessonContext, Outcome};
use patterns::funnel::{self, Funnel, Reached};
use redis::AsyncTypedCommands;

use super::{Shop, explained, failed};
use crate::at_once::at_once;

pub(super) const STEPS: [&str; 4] = ["view", "cart", "checkout", "purchase"];
/// Visitors, and how many of them reach each step.
const REACH: [usize; 4] = [200, 80, 50, 30];

pub(super) async fn follow_visitors(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "Of those who look, how many buy? A funnel counts visitors for each step. Raised with every event, a counter takes \
         reloads for people: a visitor who looks at three products is three, and the share of those who go on is too small. `Funnel` \
         stores only the deepest step of each visitor. So a visitor counts once for each step, however often and in whatever \
         order the events come. A visitor who reaches a step counts for those before it, too: nobody buys without looking, so \
         that event was lost or is late. Here everybody looks twice, and the cart of every fifth buyer was never reported. This \
         is the script:",
    ).await?;
    let reach = funnel::scripts().into_iter().find(|(name, _)| *name == "reach");
    ctx.listing(reach.map_or("", |(_, script)| script.source()));
    let funnel = explained(Funnel::today(ctx.untraced("TODO"), &shop.prefix, &STEPS))?;
    let naive =
        explained(Funnel::today(ctx.untraced("TODO"), &shop.naive, &STEPS))?.key().as_str().to_owned();
    // Everybody looks twice, and of every fifth buyer the event of the cart is lost.
    let mut events: Vec<(usize, usize)> = (0..REACH[0]).map(|visitor| (0, visitor)).collect();
    for (step, reach) in REACH.iter().enumerate() {
        events.extend(
            (0..*reach)
                .filter(|visitor| step != 1 || *visitor >= REACH[3] || visitor % 5 != 0)
                .map(|visitor| (step, visitor)),
        );
    }
    at_once(50, events.len(), async |number| {
        let (step, visitor) = events[number];
        ctx.untraced("TODO").hincr(&naive, STEPS[step], 1).await?;
        explained(funnel.reached(&format!("user{visitor}"), STEPS[step]).await).map(|_| ())
    })
    .await?;
    let traced = explained(Funnel::today(ctx.redis(), &shop.prefix, &STEPS))?;
    let known_visitor = explained(traced.reached("user1", "cart").await)?;
    ctx.check("user1 had a cart already: nothing changes", known_visitor == Reached::Known)?;
    let report = traced.report().await.map_err(failed)?;
    let events: Vec<Option<String>> =
        redis::cmd("HMGET").arg(&naive).arg(&STEPS).query_async(&mut ctx.untraced("TODO")).await?;
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let header = ["step", "events", "visitors", "of the step before", "of the first"];
    let mut table = Table::new("The funnel of today", &header);
    for (step, events) in report.iter().zip(events) {
        table = table.row([
            step.step.clone(),
            events.unwrap_or_default(),
            step.visitors.to_string(),
            percent(step.of_previous),
            percent(step.of_first),
        ]);
    }
    ctx.table(table);
    let visitors: Vec<usize> =
        report.iter().map(|step| usize::try_from(step.visitors).unwrap_or(0)).collect();
    ctx.check_eq("each visitor once for each step", &visitors, &REACH.to_vec())?;
    ctx.start_clean(&[naive]).await?;
    let left = ctx.untraced("TODO").ttl(funnel.key().as_str()).await?.raw();
    let soon = if left < 60 { " That is in less than a minute." } else { "" };
    ctx.step(format!("`funnel:today` ends at midnight (UTC) by the server's clock.{soon}")).await?;
    Ok(())
}
