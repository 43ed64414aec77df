//! The only place where a key or channel name is spelled.

use crate::{CartOwner, Representation, Sku, UserId};

/// Whether the keys live on one server or on the slots of a Redis Cluster.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Layout {
    /// One server: a script may touch any keys.
    #[default]
    Standalone,
    /// A cluster: the keys that one script touches bear the same hash tag, and so share a slot.
    Cluster,
}

/// Builds every name this crate uses, each with the same prefix.
///
/// | on one server | on a cluster | type | holds |
/// |---|---|---|---|
/// | `user:1` | `user:{1}` | Hash | `firstname`, `lastname` |
/// | `users` | `users` | Sorted Set | the numbers of all users, by number |
/// | `next_user_id` | `next_user_id` | String | the number given last |
/// | `sku:sku123` | `sku:sku123` | Hash | `name`, `price` |
/// | `skus` | `{sku}s` | Hash | SKU to name |
/// | `sku_names` | `{sku}_names` | Hash | name to SKU |
/// | `cart:1` | `cart:{1}` | Hash | SKU to quantity |
/// | `cart:1:by_quantity` | `cart:{1}:by_quantity` | Sorted Set | SKU, scored by quantity |
/// | `cart:1:prices` | `cart:{1}:prices` | Hash | SKU to the cents seen when it was added |
/// | `cart:1:deadlines` | `cart:{1}:deadlines` | Sorted Set | SKU, scored by the millisecond at which it leaves |
/// | `cart:1:merges` | `cart:{1}:merges` | Hash | merges applied lately (cluster only) |
/// | `cart:abc123:merging` | `cart:{abc123}:merging` | Hash | a guest's lines on their way to a user (cluster only) |
///
/// The sorted-set cart has companions of its own (`cart:1:by_quantity:prices`), so the two representations never meet.
/// No owner can be called `1:prices`: [`SessionId`](crate::SessionId) has no colon.
///
/// ```
/// use storefront::{Keys, Layout};
///
/// let user = "1".parse()?;
/// assert_eq!(Keys::new("", Layout::Standalone).user(user), "user:1");
/// assert_eq!(Keys::new("shop:", Layout::Cluster).user(user), "shop:user:{1}");
/// # Ok::<(), storefront::IdError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Keys {
    prefix: String,
    layout: Layout,
}

impl Keys {
    /// Names that begin with `prefix`, which is put in front as it is. On a cluster a prefix must have no braces: they
    /// would take the place of our hash tags.
    #[must_use]
    pub fn new(prefix: &str, layout: Layout) -> Self {
        Self { prefix: prefix.to_owned(), layout }
    }

    /// What every name begins with, as it was given.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The layout these names are for.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The Hash of one user.
    #[must_use]
    pub fn user(&self, id: UserId) -> String {
        format!("{}user:{}", self.prefix, self.tagged(&id.to_string()))
    }

    /// The Sorted Set of all users' numbers.
    #[must_use]
    pub fn users(&self) -> String {
        format!("{}users", self.prefix)
    }

    /// The counter behind the numbers of new users.
    #[must_use]
    pub fn next_user_id(&self) -> String {
        format!("{}next_user_id", self.prefix)
    }

    /// The Hash of one product.
    #[must_use]
    pub fn sku(&self, sku: &Sku) -> String {
        format!("{}sku:{sku}", self.prefix)
    }

    /// The Hash from every SKU to its product's name.
    #[must_use]
    pub fn skus(&self) -> String {
        format!("{}{}s", self.prefix, self.tagged("sku"))
    }

    /// The Hash from every product's name to its SKU.
    #[must_use]
    pub fn sku_names(&self) -> String {
        format!("{}{}_names", self.prefix, self.tagged("sku"))
    }

    /// The keys of one cart.
    #[must_use]
    pub fn cart(&self, owner: &CartOwner, representation: Representation) -> CartKeys {
        let base = format!("{}cart:{}", self.prefix, self.tagged(&owner.to_string()));
        let quantities = match representation {
            Representation::Hash => base,
            Representation::SortedSet => format!("{base}:by_quantity"),
        };
        CartKeys {
            prices: format!("{quantities}:prices"),
            deadlines: format!("{quantities}:deadlines"),
            merges: format!("{quantities}:merges"),
            merging: format!("{quantities}:merging"),
            quantities,
        }
    }

    /// Every key that the carts of `owner` can have, in both representations: what to look at, and what to remove when
    /// cleaning up.
    #[must_use]
    pub fn all_of_cart(&self, owner: &CartOwner) -> Vec<String> {
        [Representation::Hash, Representation::SortedSet]
            .into_iter()
            .flat_map(|representation| {
                let CartKeys { quantities, prices, deadlines, merges, merging } =
                    self.cart(owner, representation);
                [quantities, prices, deadlines, merges, merging]
            })
            .collect()
    }

    /// The channel on which changes of this owner's carts are published. A channel belongs to no slot.
    #[must_use]
    pub fn cart_updates(&self, owner: &CartOwner) -> String {
        format!("{}cart_updates:{owner}", self.prefix)
    }

    fn tagged(&self, id: &str) -> String {
        match self.layout {
            Layout::Standalone => id.to_owned(),
            Layout::Cluster => format!("{{{id}}}"),
        }
    }
}

/// The keys of one cart, all in one slot.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CartKeys {
    /// SKU and quantity: a Hash or a Sorted Set.
    pub quantities: String,
    /// The cents each product cost when it was added: a Hash.
    pub prices: String,
    /// When single lines leave, in milliseconds of the Unix epoch: a Sorted Set.
    pub deadlines: String,
    /// The merges applied to this cart lately: a Hash.
    pub merges: String,
    /// The lines of this guest's cart that are on their way to a user's: a Hash.
    pub merging: String,
}
