//! Reviews come and go between two pages.

use std::collections::BTreeSet;

use exercises::check_prelude::*;

use super::attempt::page;

const REVIEWS: usize = 3_000;
/// More of one day than fit on a page.
const A_DAY: usize = 60;
const SIZE: usize = 25;
const MOST_PAGES: usize = 4 * REVIEWS / SIZE;
/// A review and its day are about this many bytes in a reply.
const BYTES: usize = 36;

pub async fn check(lab: &Lab) -> Verdict {
    let server = lab.server().await?;
    let mut redis = server.connect().await?;
    // Their names say nothing about their days.
    let name = |number: usize| format!("review-{:04}", number * 7 % REVIEWS);
    let day = |number: usize| number / A_DAY + 1;
    let mut add = redis::cmd("ZADD");
    add.arg("reviews");
    for number in 0..REVIEWS {
        add.arg(day(number)).arg(name(number));
    }
    add.exec_async(&mut redis).await?;
    let mut unseen: BTreeSet<String> = (0..REVIEWS).map(name).collect();
    let days: std::collections::BTreeMap<String, usize> =
        (0..REVIEWS).map(|number| (name(number), day(number))).collect();

    let read = async || -> Result<u64, Fault> {
        Ok(server.info("stats", "total_net_output_bytes").await?.parse().unwrap_or_default())
    };
    let mut reader = server.connect().await?;
    let before = read().await?;
    let (mut cursor, mut pages, mut seen, mut last_day) = (None, 0, BTreeSet::new(), usize::MAX);
    loop {
        let (reviews, next) = in_time(page(&mut reader, cursor, SIZE)).await??;
        pages += 1;
        ensure(reviews.len() <= SIZE, || {
            Fault::new(format!("A page of {SIZE} has {} reviews.", reviews.len()))
        })?;
        for review in &reviews {
            ensure(seen.insert(review.clone()), || {
                Fault::new(format!("{review} was shown twice, the second time on page {pages}."))
                    .observed(["Between two pages, reviews are added and deleted.".to_owned()])
            })?;
            unseen.remove(review);
            let day = days.get(review).copied().unwrap_or(last_day);
            ensure(day <= last_day, || {
                Fault::new(format!(
                    "On page {pages}, {review} of day {day} comes after one of day {last_day}."
                ))
            })?;
            last_day = day;
        }
        ensure(pages <= MOST_PAGES, || Fault::new(format!("After {pages} pages, it does not end.")))?;
        cursor = next;
        if cursor.is_none() {
            break;
        }
        // New ones, of the latest day and of the first; and the last that was shown goes, and one of the first page.
        let mut change = redis::pipe();
        for number in 0..3 {
            change.zadd("reviews", format!("new-{pages}-{number}"), REVIEWS).ignore();
        }
        for shown in [reviews.last(), seen.first()].into_iter().flatten().filter(|_| pages % 2 == 0) {
            change.zrem("reviews", shown).ignore();
        }
        change.exec_async(&mut redis).await?;
    }
    let bytes = read().await? - before;
    ensure(unseen.is_empty(), || {
        Fault::new(format!(
            "After {pages} pages, {} of {REVIEWS} reviews were not shown; {} was never shown.",
            unseen.len(),
            unseen.first().map_or("", String::as_str)
        ))
    })?;
    ensure(bytes <= (10 * REVIEWS * BYTES) as u64, || {
        Fault::new(format!(
            "All the reviews are about {} bytes, and the server sent {bytes} bytes for {pages} pages.",
            REVIEWS * BYTES
        ))
    })?;
    Ok(Passed::with(format!(
        "{REVIEWS} reviews on {pages} pages, each once, while {} came; the server sent {bytes} bytes.",
        3 * (pages - 1)
    )))
}
