//! The panel beside each page: what the last clicks sent, the scripts, and the keys.

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use crate::errors::Problem;
use crate::page::page;
use crate::query::Query;
use crate::session::Visitor;
use crate::state::App;
use crate::wire::{self, KeyInfo, Recording, Sent};

/// How many requests are shown.
const SHOWN: usize = 6;

/// Records what a request sends. The session is one of the things that it reads, so the recording gets its owner at the end.
pub async fn record(State(app): State<App>, request: Request, next: Next) -> Response {
    let title = format!("{} {}", request.method(), request.uri().path());
    let is_click = request.method() == Method::POST || !request.headers().contains_key("x-background");
    let recording = Recording::default();
    let response = recording.of(next.run(request)).await;
    if let Some(visitor) = response.extensions().get::<Visitor>()
        && visitor.is_known()
        && is_click
    {
        let title = format!("{title}: {}", response.status().as_u16());
        app.wire.keep(&visitor.guest, title, recording);
    }
    response
}

/// `GET /wire`: the last requests of this visitor.
pub async fn requests(State(app): State<App>, visitor: Visitor) -> Markup {
    let requests = app.wire.requests(&visitor.guest);
    let content = html! {
        @for (number, request) in requests.iter().take(SHOWN).enumerate() {
            @let commands = request.recording.commands();
            details open[number == 0 || number == 1 && request.title.starts_with("POST")] {
                summary { (request.title) " " span.count { (commands.len()) " commands" } }
                ol { @for sent in &commands { li { (command(sent)) } } }
                @if request.recording.more() > 0 { p { (request.recording.more()) " more were not kept." } }
                (keys(request.id, &request.recording))
            }
        }
        @if requests.is_empty() { p { "Nothing was sent yet." } }
    };
    page("The wire", &visitor, &content)
}

/// `GET /wire/script?name=cart.lua: add`, or its hash.
pub async fn script(visitor: Visitor, Query(query): Query<Named>) -> Result<Markup, Problem> {
    let script = wire::script(&query.name).ok_or_else(|| Problem::not_found("script"))?;
    Ok(page(script.name(), &visitor, &html! { pre { code { (script.source()) } } }))
}

/// `GET /wire/key?request=7&number=0`: a key that a request of this visitor has touched. Nobody can ask for another one.
pub async fn key(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<KeyOf>,
) -> Result<Markup, Problem> {
    let unknown = || Problem::not_found("key");
    let request = app.wire.request(&visitor.guest, query.request).ok_or_else(unknown)?;
    let key = request.recording.keys().into_iter().nth(query.number).ok_or_else(unknown)?;
    let mut redis = app.redis.unrecorded().clone();
    let info = wire::key_info(&mut redis, &key).await?;
    let shown = |text: &str| request.recording.shown(text);
    Ok(page("Key", &visitor, &html! { p { code { (shown(&key)) } } (about(info.as_ref(), shown)) }))
}

/// The name of a script, or its hash.
#[derive(Deserialize)]
pub struct Named {
    name: String,
}

/// A key of a request, by its number there.
#[derive(Deserialize)]
pub struct KeyOf {
    request: u64,
    number: usize,
}

fn command(sent: &Sent) -> Markup {
    html! {
        code { (sent.command) }
        @if let Some(hash) = sent.hash { " " a href={ "/wire/script?name=" (hash) } { "source" } }
        pre { (sent.reply) }
        small { (format!("{:.2} ms", sent.elapsed.as_secs_f64() * 1000.0)) }
    }
}

fn keys(request: u64, recording: &Recording) -> Markup {
    html! {
        p { "Keys:" }
        ul.keys { @for (number, key) in recording.keys().iter().enumerate() {
            li { a href={ "/wire/key?request=" (request) "&number=" (number) } { (recording.shown(key)) } }
        } }
    }
}

fn about(info: Option<&KeyInfo>, shown: impl Fn(&str) -> String) -> Markup {
    let Some(info) = info else { return html! { p { "There is no such key now." } } };
    html! {
        dl.numbers {
            div { dt { "Type" } dd { (info.kind) } }
            div { dt { "Expires in" } dd { @match info.ttl { Some(ttl) => { (ttl.as_secs()) " s" }, None => "never" } } }
            @if let Some(bytes) = info.memory { div { dt { "Memory" } dd { (bytes) " bytes" } } }
            @if let Some(length) = info.length { div { dt { "Length" } dd { (length) } } }
        }
        pre { (shown(&info.content)) }
    }
}
