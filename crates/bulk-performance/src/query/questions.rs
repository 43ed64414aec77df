//! The questions, in teaching order: why the naive way is wrong, then what every way costs.

use lab_runner::table::{Table, thousands};
use lab_runner::{LessonContext, Outcome};

use super::average::{AverageSalary, SUM_SALARIES_SOURCE};
use super::by_number::ByNumber;
use super::city::UsersOfCity;
use super::intersection::{self, CountBoth, InBoth, STORED_TTL};
use super::latency::{self, Plan, Timed, in_words};
use super::pagination_drift;
use super::paging::{DeepPage, WholeSet};
use super::point::Point;
use super::top::TopSalaries;
use super::users::{CITY, DEPARTMENT, PAGE, Users};
use super::way::{Able, Way};
use crate::people::{CITIES, DEPARTMENTS};

/// What the project's documents promise of a query.
const DOCUMENTED: &str = "sub-millisecond response times";
const MILLISECOND: std::time::Duration = std::time::Duration::from_millis(1);

/// Everything that a question needs to be asked.
pub(super) struct Asking<'a> {
    pub(super) ctx: &'a LessonContext,
    pub(super) users: &'a Users,
    pub(super) able: Able,
    pub(super) plan: Plan,
}

impl Asking<'_> {
    /// Times every way that this server allows, requires the right answer, shows the table, and says what is missing.
    async fn table<W: Way>(&self, title: &str, claim: &str, right: &W::Output) -> Result<Vec<Timed>, Error> {
        let ways = W::open_to(self.able);
        let timed = latency::time(self.ctx.target(), &ways, self.users, self.plan).await?;
        self.ctx.table(latency::table(title, &timed));
        latency::foot(self.ctx, &timed);
        if let Some(&best) = ways.last() {
            // All ways have just been required to agree, so one of them speaks for all.
            let answer = best.run(self.users, &mut self.ctx.untraced("TODO")).await?;
            self.ctx.check(claim, answer == *right)?;
        }
        for &way in W::ALL {
            if let Some(obstacle) = way.obstacle(self.able) {
                self.ctx.step(format!("Left out: '{}', because {}.", way.label(), obstacle.reason())).await?;
            }
        }
        Ok(timed)
    }
}

type Error = lab_runner::LessonError;

pub(super) async fn ask_all(asking: &Asking<'_>) -> Outcome {
    point(asking).await?;
    city(asking).await?;
    by_number(asking).await?;
    top(asking).await?;
    both(asking).await?;
    paging(asking).await?;
    average(asking).await
}

async fn point(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    ctx.step("1. One value of one user. This is what Redis is made for: one key, one round trip, hardly any work for the server.").await?;
    let mut redis = ctx.redis();
    let email: String =
        redis::cmd("HGET").arg(users.keys().user(1)).arg("email").query_async(&mut redis).await?;
    let timed =
        asking.table::<Point>("One value of one user", "both ways read the same address", &email).await?;

    let mut table = Table::new("Beside the documented figure", &["query", "p50", "p99", "seen here"]);
    table = table.row(["documented", "-", "-", DOCUMENTED]);
    for one in &timed {
        let shown = |share| one.within(share).map_or_else(|| "-".to_owned(), in_words);
        let below = |share| one.within(share).is_some_and(|time| time < MILLISECOND);
        let seen = match (below(0.99), below(0.5)) {
            (true, _) => "below a millisecond in 99 of 100",
            (false, true) => "below a millisecond in every other one",
            (false, false) => "not below a millisecond on this machine now",
        };
        table = table.row([one.label.clone(), shown(0.5), shown(0.99), seen.to_owned()]);
    }
    ctx.table(table);
    Ok(())
}

async fn city(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    ctx.step(format!(
        "2. Who lives in {}? KEYS looks at every key of the server while all other clients wait, and then each user has \
         to be read to know the city. SCAN does the same work in steps, so others get their turn, but it is no less work. \
         The Set answers at once, because the work was done when the user was written.",
        CITIES[CITY]
    )).await?;
    let index = users.keys().city(CITIES[CITY]);
    let mut redis = ctx.redis();
    let member: bool = redis::cmd("SISMEMBER").arg(&index).arg(1).query_async(&mut redis).await?;
    ctx.check("user 1 is in the index", member)?;
    let right = users.in_city();
    let claim = format!("all ways found the same {} users", thousands(right.len() as f64));
    asking.table::<UsersOfCity>("Users of a city", &claim, &right).await?;
    Ok(())
}

