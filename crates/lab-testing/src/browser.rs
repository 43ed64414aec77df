//! A real headless Chromium: it opens pages, clicks, and takes pictures, in light, in dark, and as print.
//!
//! - [`picture`]: pictures in the repository that a test makes and keeps true.
//! - [`report`]: what every report of `--report` promises to readers.
//!
//! The browser is driven through its DevTools pipe, so this needs neither a port nor a driver program. A browser whose test is killed ends by
//! itself, because its pipe is closed.

pub mod picture;
pub mod report;

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::TIMEOUT;

/// Chromium reads its commands from file 3 and writes to file 4. The shell puts our pipes there.
const ON_A_PIPE: &str = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
const FLAGS: [&str; 11] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
];
/// How long a browser that was asked to end may take.
const CLOSING: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// A browser without a window.
pub struct Chromium {
    process: Child,
    link: RefCell<Link>,
    _profile: TempDir,
}

struct Link {
    commands: ChildStdin,
    messages: Receiver<Value>,
    calls: u64,
    /// What happened on the pages, as the browser tells it.
    events: Vec<Value>,
}

/// A page of a reader who shares no cookie with the other pages.
pub struct Page<'a> {
    browser: &'a Chromium,
    session: String,
}

/// How a page is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    /// In CSS pixels.
    pub width: u32,
    /// In CSS pixels.
    pub height: u32,
    /// Whether the reader prefers dark.
    pub dark: bool,
    /// Whether it is laid out for paper.
    pub print: bool,
    /// Pixels of a screenshot for each CSS pixel; 0 means 1.
    pub scale: f64,
}

impl Chromium {
    /// Starts it, with the fonts of this machine. Where there is none, says so and returns `None`, but fails with `CI=true`.
    pub fn start() -> Option<Self> {
        Self::with_font(None)
    }

    /// The same with this font for text that asks for no font by name, if it is installed.
    #[expect(clippy::print_stdout, reason = "a test that skips says why")]
    pub fn with_font(font: Option<&str>) -> Option<Self> {
        let Some(program) = *PROGRAM else {
            assert!(!is_ci(), "there is no chromium on PATH");
            println!("skipped: there is no chromium on PATH");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", ON_A_PIPE, "sh", program]).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        if let Some(font) = font {
            let file = profile.path().join("fonts.conf");
            fs::write(&file, fonts(font)).unwrap();
            command.env("FONTCONFIG_FILE", file);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let commands = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                // An error means that the test has ended.
                if serde_json::from_slice(&message).is_ok_and(|message| sender.send(message).is_err()) {
                    return;
                }
                message.clear();
            }
        });
        let link = RefCell::new(Link { commands, messages, calls: 0, events: Vec::new() });
        Some(Self { process, link, _profile: profile })
    }

    /// Opens an address in a new page, and returns when it is loaded.
    pub fn open(&self, url: &str) -> Page<'_> {
        let page = self.page();
        page.go(url);
        page
    }

    /// A blank page.
    pub fn page(&self) -> Page<'_> {
        let call = |method: &str, parameters: &Value| {
            self.call(None, method, parameters).unwrap_or_else(|why| panic!("{method}: {why}"))
        };
        let context = call("Target.createBrowserContext", &json!({}));
        let target = json!({ "url": "about:blank", "browserContextId": context["browserContextId"] });
        let target = call("Target.createTarget", &target);
        let attached = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = call("Target.attachToTarget", &attached);
        let page = Page { browser: self, session: attached["sessionId"].as_str().unwrap().to_owned() };
        for domain in ["Page", "Network", "Runtime", "Log"] {
            page.call(&format!("{domain}.enable"), &json!({}));
        }
        page
    }

    /// Sends a command and waits for its result, or for why there is none.
    fn call(&self, session: Option<&str>, method: &str, parameters: &Value) -> Result<Value, String> {
        let mut link = self.link.borrow_mut();
        link.calls += 1;
        let id = link.calls;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        link.commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut message = link.next(method);
            if message["id"] == id {
                return match message.get("error") {
                    Some(error) => Err(error.to_string()),
                    None => Ok(message["result"].take()),
                };
            }
            link.events.push(message);
        }
    }
}

