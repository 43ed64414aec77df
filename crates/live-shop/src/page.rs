//! The frame around each page. Whatever maud puts into it is escaped.

use maud::{DOCTYPE, Markup, html};

use crate::session::Visitor;

/// A page.
pub fn page(title: &str, visitor: &Visitor, content: &Markup) -> Markup {
    let links = [
        ("/", "Catalog"),
        ("/cart", "Cart"),
        ("/flash", "Flash sale"),
        ("/notifications", "Notifications"),
        ("/stores", "Stores"),
        ("/dashboard", "Dashboard"),
        ("/lab", "Break it"),
    ];
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " - Live shop" }
                link rel="stylesheet" href="/assets/shop.css";
                script src="/assets/shop.js" defer {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    strong { "Live shop" }
                    (account(visitor))
                    nav aria-label="Pages" { @for (path, name) in links {
                        a href=(path) aria-current=[(name == title).then_some("page")] { (name) }
                    } }
                }
                p #news role="status" aria-live="polite" {}
                div.columns {
                    main #content tabindex="-1" { h1 { (title) } (content) }
                    aside #wire aria-label="The wire: commands of your last clicks" {
                        h2 { "The wire" }
                        p { a href="/wire" { "The commands that your last clicks sent" } }
                    }
                }
            }
        }
    }
}

fn account(visitor: &Visitor) -> Markup {
    html! {
        @if visitor.is_cut_off {
            p.account { "No session: Redis does not answer." }
        } @else if let Some(user) = &visitor.user {
            form.account method="post" action="/logout" {
                (csrf(visitor)) span { "Hello, " (user) } button { "Log out" }
            }
        } @else {
            p.account { a href="/login" { "Log in" } }
        }
    }
}

/// The field that each form carries.
pub fn csrf(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.csrf); }
}

/// A form that is one button.
pub fn button(visitor: &Visitor, action: &str, fields: &[(&str, &str)], text: &str) -> Markup {
    html! {
        form.inline method="post" action=(action) {
            (csrf(visitor))
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button { (text) }
        }
    }
}

/// A section that is read again when one of these events comes.
pub fn live(id: &str, events: &str, content: &Markup) -> Markup {
    html! { section id=(id) data-on=(events) { (content) } }
}
