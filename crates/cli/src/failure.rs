//! Why a verb did not do what it was asked, and the exit code for it. Not the verdicts of `truc verify`: those are results.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use truc_types::{Blame, Reason, Refusal, Retry};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 0: done, or verified.
    Done = 0,
    /// 1: refused, or a check failed.
    Failed = 1,
    /// 2: the arguments are wrong.
    Usage = 2,
    /// 3: nothing is wrong, but something is missing for a verdict.
    Indeterminate = 3,
    /// 4: the other side is away or busy; the same call may succeed later.
    Later = 4,
    /// 5: somebody has to look at files, keys or settings of this machine.
    Operator = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A Trục process or crate refused, with its stable reason.
    #[error("{0}")]
    Refused(Refusal),
    /// The other side answered without a reason of ours, or did not answer.
    #[error("{url} does not answer as an edge does: {message}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the transport says.
        message: String,
    },
    /// The broker answered without a reason of ours, or did not answer.
    #[error("{url} does not answer as a broker does: {message}")]
    BrokerUnreachable {
        /// Where it was looked for.
        url: String,
        /// What the transport says.
        message: String,
    },
    /// The other side sent something that it must not send.
    #[error("the other side sent {0}")]
    BadAnswer(String),
    /// Arguments that do not fit together; clap finds the simpler ones.
    #[error("{0}")]
    Usage(String),
    /// A file or folder.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is something where something new is to be made.
    #[error("{0} is there already; nothing was overwritten")]
    Exists(PathBuf),
    /// The development PKI.
    #[error(transparent)]
    Pki(#[from] crate::pki::PkiError),
    /// A directory file of the operator.
    #[error(transparent)]
    Directory(#[from] crate::directory::DirectoryError),
    /// Standard output cannot be written.
    #[error("standard output: {0}")]
    Output(io::Error),
    /// The runtime does not start.
    #[error("the runtime does not start: {0}")]
    Runtime(io::Error),
}

impl Failure {
    /// A failure of a file.
    #[must_use]
    pub fn file(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AlreadyExists {
            return Self::Exists(path.to_owned());
        }
        Self::File { path: path.to_owned(), source }
    }

    /// The failure that a gRPC status is.
    #[must_use]
    pub fn of_status(url: &str, status: &tonic::Status) -> Self {
        match truc_transport::status::refusal(status) {
            Some(refusal) => Self::Refused(refusal),
            None => Self::Unreachable { url: url.to_owned(), message: format!("{}: {}", status.code(), status.message()) },
        }
    }

    /// The failure that a gRPC status of a broker is.
    #[must_use]
    pub fn of_broker_status(url: &str, status: &tonic::Status) -> Self {
        match truc_transport::status::refusal(status) {
            Some(refusal) => Self::Refused(refusal),
            None => Self::BrokerUnreachable { url: url.to_owned(), message: format!("{}: {}", status.code(), status.message()) },
        }
    }

    /// The stable reason, where there is one.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(refusal) => Some(refusal.reason),
            Self::Pki(error) => error.reason(),
            _ => None,
        }
    }

    /// The wrong values by name, where there are some.
    #[must_use]
    pub fn values(&self) -> &[(Cow<'static, str>, String)] {
        match self {
            Self::Refused(refusal) => &refusal.values,
            _ => &[],
        }
    }

    /// What to do, where the message alone does not say it.
    #[must_use]
    pub const fn advice(&self) -> Option<&'static str> {
        match self {
            // The message names both ways to give one.
            Self::Unreachable { .. } => Some("see whether `truc edge run` runs and listens on this address, then try again"),
            Self::BrokerUnreachable { .. } => {
                Some("see whether `truc broker run` runs and listens on this address, and whether both certificates are of one authority")
            }
            Self::Exists(_) => Some("name another folder, or take away what is there"),
            _ => match self.reason() {
                Some(reason) => Some(reason.advice()),
                None => None,
            },
        }
    }

    /// The exit code by cause.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Refused(refusal) => exit_of(refusal.reason),
            Self::Unreachable { .. } | Self::BrokerUnreachable { .. } => Exit::Later,
            Self::BadAnswer(_) => Exit::Failed,
            Self::Usage(_) => Exit::Usage,
            Self::File { .. } | Self::Exists(_) | Self::Pki(_) | Self::Directory(_) | Self::Output(_) | Self::Runtime(_) => Exit::Operator,
        }
    }
}

const fn exit_of(reason: Reason) -> Exit {
    match (reason.retry(), reason.blame()) {
        (Retry::Later, _) => Exit::Later,
        (_, Blame::Operator) => Exit::Operator,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_who_has_to_act() {
        let exit = |reason| Failure::Refused(Refusal::new(reason, "x")).exit();
        assert_eq!(exit(Reason::RecipientUnknown), Exit::Failed);
        assert_eq!(exit(Reason::BrokerAway), Exit::Later);
        assert_eq!(exit(Reason::JournalCorrupt), Exit::Operator);
        assert_eq!(Failure::of_status("http://x", &tonic::Status::unavailable("connection refused")).exit(), Exit::Later);
    }
}
