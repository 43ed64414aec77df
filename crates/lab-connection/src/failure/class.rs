//! The classes of failure, their names and their exit codes.

use serde::Serialize;

use super::Failure;

/// A class and the words that came with it.
#[derive(Clone, Debug)]
pub struct Cause {
    pub class: Class,
    /// What the server or the system said; may be hostile.
    pub server_reply: String,
}

impl Cause {
    /// A failure of this class.
    pub fn failure(&self, what: impl AsRef<str>, why: impl AsRef<str>) -> Failure {
        Failure::new(self.class, what, why)
    }

    /// What was said, without the period at its end.
    pub fn said(&self) -> &str {
        self.server_reply.trim_end_matches('.')
    }
}

/// A class of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Nothing listens there.
    Refused,
    /// The host name has no address.
    NotFound,
    /// No way to that address.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// Something answers, in another protocol.
    NotRedis,
    /// The connection was closed.
    Closed,
    /// The server takes no more clients.
    MaxClients,
    /// The server is still loading its data.
    Loading,
    /// The cluster does not serve the slot.
    ClusterDown,
    /// A replica has lost its primary and will not answer.
    MasterDown,
    /// No private server could be started.
    NoServer,

    /// A password is needed.
    NoAuth,
    /// The user or the password is wrong.
    WrongPass,
    /// The ACL user may not do this.
    NoPerm,
    /// The server only takes local clients until it has a password.
    ProtectedMode,
    /// Writing to a replica.
    ReadOnly,
    /// The database holds other people's data.
    ForeignData,

    /// The server does not know the command.
    UnknownCommand,
    /// The server, or this program, lacks something that is needed.
    Unsupported,

    /// Wrong flags or arguments.
    Usage,
    /// The database number does not exist.
    NoDatabase,
    /// A node of a cluster, used without `--cluster`.
    Moved,
    /// A lone server, used with `--cluster`.
    NotCluster,

    /// The key holds another type.
    WrongType,
    /// The value is not what the command needs, for example no number.
    BadValue,
    /// Memory is at its limit.
    OutOfMemory,
    /// The keys of one command are in different slots.
    CrossSlot,
    /// The server cannot save and refuses writes.
    Misconf,
    /// Too few replicas are connected.
    NoReplicas,
    /// A script keeps the server busy.
    Busy,
    /// The server forgot the script.
    NoScript,
    /// The transaction was discarded.
    ExecAbort,
    /// The reply was of another type than the program expected.
    UnexpectedReply,
    /// A lesson's claim did not hold.
    CheckFailed,
    /// The application said no: not in the cart, over the limit.
    Declined,
    /// Anything else.
    Other,

    /// Ctrl-C.
    Interrupted,

    /// TLS did not come about.
    #[serde(untagged)]
    Tls(TlsFault),
}

/// What kept TLS from coming about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum TlsFault {
    /// The port does not speak TLS.
    #[serde(rename = "tls-server-is-plain")]
    ServerIsPlain,
    /// The port speaks TLS, and the client did not.
    #[serde(rename = "tls-server-wants-tls")]
    ServerWantsTls,
    /// The certificate was signed by an authority that is not trusted here.
    #[serde(rename = "tls-unknown-authority")]
    UnknownAuthority,
    /// The certificate is for another name.
    #[serde(rename = "tls-wrong-name")]
    WrongName,
    /// The certificate is no longer, or not yet, valid.
    #[serde(rename = "tls-expired")]
    Expired,
    /// The server wants a client certificate.
    #[serde(rename = "tls-client-certificate")]
    ClientCertificate,
    /// Anything else.
    #[serde(rename = "tls")]
    Other,
}

impl Class {
    /// What a process that fails for this reason returns; the table is in the [module](super).
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage | Self::NoDatabase | Self::Moved | Self::NotCluster => 2,
            Self::Refused
            | Self::NotFound
            | Self::Unreachable
            | Self::Timeout
            | Self::NotRedis
            | Self::Closed
            | Self::MaxClients
            | Self::Loading
            | Self::ClusterDown
            | Self::MasterDown
            | Self::Tls(_)
            | Self::NoServer => 3,
            Self::NoAuth
            | Self::WrongPass
            | Self::NoPerm
            | Self::ProtectedMode
            | Self::ReadOnly
            | Self::ForeignData => 4,
            Self::UnknownCommand | Self::Unsupported => 5,
            Self::Interrupted => 130,
            Self::WrongType
            | Self::BadValue
            | Self::OutOfMemory
            | Self::CrossSlot
            | Self::Misconf
            | Self::NoReplicas
            | Self::Busy
            | Self::NoScript
            | Self::ExecAbort
            | Self::UnexpectedReply
            | Self::CheckFailed
            | Self::Declined
            | Self::Other => 1,
        }
    }
}
