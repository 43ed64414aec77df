//! The catalog: facets, autocomplete, and a product with its stock.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use futures_util::future::join_all;
use maud::{Markup, html};
use patterns::bought_together::Related;
use patterns::cache::CacheError;
use patterns::facets::{FacetPage, Order, PageOf, Product as Entry, Selection};
use patterns::key::MAX_ID_BYTES;
use serde::Deserialize;

use crate::database::Product;
use crate::errors::Problem;
use crate::numbers;
use crate::page::{button, csrf, live, page};
use crate::query::Query;
use crate::session::{Form, Visitor};
use crate::state::{App, Shop};

/// How many products a page has.
const PRODUCTS: u32 = 24;
/// How many products are suggested.
const SUGGESTIONS: usize = 6;

/// `GET /`: the products of the selected brands and categories.
pub async fn catalog(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Markup, Problem> {
    let selection = selection(&query);
    let found = match app.facets.page(&selection, order(&query), PageOf::first(PRODUCTS)).await {
        Ok(found) => found,
        Err(error) if visitor.is_known() => return Err(error.into()),
        // Redis does not answer. The shop's database has the products, but counts nothing.
        Err(_) => from_database(&app.database.products().await),
    };
    numbers::page_view(&app, &visitor).await;
    Ok(page("Catalog", &visitor, &html! { (search()) (facets(&found, &selection)) (products(&found)) }))
}

/// `GET /suggest?q=ke`: names that have a word beginning like this.
pub async fn suggest(
    State(app): State<App>,
    Query(query): Query<Typed>,
) -> Result<impl IntoResponse, Problem> {
    let found = app.autocomplete.suggest(&query.q, SUGGESTIONS).await?;
    let found: Vec<_> = found.into_iter().map(|suggestion| [suggestion.id, suggestion.name]).collect();
    Ok(([(header::CONTENT_TYPE, "application/json")], serde_json::json!(found).to_string()))
}

/// The beginning of a word.
#[derive(Deserialize)]
pub struct Typed {
    q: String,
}

/// `GET /product/{sku}`
pub async fn product(
    State(app): State<App>,
    visitor: Visitor,
    Path(sku): Path<String>,
) -> Result<Markup, Problem> {
    let product = find(&app, &sku).await?;
    let free = app.inventory.level(&sku).await.ok().map(|level| level.free);
    let related = app.bought_together.with(&sku, 3).await.unwrap_or_default();
    numbers::product_view(&app, &visitor, &product).await;
    let names = join_all(related.iter().map(|related| find(&app, &related.sku))).await;
    let recent = app.recent_views.latest(&visitor.id(), 6).await.unwrap_or_default();
    Ok(page(&product.name, &visitor, &shown(&product, &visitor, free, &also(&related, names, &recent))))
}

/// `POST /product/{sku}/rename`: first the database, then everything in Redis that has the old name.
pub async fn rename(
    State(app): State<App>,
    Path(sku): Path<String>,
    Form(form): Form<Rename>,
) -> Result<Redirect, Problem> {
    let name = form.name.trim();
    if name.is_empty() || name.len() > MAX_ID_BYTES {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "A name has 1 to 512 bytes."));
    }
    let product = app.database.rename(&sku, name).await.ok_or_else(|| Problem::not_found("product"))?;
    app.cache.invalidate(&[&sku]).await?;
    index(&app, &product).await?;
    Ok(Redirect::to(&format!("/product/{}", product.sku)))
}

/// A new name.
#[derive(Deserialize)]
pub struct Rename {
    name: String,
}

/// A product: from Redis; or from the database, if it is not there, or if Redis does not answer.
pub async fn find(shop: &Shop, sku: &str) -> Result<Product, Problem> {
    let load = || async { Ok::<_, Infallible>(shop.database.product(sku).await) };
    let found = match shop.cache.get_or_load(&[sku], load).await {
        Ok(found) => found,
        Err(CacheError::Store(patterns::script::StoreError::Key(_))) => None,
        Err(_) => shop.database.product(sku).await,
    };
    found.ok_or_else(|| Problem::not_found("product"))
}

/// Makes a product findable.
pub async fn index(shop: &Shop, product: &Product) -> Result<(), Problem> {
    shop.autocomplete.put(&product.sku, &product.name, u64::from(product.stars)).await?;
    shop.facets.put(&entry(product)).await?;
    Ok(())
}

