//! Finds the end of a reply and classifies errors. Replies are not parsed further: there are millions, and nearly all are
//! five bytes long.

/// The length of the first reply in `input`, or None if the reply is incomplete.
pub(crate) fn length(input: &[u8]) -> Result<Option<usize>, Malformed> {
    // The reply to SET, MSET, and RESTORE.
    if input.starts_with(b"+OK\r\n") {
        return Ok(Some(5));
    }
    let mut at = 0;
    let mut replies = 1_usize;
    while replies > 0 {
        replies -= 1;
        let Some(end) = line_end(&input[at..]) else {
            return if input.len() - at > LONGEST_LINE { Err(Malformed) } else { Ok(None) };
        };
        let [kind, header @ .., b'\r'] = &input[at..at + end] else {
            return Err(Malformed);
        };
        at += end + 1;
        match kind {
            b'+' | b'-' | b':' => {}
            b'$' => {
                // `$-1` is nil.
                if let Some(bytes) = size(header)? {
                    at += bytes + 2;
                }
            }
            b'*' => replies += size(header)?.unwrap_or(0),
            _ => return Err(Malformed),
        }
        if at > input.len() {
            return Ok(None);
        }
    }
    Ok(Some(at))
}

/// No server sends a longer line.
const LONGEST_LINE: usize = 64 * 1024;

/// A string has at most 512 MB, and no request gets more elements than that.
const LARGEST: usize = 512 * 1024 * 1024;

/// The bytes are not RESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The position of the first `\n`.
fn line_end(input: &[u8]) -> Option<usize> {
    input.iter().position(|&byte| byte == b'\n')
}

fn size(header: &[u8]) -> Result<Option<usize>, Malformed> {
    if header == b"-1" {
        return Ok(None);
    }
    let number = std::str::from_utf8(header).ok().and_then(|text| text.parse().ok());
    number.filter(|size| *size <= LARGEST).map(Some).ok_or(Malformed)
}

/// What an error reply means for the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerError {
    /// Another node owns the slot now.
    Moved { slot: u16, address: String },
    /// The slot is migrating. Only this command goes to the other node.
    Ask { address: String },
    /// The same command may succeed later.
    TryAgain,
    /// The same command will always fail.
    Permanent(String),
}

impl ServerError {
    /// Parses an error reply, including its `-`.
    pub(crate) fn parse(reply: &[u8]) -> Self {
        let text = String::from_utf8_lossy(reply).trim_start_matches('-').trim_end().to_owned();
        let mut words = text.split(' ');
        let (code, slot, address) = (words.next(), words.next(), words.next());
        match (code, slot.and_then(|slot| slot.parse().ok()), address) {
            (Some("MOVED"), Some(slot), Some(address)) => Self::Moved { slot, address: address.to_owned() },
            (Some("ASK"), Some(_), Some(address)) => Self::Ask { address: address.to_owned() },
            (
                Some(
                    "NOREPLICAS" | "TRYAGAIN" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "READONLY"
                    | "BUSY",
                ),
                ..,
            ) => Self::TryAgain,
            _ => Self::Permanent(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_reply_is_found() {
        let whole: [&[u8]; 8] = [
            b"+OK\r\n",
            b":8\r\n",
            b"-ERR no\r\n",
            b"$5\r\nhello\r\n",
            b"$-1\r\n",
            b"*2\r\n$1\r\na\r\n$-1\r\n",
            b"*0\r\n",
            b"*2\r\n*1\r\n:1\r\n$4\r\n\r\n\r\n\r\n",
        ];
        for reply in whole {
            assert_eq!(length(reply), Ok(Some(reply.len())), "{reply:?}");
            let followed = [reply, b"+OK\r\n"].concat();
            assert_eq!(length(&followed), Ok(Some(reply.len())), "{reply:?}");
            for cut in 0..reply.len() {
                assert_eq!(length(&reply[..cut]), Ok(None), "{:?}", &reply[..cut]);
            }
        }
    }

    #[test]
    fn garbage_is_malformed() {
        for garbage in [&b"HTTP/1.1 400\r\n"[..], b"$x\r\n", b"*-7\r\n", b"\r\n"] {
            assert_eq!(length(garbage), Err(Malformed), "{garbage:?}");
        }
        assert_eq!(length(&vec![b'+'; LONGEST_LINE + 2]), Err(Malformed));
    }

    #[test]
    fn errors_are_classified() {
        let moved = ServerError::Moved { slot: 7, address: "10.0.0.1:7001".into() };
        assert_eq!(ServerError::parse(b"-MOVED 7 10.0.0.1:7001\r\n"), moved);
        assert_eq!(ServerError::parse(b"-ASK 7 :7001\r\n"), ServerError::Ask { address: ":7001".into() });
        assert_eq!(ServerError::parse(b"-LOADING Redis is loading\r\n"), ServerError::TryAgain);
        assert_eq!(
            ServerError::parse(b"-OOM command not allowed\r\n"),
            ServerError::Permanent("OOM command not allowed".into())
        );
        assert_eq!(ServerError::parse(b"-MOVED\r\n"), ServerError::Permanent("MOVED".into()));
    }
}
