//! Key names of `query`.

use super::Keys;

impl Keys {
    /// Set: the numbers of all users.
    #[must_use]
    pub fn all_users(&self) -> String {
        self.named("users:all")
    }

    /// Hash: `sum` and `count` of the salaries of a city, in whole dollars.
    #[must_use]
    pub fn city_salaries(&self, city: &str) -> String {
        self.named(&format!("city:{city}:salaries"))
    }

    /// Set with a TTL: who lives in a city and works in a department, as far as somebody has asked lately.
    #[must_use]
    pub fn city_and_department(&self, city: &str, department: &str) -> String {
        self.named(&format!("city:{city}:department:{department}:users"))
    }

    /// String: a user as JSON text.
    #[must_use]
    pub fn user_json(&self, number: u64) -> String {
        self.named(&format!("query:user_json:{number}"))
    }

    /// What the names of all users begin with.
    #[must_use]
    pub fn user_prefix(&self) -> String {
        self.named("user:")
    }

    /// What SORT looks up for each number: the salary in the Hash of that user.
    #[must_use]
    pub fn salary_pattern(&self) -> String {
        self.named("user:*->salary")
    }

    /// Not a key but the name of a search index, which servers keep apart from keys.
    #[must_use]
    pub fn users_index(&self) -> String {
        self.named("query:users_index")
    }
}
