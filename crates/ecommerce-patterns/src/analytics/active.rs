//! Who comes back?

use lab_runner::table::Table;
use lab_runner::{LessonContext, Outcome};

use super::{DAY, Shop, days, explained};

/// Users of the first day.
const COHORT: u64 = 1_000;

pub(super) async fn who_comes_back(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "Of the users who were here on the first day, how many are here a day later, a week later, nearly four weeks later? A \
         bitmap for each day has one bit for each user. BITOP AND keeps those who were there on both days, and BITCOUNT counts \
         them. One short script does that for each day, all in flight at once. The bitmaps share a hash tag, because BITOP needs \
         them in one slot.",
    ).await?;
    let days: Vec<String> = days().collect();
    // Of the cohort, user n comes on day d if n is small enough for it; others come, too, and must not count.
    let back = |ahead: u64| COHORT * 10 / (10 + 4 * ahead);
    for (ahead, day) in (0..).zip(&days) {
        let stays = if ahead == 0 { COHORT } else { back(ahead) };
        let users: Vec<u64> = (1..=stays).chain(COHORT + 1..=COHORT + 20 * ahead).collect();
        explained(shop.active.add(day, &users).await)?;
    }
    let later: Vec<&str> = days[1..].iter().map(String::as_str).collect();
    let retention = explained(shop.active.retention(DAY, &later).await)?;
    let mut table = Table::new("Retention", &["after", "users", "still here", "share"]);
    let mut right = true;
    for ahead in [1_usize, 2, 7, 14, 27] {
        let returned = retention.returned[ahead - 1];
        right &= returned == back(ahead as u64);
        let share = format!("{:.0} %", retention.share(ahead).unwrap_or_default() * 100.0);
        let after = if ahead == 1 { "1 day".to_owned() } else { format!("{ahead} days") };
        table = table.row([after, retention.cohort.to_string(), returned.to_string(), share]);
    }
    ctx.table(table);
    ctx.check("as many as came back, and none of the newcomers", right && retention.cohort == COHORT)
}
