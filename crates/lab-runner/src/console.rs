//! A console on the lesson's own server, at a step of a lesson. Afterward the lesson's keys are as they were.

use lab_connection::Target;
use lab_connection::raw_client::RawAddress;
use lab_connection::transcript::command_line;
use lab_console::kept_keys::PutBack;
use lab_console::{Console, KeptKeys, Visit};

use crate::terminal::{Terminal, forget_rows};

/// Key names and commands that are listed; the rest is counted.
const SHOWN: usize = 8;

/// Opens a console, and puts the lesson's keys back when the person leaves it.
pub(crate) async fn open(target: &Target) {
    let address = match RawAddress::of(target) {
        Ok(address) => address,
        Err(failure) => return Terminal.paragraph(&failure.to_string()),
    };
    let kept = KeptKeys::take(target).await;
    let console = Console {
        address,
        cluster: target.is_cluster(),
        private: target.private().is_some(),
        prefix: target.prefix().to_owned(),
        welcome: Vec::new(),
        leaving: "return to the lesson",
        keys_are_kept: kept.is_ok(),
    };
    Terminal.paragraph(&format!("Console on the lesson's server: {}.", target.describe()));
    Terminal.paragraph(&welcome(&kept, target.prefix()));
    let visit = tokio::task::spawn_blocking(move || console.run()).await;
    match kept {
        Ok(kept) => match kept.put_back(target).await {
            Ok(put_back) => say_what_was_put_back(&put_back),
            Err(error) => {
                let failure = target.explain(&error);
                Terminal.paragraph(&format!(
                    "The lesson's keys were not all put back, so its claims may fail.\n{failure}"
                ));
            }
        },
        Err(_) => Terminal.paragraph("The lesson's keys were not put back."),
    }
    match visit {
        Ok(visit) => say_what_lasts(&visit),
        Err(_) => Terminal.paragraph("The console has failed; what you changed in it is not known."),
    }
    forget_rows();
}

fn welcome(kept: &Result<KeptKeys, String>, prefix: &str) -> String {
    let place = if prefix.is_empty() { String::new() } else { format!(" behind {prefix}") };
    match kept {
        Ok(kept) => format!(
            "When you return, its keys{place} ({} now) are put back, and those that you add are removed. help explains the console; back \
             or Ctrl-D returns to the lesson.",
            kept.count()
        ),
        Err(why) => format!(
            "Its keys are not kept, because {why}: what you change stays changed, and the lesson's claims may then fail. help explains the \
             console; back or Ctrl-D returns to the lesson."
        ),
    }
}

fn say_what_was_put_back(PutBack { restored, removed }: &PutBack) {
    if restored.is_empty() && removed.is_empty() {
        return Terminal.paragraph("Back in the lesson. Its keys are as they were.");
    }
    let part = |what: &str, keys: &[Vec<u8>]| {
        if keys.is_empty() { String::new() } else { format!(" {what}: {}.", names(keys)) }
    };
    let put_back = part("Put back", restored);
    let removed = part("Removed, because you added it", removed);
    Terminal.paragraph(&format!("Back in the lesson.{put_back}{removed}"));
}

fn say_what_lasts(visit: &Visit) {
    if !visit.lasting.is_empty() {
        let list = listed(&visit.lasting, "; ");
        Terminal.paragraph(&format!(
            "Not put back: what these commands changed, if they changed anything. The lesson's claims may fail on it. {list}"
        ));
    }
}

fn names(keys: &[Vec<u8>]) -> String {
    let names: Vec<String> =
        keys.iter().map(|key| command_line(redis::Cmd::new().arg(key.as_slice()))).collect();
    listed(&names, ", ")
}

fn listed(texts: &[String], separator: &str) -> String {
    match texts.len().checked_sub(SHOWN) {
        Some(rest @ 1..) => format!("{}{separator}… {rest} more", texts[..SHOWN].join(separator)),
        _ => texts.join(separator),
    }
}
