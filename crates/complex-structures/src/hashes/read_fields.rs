//! Ways to read a few properties of many profiles.

use std::collections::HashMap;

use lab_runner::{AnyConnection, Approach};
use redis::{Pipeline, RedisResult};

use super::profiles::{Profiles, WANTED};

/// How to read [`WANTED`] of many profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFields {
    /// HGETALL: the whole Hash, most of which is thrown away here.
    WholeHash,
    /// HMGET: one command for each profile, which names the fields.
    NamedFields,
    /// No Hash: each property is a string of its own, read by GET.
    KeyEach,
    /// All the HMGETs in one pipeline.
    Pipeline,
}

impl ReadFields {
    /// All of them, the reference first.
    pub const ALL: [Self; 4] = [Self::WholeHash, Self::NamedFields, Self::KeyEach, Self::Pipeline];
}

impl Approach for ReadFields {
    type Input = Profiles;
    /// The wanted properties, profile by profile; `None` for a missing one.
    type Output = Vec<Vec<Option<String>>>;

    fn label(self) -> String {
        match self {
            Self::WholeHash => "HGETALL",
            Self::NamedFields => "HMGET",
            Self::KeyEach => "a key each: GET",
            Self::Pipeline => "pipeline of HMGETs",
        }
        .to_owned()
    }

    fn operations(self, profiles: &Profiles) -> u64 {
        profiles.count() as u64
    }

    async fn reset<C: AnyConnection>(self, profiles: &Profiles, connection: &mut C) -> RedisResult<()> {
        match self {
            Self::KeyEach => profiles.fill_property_keys(connection).await,
            Self::WholeHash | Self::NamedFields | Self::Pipeline => profiles.fill_hashes(connection).await,
        }
    }

    async fn run<C: AnyConnection>(
        self,
        profiles: &Profiles,
        connection: &mut C,
    ) -> RedisResult<Self::Output> {
        let mut read = Vec::with_capacity(profiles.count());
        match self {
            Self::WholeHash => {
                for key in profiles.hashes() {
                    let mut all: HashMap<String, String> =
                        redis::cmd("HGETALL").arg(key).query_async(connection).await?;
                    read.push(WANTED.iter().map(|field| all.remove(*field)).collect());
                }
            }
            Self::NamedFields => {
                for key in profiles.hashes() {
                    read.push(redis::cmd("HMGET").arg(key).arg(&WANTED).query_async(connection).await?);
                }
            }
            Self::KeyEach => {
                for keys in profiles.property_keys(&WANTED).chunks(WANTED.len()) {
                    let mut profile = Vec::with_capacity(keys.len());
                    for key in keys {
                        profile.push(redis::cmd("GET").arg(key).query_async(connection).await?);
                    }
                    read.push(profile);
                }
            }
            Self::Pipeline => {
                let mut pipeline = Pipeline::new();
                for key in profiles.hashes() {
                    pipeline.cmd("HMGET").arg(key).arg(&WANTED);
                }
                read = pipeline.query_async(connection).await?;
            }
        }
        Ok(read)
    }
}
