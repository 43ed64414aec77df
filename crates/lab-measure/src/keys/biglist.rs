//! Key names of `biglist`.

use super::Keys;

impl Keys {
    /// String: how many numbers the finished list has. Server A writes it last.
    #[must_use]
    pub fn biglist_count(&self) -> String {
        self.named("biglist:count")
    }

    /// List: what a replica has not received yet.
    #[must_use]
    pub fn biglist_late(&self) -> String {
        self.named("biglist:late")
    }

    /// List: one that grows while it is read.
    #[must_use]
    pub fn biglist_growing(&self) -> String {
        self.named("biglist:growing")
    }

    /// List: one part of the numbers. The braces are a hash tag, so that parts lie in slots of their own.
    #[must_use]
    pub fn biglist_part(&self, part: u64) -> String {
        self.named(&format!("biglist:{{{part}}}"))
    }

    /// Stream: the numbers as work to be shared out.
    #[must_use]
    pub fn biglist_stream(&self) -> String {
        self.named("biglist:stream")
    }
}
