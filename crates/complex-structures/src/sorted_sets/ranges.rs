//! Members by score: bounds that belong to the range, and bounds that do not.

use lab_runner::{LessonContext, Outcome};

use crate::keys::Keys;

pub(super) async fn choose_by_score(ctx: &LessonContext, keys: &Keys) -> Outcome {
    let mut redis = ctx.redis();
    let board = keys.week_board();
    let mut by_score = async |words: &[&str]| {
        redis::cmd("ZRANGE").arg(&board).arg(words).query_async::<Vec<String>>(&mut redis).await
    };

    ctx.step(
        "BYSCORE asks for scores instead of places. Both ends belong to the range; +inf is no end at all.",
    )
    .await?;
    let thousands = by_score(&["1000", "+inf", "BYSCORE"]).await?;
    ctx.check_eq(
        "everybody with 1,000 points or more",
        &thousands,
        &["ben", "eva", "gita", "ada", "cleo"].map(str::to_owned).to_vec(),
    )?;

    ctx.step("A ( in front leaves the end itself out. So ranges can touch without counting anybody twice.")
        .await?;
    let above = by_score(&["(1000", "+inf", "BYSCORE"]).await?;
    ctx.check(
        "ben has exactly 1,000 and is left out",
        above.len() == 4 && !above.contains(&"ben".to_owned()),
    )?;

    ctx.step(
        "With REV the higher end comes first. In the other order the range is empty, and nothing warns you.",
    )
    .await?;
    let empty = by_score(&["1000", "+inf", "BYSCORE", "REV"]).await?;
    let best = by_score(&["+inf", "1000", "BYSCORE", "REV", "LIMIT", "0", "2"]).await?;
    ctx.check_eq(
        "from the top, at most two",
        &(empty.len(), best),
        &(0, vec!["cleo".to_owned(), "ada".to_owned()]),
    )?;

    ctx.step(
        "ZCOUNT counts a range without reading it. Leagues that share their ends have every player once:",
    )
    .await?;
    let mut redis = ctx.redis();
    let mut count = async |low: &str, high: &str| {
        redis::cmd("ZCOUNT").arg(&board).arg(low).arg(high).query_async::<usize>(&mut redis).await
    };
    let bronze = count("-inf", "(700").await?;
    let silver = count("700", "(1000").await?;
    let gold = count("1000", "+inf").await?;
    let all = count("-inf", "+inf").await?;
    ctx.check("bronze, silver and gold are all nine", bronze + silver + gold == all && all == 9)
}
