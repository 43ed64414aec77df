//! What can someone with your application's password do, and how do you limit it?
//!
//! `cargo ops security`
//!
//! `users` makes users with fewer and fewer rights, `theft` plays a stolen password, `exposure` shows what guards a server without one,
//! `encryption` reads a connection on its way, and `versions` looks for known vulnerabilities. `shop` is the server that they share.

mod encryption;
mod exposure;
mod shop;
mod theft;
mod users;
mod versions;

use lab_runner::{Lesson, LessonContext, Outcome, source};

use self::shop::Shop;
use crate::private;

/// Users with few rights, encrypted connections, and known vulnerabilities.
pub static LESSON: Lesson = Lesson {
    name: "security",
    title: "Security",
    question: "What can someone with your application's password do, and how do you limit it?",
    commands: &["AUTH", "ACL SETUSER", "ACL DRYRUN", "ACL LOG", "CLIENT KILL"],
    needs: &[],
    sources: &[
        source!("src/security.rs"),
        source!("src/security/encryption.rs"),
        source!("src/security/encryption/tap.rs"),
        source!("src/security/encryption/tls.rs"),
        source!("src/security/exposure.rs"),
        source!("src/security/shop.rs"),
        source!("src/security/theft.rs"),
        source!("src/security/users.rs"),
        source!("src/security/versions.rs"),
    ],
    rule: "Give each application a user of its own, with the commands that it sends and the keys that it uses, and nothing else.",
    takeaways: &[
        "A key pattern alone is not enough: FLUSHALL names no key. Begin with -@all and add the commands.",
        "A new password closes no connection. After a theft, send CLIENT KILL USER too, and read ACL LOG.",
        "TLS keeps the password from those on the way. Only few rights, and a patched server, help against those who have it.",
    ],
    quiz: &[81, 82, 83, 133, 155],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut LessonContext) -> Outcome {
    let choice = private::choice(ctx.target())?;
    let mut shop = Shop::open(choice.clone()).await?;
    users::log_in(ctx, &shop).await?;
    let lost = users::lose_everything(ctx, &mut shop).await?;
    users::keep_to_own_keys(ctx, &mut shop, lost).await?;
    users::read_or_write(ctx, &shop).await?;
    users::select(ctx, &shop).await?;
    theft::compare(ctx, &shop).await?;
    theft::read_the_log(ctx, &shop).await?;
    theft::change_the_password(ctx, &shop).await?;
    exposure::rename_commands(ctx, &choice).await?;
    exposure::stay_protected(ctx, &choice).await?;
    encryption::listen_on_the_way(ctx, &choice).await?;
    versions::look_up(ctx, &shop).await?;
    Ok(private::stop(shop).await?)
}
