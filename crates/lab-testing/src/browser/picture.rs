//! Pictures of pages, which a test makes and keeps true.
//!
//! A picture is three files: the page in light, in dark, and its text. A test opens the page in a state that is always the same. With
//! `UPDATE=1` it writes the files. Otherwise it compares, in two ways, because each finds what the other misses:
//!
//! - **The text**, line by line, exactly. So a renamed button is found. Times and random IDs are replaced by words first.
//! - **The colors**: the mean color of each of [`COLUMNS`] by [`ROWS`] tiles. So a chart that is gone, another color, or another layout is
//!   found. Another digit, or a glyph that another version of a font draws differently, moves a tile's mean by less than [`TOLERANCE`].
//!
//! Other fonts break lines elsewhere, so colors are compared only where the page has the fonts of the picture; a test says so. The
//! gate must have them.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use serde_json::{Value, json};

use super::{BASE64, Page, View, is_ci};

/// The font of the pictures.
pub const FONT: &str = "Liberation Sans";
/// How many tiles are beside each other.
pub const COLUMNS: usize = 30;
/// How many tiles are above each other.
pub const ROWS: usize = 20;
/// How far the mean color of a tile may be from the picture's, in each of red, green, and blue, of 255.
pub const TOLERANCE: f64 = 10.0;
/// How many tiles may be further away: a line of text that begins a pixel lower crosses the edges of a few.
pub const TILES: usize = 6;

/// The pictures of a page.
pub struct Picture {
    /// Where the files are, without `.png`, `-dark.png`, and `.txt`.
    pub path: PathBuf,
    /// The size of the page, and how sharp the picture is.
    pub view: View,
    /// The command that makes the picture again.
    pub command: &'static str,
}

/// What a browser shows.
struct Shown {
    text: String,
    /// PNG, in light and in dark.
    colors: [Vec<u8>; 2],
}

impl Picture {
    /// Requires that the page that is open looks like its picture, or makes the picture if the environment has `UPDATE=1`.
    pub fn assert_true(&self, page: &Page<'_>) {
        if crate::updates() {
            self.make(page);
        } else if let Err(why) = self.compare(page) {
            panic!(
                "The page no longer looks like {}.png: {why}\nLook at the page. If it is right, make the picture again:\n{}",
                self.path.display(),
                self.command
            );
        }
    }

    /// Writes the files.
    pub fn make(&self, page: &Page<'_>) {
        let shown = self.shown(page);
        fs::create_dir_all(self.path.parent().unwrap()).unwrap();
        for (name, bytes) in ["", "-dark"].into_iter().zip(&shown.colors) {
            fs::write(self.file(&format!("{name}.png")), bytes).unwrap();
        }
        fs::write(self.file(".txt"), shown.text).unwrap();
    }

    /// What is different, if anything is. Leaves a blank page.
    #[expect(clippy::print_stdout, reason = "a test that leaves something out says so")]
    pub fn compare(&self, page: &Page<'_>) -> Result<(), String> {
        let shown = self.shown(page);
        let text = fs::read_to_string(self.file(".txt")).map_err(|error| error.to_string())?;
        let (fonts, text) = text.split_once('\n').unwrap_or_default();
        let (fonts_now, text_now) = shown.text.split_once('\n').unwrap_or_default();
        same_text(text, text_now)?;
        if fonts != fonts_now {
            assert!(!is_ci(), "the picture has {fonts}, and this machine {fonts_now}");
            println!("colors are not compared: the picture has {fonts}, and this machine {fonts_now}");
            return Ok(());
        }
        // A page may forbid pictures that come with a script. A blank page forbids nothing.
        page.go("about:blank");
        for (name, now) in ["", "-dark"].into_iter().zip(&shown.colors) {
            let file = self.file(&format!("{name}.png"));
            let picture = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let far = tiles_apart(&tiles(page, &picture), &tiles(page, now));
            if far.len() > TILES {
                return Err(format!(
                    "{}: {} of {} tiles have another color, the first in column {}, row {}",
                    file.display(),
                    far.len(),
                    COLUMNS * ROWS,
                    far[0] % COLUMNS + 1,
                    far[0] / COLUMNS + 1,
                ));
            }
        }
        Ok(())
    }

