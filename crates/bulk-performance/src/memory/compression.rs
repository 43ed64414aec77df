//! zstd with a dictionary trained on other users: what many short texts have in common need not be stored in each.

#[cfg(feature = "zstd")]
pub use with_zstd::Zstd;
#[cfg(not(feature = "zstd"))]
pub use without_zstd::Zstd;

#[cfg(feature = "zstd")]
mod with_zstd {
    use std::fmt;
    use std::sync::{Mutex, PoisonError};

    use redis::RedisResult;
    use zstd::bulk::{Compressor, Decompressor};
    use zstd::zstd_safe::CParameter;

    use crate::memory::document::{Document, unreadable};
    use crate::people::People;

    /// Small texts take the same time at a higher level, within what one sees here.
    const LEVEL: i32 = 9;
    /// How many users the dictionary is trained on, and the first of them: none that is stored.
    const SAMPLES: u64 = 2_000;
    const FIRST_SAMPLE: u64 = 5_000_000_001;
    /// Bytes of the dictionary at most.
    const DICTIONARY_BYTES: usize = 8 * 1024;
    /// A user is never longer; a reply that claims more is no user.
    const LONGEST: usize = 64 * 1024;

    /// Compresses and decompresses single users, with and without a trained dictionary.
    pub struct Zstd {
        dictionary: Vec<u8>,
        alone: Mutex<(Compressor<'static>, Decompressor<'static>)>,
        trained: Mutex<(Compressor<'static>, Decompressor<'static>)>,
    }

    impl Zstd {
        /// Trains the dictionary; about 50 ms. `None` in a program that was built without zstd.
        pub fn train(people: &People) -> RedisResult<Option<Self>> {
            let samples = (FIRST_SAMPLE..FIRST_SAMPLE + SAMPLES)
                .map(|number| Document::of(&people.user(number).values())?.json())
                .collect::<RedisResult<Vec<_>>>()?;
            let dictionary = zstd::dict::from_samples(&samples, DICTIONARY_BYTES)?;
            let alone = (compressor(&[])?, Decompressor::new()?);
            let trained = (compressor(&dictionary)?, Decompressor::with_dictionary(&dictionary)?);
            Ok(Some(Self { dictionary, alone: Mutex::new(alone), trained: Mutex::new(trained) }))
        }

        /// What has to be kept as long as anything compressed with it.
        #[must_use]
        pub fn dictionary(&self) -> &[u8] {
            &self.dictionary
        }

        pub(crate) fn compress(&self, text: &[u8], with_dictionary: bool) -> RedisResult<Vec<u8>> {
            let mut pair = self.pair(with_dictionary).lock().unwrap_or_else(PoisonError::into_inner);
            pair.0.compress(text).map_err(unreadable)
        }

        pub(crate) fn decompress(&self, bytes: &[u8], with_dictionary: bool) -> RedisResult<Vec<u8>> {
            let mut pair = self.pair(with_dictionary).lock().unwrap_or_else(PoisonError::into_inner);
            pair.1.decompress(bytes, LONGEST).map_err(unreadable)
        }

        fn pair(&self, with_dictionary: bool) -> &Mutex<(Compressor<'static>, Decompressor<'static>)> {
            if with_dictionary { &self.trained } else { &self.alone }
        }
    }

    /// The name of the key says which dictionary it was, so the four bytes that would repeat it are left out.
    fn compressor(dictionary: &[u8]) -> RedisResult<Compressor<'static>> {
        let mut compressor = Compressor::with_dictionary(LEVEL, dictionary)?;
        compressor.set_parameter(CParameter::DictIdFlag(false))?;
        Ok(compressor)
    }

    impl fmt::Debug for Zstd {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Zstd").field("dictionary", &self.dictionary.len()).finish_non_exhaustive()
        }
    }
}

#[cfg(not(feature = "zstd"))]
mod without_zstd {
    use redis::RedisResult;

    use crate::people::People;

    /// Never there: this program was built without zstd.
    #[derive(Debug)]
    pub enum Zstd {}

    impl Zstd {
        /// Nothing to train.
        pub fn train(_people: &People) -> RedisResult<Option<Self>> {
            Ok(None)
        }

        /// What has to be kept as long as anything compressed with it.
        #[must_use]
        pub fn dictionary(&self) -> &[u8] {
            match *self {}
        }

        pub(crate) fn compress(&self, _text: &[u8], _with_dictionary: bool) -> RedisResult<Vec<u8>> {
            match *self {}
        }

        pub(crate) fn decompress(&self, _bytes: &[u8], _with_dictionary: bool) -> RedisResult<Vec<u8>> {
            match *self {}
        }
    }
}
