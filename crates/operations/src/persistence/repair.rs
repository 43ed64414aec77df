//! An append-only file that ends in the middle of a command, and one that is damaged.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab_runner::{BoxError, LessonContext};
use lab_server::Choice;

use super::store::Store;

const ORDERS: usize = 200;
/// How a SET begins in the file: an array of three.
const SET: &[u8] = b"*3\r\n";

pub(super) async fn torn(ctx: &LessonContext, choice: &Choice) -> Result<(), BoxError> {
    let mut store = Store::with_aof(choice, "everysec").await?;
    ctx.step(
        "A crash can leave half a command at the end of the AOF. By default (aof-load-truncated yes), the server cuts that off, says so in \
         its log, and starts. Here the last three bytes of the file are missing:",
    )
    .await?;
    ctx.function("tear");
    ctx.announce(format!("SET writes {ORDERS} orders, and GET reads them back after the restart."));
    store.write(0..ORDERS).await?;
    store.until_zero(&["aof_buffer_length"]).await?;
    let file = store.increment().await?;
    store.kill().await?;
    tear(&file)?;
    store.restart().await?;
    let missing = store.missing(0..ORDERS).await?;
    ctx.check_eq("one order is missing: the last one", &missing, &1)?;

    ctx.step("Damage in the middle is different. Here one byte of the command halfway is overwritten. The server refuses to start:")
        .await?;
    ctx.function("damage");
    store.kill().await?;
    damage(&file, ORDERS / 2)?;
    let refused = store.restart().await;
    let message = refused.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let reason = message.lines().find(|line| line.contains("Bad file format")).unwrap_or_default();
    // Without the time and the process ID before it.
    ctx.listing(reason.split_once("# ").map_or(reason, |(_, text)| text).trim());
    ctx.check("it did not start, and names the file", refused.is_err() && reason.contains(".incr.aof"))?;
    repair_it(ctx, &mut store, &file).await?;
    store.stop().await
}

async fn repair_it(ctx: &LessonContext, store: &mut Store, file: &Path) -> Result<(), BoxError> {
    let program = store.program().await?;
    let guess = ctx
        .step(format!(
            "'redis-check-aof --fix' repairs the file. It is the server's own program under another name. One byte of {ORDERS} orders is \
             damaged, and the commands before and after it are whole. Copy the file first:"
        ))
        .predict("How many orders are left after the repair?", ["none", "half of them", "all but one or two"])
        .await?;
    let copy = file.with_extension("aof.copy");
    fs::copy(file, &copy)?;
    if let Some(output) = check_aof(&program, file)? {
        ctx.function("check_aof");
        ctx.say("The error names the manifest; here only the damaged file of it is repaired. In a shell: `redis-check-aof --fix FILE`.");
        ctx.listing(output);
    } else {
        ctx.say("This server is behind a wrapper that does not offer it. So the lesson cuts the file itself, at the same place.");
        ctx.function("cut_at_the_damage");
        cut_at_the_damage(file)?;
    }
    let removed = fs::metadata(&copy)?.len().saturating_sub(fs::metadata(file)?.len());
    fs::remove_file(copy)?;
    store.restart().await?;
    let missing = store.missing(0..ORDERS).await?;
    ctx.announce("After the restart, GET reads the orders.");
    guess.answer(match missing {
        0..=2 => "all but one or two",
        ORDERS => "none",
        _ => "half of them",
    })?;
    ctx.say("The program finds the first command that does not parse, and cuts the file there.");
    ctx.check(
        format!(
            "one byte was damaged, {removed} bytes are cut off, and {missing} of {ORDERS} orders are gone"
        ),
        missing == ORDERS / 2,
    )?;
    ctx.say("Before you accept that, look for a replica, an RDB file, or a backup that has more.");
    Ok(())
}

/// Takes the last three bytes away.
fn tear(file: &Path) -> std::io::Result<()> {
    let length = fs::metadata(file)?.len();
    OpenOptions::new().write(true).open(file)?.set_len(length.saturating_sub(3))
}

/// Overwrites the first byte of this SET, counted from 0.
fn damage(file: &Path, command: usize) -> Result<(), BoxError> {
    let content = fs::read(file)?;
    let starts = content.windows(SET.len()).enumerate().filter(|(_, window)| *window == SET);
    let (start, _) = starts.into_iter().nth(command).ok_or("the file has too few commands")?;
    let mut file = OpenOptions::new().write(true).open(file)?;
    file.seek(SeekFrom::Start(start as u64))?;
    file.write_all(b"?")?;
    Ok(())
}

/// Runs the server's program as redis-check-aof. None if the program is a script, which would not see the other name.
fn check_aof(program: &Path, file: &Path) -> Result<Option<String>, BoxError> {
    let mut begin = [0; 2];
    fs::File::open(program)?.read_exact(&mut begin)?;
    if begin == *b"#!" {
        return Ok(None);
    }
    let mut command = Command::new(program);
    command.arg0("redis-check-aof").arg("--fix").arg(file);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(b"y\n")?;
    }
    let output = String::from_utf8_lossy(&child.wait_with_output()?.stdout).into_owned();
    Ok(output.contains("Successfully truncated").then(|| brief(&output, file)))
}

/// The output without the path of the file's directory.
fn brief(output: &str, file: &Path) -> String {
    let directory = file.parent().map(PathBuf::from).unwrap_or_default();
    output.replace(&format!("{}/", directory.display()), "").trim_end().to_owned()
}

/// Leaves the whole commands before the first that does not parse.
fn cut_at_the_damage(file: &Path) -> std::io::Result<()> {
    let content = fs::read(file)?;
    let mut good = 0;
    while let Some(length) = command_length(&content[good..]) {
        good += length;
    }
    OpenOptions::new().write(true).open(file)?.set_len(good as u64)
}

/// The bytes of the whole command at the start; none if there is none.
fn command_length(content: &[u8]) -> Option<usize> {
    let (arguments, mut length) = header(content, b'*')?;
    for _ in 0..arguments {
        let (bytes, header) = header(content.get(length..)?, b'$')?;
        length = length.checked_add(header)?.checked_add(bytes)?.checked_add(2)?;
        if content.get(length - 2..length)? != b"\r\n" {
            return None;
        }
    }
    Some(length)
}

/// A line such as `*3` or `$5`: the number, and the bytes of the line.
fn header(content: &[u8], mark: u8) -> Option<(usize, usize)> {
    let end = content.iter().take(32).position(|byte| *byte == b'\n')?;
    let line = content.get(..end)?.strip_suffix(b"\r")?.strip_prefix(&[mark])?;
    Some((std::str::from_utf8(line).ok()?.parse().ok()?, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_commands_have_a_length() {
        let set = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        assert_eq!(command_length(set), Some(set.len()));
        assert_eq!(command_length(&set[..set.len() - 1]), None);
        for damaged in
            [&b"?2\r\n$3\r\nGET\r\n$1\r\nk\r\n"[..], b"*2\r\n$9\r\nGET\r\n$1\r\nk\r\n", b"*-1\r\n", b""]
        {
            assert_eq!(command_length(damaged), None, "{damaged:?}");
        }
        assert_eq!(command_length(b"*1\r\n$18446744073709551615\r\nx\r\n"), None);
    }
}
