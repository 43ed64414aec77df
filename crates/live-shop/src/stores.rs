//! Stores near a point, and whether they are open.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use maud::{Markup, html};
use patterns::stores::{Area, Hours, LocalTime, NearStore, Opening, Place, Store, StoresError};
use serde::Deserialize;

use crate::errors::Problem;
use crate::page::page;
use crate::query::Query;
use crate::session::Visitor;
use crate::state::{App, Shop};

/// How many stores are shown.
const STORES: usize = 10;

/// Name, longitude, latitude, hours.
const ALL: [(&str, f64, f64, &str); 6] = [
    ("Mitte", 13.4050, 52.5200, "09:00-20:00"),
    ("Kreuzberg", 13.4033, 52.4986, "10:00-22:00"),
    ("Charlottenburg", 13.3042, 52.5167, "09:00-18:00"),
    ("Potsdam", 13.0645, 52.3906, "10:00-19:00"),
    ("Leipzig", 12.3731, 51.3397, "09:00-20:00"),
    ("Hamburg", 9.9937, 53.5511, "00:00-24:00"),
];

/// `GET /stores?longitude=13.4&latitude=52.5&km=50`
pub async fn near(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<Near>,
) -> Result<Markup, Problem> {
    let here = Place::new(query.longitude, query.latitude)?;
    let milliseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let time = LocalTime::at(u64::try_from(milliseconds).unwrap_or_default(), 60);
    let found = app.stores.near(here, Area::Circle { radius: query.km * 1000.0 }, STORES, time).await?;
    Ok(page("Stores", &visitor, &shown(&query, &found)))
}

/// A point, and how far to look.
#[derive(Deserialize)]
#[serde(default)]
pub struct Near {
    longitude: f64,
    latitude: f64,
    km: f64,
}

impl Default for Near {
    fn default() -> Self {
        Self { longitude: 13.405, latitude: 52.52, km: 30.0 }
    }
}

/// Puts all stores on the map.
pub async fn fill(shop: &Shop) -> Result<(), StoresError> {
    for (name, longitude, latitude, hours) in ALL {
        let (id, name, place) = (name.to_owned(), name.to_owned(), Place::new(longitude, latitude)?);
        shop.stores.put(&Store { id, name, place, hours: Hours::daily(hours)? }).await?;
    }
    Ok(())
}

fn shown(query: &Near, found: &[NearStore]) -> Markup {
    html! {
        form.fields action="/stores" {
            label { "Longitude " input name="longitude" value=(query.longitude) inputmode="decimal"; }
            label { "Latitude " input name="latitude" value=(query.latitude) inputmode="decimal"; }
            label { "Kilometers " input name="km" value=(query.km) inputmode="decimal"; }
            button { "Find" }
        }
        @if found.is_empty() { p { "There is no store so near." } }
        ul { @for store in found {
            li { strong { (store.name) } ", " (format!("{:.1} km", store.meters / 1000.0)) ": " (opening(store.opening)) }
        } }
    }
}

fn opening(opening: Opening) -> String {
    match opening {
        Opening::Open { closes_in: Some(minutes) } => format!("open, closes in {}", hours(minutes)),
        Opening::Open { closes_in: None } => "always open".to_owned(),
        Opening::Closed { opens_in: Some(minutes) } => format!("closed, opens in {}", hours(minutes)),
        Opening::Closed { opens_in: None } => "closed".to_owned(),
    }
}

fn hours(minutes: u32) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes}\u{a0}min"),
        (hours, minutes) => format!("{hours}\u{a0}h {minutes}\u{a0}min"),
    }
}