async fn by_number(asking: &Asking<'_>) -> Outcome {
    let count = asking.users.asked().len();
    asking.ctx.step(format!(
        "3. {count} users whose numbers are known. One after the other costs {count} round trips, and nearly all of the time is \
         usage waiting: the N+1 problem, which any loop around a query has. A pipeline sends all questions before it waits \
         for the first answer. MGET and a script do it in one command; while a long script runs, all others wait.",
    )).await?;
    let right = asking.users.asked_values();
    let title = format!("{count} users by number");
    asking.table::<ByNumber>(&title, "all ways read the same users", &right).await?;
    Ok(())
}

async fn top(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    ctx.step(
        "4. Who earns the most? Sorting here means that everybody travels and all but ten are thrown away. SORT keeps that on \
         the server, where all other clients wait for it. A Sorted Set is in order all the time: its end is just read.",
    ).await?;
    let mut redis = ctx.redis();
    let mut command = redis::cmd("ZREVRANGE");
    command.arg(users.keys().users_by_salary()).arg(0).arg(9).arg("WITHSCORES");
    command.exec_async(&mut redis).await?;
    let right = users.by_salary().into_iter().rev().take(10).collect();
    asking
        .table::<TopSalaries>(
            "The ten highest salaries",
            "all ways name the same ten, in the same order",
            &right,
        )
        .await?;
    Ok(())
}

async fn both(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    let who = format!("of {} in {}", DEPARTMENTS[DEPARTMENT], CITIES[CITY]);
    ctx.step(format!(
        "5. Who works in {}, and lives in {}? Filtering here moves everybody to find a few. Two index sets hold the answer already: SINTER walks the \
         smaller and looks each up in the other. What is asked often can be stored with a TTL; it is then as old as that.",
        DEPARTMENTS[DEPARTMENT], CITIES[CITY]
    )).await?;
    if !asking.able.cluster {
        let mut redis = ctx.redis();
        let stored = intersection::store(users, &mut redis).await?;
        let ttl: i64 = redis::cmd("TTL").arg(intersection::stored_key(users)).query_async(&mut redis).await?;
        let longest = i64::try_from(STORED_TTL).unwrap_or(i64::MAX);
        ctx.check(
            "the stored answer goes away by itself (an empty one is not stored at all)",
            if stored.is_empty() { ttl == -2 } else { (0..=longest).contains(&ttl) },
        )?;
    }
    let right = users.in_both();
    let claim = format!("all ways found the same {} users", thousands(right.len() as f64));
    asking.table::<InBoth>(&format!("Users {who}"), &claim, &right).await?;

    ctx.step(
        "How many are they? To count what has arrived is to move it first. SINTERCARD counts on the server, and with LIMIT it \
         stops as soon as there are enough.",
    ).await?;
    let count = right.len() as u64;
    let claim = format!("all ways counted {}", thousands(count as f64));
    asking.table::<CountBoth>(&format!("How many {who}"), &claim, &count).await?;
    Ok(())
}

async fn paging(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    ctx.step(format!(
        "6. The list by salary in pages of {PAGE}, and somebody wants the page behind nine tenths of it. By offset the whole list \
         need not travel; a Sorted Set even knows ranks, so that a deep rank costs hardly more than a low one. \
         But an offset is wrong as soon as the list changes between two pages. A cursor, the last score and \
         member seen, is not; both are needed, because salaries are often equal."
    )).await?;
    let right = users.by_salary().into_iter().skip(users.deep_start()).take(PAGE).collect();
    asking.table::<DeepPage>("A page deep in the list", "all ways read the same page", &right).await?;
    pagination_drift::show(ctx, users).await?;

    ctx.step(
        "A Set has no order, so it has no offset and no pages. SMEMBERS of a huge one keeps every other client waiting; SSCAN has \
         a cursor of its own and lets them in between, for more round trips. A member that is there all the time comes at \
         least once, perhaps twice.",
    ).await?;
    let right = users.in_city();
    asking.table::<WholeSet>("All members of a Set", "both ways read the same members", &right).await?;
    Ok(())
}

async fn average(asking: &Asking<'_>) -> Outcome {
    let (ctx, users) = (asking.ctx, asking.users);
    ctx.step(format!(
        "7. What does one earn in {}, on average? To add up here, all the numbers must come here. A script goes to them \
         instead, and all others wait while it adds. Nothing is cheaper than a sum and a count that every write keeps up to \
         date, with HINCRBY in the transaction that writes the user; but they answer only what was thought of before.",
        CITIES[CITY]
    )).await?;
    ctx.listing(SUM_SALARIES_SOURCE);
    let mut redis = ctx.redis();
    let mut command = redis::cmd("HMGET");
    command.arg(users.keys().city_salaries(CITIES[CITY])).arg("sum").arg("count");
    command.exec_async(&mut redis).await?;
    let right = users.average_cents();
    let claim = format!("all ways say ${}.{:02}, to the cent", thousands((right / 100) as f64), right % 100);
    asking.table::<AverageSalary>("Average salary of a city", &claim, &right).await?;
    Ok(())
}
