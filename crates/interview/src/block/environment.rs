//! The info string of a block: where it is executed.

use lab_server::Release;

use crate::words;

/// What kind of server an example needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// One server.
    #[default]
    One,
    /// A primary with one replica: clients `primary` and `replica`.
    Replica,
    /// A primary with one replica, and three Sentinels, which call them `lab` and take a server for down after a second: clients
    /// `primary`, `replica`, and `sentinel`.
    Sentinel,
    /// Three primaries: clients `node1`, `node2`, `node3`; every other client follows redirections. In a command, the word `<node2>`
    /// is that node's ID.
    Cluster,
    /// The same with a replica for each: `node4` is that of `node1`.
    ClusterReplicas,
}

/// Where a block is executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// What kind of server.
    pub layout: Layout,
    /// Goes on in the state of the block before it in the same question.
    pub same: bool,
    /// Over TLS.
    pub tls: bool,
    /// Whether `! power-cut` can take what was not synced.
    pub power_cut: bool,
    /// Settings of the server.
    pub config: Vec<(String, String)>,
    /// Commands without which there is nothing to execute.
    pub needs: Vec<String>,
    /// A release by name; else the one that the environment or the flags choose.
    pub release: Option<Release>,
    /// Why it is never executed.
    pub no_run: Option<String>,
}

impl Environment {
    /// Reads an info string that begins with `redis`.
    pub(super) fn parse(info: &str) -> Result<Self, String> {
        let split = words::split(info).ok_or("the quotes of the info string do not match")?;
        let mut environment = Self::default();
        for word in split.iter().skip(1) {
            environment.add(&String::from_utf8_lossy(word))?;
        }
        let alone = Self {
            same: true,
            needs: environment.needs.clone(),
            no_run: environment.no_run.clone(),
            ..Self::default()
        };
        if environment.same && environment != alone {
            return Err(
                "a `same` block goes on where the one before it was; only needs= may stand with it".into()
            );
        }
        if (environment.tls || environment.power_cut) && environment.layout != Layout::One {
            return Err("tls and power-cut are for a single server".into());
        }
        Ok(environment)
    }

    fn add(&mut self, word: &str) -> Result<(), String> {
        match word.split_once('=') {
            None => match word {
                "replica" => self.layout = Layout::Replica,
                "sentinel" => self.layout = Layout::Sentinel,
                "cluster" => self.layout = Layout::Cluster,
                "cluster-replicas" => self.layout = Layout::ClusterReplicas,
                "power-cut" => self.power_cut = true,
                "same" => self.same = true,
                "tls" => self.tls = true,
                "aof" => self.config.push(("appendonly".into(), "yes".into())),
                other => {
                    return Err(format!(
                        "`{other}` is no word of an info string: replica, sentinel, cluster, cluster-replicas, same, tls, aof, \
                         power-cut, needs=COMMAND, server=RELEASE, no-run=\"reason\", or a setting as key=value"
                    ));
                }
            },
            Some(("needs", commands)) => self.needs.extend(commands.split(',').map(str::to_owned)),
            Some(("server", release)) => {
                self.release = Some(release.parse().map_err(|error: lab_server::Error| error.to_string())?);
            }
            Some(("no-run", "")) => return Err("no-run= wants the reason, in quotes".into()),
            Some(("no-run", reason)) => self.no_run = Some(reason.to_owned()),
            Some((key, value)) => {
                let setting = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                if key.is_empty() || !key.chars().all(setting) {
                    return Err(format!("`{key}` is no setting: lower case, digits and hyphens"));
                }
                self.config.push((key.to_owned(), value.to_owned()));
            }
        }
        Ok(())
    }

    /// Refuses a client that this environment cannot have. A `same` block has the environment of the one before it, so there every
    /// name is taken as it is.
    pub(super) fn check_client(&self, client: &str) -> Result<(), String> {
        let is_node = |last: char| {
            let digits = client.strip_prefix("node").unwrap_or_default();
            digits.len() == 1 && digits.chars().all(|digit| ('1'..=last).contains(&digit))
        };
        let of_group = ["primary", "replica"].contains(&client);
        let is_reserved = of_group || client == "sentinel" || client.starts_with("node");
        let reserved = match self.layout {
            _ if self.same => false,
            Layout::One => is_reserved,
            Layout::Replica => is_reserved && !of_group,
            Layout::Sentinel => client.starts_with("node"),
            Layout::Cluster => is_reserved && !is_node('3'),
            Layout::ClusterReplicas => is_reserved && !is_node('6'),
        };
        if reserved {
            return Err(format!(
                "there is no client `{client}` here: primary and replica are those of a `replica` or `sentinel` \
                 block, sentinel that of the latter, node1 to node3 those of a `cluster` block, and to node6 those of \
                 `cluster-replicas`"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_means_something() {
        let environment =
            Environment::parse("redis replica maxmemory=3mb save=\"\" needs=HEXPIRE,FCALL server=redis-8.2")
                .unwrap();
        assert_eq!(environment.layout, Layout::Replica);
        assert_eq!(environment.config, [("maxmemory".into(), "3mb".into()), ("save".into(), String::new())]);
        assert_eq!(environment.needs, ["HEXPIRE", "FCALL"]);
        assert_eq!(environment.release, Some(Release::Redis82));
        assert_eq!(
            Environment::parse("redis no-run=\"takes a day\"").unwrap().no_run.as_deref(),
            Some("takes a day")
        );
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for info in [
            "redis sentinels",
            "redis cluster power-cut",
            "redis server=redis-1",
            "redis no-run=",
            "redis same cluster",
            "redis A=b",
            "redis \"x",
        ] {
            assert!(Environment::parse(info).is_err(), "{info}");
        }
    }
}
