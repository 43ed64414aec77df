use std::process::{Child, Command, Stdio};

use lab_testing::until;
use live_shop::state::Settings;
use tempfile::TempDir;

use crate::with_shop;

/// The page's own script runs under the shop's content security policy: each browser opens an event stream, which ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn two_real_browsers_side_by_side_listen() {
    let Some(program) = chromium() else {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "there is no chromium on PATH");
        println!("skipped: there is no chromium on PATH");
        return;
    };
    with_shop(Settings::default(), move |shop| {
        let port = shop.app.address.port();
        let browsers =
            ["127.0.0.1", "localhost"].map(|name| Chromium::open(program, &format!("http://{name}:{port}/")));
        shop.runtime.block_on(until("both listen", || async { shop.app.events.open() == 2 }));
        drop(browsers);
        shop.runtime.block_on(until("nobody listens", || async { shop.app.events.open() == 0 }));
    })
    .await;
}

struct Chromium {
    process: Child,
    _profile: TempDir,
}

impl Chromium {
    fn open(program: &str, url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Command::new(program);
        browser.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]);
        browser.arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
        let process = browser.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { process, _profile: profile }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn chromium() -> Option<&'static str> {
    let runs = |program: &&str| {
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(runs)
}
