//! REDIS_GUIDE.md: its examples executed, its questions asked.
//!
//! In reading order:
//!
//! 1. [`guide`]: the Markdown becomes topics, questions and examples; every deviation from its format is an error.
//! 2. [`block`]: an example, a `redis-cli` session; [`words`] splits its command lines.
//! 3. [`session`] executes a block on servers of its own, [`matching`] compares the replies with the expected ones,
//!    [`execution`] does that for all examples of a question and says what is wrong.

pub mod block;
pub mod execution;
pub mod guide;
pub mod matching;
pub mod session;
pub mod words;
