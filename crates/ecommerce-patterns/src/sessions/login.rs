//! A guest logs in, from many tabs at once; and logs out of all of them.

use futures_util::future::try_join_all;
use lab_connection::Connection;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::cart::{Cart, Owner};
use patterns::sessions::Sessions;

use super::{ABC123, failed, key_of, show};

/// How many tabs log in at once.
const TABS: usize = 10;

/// Who logs in.
pub(super) const USER: &str = "1";

const MUG: &str = "mug";
const PRICE: &str = "19.99";

fn cart(ctx: &LessonContext) -> Cart<Connection> {
    Cart::new(ctx.untraced("TODO"), ctx.prefix())
}

/// The cart of the visitor who never logs in: `cart:abc123`, the plain name, since it is never merged into another.
pub(super) fn cart_of_abc123(ctx: &LessonContext) -> Result<String, LessonError> {
    Ok(cart(ctx).key(ABC123).map_err(failed)?.as_str().to_owned())
}

pub(super) fn keys(ctx: &LessonContext) -> Result<Vec<String>, LessonError> {
    let user = Sessions::new(ctx.untraced("TODO"), ctx.prefix()).user_key(USER).map_err(failed)?;
    let carts = [cart(ctx).keys(ABC123), cart(ctx).keys(USER)];
    let mut keys = vec![user.as_str().to_owned(), user.companion("devices")];
    for cart in carts {
        keys.extend(cart.map_err(failed)?);
    }
    Ok(keys)
}

pub(super) async fn log_in(ctx: &LessonContext) -> Outcome {
    let (cart, sessions) = (cart(ctx), Sessions::new(ctx.untraced("TODO"), ctx.prefix()));
    let price = PRICE.parse().map_err(failed)?;
    // abc123 stays a visitor with a cart, to be looked at; a guest logs in.
    cart.add(ABC123, MUG, 1, price).await.map_err(failed)?;
    let guest = sessions.begin(None, &[("currency", "EUR")]).await.map_err(failed)?;
    cart.add(Owner::Guest(&guest), MUG, 1, price).await.map_err(failed)?;

    ctx.step(format!(
        "A guest with a mug in the cart logs in, from {TABS} tabs at the same time. The login makes a new token; the old one is \
         dead in the step that decides, and the new session has all that was in the old one. For five minutes, the old token \
         remembers what became of it, for the same user only. So one tab wins and the others get the session that it began. A \
         client whose reply was lost calls again. Then the cart moves: a second merge finds nothing to move.",
    )).await?;
    let log_in = async || {
        let login = sessions.login(&guest, USER).await.map_err(failed)?;
        cart.merge(&guest, USER).await.map_err(failed)?;
        Ok::<_, LessonError>(login)
    };
    let logins = try_join_all((0..TABS).map(|_| log_in())).await?;
    let begun = logins.iter().filter(|login| !login.resumed).count();
    let same = logins.iter().all(|login| login.session.token == logins[0].session.token);
    let carried = logins.iter().all(|login| login.session.fields["currency"] == "EUR");
    ctx.check(
        "one login began a session, all tabs have the same, with what the guest had chosen",
        begun == 1 && same && carried,
    )?;
    let dead = sessions.read(&guest).await.map_err(failed)?.is_none();
    ctx.check("the guest's token is dead: who had planted it has nothing", dead)?;
    let units = cart.contents(USER).await.map_err(failed)?.units;
    ctx.check_eq("the mug moved once", &units, &1)?;
    let alive = sessions.list(USER).await.map_err(failed)?.len();
    ctx.check_eq("one session of the user is alive", &alive, &1)
}

/// Ends all sessions of the user, and begins one that stays to be looked at. Its key.
pub(super) async fn log_out_everywhere(ctx: &LessonContext) -> Result<String, LessonError> {
    let mut redis = ctx.redis();
    let quiet = Sessions::new(ctx.untraced("TODO"), ctx.prefix());
    for _ in 0..2 {
        quiet.begin(Some(USER), &[("theme", "dark")]).await.map_err(failed)?;
    }
    ctx.step(
        "Shops list the devices on which a user is logged in. A Sorted Set for each user has the tokens, scored by the \
         millisecond after which each session is over.",
    ).await?;
    let user = quiet.user_key(USER).map_err(failed)?;
    let devices = user.companion("devices");
    let listed: Vec<String> =
        redis::cmd("ZRANGE").arg(&devices).arg(0).arg(-1).query_async(&mut redis).await?;
    ctx.check("three sessions: that of the login, and two more", listed.len() == 3)?;
    ctx.step(
        "But 'log out everywhere' must not depend on a list: a list can be evicted, and what it does not know stays logged in. \
         So each user has a generation, and each session remembers the one in which it began. The user's ID is part of the \
         token, so a read gets both in one pipeline, in one slot. Delete the generation, and no session is alive. If the \
         generation is lost, the same happens: it fails on the safe side.",
    ).await?;
    show(ctx, "end_all", "-- Ends all sessions");
    let sessions = Sessions::new(ctx.redis(), ctx.prefix());
    let ended = sessions.end_everywhere(USER).await.map_err(failed)?;
    let left: usize = redis::cmd("ZCARD").arg(&devices).query_async(&mut redis).await?;
    ctx.check("three ended, none left", (ended, left) == (3, 0))?;

    ctx.step("Lose the list before the end:").await?;
    let token = quiet.begin(Some(USER), &[]).await.map_err(failed)?;
    redis::cmd("UNLINK").arg(&devices).exec_async(&mut redis).await?;
    let ended = sessions.end_everywhere(USER).await.map_err(failed)?;
    let alive = sessions.read(&token).await.map_err(failed)?.is_some();
    ctx.check("none was listed, and yet the session has ended", (ended, alive) == (0, false))?;
    ctx.step("The user logs in once more, so that there is a session to look at.").await?;
    let last = quiet.begin(Some(USER), &[("theme", "light")]).await.map_err(failed)?;
    key_of(&quiet, &last)
}
