//! How many bytes RESP takes for a command or a reply.

use redis::{Arg, Cmd, Pipeline, PushKind, ServerError, Value};

/// A line's type byte and its CRLF.
const LINE: usize = 3;
const CRLF: usize = 2;

/// Bytes of a command on the wire, exactly.
pub fn command_len(cmd: &Cmd) -> usize {
    let mut total = header(cmd.args_iter().len());
    for argument in cmd.args_iter() {
        match argument {
            Arg::Simple(bytes) => total += bulk(bytes.len()),
            // A cursor's value is private to redis-rs, so let it pack the command and count.
            _ => return cmd.get_packed_command().len(),
        }
    }
    total
}

/// Bytes of a pipeline on the wire, MULTI and EXEC included, exactly.
pub fn pipeline_len(pipeline: &Pipeline) -> usize {
    let frame = if pipeline.is_transaction() { header(1) + bulk(5) + header(1) + bulk(4) } else { 0 };
    frame + pipeline.cmd_iter().map(command_len).sum::<usize>()
}

/// Bytes of the replies that redis-rs swallows in a transaction: `+OK` and one `+QUEUED` per command.
pub fn queued_len(commands: usize) -> usize {
    LINE + "OK".len() + commands * (LINE + "QUEUED".len())
}

/// Bytes of a reply on the wire.
pub fn reply_len(value: &Value) -> usize {
    match value {
        Value::Nil | Value::Okay => 5,
        Value::Int(number) => LINE + integer_len(*number),
        Value::BulkString(bytes) => bulk(bytes.len()),
        Value::SimpleString(text) => LINE + text.len(),
        Value::Array(items) | Value::Set(items) => {
            header(items.len()) + items.iter().map(reply_len).sum::<usize>()
        }
        Value::Map(pairs) => header(pairs.len()) + pairs_len(pairs),
        Value::Attribute { data, attributes } => {
            header(attributes.len()) + pairs_len(attributes) + reply_len(data)
        }
        Value::Double(number) => LINE + double_text(*number).len(),
        Value::Boolean(_) => LINE + 1,
        // The three letters of the format and a colon come first.
        Value::VerbatimString { text, .. } => bulk(4 + text.len()),
        Value::BigNumber(digits) => LINE + digits.len(),
        Value::Push { kind, data } => {
            header(data.len() + 1) + bulk(push_name(kind).len()) + data.iter().map(reply_len).sum::<usize>()
        }
        Value::ServerError(error) => error_len(error),
        // `Value` may grow; counting nothing is better than failing.
        _ => 0,
    }
}

/// Bytes of an error on the wire.
pub fn error_len(error: &ServerError) -> usize {
    LINE + error.code().len() + error.details().map_or(0, |text| 1 + text.len())
}

/// A number as the server writes it: the shortest digits that read back the same, with an exponent when long.
pub fn double_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    let magnitude = number.abs();
    if number.is_finite() && magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{number:e}");
        return if text.contains("e-") { text } else { text.replace('e', "e+") };
    }
    format!("{number}")
}

/// The first item of a push message.
pub fn push_name(kind: &PushKind) -> &str {
    match kind {
        PushKind::Other(name) => name,
        PushKind::Invalidate => "invalidate",
        PushKind::Message => "message",
        PushKind::PMessage => "pmessage",
        PushKind::SMessage => "smessage",
        PushKind::Unsubscribe => "unsubscribe",
        PushKind::PUnsubscribe => "punsubscribe",
        PushKind::SUnsubscribe => "sunsubscribe",
        PushKind::Subscribe => "subscribe",
        PushKind::PSubscribe => "psubscribe",
        PushKind::SSubscribe => "ssubscribe",
        // Made by redis-rs itself when a connection ends; never on the wire.
        _ => "disconnection",
    }
}

fn pairs_len(pairs: &[(Value, Value)]) -> usize {
    pairs.iter().map(|(key, value)| reply_len(key) + reply_len(value)).sum()
}

/// A line with a type and a count: `*3\r\n`.
fn header(count: usize) -> usize {
    LINE + decimal_len(count as u64)
}

fn bulk(length: usize) -> usize {
    header(length) + length + CRLF
}

fn integer_len(number: i64) -> usize {
    usize::from(number < 0) + decimal_len(number.unsigned_abs())
}

fn decimal_len(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_packed_bytes() {
        let mut scan = redis::cmd("SCAN");
        scan.cursor_arg(12345).arg("MATCH").arg("");
        let mut set = redis::cmd("SET");
        set.arg("key").arg(vec![b'x'; 1000]);
        let mut transaction = redis::pipe();
        transaction.atomic().add_command(set.clone()).add_command(scan.clone());
        assert_eq!(command_len(&set), set.get_packed_command().len());
        assert_eq!(command_len(&scan), scan.get_packed_command().len());
        assert_eq!(pipeline_len(&transaction), transaction.get_packed_pipeline().len());
    }

    #[test]
    fn reply_lengths_are_those_of_the_parsed_bytes() {
        let replies = [
            "+OK\r\n",
            ":-42\r\n",
            ":0\r\n",
            "$-1\r\n",
            "$5\r\nhello\r\n",
            "*2\r\n$0\r\n\r\n*0\r\n",
            "+PONG\r\n",
            "%1\r\n+k\r\n:1\r\n",
            "~1\r\n:7\r\n",
            ",1.5\r\n",
            ",1e+300\r\n",
            ",-inf\r\n",
            "#t\r\n",
            "=8\r\ntxt:text\r\n",
            "(12345678901234567890\r\n",
            ">2\r\n$10\r\ninvalidate\r\n*0\r\n",
            "-WRONGTYPE Operation against a key\r\n",
            "-ERR\r\n",
            "|1\r\n+a\r\n:1\r\n:2\r\n",
        ];
        for reply in replies {
            let value = redis::parse_redis_value(reply.as_bytes()).unwrap();
            assert_eq!(reply_len(&value), reply.len(), "{reply:?}");
        }
    }
}
