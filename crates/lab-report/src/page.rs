//! The HTML around the charts. maud escapes every text.

use maud::{Markup, PreEscaped, html};
use serde_json::Value;

use crate::change::{Change, Changes, RULE, Verdict};
use crate::chart::columns::is_numeric;
use crate::document::{Kind, Run};
use crate::file::{BEGINNING, DATA, LARGEST, now};
use crate::section::{Figure, Section};
use crate::{Report, drills, section, torture};

const STYLE: &str = include_str!("style.css");
/// Nothing is loaded, and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The kinds of blocks that embedded JSON leaves out when it is too large, the first ones first. Their texts are in the project, or are sent
/// again by the next run; figures stay.
const LEFT_OUT: [(&[&str], &str); 2] =
    [(&["code", "listing"], "the lines of source code"), (&["exchange"], "the commands and replies")];

pub(crate) fn html(report: &Report<'_>) -> String {
    let made = now();
    let body = body(report, &made).into_string();
    let mut data = embedded(report.document);
    let mut left_out = Vec::new();
    let mut document = None;
    for (kinds, words) in LEFT_OUT {
        if body.len() + data.len() + STYLE.len() + 2_000 <= LARGEST {
            break;
        }
        let smaller = document.get_or_insert_with(|| report.document.clone());
        remove_blocks(smaller, kinds);
        data = embedded(smaller);
        left_out.push(words);
    }
    let about_data = if left_out.is_empty() {
        "The raw data is in this file, as the JSON that --json prints: in the script element with the id 'data'.".to_owned()
    } else {
        format!(
            "The raw data is in this file, as the JSON that --json prints, in the script element with the id 'data'. To keep the file below 1 MB, it \
             is without {}; all figures are there.",
            left_out.join(" and ")
        )
    };
    let head = html! {
        meta http-equiv="Content-Security-Policy" content=(POLICY);
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        title { "Redis lab: " (title(report)) }
        style { (PreEscaped(STYLE)) }
    };
    let footer = html! {
        footer {
            p { (about_data) }
            p { "This file needs no network and no script." }
        }
    };
    format!(
        "{BEGINNING}{}</head><body>{body}{}{DATA}{}\" data-made=\"{made}\">{data}</script></body></html>\n",
        head.into_string(),
        footer.into_string(),
        report.kind.name(),
    )
}

/// JSON that cannot end its script element.
fn embedded(document: &Value) -> String {
    document.to_string().replace('<', "\\u003c")
}

fn remove_blocks(document: &mut Value, kinds: &[&str]) {
    let lessons = document.get_mut("lessons").and_then(Value::as_array_mut).into_iter().flatten();
    for page in lessons.filter_map(|lesson| lesson.get_mut("page")).filter_map(Value::as_array_mut) {
        page.retain(|block| {
            !block.get("kind").and_then(Value::as_str).is_some_and(|kind| kinds.contains(&kind))
        });
    }
}

fn sections(report: &Report<'_>, run: &Run) -> Vec<Section> {
    match report.kind {
        Kind::Lessons => {
            let earlier = report.earlier.map(|earlier| Run::read(&earlier.document));
            section::of_lessons(run, earlier.as_ref())
        }
        Kind::Drills => vec![drills::section(report.document)],
        Kind::Torture => vec![torture::of_jobs(report.document)],
        Kind::Locks => vec![torture::of_locks(report.document)],
    }
}

fn title(report: &Report<'_>) -> String {
    let run = Run::read(report.document);
    match run.lessons.as_slice() {
        _ if !report.title.is_empty() => report.title.to_owned(),
        [lesson] => lesson.title.clone(),
        lessons => format!("{} lessons", lessons.len()),
    }
}

