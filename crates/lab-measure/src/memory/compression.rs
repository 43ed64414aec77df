//! zstd with a dictionary that is trained on other users: what many short texts share is not stored in each of them.

use std::fmt;

use redis::RedisResult;

use self::context::Context;
use crate::people::People;

/// How many users the dictionary is trained on, and the first of them. None of them is stored.
const SAMPLES: u64 = 2_000;
const FIRST_SAMPLE: u64 = 5_000_000_001;

/// Compresses and decompresses single users, with and without a trained dictionary.
pub struct Zstd {
    dictionary: Vec<u8>,
    alone: Context,
    trained: Context,
}

impl Zstd {
    /// Trains the dictionary, which takes about 50 ms. `None` if the program was built without zstd.
    pub fn train(people: &People) -> RedisResult<Option<Self>> {
        if !cfg!(feature = "zstd") {
            return Ok(None);
        }
        let samples = (FIRST_SAMPLE..FIRST_SAMPLE + SAMPLES).map(|number| people.user(number).values());
        let dictionary = context::train(samples)?;
        let (alone, trained) = (Context::new(&[])?, Context::new(&dictionary)?);
        Ok(Some(Self { dictionary, alone, trained }))
    }

    /// It must be kept as long as anything that was compressed with it.
    #[must_use]
    pub fn dictionary(&self) -> &[u8] {
        &self.dictionary
    }

    pub(super) fn compress(&self, text: &[u8], with_dictionary: bool) -> RedisResult<Vec<u8>> {
        if with_dictionary { self.trained.compress(text) } else { self.alone.compress(text) }
    }

    pub(super) fn decompress(&self, bytes: &[u8], with_dictionary: bool) -> RedisResult<Vec<u8>> {
        if with_dictionary { self.trained.decompress(bytes) } else { self.alone.decompress(bytes) }
    }
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstd").field("dictionary", &self.dictionary.len()).finish_non_exhaustive()
    }
}

#[cfg(feature = "zstd")]
mod context {
    use std::sync::{Mutex, PoisonError};

    use redis::RedisResult;
    use zstd::bulk::{Compressor, Decompressor};
    use zstd::zstd_safe::CParameter;

    use crate::memory::document::{Document, Values, unreadable};

    /// For texts this small, a higher level takes about as long.
    const LEVEL: i32 = 9;
    /// Bytes of the dictionary, at most.
    const DICTIONARY_BYTES: usize = 8 * 1024;
    /// No user is longer. A value that claims more is no user.
    const LONGEST: usize = 64 * 1024;

    pub(super) struct Context(Mutex<(Compressor<'static>, Decompressor<'static>)>);

    pub(super) fn train(users: impl Iterator<Item = Values>) -> RedisResult<Vec<u8>> {
        let samples = users.map(|values| Document::new(&values)?.json()).collect::<RedisResult<Vec<_>>>()?;
        Ok(zstd::dict::from_samples(&samples, DICTIONARY_BYTES)?)
    }

    impl Context {
        pub(super) fn new(dictionary: &[u8]) -> RedisResult<Self> {
            let mut compressor = Compressor::with_dictionary(LEVEL, dictionary)?;
            // The name of the key says which dictionary it was, so the four bytes that would repeat it are left out.
            compressor.set_parameter(CParameter::DictIdFlag(false))?;
            Ok(Self(Mutex::new((compressor, Decompressor::with_dictionary(dictionary)?))))
        }

        pub(super) fn compress(&self, text: &[u8]) -> RedisResult<Vec<u8>> {
            let mut context = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            context.0.compress(text).map_err(unreadable)
        }

        pub(super) fn decompress(&self, bytes: &[u8]) -> RedisResult<Vec<u8>> {
            let mut context = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            context.1.decompress(bytes, LONGEST).map_err(unreadable)
        }
    }
}

/// Never made: the program was built without zstd.
#[cfg(not(feature = "zstd"))]
mod context {
    use redis::RedisResult;

    use crate::memory::document::{Values, unreadable};

    pub(super) enum Context {}

    #[expect(clippy::unnecessary_wraps, reason = "as with zstd, where it can fail")]
    pub(super) fn train(_users: impl Iterator<Item = Values>) -> RedisResult<Vec<u8>> {
        Ok(Vec::new())
    }

    impl Context {
        pub(super) fn new(_dictionary: &[u8]) -> RedisResult<Self> {
            Err(unreadable("no zstd"))
        }

        pub(super) fn compress(&self, _text: &[u8]) -> RedisResult<Vec<u8>> {
            match *self {}
        }

        pub(super) fn decompress(&self, _bytes: &[u8]) -> RedisResult<Vec<u8>> {
            match *self {}
        }
    }
}