    fn file(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    fn shown(&self, page: &Page<'_>) -> Shown {
        page.show(View { dark: false, ..self.view });
        let text = format!("Fonts: {}\n{}\n", fonts(page), page.value(TEXT).as_str().unwrap());
        let colors = [false, true].map(|dark| {
            page.show(View { dark, ..self.view });
            page.screenshot()
        });
        Shown { text, colors }
    }
}

/// The texts of the page, one a line, without what differs from run to run: times, random IDs, and the integers that Redis replies.
const TEXT: &str = r"(() => {
    const lines = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const parent = walker.currentNode.parentElement;
        if (parent.closest('script, style') || !parent.checkVisibility()) continue;
        const text = walker.currentNode.textContent.replace(/\s+/g, ' ').trim();
        if (text) lines.push(text);
    }
    return lines.join('\n')
        .replace(/\b\d+\.\d+ (ms|µs)/g, 'TIME')
        .replace(/\b\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)? UTC)?/g, 'DATE')
        .replace(/\b\d{10,16}(-\d+)?\b/g, 'TIME')
        .replace(/\(integer\) \d+/g, '(integer) NUMBER')
        .replace(/[0-9a-f]{16,}|[\w-]{20,}/g, 'ID');
})()";

/// The fonts that the page is drawn with, the most frequent first.
fn fonts(page: &Page<'_>) -> String {
    page.call("DOM.enable", &json!({}));
    page.call("CSS.enable", &json!({}));
    let document = page.call("DOM.getDocument", &json!({ "depth": 0 }));
    let all = json!({ "nodeId": document["root"]["nodeId"], "selector": "body *" });
    let nodes = page.call("DOM.querySelectorAll", &all);
    let mut counts: Vec<(String, u64)> = Vec::new();
    for node in nodes["nodeIds"].as_array().unwrap() {
        let used = page.call("CSS.getPlatformFontsForNode", &json!({ "nodeId": node }));
        for font in used["fonts"].as_array().unwrap() {
            let (name, count) = (font["familyName"].as_str().unwrap(), font["glyphCount"].as_u64().unwrap());
            match counts.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += count,
                None => counts.push((name.to_owned(), count)),
            }
        }
    }
    // What draws a star or an arrow only is of no importance.
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    counts.retain(|(_, count)| count * 50 > all);
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

fn same_text(picture: &str, now: &str) -> Result<(), String> {
    let (picture, now): (Vec<&str>, Vec<&str>) = (picture.lines().collect(), now.lines().collect());
    let first = picture.iter().zip(&now).position(|(one, other)| one != other);
    let Some(line) = first.or_else(|| (picture.len() != now.len()).then(|| picture.len().min(now.len())))
    else {
        return Ok(());
    };
    let shown = |lines: &[&str]| lines.get(line).map_or("nothing".to_owned(), |text| format!("'{text}'"));
    let before = line.checked_sub(1).and_then(|line| now.get(line)).unwrap_or(&"the beginning");
    Err(format!(
        "after '{before}', in line {}, the text has {} where the picture has {}",
        line + 2,
        shown(&now),
        shown(&picture)
    ))
}

/// The mean color of each tile; the browser reads the PNG.
fn tiles(page: &Page<'_>, png: &[u8]) -> Vec<[f64; 3]> {
    const MEANS: &str = r"(async (png, columns, rows) => {
        const image = new Image();
        image.src = 'data:image/png;base64,' + png;
        await image.decode();
        const { width, height } = image;
        const canvas = new OffscreenCanvas(width, height);
        const context = canvas.getContext('2d', { willReadFrequently: true });
        context.drawImage(image, 0, 0);
        const { data } = context.getImageData(0, 0, width, height);
        const sums = Array.from({ length: columns * rows }, () => [0, 0, 0, 0]);
        for (let y = 0; y < height; y++) {
            const row = Math.floor(y * rows / height) * columns;
            for (let x = 0; x < width; x++) {
                const sum = sums[row + Math.floor(x * columns / width)], at = (y * width + x) * 4;
                sum[0] += data[at]; sum[1] += data[at + 1]; sum[2] += data[at + 2]; sum[3]++;
            }
        }
        return sums.map(([r, g, b, n]) => [r / n, g / n, b / n]);
    })";
    let means = page.value(&format!("{MEANS}({}, {COLUMNS}, {ROWS})", Value::from(BASE64.encode(png))));
    serde_json::from_value(means).unwrap()
}

/// Which tiles have another color.
fn tiles_apart(picture: &[[f64; 3]], now: &[[f64; 3]]) -> Vec<usize> {
    let apart = |(one, other): (&[f64; 3], &[f64; 3])| {
        one.iter().zip(other).any(|(one, other)| (one - other).abs() > TOLERANCE)
    };
    picture
        .iter()
        .zip(now)
        .enumerate()
        .filter(|(_, pair)| apart((pair.0, pair.1)))
        .map(|(tile, _)| tile)
        .collect()
}