fn entry(product: &Product) -> Entry {
    Entry {
        id: product.sku.clone(),
        name: product.name.clone(),
        brand: product.brand.clone(),
        category: product.category.clone(),
        price: product.price,
        rating: product.stars,
        popularity: u64::from(product.stars),
        added: 0,
    }
}

fn from_database(products: &[Product]) -> FacetPage {
    let total = products.len() as u64;
    FacetPage { total, products: products.iter().map(entry).collect(), ..FacetPage::default() }
}

fn selection(query: &[(String, String)]) -> Selection {
    let all = |wanted: &str| -> BTreeSet<String> {
        query.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone()).collect()
    };
    Selection { brands: all("brand"), categories: all("category"), ..Selection::default() }
}

fn order(query: &[(String, String)]) -> Order {
    match query.iter().find(|(name, _)| name == "order").map(|(_, value)| value.as_str()) {
        Some("cheapest") => Order::PriceAscending,
        Some("dearest") => Order::PriceDescending,
        Some("name") => Order::Name,
        _ => Order::Popularity,
    }
}

fn search() -> Markup {
    html! {
        form.search role="search" action="/" {
            label { "Find a product " input #q type="search" list="found" autocomplete="off"; }
            ul #found aria-live="polite" {}
        }
    }
}

fn facets(found: &FacetPage, selection: &Selection) -> Markup {
    let facet = |title: &str, name: &str, counts: &BTreeMap<String, u64>, selected: &BTreeSet<String>| {
        html! {
            fieldset {
                legend { (title) }
                @for (value, count) in counts {
                    label {
                        input type="checkbox" name=(name) value=(value) checked[selected.contains(value)];
                        " " (value) " (" (count) ")"
                    }
                }
            }
        }
    };
    html! {
        form.facets action="/" data-submit-on-change {
            (facet("Category", "category", &found.categories, &selection.categories))
            (facet("Brand", "brand", &found.brands, &selection.brands))
            label { "Order " select name="order" {
                option value="" { "best rated" }
                option value="cheapest" { "cheapest" }
                option value="dearest" { "most expensive" }
                option value="name" { "by name" }
            } }
            button { "Show" }
        }
    }
}

fn products(found: &FacetPage) -> Markup {
    html! {
        p { (found.total) " products" }
        ul.cards {
            @for product in &found.products {
                li {
                    a href={ "/product/" (product.id) } { (product.name) }
                    span { (product.brand) }
                    span aria-label={ (product.rating) " of 5 stars" } { @for _ in 0..product.rating { "★" } }
                    strong { (product.price) }
                }
            }
        }
    }
}

/// What other customers bought too, and what this one has looked at.
fn also(related: &[Related], found: Vec<Result<Product, Problem>>, recent: &[String]) -> Markup {
    html! {
        @if !related.is_empty() {
            h2 { "Bought together" }
            ul { @for product in found.into_iter().flatten() {
                li { a href={ "/product/" (product.sku) } { (product.name) } }
            } }
        }
        @if !recent.is_empty() {
            h2 { "You have looked at" }
            ul.row { @for sku in recent { li { a href={ "/product/" (sku) } { (sku) } } } }
        }
    }
}

fn shown(product: &Product, visitor: &Visitor, free: Option<u64>, also: &Markup) -> Markup {
    html! {
        p { (product.brand) ", " (product.category) ", " strong { (product.price) } }
        (live("stock", "stock", &html! {
            p data-sku=(product.sku) {
                @match free {
                    Some(free) => { span.left { (free) } " in stock" },
                    None => "The stock is not known now: Redis does not answer.",
                }
            }
        }))
        @if visitor.is_known() {
            (button(visitor, "/cart/add", &[("sku", &product.sku), ("quantity", "1")], "Add to cart"))
        }
        (also)
        @if visitor.is_known() {
            details {
                summary { "Rename it (every copy in Redis follows)" }
                form method="post" action={ "/product/" (product.sku) "/rename" } {
                    (csrf(visitor))
                    label { "Name " input name="name" value=(product.name) maxlength="200" required; }
                    button { "Rename" }
                }
            }
        }
    }
}
