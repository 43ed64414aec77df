//! The stores near a place.
/// x
#[derive(Clone, Debug)]
pub struct StoreId(String);
impl std::fmt::Display for StoreId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}
