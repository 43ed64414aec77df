//! Values in the server's own format, for RESTORE. The server copies such a value instead of building a Hash field by field.
//!
//! The format is that of DUMP: a type, the value, a version, and a checksum. Servers may change it. So before you use it, write
//! one value with an ordinary command, DUMP it for the version, RESTORE a value made here, and compare the two.
//!
//! Sources: `rdb.h`, `rdb.c`, and `listpack.c` of Redis 7.0 and Valkey 9.1.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the format stores numbers in pieces"
)]

use crc::{CRC_64_REDIS, Crc, Table};

static CRC64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// RDB's type for a Hash in a listpack.
const HASH_LISTPACK: u8 = 16;

/// The length of the version and the checksum, which follow the value.
const FOOTER: usize = 2 + 8;

/// The version of the format in a dumped value, or None if the value is too short.
#[must_use]
pub fn version(dumped: &[u8]) -> Option<u16> {
    let footer = dumped.len().checked_sub(FOOTER)?;
    Some(u16::from_le_bytes([dumped[footer], dumped[footer + 1]]))
}

/// Makes dumped values. Its memory is reused for each value.
#[derive(Clone, Debug)]
pub struct Dump {
    version: u16,
    listpack: Vec<u8>,
    value: Vec<u8>,
}

impl Dump {
    /// Makes values of this version.
    #[must_use]
    pub fn new(version: u16) -> Self {
        Self { version, listpack: Vec::new(), value: Vec::new() }
    }

    /// Makes a small Hash with its fields in this order. The server converts it if it has too many fields for a listpack, but
    /// not every version checks how long they are.
    pub fn hash<F: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> &[u8] {
        let listpack = &mut self.listpack;
        listpack.clear();
        listpack.extend_from_slice(&[0; 6]);
        let mut elements = 0_u16;
        for (field, value) in fields {
            push_element(listpack, field.as_ref());
            push_element(listpack, value.as_ref());
            elements += 2;
        }
        listpack.push(0xFF);
        let bytes = u32::try_from(listpack.len()).unwrap_or(u32::MAX);
        listpack[..4].copy_from_slice(&bytes.to_le_bytes());
        listpack[4..6].copy_from_slice(&elements.to_le_bytes());

        let value = &mut self.value;
        value.clear();
        value.push(HASH_LISTPACK);
        push_length(value, self.listpack.len());
        value.extend_from_slice(&self.listpack);
        value.extend_from_slice(&self.version.to_le_bytes());
        let checksum = CRC64.checksum(value);
        value.extend_from_slice(&checksum.to_le_bytes());
        &self.value
    }
}

/// Appends the length of a string in RDB.
fn push_length(out: &mut Vec<u8>, length: usize) {
    match length {
        0..64 => out.push(length as u8),
        64..16_384 => out.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]),
        _ => {
            out.push(0x80);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

/// Appends an element of a listpack: its encoding, its data, and its length again, for reading backward. An integer is stored
/// as a number.
fn push_element(out: &mut Vec<u8>, element: &[u8]) {
    let start = out.len();
    match as_integer(element) {
        Some(number) => push_integer(out, number),
        None => push_text(out, element),
    }
    push_backwards_length(out, out.len() - start);
}

fn push_integer(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_le_bytes();
    match number {
        0..=127 => out.push(bytes[0]),
        -4096..=4095 => {
            let thirteen_bits = (number & 0x1FFF) as u16;
            out.extend_from_slice(&[0xC0 | (thirteen_bits >> 8) as u8, thirteen_bits as u8]);
        }
        -32_768..=32_767 => extend(out, 0xF1, &bytes[..2]),
        -8_388_608..=8_388_607 => extend(out, 0xF2, &bytes[..3]),
        -2_147_483_648..=2_147_483_647 => extend(out, 0xF3, &bytes[..4]),
        _ => extend(out, 0xF4, &bytes),
    }
}

fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        length @ 0..64 => out.push(0x80 | length as u8),
        length @ 64..4096 => out.extend_from_slice(&[0xE0 | (length >> 8) as u8, length as u8]),
        length => extend(out, 0xF0, &(length as u32).to_le_bytes()),
    }
    out.extend_from_slice(text);
}

fn extend(out: &mut Vec<u8>, encoding: u8, data: &[u8]) {
    out.push(encoding);
    out.extend_from_slice(data);
}

fn push_backwards_length(out: &mut Vec<u8>, length: usize) {
    let seven = |shift: u32| ((length >> shift) & 0x7F) as u8;
    match length {
        0..=127 => out.push(length as u8),
        128..16_383 => out.extend_from_slice(&[seven(7), seven(0) | 0x80]),
        16_383..2_097_151 => out.extend_from_slice(&[seven(14), seven(7) | 0x80, seven(0) | 0x80]),
        2_097_151..268_435_455 => {
            out.extend_from_slice(&[seven(21), seven(14) | 0x80, seven(7) | 0x80, seven(0) | 0x80]);
        }
        _ => out.extend_from_slice(&[
            seven(28),
            seven(21) | 0x80,
            seven(14) | 0x80,
            seven(7) | 0x80,
            seven(0) | 0x80,
        ]),
    }
}

/// Parses an integer of at most 64 bits in the only form that Redis prints: no plus sign and no leading zero.
fn as_integer(element: &[u8]) -> Option<i64> {
    let digits = element.strip_prefix(b"-").unwrap_or(element);
    let canonical = match digits {
        [b'0'] => element.len() == 1,
        [b'1'..=b'9', ..] => digits.len() <= 19,
        _ => false,
    };
    if !canonical {
        return None;
    }
    let negative = digits.len() < element.len();
    digits.iter().try_fold(0_i64, |number, byte| {
        let digit = i64::from(byte.checked_sub(b'0').filter(|digit| *digit < 10)?);
        let number = number.checked_mul(10)?;
        // Subtract, because the lowest number has no positive counterpart.
        if negative { number.checked_sub(digit) } else { number.checked_add(digit) }
    })
}