impl Link {
    fn next(&self, what: &str) -> Value {
        self.messages.recv_timeout(TIMEOUT).unwrap_or_else(|why| panic!("no answer to {what}: {why}"))
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Errors mean that it has ended.
        let _ = self.link.get_mut().commands.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let start = Instant::now();
        while self.process.try_wait().is_ok_and(|ended| ended.is_none()) && start.elapsed() < CLOSING {
            thread::sleep(PAUSE);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Page<'_> {
    /// Goes to an address, and returns when it is loaded. What happened on the page before is forgotten.
    pub fn go(&self, url: &str) {
        let is_own = |event: &Value| event["sessionId"] == self.session;
        self.browser.link.borrow_mut().events.retain(|event| !is_own(event));
        let answer = self.call("Page.navigate", &json!({ "url": url }));
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        let mut link = self.browser.link.borrow_mut();
        let is_loaded = |event: &Value| is_own(event) && event["method"] == "Page.loadEventFired";
        while !link.events.iter().any(is_loaded) {
            let event = link.next(url);
            link.events.push(event);
        }
    }

    /// Goes to a file.
    pub fn go_to_file(&self, path: &Path) {
        self.go(&format!("file://{}", path.canonicalize().unwrap().display()));
    }

    /// Sets how the page is shown from now on. Nothing moves: the reader prefers reduced motion.
    pub fn show(&self, view: View) {
        let View { width, height, dark, print, scale } = view;
        let scale = if scale > 0.0 { scale } else { 1.0 };
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let features = [
            ("prefers-color-scheme", if dark { "dark" } else { "light" }),
            ("prefers-reduced-motion", "reduce"),
        ];
        let features = features.map(|(name, value)| json!({ "name": name, "value": value }));
        let media = json!({ "media": if print { "print" } else { "screen" }, "features": features });
        self.call("Emulation.setEmulatedMedia", &media);
    }

    /// The value of a JavaScript expression; a promise is waited for.
    pub fn value(&self, expression: &str) -> Value {
        self.try_value(expression).unwrap_or_else(|why| panic!("{expression}: {why}"))
    }

    /// Polls until a JavaScript expression is true, on this page or the next one. Fails after a minute.
    pub fn until(&self, expression: &str) {
        let start = Instant::now();
        let mut last = Value::Null;
        // While a page is replaced by the next one, there is nothing that could answer.
        while last != true {
            assert!(
                start.elapsed() < TIMEOUT,
                "waited in vain until {expression}; the last answer was {last}"
            );
            thread::sleep(PAUSE);
            last = self.try_value(expression).unwrap_or_else(Value::String);
        }
    }

    /// Types into the field with this selector.
    pub fn fill(&self, selector: &str, text: &str) {
        let field = format!("document.querySelector({})", json!(selector));
        self.until(&format!("{field} !== null && ({field}.value = {}, true)", json!(text)));
    }

    /// Polls until the main part of the page shows a text.
    pub fn until_it_shows(&self, text: &str) {
        self.until(&format!("document.querySelector('main')?.innerText.includes({})", json!(text)));
    }

    /// Clicks on the button or link with this text, and waits until another page is there.
    pub fn click(&self, text: &str) {
        let all = "[...document.querySelectorAll('button, a')]";
        self.click_on(&format!("{all}.find((one) => one.textContent.trim() === {})", json!(text)));
    }

    /// The same for what a JavaScript expression finds.
    pub fn click_on(&self, find: &str) {
        self.until(&format!("({find} ?? null) !== null"));
        self.value(&format!("window.isLeft = true, {find}.click()"));
        self.until("window.isLeft === undefined && document.readyState === 'complete'");
    }

    /// The addresses that the page has asked for, itself included.
    pub fn requests(&self) -> Vec<String> {
        let request = |parameters: &Value| parameters["request"]["url"].as_str().map(str::to_owned);
        self.events("Network.requestWillBeSent").iter().filter_map(request).collect()
    }

    /// What went wrong on the page.
    pub fn errors(&self) -> Vec<String> {
        let mut wrong = self.events("Runtime.exceptionThrown");
        let entries = self.events("Log.entryAdded");
        wrong.extend(entries.into_iter().filter(|entry| entry["entry"]["level"] == "error"));
        wrong.iter().map(Value::to_string).collect()
    }

    /// What the window shows, as PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        BASE64.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// The page on A4 paper, as PDF.
    pub fn print(&self) -> Vec<u8> {
        let paper = json!({ "preferCSSPageSize": true, "paperWidth": 8.27, "paperHeight": 11.69 });
        let paper = self.call("Page.printToPDF", &paper);
        BASE64.decode(paper["data"].as_str().unwrap()).unwrap()
    }

    fn try_value(&self, expression: &str) -> Result<Value, String> {
        let question = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.browser.call(Some(&self.session), "Runtime.evaluate", &question)?;
        match answer.get("exceptionDetails") {
            Some(exception) => Err(exception.to_string()),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    fn call(&self, method: &str, parameters: &Value) -> Value {
        let answer = self.browser.call(Some(&self.session), method, parameters);
        answer.unwrap_or_else(|why| panic!("{method}: {why}"))
    }

    /// What the browser told of this page under this name, up to now.
    fn events(&self, method: &str) -> Vec<Value> {
        let link = self.browser.link.borrow();
        let own = link
            .events
            .iter()
            .filter(|event| event["sessionId"] == self.session && event["method"] == method);
        own.map(|event| event["params"].clone()).collect()
    }
}

/// Whether this is the gate, where nothing may be skipped.
fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// The program on PATH. To ask for its version takes it a while, so each test program does it once.
static PROGRAM: LazyLock<Option<&str>> = LazyLock::new(|| {
    let runs = |program: &&str| {
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(runs)
});

/// The machine's settings, with this font before all others.
fn fonts(font: &str) -> String {
    let prefer = |family: &str| {
        format!(
            "<match><test name=\"family\"><string>{family}</string></test>\
             <edit name=\"family\" mode=\"prepend\" binding=\"strong\"><string>{font}</string></edit></match>"
        )
    };
    format!(
        "<?xml version=\"1.0\"?><!DOCTYPE fontconfig SYSTEM \"urn:fontconfig:fonts.dtd\">\n\
         <fontconfig><include ignore_missing=\"yes\">/etc/fonts/fonts.conf</include>{}{}{}</fontconfig>\n",
        prefer("system-ui"),
        prefer("sans-serif"),
        prefer("sans"),
    )
}
