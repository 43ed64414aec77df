//! Stores near me, and whether they are open.

use lab_runner::table::Table;
use lab_runner::{LessonContext, LessonError, Outcome};
use patterns::stores::{Area, Hours, LocalTime, NearStore, Opening, Place, Store, Stores};
use redis::AsyncTypedCommands;

use super::unexpected;

/// Name, longitude, latitude, and the hours on weekdays, Saturday and Sunday.
const STORES: [(&str, &str, f64, f64, [&str; 3]); 6] = [
    ("harbour", "At the harbour", 9.9669, 53.5459, ["09:00-18:00", "10:00-16:00", ""]),
    ("station", "Central station", 10.0067, 53.5528, ["06:00-23:00", "06:00-23:00", "08:00-23:00"]),
    ("reeperbahn", "Night shop", 9.9601, 53.5496, ["18:00-02:00", "18:00-05:00", "18:00-02:00"]),
    ("altona", "Altona", 9.9352, 53.5503, ["09:00-12:30,14:00-18:00", "09:00-14:00", ""]),
    ("airport", "Airport", 9.9882, 53.6304, ["00:00-24:00", "00:00-24:00", "00:00-24:00"]),
    ("berlin", "Berlin", 13.3695, 52.5251, ["09:00-20:00", "09:00-20:00", ""]),
];

pub(super) async fn run(ctx: &LessonContext) -> Outcome {
    let quiet = Stores::new(ctx.untraced("TODO"), ctx.prefix());
    let [map, details] = quiet.keys().map_err(unexpected)?;
    for (id, name, longitude, latitude, [weekday, saturday, sunday]) in STORES {
        let hours = [weekday, weekday, weekday, weekday, weekday, saturday, sunday];
        let place = Place::new(longitude, latitude).map_err(unexpected)?;
        let hours = Hours::new(hours).map_err(unexpected)?;
        let store = Store { id: id.to_owned(), name: name.to_owned(), place, hours };
        quiet.put(&store).await.map_err(unexpected)?;
    }
    ctx.step(
        "Stores near me. GEOADD keeps places in a Sorted Set: the score is a geohash, so near places have near scores, and \
         GEOSEARCH looks at a few ranges instead of every store. It answers nearest first, with meters:",
    ).await?;
    let here = Place::new(9.993_7, 53.551_1).map_err(unexpected)?;
    let found: Vec<(String, f64)> = redis::cmd("GEOSEARCH")
        .arg(&map)
        .arg("FROMLONLAT")
        .arg(here.longitude())
        .arg(here.latitude())
        .arg(&["BYRADIUS", "10000", "m", "ASC", "COUNT", "2", "WITHDIST"])
        .query_async(&mut ctx.redis())
        .await?;
    ctx.step(
        "A script does the same and reads, in the same round trip, the names and opening hours of those that it finds. Here are \
         the two nearest, and then a table of all within 10 km, at 01:00 on Sunday:",
    ).await?;
    let stores = Stores::new(ctx.redis(), ctx.prefix());
    let night = time(6, 1, 0)?;
    let area = Area::Circle { radius: 10_000.0 };
    let near = quiet.near(here, area, 10, night).await.map_err(unexpected)?;
    let two = stores.near(here, area, 2, night).await.map_err(unexpected)?;
    let ids = |stores: &[NearStore]| stores.iter().map(|store| store.id.clone()).collect::<Vec<_>>();
    let searched: Vec<String> = found.into_iter().map(|(id, _)| id).collect();
    ctx.check("both find the same two", two.len() == 2 && ids(&two) == searched)?;
    ctx.check("the two nearest are the first two of all", near.starts_with(&two))?;
    show(ctx, &near);
    let open: Vec<&str> = near
        .iter()
        .filter(|store| matches!(store.opening, Opening::Open { .. }))
        .map(|store| store.id.as_str())
        .collect();
    ctx.check_eq("Saturday's evening goes on in the night shop", &open, &vec!["reeperbahn", "airport"])?;
    let order: Vec<&str> = near.iter().map(|store| store.id.as_str()).collect();
    ctx.check_eq(
        "nearest first, and Berlin is too far",
        &order,
        &vec!["station", "harbour", "reeperbahn", "altona", "airport"],
    )?;

    ctx.step(
        "The server takes the Earth for a sphere, and keeps a place to less than a meter. ComparisonResult here by the same formula:",
    ).await?;
    let meters: f64 = redis::cmd("GEODIST")
        .arg(&map)
        .arg(&["station", "berlin", "m"])
        .query_async(&mut ctx.redis())
        .await?;
    let [(.., station), (.., berlin)] = [1, 5].map(|index| {
        let (id, _, longitude, latitude, _) = STORES[index];
        (id, Place::new(longitude, latitude))
    });
    let by_hand = station.map_err(unexpected)?.meters_to(berlin.map_err(unexpected)?);
    ctx.check(
        format!("{:.0} km to Berlin, and the same by hand to half a meter", by_hand / 1000.0),
        (meters - by_hand).abs() < 0.5,
    )?;

    quiet.relocate("berlin", here).await.map_err(unexpected)?;
    let moved = quiet.near(here, area, 1, night).await.map_err(unexpected)?;
    ctx.check(
        "a store that moves is found at its new place",
        moved.iter().any(|store| store.id.as_str() == "berlin"),
    )?;
    quiet.remove("berlin").await.map_err(unexpected)?;
    let removed = quiet.near(here, Area::Circle { radius: 2e7 }, 10, night).await.map_err(unexpected)?;
    let detailed = ctx.untraced("TODO").hexists(&details, "berlin").await?;
    ctx.check(
        "one that is removed leaves no ghost: map and Hash change in one script",
        !detailed
            && removed.len() == STORES.len() - 1
            && removed.iter().all(|store| store.id.as_str() != "berlin"),
    )
}

fn show(ctx: &LessonContext, near: &[NearStore]) {
    let mut table = Table::new("Stores near me", &["store", "meters", "on Sunday at 01:00"]);
    for NearStore { name, meters, opening, .. } in near {
        table = table.row([name.clone(), format!("{meters:.0}"), in_words(*opening)]);
    }
    ctx.table(table);
}

fn in_words(opening: Opening) -> String {
    let clock = |minutes: u32| format!("{}:{:02} h", minutes / 60, minutes % 60);
    match opening {
        Opening::Open { closes_in: Some(minutes) } => format!("open for {}", clock(minutes)),
        Opening::Open { closes_in: None } => "always open".to_owned(),
        Opening::Closed { opens_in: Some(minutes) } => format!("closed, opens in {}", clock(minutes)),
        Opening::Closed { opens_in: None } => "closed".to_owned(),
    }
}

fn time(day: u32, hour: u32, minute: u32) -> Result<LocalTime, LessonError> {
    LocalTime::new(day, hour, minute).ok_or_else(|| unexpected("there is no such time"))
}
