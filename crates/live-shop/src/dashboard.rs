//! The numbers of today, which move while you look.

use axum::extract::State;
use maud::{Markup, html};
use patterns::analytics::Metrics;
use patterns::funnel::StepCount;
use patterns::job_queue::Counts;
use patterns::money::Cents;
use patterns::popular_products::Popular;

use crate::errors::Problem;
use crate::numbers::today;
use crate::page::{live, page};
use crate::session::Visitor;
use crate::state::App;

/// `GET /dashboard`
pub async fn dashboard(State(app): State<App>, visitor: Visitor) -> Result<Markup, Problem> {
    let day = today();
    let metrics = app.analytics.of(&day).await?;
    let sellers = app.analytics.top(&day, 5).await?;
    let viewed = app.popular.top(5).await?;
    let steps = app.funnel.report().await?;
    let emails = app.emails.counts().await?;
    let content = html! {
        (totals(&metrics, &emails)) (funnel(&steps)) (ranking(&sellers, &viewed))
        p { "Pages that listen to changes now: " (app.events.open()) }
    };
    Ok(page("Dashboard", &visitor, &live("numbers", "order stock cart sale", &content)))
}

fn totals(metrics: &Metrics, emails: &Counts) -> Markup {
    let revenue = Cents::new(metrics.get("revenue")).unwrap_or_default();
    html! {
        dl.numbers {
            div { dt { "Orders" } dd { (metrics.get("orders")) } }
            div { dt { "Revenue" } dd { (revenue) } }
            div { dt { "Visitors" } dd { (metrics.visitors) } }
            div { dt { "Page views" } dd { (metrics.get("page_views")) } }
            div { dt { "Emails sent" } dd { (emails.completed) } }
            div { dt { "Emails waiting" } dd { (emails.pending()) } }
        }
    }
}

fn funnel(steps: &[StepCount]) -> Markup {
    html! {
        h2 { "Funnel" }
        table {
            thead { tr { th { "Step" } th { "Visitors" } th { "Of those before" } } }
            tbody { @for step in steps {
                tr {
                    td { (step.step) } td { (step.visitors) }
                    td { meter min="0" max="1" value=(step.of_previous) { (format!("{:.0}%", step.of_previous * 100.0)) } }
                }
            } }
        }
    }
}

fn ranking(sellers: &[(String, Cents)], viewed: &[Popular]) -> Markup {
    html! {
        h2 { "Most revenue" }
        ol { @for (sku, cents) in sellers { li { (sku) ": " (cents) } } }
        h2 { "Most viewed" }
        ol { @for product in viewed { li { (product.sku) ": " (format!("{:.1}", product.views)) } } }
    }
}
