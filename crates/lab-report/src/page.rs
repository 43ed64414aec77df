//! The HTML around the charts.

use serde_json::Value;

use crate::change::{Change, Changes, RULE, Verdict};
use crate::chart::columns::is_numeric;
use crate::document::{Kind, Run};
use crate::file::{BEGINNING, DATA, LARGEST, now};
use crate::html::Html;
use crate::section::{Figure, Section};
use crate::{Report, drills, section, torture};

const STYLE: &str = include_str!("style.css");
/// Nothing is loaded, and nothing runs.
const HEAD: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
                    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
                    <meta name=\"color-scheme\" content=\"light dark\">";

/// The kinds of blocks that embedded JSON leaves out when it is too large, the first ones first, and what it is then without. Their texts
/// are in the project, or are sent again by the next run; figures stay.
const LEFT_OUT: [(&[&str], &str); 3] = [
    (&["code", "listing"], "the lines of source code"),
    (&["exchange"], "the lines of source code and the commands and replies"),
    (&["say", "announcement"], "the lines of source code, the commands and replies, and the explanations"),
];

pub(crate) fn html(report: &Report<'_>) -> String {
    let made = now();
    let body = body(report, &made);
    let mut data = embedded(report.document);
    let mut without = None;
    let mut document = None;
    for (kinds, words) in LEFT_OUT {
        if body.len() + data.len() + STYLE.len() + 2_000 <= LARGEST {
            break;
        }
        let smaller = document.get_or_insert_with(|| report.document.clone());
        remove_blocks(smaller, kinds);
        data = embedded(smaller);
        without = Some(words);
    }
    let about_data = match without {
        None => "The raw data is in this file, as the JSON that --json prints: in the script element with the id 'data'.".to_owned(),
        Some(words) => format!(
            "The raw data is in this file, as the JSON that --json prints, in the script element with the id 'data'. To keep the file below 1 MB, it \
             is without {words}; all figures are there."
        ),
    };
    let mut head = Html::default();
    head.line("title", "", &format!("Redis lab: {}", title(report)));
    let mut footer = Html::default();
    footer.element("footer", &[], |html| {
        html.line("p", "", &about_data);
        html.line("p", "", "This file needs no network and no script.");
    });
    format!(
        "{BEGINNING}{HEAD}{}<style>{STYLE}</style></head><body>{body}{}{DATA}{}\" data-made=\"{made}\">{data}</script></body></html>\n",
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

fn body(report: &Report<'_>, made: &str) -> String {
    let run = Run::read(report.document);
    let sections = sections(report, &run);
    let several = sections.len() > 1;
    let mut html = Html::default();
    html.element("header", &[], |html| header(html, report, &run, &sections, made));
    html.element("main", &[], |html| {
        if let (Some(earlier), Some(changes)) = (report.earlier, report.changes()) {
            html.element("section", &[("class", "changed")], |html| {
                what_changed(html, &changes, &earlier.made);
            });
        }
        if several {
            html.element("nav", &[("aria-label", "Lessons")], |html| contents(html, &sections));
        }
        for (index, section) in sections.iter().enumerate() {
            let id = format!("s{}", index + 1);
            html.element("section", &[("id", &id)], |html| one_section(html, section, index, several));
        }
    });
    html.into_string()
}

fn header(html: &mut Html, report: &Report<'_>, run: &Run, sections: &[Section], made: &str) {
    let question = match sections {
        _ if !report.question.is_empty() => report.question,
        [only] => &only.question,
        _ => "What does each approach cost, what does it lose, and what is it good for?",
    };
    let environment = if run.environment.is_empty() { report.environment } else { &run.environment };
    html.line("p", "kicker", "Redis lab report");
    html.line("h1", "", &title(report));
    html.line("p", "question", question);
    html.element("dl", &[], |html| {
        let parts = [
            ("Environment", environment.join(" · ")),
            ("Server at", run.address.clone()),
            ("Made", made.to_owned()),
        ];
        for (name, text) in parts.iter().filter(|(_, text)| !text.is_empty()) {
            html.line("dt", "", name);
            html.line("dd", "", text);
        }
    });
    report.method.iter().for_each(|text| html.line("p", "method", text));
    if let Some(error) = &run.error {
        html.line("p", "broken", &format!("This run ended early. {} {}", error.what, error.why));
    }
    checks(html, report.checks);
}

fn contents(html: &mut Html, sections: &[Section]) {
    html.line("h2", "", "Lessons");
    html.element("ol", &[], |html| {
        for (index, section) in sections.iter().enumerate() {
            html.element("li", &[], |html| {
                let link = format!("#s{}", index + 1);
                html.element("a", &[("href", &link)], |html| html.text(&section.title));
                if !section.outcome.is_empty() {
                    html.text(&format!(" ({})", section.outcome));
                }
            });
        }
    });
}

fn one_section(html: &mut Html, section: &Section, index: usize, several: bool) {
    if several {
        html.line("h2", "", &format!("{}. {}", index + 1, section.title));
        html.line("p", "question", &section.question);
    }
    if !section.outcome.is_empty() {
        html.line("p", "broken", &format!("Outcome: {}", section.outcome));
    }
    for figure in &section.figures {
        html.element("article", &[], |html| one_figure(html, figure, several));
    }
    section.skipped.iter().for_each(|text| html.line("p", "note", text));
    if !section.rule.is_empty() {
        html.line("p", "rule", &format!("Rule: {}", section.rule));
    }
    if !section.takeaways.is_empty() {
        html.element("ul", &[], |html| section.takeaways.iter().for_each(|text| html.line("li", "", text)));
    }
}

fn one_figure(html: &mut Html, figure: &Figure, several: bool) {
    if !figure.title.is_empty() {
        html.line(if several { "h3" } else { "h2" }, "", &figure.title);
    }
    figure.before.iter().for_each(|text| html.line("p", "", text));
    for chart in &figure.charts {
        html.element("figure", &[], |html| {
            html.element("div", &[("class", "wide")], |html| html.svg(&chart.svg));
            if !chart.caption.is_empty() {
                html.line("figcaption", "", &chart.caption);
            }
        });
    }
    let class = |column: usize| if is_numeric(&figure.rows, column) { "n" } else { "" };
    let classes: Vec<&'static str> = (0..figure.header.len()).map(class).collect();
    table(html, &figure.title, &figure.header, &classes, &figure.rows);
    checks(html, &figure.checks);
    figure.after.iter().for_each(|text| html.line("p", "note", text));
}

/// A table whose first column names the rows; each column has a class.
fn table(html: &mut Html, caption: &str, header: &[String], classes: &[&'static str], rows: &[Vec<String>]) {
    let cell = |html: &mut Html, name: &'static str, scope: &str, column: usize, text: &str| {
        let class = classes.get(column).copied().unwrap_or_default();
        let attributes = [("scope", scope), ("class", class)];
        let attributes: Vec<_> = attributes.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        html.element(name, &attributes, |html| html.text(text));
    };
    html.element("div", &[("class", "wide")], |html| {
        html.element("table", &[], |html| {
            if !caption.is_empty() {
                html.line("caption", "", caption);
            }
            html.element("thead", &[], |html| {
                html.element("tr", &[], |html| {
                    for (column, name) in header.iter().enumerate() {
                        cell(html, "th", "col", column, name);
                    }
                });
            });
            html.element("tbody", &[], |html| {
                for row in rows {
                    html.element("tr", &[], |html| {
                        for (column, text) in row.iter().enumerate() {
                            let (name, scope) = if column == 0 { ("th", "row") } else { ("td", "") };
                            cell(html, name, scope, column, text);
                        }
                    });
                }
            });
        });
    });
}

fn checks(html: &mut Html, checks: &[(bool, String)]) {
    if checks.is_empty() {
        return;
    }
    html.element("ul", &[("class", "checks")], |html| {
        for (held, claim) in checks {
            let (class, mark) = if *held { ("", "✓") } else { ("broken", "✗ broken:") };
            html.line("li", class, &format!("{mark} {claim}"));
        }
    });
}

fn what_changed(html: &mut Html, changes: &Changes, made: &str) {
    // What changed beyond noise comes first.
    let mut rows: Vec<&Change> = changes.rows.iter().collect();
    rows.sort_by_key(|change| !matches!(change.verdict, Verdict::Better | Verdict::Worse));
    html.line("h2", "", &format!("What changed since {made}"));
    html.line("p", "", &changes.summary());
    changes.environment.iter().for_each(|text| html.line("p", "broken", text));
    if !rows.is_empty() {
        let header = ["row", "before", "now", "change", "verdict", "table"].map(str::to_owned);
        let row = |change: &&Change| {
            let mark = match change.verdict {
                Verdict::Better => "▲ ",
                Verdict::Worse => "▼ ",
                _ => "",
            };
            vec![
                change.row.clone(),
                change.shown(change.before),
                change.shown(change.now),
                format!("{:+.0}%", change.percent()),
                format!("{mark}{}", change.verdict.label()),
                change.table.clone(),
            ]
        };
        let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
        table(html, "", &header, &["", "n", "n", "n", "", ""], &rows);
    }
    changes.unmatched.iter().for_each(|text| html.line("p", "note", text));
    html.line("p", "note", RULE);
}
