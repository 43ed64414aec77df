//! A guest logs in, from many tabs at once; and logs out of all of them.

use futures_util::future::join_all;
use lab_runner::{Outcome, Page};
use storefront::session::Sessions;
use storefront::{
    Cart, CartOwner, Catalogue, Keys, NewUser, Product, Quantity, Representation, SessionId, UserId, Users,
};

use super::{told, user_id};
use crate::leftovers::take_out;
use crate::names::known;

/// How many tabs log in at once.
const TABS: usize = 10;

pub(super) fn user(number: u64) -> UserId {
    user_id(number)
}

fn mug() -> Product {
    Product { sku: known("mug"), name: known("Mug of a guest"), price: known("19.99") }
}

/// The quantities of a guest's cart.
pub(super) fn cart_of(keys: &Keys, guest: &SessionId) -> String {
    keys.cart(&CartOwner::Guest(guest.clone()), Representation::Hash).quantities
}

pub(super) fn keys_of(keys: &Keys) -> Vec<String> {
    let abc123: CartOwner = known("abc123");
    let mut all = vec![keys.user_sessions(user(1)), keys.ending_sessions(user(1))];
    all.extend(keys.all_of_cart(&abc123));
    all.extend(keys.all_of_cart(&user(1).into()));
    all
}

/// Takes the customer and the product of an earlier run out of the shop.
pub(super) async fn clear(page: &Page, keys: &Keys) -> Outcome {
    take_out(page, keys, user(1), &[mug().sku]).await
}

pub(super) async fn log_in(page: &Page, keys: &Keys, abc123: &SessionId) -> Outcome {
    let quiet = page.quietly();
    let new = NewUser { first_name: known("Parker"), last_name: known("Perry") };
    Users::new(quiet.clone(), keys.clone()).create_with_id(user(1), new).await.map_err(told)?;
    Catalogue::new(quiet.clone(), keys.clone()).put(&mug()).await.map_err(told)?;
    let cart = Cart::new(quiet.clone(), keys.clone(), Representation::Hash);
    let sessions = Sessions::new(quiet, keys.clone());

    // abc123 stays a guest with a cart, to be looked at; another guest logs in.
    cart.add(&abc123.clone().into(), &mug().sku, known("1"), None).await.map_err(told)?;
    let guest = sessions.begin(None, &[(known("currency"), "EUR")]).await.map_err(told)?;
    cart.add(&guest.clone().into(), &mug().sku, Quantity::ONE, None).await.map_err(told)?;

    page.say(format!(
        "A guest with a mug in the cart logs in, from {TABS} tabs at the same time. The login replaces the id: the old one is \
         dead in the step that makes the new one, which has all that was in the session. For five minutes the old id still \
         says what became of it, to the same user alone: so one tab wins, the others get the session it began, and a client \
         whose answer was lost simply asks again. Then the cart moves.",
    ));
    let tabs = (0..TABS).map(|_| sessions.login(&cart, &guest, user(1)));
    let ends = join_all(tabs).await.into_iter().collect::<Result<Vec<_>, _>>().map_err(told)?;
    let begun = ends.iter().filter(|login| !login.resumed).count();
    let same = ends.iter().all(|login| login.session.id == ends[0].session.id);
    let carried = ends.iter().all(|login| login.session.fields["currency"] == "EUR");
    page.check(
        "one login began a session, all tabs have the same, with what the guest had chosen",
        begun == 1 && same && carried,
    )?;
    let dead = sessions.read(&guest).await.map_err(told)?.is_none();
    page.check("the guest's id is dead: who had planted it has nothing", dead)?;
    let units = cart.contents(&user(1).into()).await.map_err(told)?.units;
    page.check_eq("the mug moved once", &units, &1)?;
    let alive = sessions.list(user(1)).await.map_err(told)?.len();
    page.check_eq("one session of the user is alive", &alive, &1)
}

pub(super) async fn log_out_everywhere(page: &Page, keys: &Keys) -> Outcome {
    let mut redis = page.redis();
    let sessions = Sessions::new(page.quietly(), keys.clone());
    for _ in 0..2 {
        sessions.begin(Some(user(1)), &[(known("theme"), "dark")]).await.map_err(told)?;
    }
    page.say(
        "To end all sessions of a user one must find them. A Sorted Set for each user, scored by the millisecond after which \
         a session cannot be alive any more. That is two idle times ahead: a read moves the TTL of the session each time, this \
         score only now and then. What is over is cut off by the next write, and the key has a TTL of its own.",
    );
    let index = keys.user_sessions(user(1));
    let listed: Vec<String> =
        redis::cmd("ZRANGE").arg(&index).arg(0).arg(-1).arg("WITHSCORES").query_async(&mut redis).await?;
    page.check("three sessions: that of the login, and two more", listed.len() == 6)?;
    page.say(
        "'Log out everywhere' first takes them all out of the index, in one step: from then on none can be renewed or get a \
         new id. Then it ends them, then it forgets them; a crash in between leaves a list for the next call.",
    );
    let ended = sessions.log_out_everywhere(user(1)).await.map_err(told)?;
    let left: usize = redis::cmd("ZCARD").arg(&index).query_async(&mut redis).await?;
    page.check("three ended, none left", (ended, left) == (3, 0))?;
    page.say("The user logs in once more, so that there is a session to look at.");
    sessions.begin(Some(user(1)), &[(known("theme"), "light")]).await.map_err(told)?;
    Ok(())
}
