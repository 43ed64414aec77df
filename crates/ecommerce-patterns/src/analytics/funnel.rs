//! How far visitors come.

use lab_runner::table::Facts;
use lab_runner::{Outcome, Page};
use patterns::funnel::{self, Funnel, Reached};
use redis::AsyncTypedCommands;

use super::{Shop, explained, failed};
use crate::at_once::at_once;

pub(super) const STEPS: [&str; 4] = ["view", "cart", "checkout", "purchase"];
/// Visitors, and how many of them reach each step.
const REACH: [usize; 4] = [200, 80, 50, 30];

pub(super) async fn follow_visitors(page: &Page, shop: &Shop) -> Outcome {
    page.say(
        "Of those who look, how many buy? A funnel counts visitors for each step. Raised with every event, a counter takes \
         reloads for people: a visitor who looks at three products is three, and the share of those who go on is too small. `Funnel` \
         stores only the deepest step of each visitor. So a visitor counts once for each step, however often and in whatever \
         order the events come. A visitor who reaches a step counts for those before it, too: nobody buys without looking, so \
         that event was lost or is late. Here everybody looks twice, and the cart of every fifth buyer was never reported. This \
         is the script:",
    );
    let reach = funnel::scripts().into_iter().find(|(name, _)| *name == "reach");
    page.listing(reach.map_or("", |(_, script)| script.source()));
    let funnel = explained(Funnel::today(page.quietly(), &shop.prefix, &STEPS))?;
    let naive = explained(Funnel::today(page.quietly(), &shop.naive, &STEPS))?.key().as_str().to_owned();
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
        page.quietly().hincr(&naive, STEPS[step], 1).await?;
        explained(funnel.reached(&format!("user{visitor}"), STEPS[step]).await).map(|_| ())
    })
    .await?;
    let traced = explained(Funnel::today(page.redis(), &shop.prefix, &STEPS))?;
    let known_visitor = explained(traced.reached("user1", "cart").await)?;
    page.check("user1 had a cart already: nothing changes", known_visitor == Reached::Known)?;
    let report = traced.report().await.map_err(failed)?;
    let events: Vec<Option<String>> =
        redis::cmd("HMGET").arg(&naive).arg(&STEPS).query_async(&mut page.quietly()).await?;
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let header = ["step", "events", "visitors", "of the step before", "of the first"];
    let mut facts = Facts::new("The funnel of today", &header);
    for (step, events) in report.iter().zip(events) {
        facts = facts.row([
            step.step.clone(),
            events.unwrap_or_default(),
            step.visitors.to_string(),
            percent(step.of_previous),
            percent(step.of_first),
        ]);
    }
    page.facts(facts);
    let visitors: Vec<usize> =
        report.iter().map(|step| usize::try_from(step.visitors).unwrap_or(0)).collect();
    page.check_eq("each visitor once for each step", &visitors, &REACH.to_vec())?;
    page.start_clean(&[naive]).await?;
    let left = page.quietly().ttl(funnel.key().as_str()).await?.raw();
    let soon = if left < 60 { " That is in less than a minute." } else { "" };
    page.say(format!("`funnel:today` ends at midnight (UTC) by the server's clock.{soon}"));
    Ok(())
}