fn body(report: &Report<'_>, made: &str) -> Markup {
    let run = Run::read(report.document);
    let sections = sections(report, &run);
    let several = sections.len() > 1;
    let question = match sections.as_slice() {
        _ if !report.question.is_empty() => report.question.to_owned(),
        [only] => only.question.clone(),
        _ => "What does each approach cost, what does it lose, and what is it good for?".into(),
    };
    let environment = if run.environment.is_empty() { report.environment } else { &run.environment };
    html! {
        header {
            p.kicker { "Redis lab report" }
            h1 { (title(report)) }
            p.question { (question) }
            dl {
                @if !environment.is_empty() { dt { "Environment" } dd { (environment.join(" · ")) } }
                @if !run.address.is_empty() { dt { "Server at" } dd { (run.address) } }
                dt { "Made" } dd { (made) }
            }
            @for text in report.method { p.method { (text) } }
            @if let Some(error) = &run.error {
                p.broken { strong { "This run ended early. " } (error.what) " " (error.why) }
            }
            @if !report.checks.is_empty() { (checks(report.checks)) }
        }
        main {
            @if let (Some(earlier), Some(changes)) = (report.earlier, report.changes()) {
                (what_changed(&changes, &earlier.made))
            }
            @if several {
                nav aria-label="Lessons" {
                    h2 { "Lessons" }
                    ol {
                        @for (index, section) in sections.iter().enumerate() {
                            li {
                                a href={ "#s" (index + 1) } { (section.title) }
                                @if !section.outcome.is_empty() { " (" (section.outcome) ")" }
                            }
                        }
                    }
                }
            }
            @for (index, section) in sections.iter().enumerate() { (one_section(section, index, several)) }
        }
    }
}

fn one_section(section: &Section, index: usize, several: bool) -> Markup {
    html! {
        section id={ "s" (index + 1) } {
            @if several {
                h2 { (index + 1) ". " (section.title) }
                p.question { (section.question) }
            }
            @if !section.outcome.is_empty() { p.broken { "Outcome: " (section.outcome) } }
            @for figure in &section.figures { (one_figure(figure, several)) }
            @for text in &section.skipped { p.note { (text) } }
            @if !section.rule.is_empty() { p.rule { strong { "Rule: " } (section.rule) } }
            @if !section.takeaways.is_empty() { ul { @for text in &section.takeaways { li { (text) } } } }
        }
    }
}

fn one_figure(figure: &Figure, several: bool) -> Markup {
    html! {
        article {
            @if !figure.title.is_empty() { @if several { h3 { (figure.title) } } @else { h2 { (figure.title) } } }
            @for text in &figure.before { p { (text) } }
            @for chart in &figure.charts {
                figure {
                    div.wide { (PreEscaped(&chart.svg)) }
                    @if !chart.caption.is_empty() { figcaption { (chart.caption) } }
                }
            }
            (numbers(figure))
            @if !figure.checks.is_empty() { (checks(&figure.checks)) }
            @for text in &figure.after { p.note { (text) } }
        }
    }
}

fn numbers(figure: &Figure) -> Markup {
    let class = |column: usize| is_numeric(&figure.rows, column).then_some("n");
    let classes: Vec<Option<&str>> = (0..figure.header.len()).map(class).collect();
    let class = |column: usize| classes.get(column).copied().flatten();
    let table = html! {
        div.wide {
            table {
                @if !figure.title.is_empty() { caption { (figure.title) } }
                thead { tr { @for (column, name) in figure.header.iter().enumerate() { th scope="col" class=[class(column)] { (name) } } } }
                tbody {
                    @for row in &figure.rows {
                        tr { @for (column, cell) in row.iter().enumerate() {
                            @if column == 0 { th scope="row" class=[class(column)] { (cell) } } @else { td class=[class(column)] { (cell) } }
                        } }
                    }
                }
            }
        }
    };
    table
}

fn checks(checks: &[(bool, String)]) -> Markup {
    html! {
        ul.checks {
            @for (held, claim) in checks {
                li.broken[!*held] { (if *held { "✓ " } else { "✗ broken: " }) (claim) }
            }
        }
    }
}

fn what_changed(changes: &Changes, made: &str) -> Markup {
    // What changed beyond noise comes first.
    let mut rows: Vec<&Change> = changes.rows.iter().collect();
    rows.sort_by_key(|change| !matches!(change.verdict, Verdict::Better | Verdict::Worse));
    html! {
        section.changed {
            h2 { "What changed since " (made) }
            p { (changes.summary()) }
            @for text in &changes.environment { p.broken { (text) } }
            @if !rows.is_empty() {
                div.wide {
                    table {
                        thead { tr {
                            @for name in ["row", "before", "now", "change", "verdict", "table"] { th scope="col" { (name) } }
                        } }
                        tbody { @for change in rows { tr {
                            th scope="row" { (change.row) }
                            td { (change.shown(change.before)) }
                            td { (change.shown(change.now)) }
                            td { (format!("{:+.0} %", change.percent())) }
                            td.text { @match change.verdict {
                                Verdict::Better => strong { "▲ better" },
                                Verdict::Worse => strong { "▼ worse" },
                                other => (other.label()),
                            } }
                            td.text { (change.table) }
                        } } }
                    }
                }
            }
            @for text in &changes.unmatched { p.note { (text) } }
            p.note { (RULE) }
        }
    }
}
