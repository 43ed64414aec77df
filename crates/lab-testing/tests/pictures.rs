//! A picture stays true over noise, and is found out by every real change.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::fs;

use lab_testing::browser::picture::{FONT, Picture};
use lab_testing::browser::{Chromium, View};

const PAGE: &str = "<!DOCTYPE html><meta charset=utf-8><title>x</title>
    <style>
    body { margin: 2rem; font: 16px/1.5 system-ui, sans-serif; background: #fff; color: #222 }
    @media (prefers-color-scheme: dark) { body { background: #111; color: #ddd } }
    #bar { width: 300px; height: 24px; background: #5896d1 } button { padding: .5rem 1rem }
    </style>
    <h1>Orders</h1><p id=made>Made 2026-11-30 00:58 UTC in 0.31 ms as 1d96d17428bb7622</p>
    <div id=bar></div><p>Twelve orders, and none of them lost.</p><button>Pay</button>";

/// What another run, or another version of a font, changes.
const NOISE: [&str; 3] = [
    "document.querySelector('#made').textContent = 'Made 2027-01-01 11:11 UTC in 47.08 ms as b3406cfb3aecb773'",
    "document.querySelector('h1').style.letterSpacing = '0.2px'",
    "document.body.style.marginTop = 'calc(2rem + 1px)'",
];
/// What only a change of the page does.
const CHANGES: [(&str, &str); 6] = [
    (
        "document.querySelector('button').textContent = 'Buy'",
        "the text has 'Buy' where the picture has 'Pay'",
    ),
    ("document.querySelector('button').remove()", "the text has nothing where the picture has 'Pay'"),
    ("document.querySelector('#bar').style.background = '#c1521f'", "tiles have another color"),
    ("document.querySelector('#bar').style.width = '150px'", "tiles have another color"),
    ("document.querySelector('#bar').style.marginTop = '100px'", "tiles have another color"),
    ("document.body.style.background = 'rgb(128, 128, 128)'", "tiles have another color"),
];

#[test]
fn noise_is_no_change_and_a_change_is_no_noise() {
    let Some(chromium) = Chromium::with_font(Some(FONT)) else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.html");
    fs::write(&file, PAGE).unwrap();
    let picture = Picture {
        path: directory.path().join("pictures/page"),
        view: View { width: 600, height: 400, ..View::default() },
        command: "",
    };
    let page = chromium.page();
    let compared_after = |script: &str| {
        page.go_to_file(&file);
        page.value(script);
        picture.compare(&page)
    };
    page.go_to_file(&file);
    picture.make(&page);
    for noise in NOISE {
        assert_eq!(compared_after(noise), Ok(()), "{noise}");
    }
    for (change, found) in CHANGES {
        let why = compared_after(change).unwrap_err();
        assert!(why.contains(found), "{change}: {why}");
    }
    fs::copy(directory.path().join("pictures/page.png"), directory.path().join("pictures/page-dark.png"))
        .unwrap();
    assert!(compared_after("").unwrap_err().contains("page-dark.png"), "the dark picture is compared, too");
}
