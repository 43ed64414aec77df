//! zstd, alone and with a dictionary that is trained on other users: what many short texts share is not stored in each of them.

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use redis::RedisResult;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use super::document::{Document, unreadable};
use crate::people::People;

/// For texts this small, a higher level takes about as long.
const LEVEL: i32 = 9;
/// Bytes of the dictionary, at most.
const DICTIONARY_BYTES: usize = 8 * 1024;
/// The users that the dictionary is trained on. None of them is stored.
const SAMPLES: Range<u64> = 5_000_000_001..5_000_002_001;
/// No user is longer. A value that claims more is no user.
const LONGEST: usize = 64 * 1024;

type Context = Mutex<(Compressor<'static>, Decompressor<'static>)>;

/// Compresses and decompresses single users, with and without a trained dictionary.
pub struct Zstd {
    dictionary: Vec<u8>,
    alone: Context,
    trained: Context,
}

impl Zstd {
    /// Trains the dictionary, which takes about 50 ms. `None` if the program was built without zstd.
    pub fn train(people: &People) -> RedisResult<Option<Self>> {
        let samples = SAMPLES.map(|number| Document::new(&people.user(number).values())?.json());
        let samples = samples.collect::<RedisResult<Vec<_>>>()?;
        let dictionary = zstd::dict::from_samples(&samples, DICTIONARY_BYTES)?;
        let (alone, trained) = (context(&[])?, context(&dictionary)?);
        Ok(Some(Self { dictionary, alone, trained }))
    }

    /// It must be kept as long as anything that was compressed with it.
    pub(super) fn dictionary(&self) -> &[u8] {
        &self.dictionary
    }

    pub(super) fn compress(&self, text: &[u8], with_dictionary: bool) -> RedisResult<Vec<u8>> {
        let mut context = self.context(with_dictionary).lock().unwrap_or_else(PoisonError::into_inner);
        context.0.compress(text).map_err(unreadable)
    }

    pub(super) fn decompress(&self, bytes: &[u8], with_dictionary: bool) -> RedisResult<Vec<u8>> {
        let mut context = self.context(with_dictionary).lock().unwrap_or_else(PoisonError::into_inner);
        context.1.decompress(bytes, LONGEST).map_err(unreadable)
    }

    fn context(&self, with_dictionary: bool) -> &Context {
        if with_dictionary { &self.trained } else { &self.alone }
    }
}

fn context(dictionary: &[u8]) -> RedisResult<Context> {
    let mut compressor = Compressor::with_dictionary(LEVEL, dictionary)?;
    // The name of the key says which dictionary it was, so the four bytes that would repeat it are left out.
    compressor.set_parameter(CParameter::DictIdFlag(false))?;
    Ok(Mutex::new((compressor, Decompressor::with_dictionary(dictionary)?)))
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstd").finish_non_exhaustive()
    }
}
