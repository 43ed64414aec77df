//! A real browser, told over two pipes what to do, in the DevTools protocol: JSON with a zero byte after each message.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use lab_testing::TIMEOUT;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser without a window.
pub struct Chromium {
    process: Child,
    link: RefCell<Link>,
    _folder: TempDir,
}

struct Link {
    commands: File,
    replies: Receiver<Value>,
    last: u64,
}

/// A page of a customer who shares no cookie with the other pages.
pub struct Page<'a> {
    browser: &'a Chromium,
    session: String,
}

impl Chromium {
    /// Starts it; `None` if there is no Chromium, which is a failure where CI=true.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "there is no chromium on PATH");
            println!("skipped: there is no chromium on PATH");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let pipes = ["commands", "replies"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
        let mut browser = Command::new("sh");
        // Chromium reads commands from file 3 and writes replies to file 4.
        browser.args(["-c", "exec 3<\"$1\" 4>\"$2\"; shift 2; exec \"$@\"", "sh"]).args(&pipes).arg(program);
        browser.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]);
        browser.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
        let process =
            browser.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let commands = OpenOptions::new().write(true).open(&pipes[0]).unwrap();
        let mut reader = BufReader::new(File::open(&pipes[1]).unwrap());
        let (sender, replies) = channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while reader.read_until(0, &mut message).is_ok_and(|bytes| bytes > 0) {
                message.pop();
                let reply = serde_json::from_slice(&message).unwrap();
                message.clear();
                if sender.send(reply).is_err() {
                    return;
                }
            }
        });
        let link = RefCell::new(Link { commands, replies, last: 0 });
        Some(Self { process, link, _folder: folder })
    }

    /// Opens a page, as a customer who was never here.
    pub fn open(&self, url: &str) -> Page<'_> {
        let context = self.call(None, "Target.createBrowserContext", &json!({}));
        let target = json!({ "url": "about:blank", "browserContextId": context["browserContextId"] });
        let target = self.call(None, "Target.createTarget", &target);
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.call(None, "Target.attachToTarget", &attach);
        let page = Page { browser: self, session: attached["sessionId"].as_str().unwrap().to_owned() };
        page.go(url);
        page
    }

    /// Sends a command and waits for its result; null after an error, as while a page is being left.
    fn call(&self, session: Option<&str>, method: &str, params: &Value) -> Value {
        let mut link = self.link.borrow_mut();
        link.last += 1;
        let id = link.last;
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        link.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut reply = link.replies.recv_timeout(TIMEOUT).unwrap();
            if reply["id"] == id {
                return reply["result"].take();
            }
        }
    }
}

impl Page<'_> {
    /// Goes to an address, and waits until the page is there.
    pub fn go(&self, url: &str) {
        self.browser.call(Some(&self.session), "Page.navigate", &json!({ "url": url }));
        self.until(&format!("location.href === {} && document.readyState === 'complete'", json!(url)));
    }

    /// The value of an expression on the page.
    pub fn value(&self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        self.browser.call(Some(&self.session), "Runtime.evaluate", &params)["result"]["value"].take()
    }

    /// Waits until an expression is true, without loading the page again.
    pub fn until(&self, expression: &str) {
        let start = Instant::now();
        while self.value(expression) != true {
            let body = || self.value("document.body.innerText");
            assert!(start.elapsed() < TIMEOUT, "{expression}: {}", body());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the page shows a text.
    pub fn until_it_shows(&self, text: &str) {
        self.until(&format!("document.querySelector('main')?.innerText.includes({})", json!(text)));
    }

    /// Waits until the page listens to changes.
    pub fn until_it_listens(&self) {
        self.until("document.documentElement.dataset.listening === 'yes'");
    }

    /// Types into a field.
    pub fn fill(&self, selector: &str, text: &str) {
        let field = format!("document.querySelector({})", json!(selector));
        self.until(&format!("{field} !== null && ({field}.value = {}, true)", json!(text)));
    }

    /// Clicks on the button or link with this text, and waits until another page is there.
    pub fn click(&self, text: &str) {
        let all = "[...document.querySelectorAll('button, a')]";
        self.click_on(&format!("{all}.find((one) => one.textContent.trim() === {})", json!(text)));
    }

    /// The same for what an expression finds.
    pub fn click_on(&self, find: &str) {
        self.until(&format!("({find} ?? null) !== null"));
        self.value(&format!("window.left = true, {find}.click()"));
        self.until("window.left === undefined && document.readyState === 'complete'");
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> Option<&'static str> {
    let runs = |program: &&str| {
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(runs)
}
