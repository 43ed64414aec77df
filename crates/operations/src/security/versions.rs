//! Is this server affected by what is known?

use lab_runner::table::Table;
use lab_runner::{LessonContext, Outcome};

use super::shop::Shop;
use crate::advisories::{ADVISORIES, Advisory, Product, Status, numbers, text};
use crate::private::info_fields;

/// Tells whether a script reaches a library that loads code of its own.
const PACKAGE: &str =
    "return pcall(function() return package.loadlib end) and 'reachable' or 'not reachable'";

pub(super) async fn look_up(ctx: &LessonContext, shop: &Shop) -> Outcome {
    let fields = info_fields("server", &mut shop.admin.clone()).await?;
    let valkey = fields.get("valkey_version");
    let (product, name) =
        if valkey.is_some() { (Product::Valkey, "Valkey") } else { (Product::Redis, "Redis") };
    let shown = valkey.or_else(|| fields.get("redis_version")).map(String::as_str).unwrap_or_default();
    ctx.step(
        "Few rights do not help against a hole in the server itself. These are the ones since 2024 that this project knows. CVE-2025-21605 fills the \
         memory; each of the others runs code in the server, or may. INFO server tells the version of this one:",
    )
    .await?;
    ctx.announce("INFO server");
    ctx.listing(format!("{}_version:{shown}", name.to_lowercase()));
    let version = numbers(shown);
    let header = ["number", "the attacker needs", "fixed", "this server"];
    let concerned = ADVISORIES.iter().filter(|advisory| !advisory.fixed_in(product).is_empty());
    let mut table = Table::new(format!("Vulnerabilities of {name}"), &header);
    let (mut affected, mut unknown) = (None, 0);
    for advisory in concerned {
        let status = version.map(|version| advisory.status(product, version));
        if let Some(Status::Affected(fixed)) = status {
            affected = affected.max(Some(fixed));
        }
        unknown += usize::from(matches!(status, None | Some(Status::Unknown)));
        table = table.row([
            advisory.number.to_owned(),
            advisory.needs.text(),
            fixed_in(advisory, product),
            here(status),
        ]);
    }
    ctx.table(table);
    ctx.say(match affected {
        Some(fixed) => format!(
            "This server is affected: update it to {} or later. A distribution may have repaired its package and kept the number, so read its changelog.",
            text(fixed)
        ),
        None if unknown > 0 => format!(
            "For {unknown} of them there is no release of this line with the fix. A distribution may have repaired its package and kept the \
             number: read its changelog (on Debian: apt changelog redis-server), or change to a line that is maintained."
        ),
        None => "This server is not affected by any of them.".to_owned(),
    });
    ctx.say(
        "Most need a user who may send EVAL, RESTORE, or REPLICAOF. So leave @scripting and @dangerous away from users who can do without. \
         'cargo doctor' compares any server with the same table, and looks at what its users may send.",
    );
    look_at_debian(ctx, shop).await
}

fn fixed_in(advisory: &Advisory, product: Product) -> String {
    let releases: Vec<String> = advisory.fixed_in(product).iter().map(|version| text(*version)).collect();
    format!("in {}", releases.join(", "))
}

fn here(status: Option<Status>) -> String {
    match status {
        Some(Status::Fixed) => "not affected".to_owned(),
        Some(Status::Affected(_)) => "affected".to_owned(),
        Some(Status::Unknown) | None => "unknown".to_owned(),
    }
}

async fn look_at_debian(ctx: &LessonContext, shop: &Shop) -> Outcome {
    ctx.step(
        "One hole was not in Redis, but in the packages of Debian and Ubuntu: CVE-2022-0543. Their Lua had the library 'package', which loads \
         code from any file. Debian repaired it in 5:6.0.16-1+deb11u2, which has the same version for INFO. So ask the server itself:",
    )
    .await?;
    let mut admin = ctx.redis_of("admin", shop.admin.clone());
    let reply: String = redis::cmd("EVAL").arg(PACKAGE).arg(0).query_async(&mut admin).await?;
    if reply == "reachable" {
        ctx.say("This server has the hole. Update the package now.");
        return Ok(());
    }
    ctx.check("a script here cannot load code", reply == "not reachable")
}
