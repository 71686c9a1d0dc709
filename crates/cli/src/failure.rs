//! Why a verb did not do what it was asked, and the exit code for it. Not the verdicts of `truc verify`: those are results.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use truc_types::{Blame, Reason, Refusal, Retry};

use crate::language::Language;
use crate::probe::{self, Found};

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
    /// An edge knows no document under a reference of the DMS.
    #[error("{0}")]
    ReferenceUnknown(Refusal),
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
    /// At the address of a node there is nobody, or somebody else.
    #[error("{url} does not answer as {} does: {}", .wanted.name(Language::En), .found.sentence(Language::En))]
    Misdirected {
        /// Where it was looked for.
        url: String,
        /// Who was looked for.
        wanted: Peer,
        /// Who is there.
        found: Found,
    },
    /// What was waited for did not come in time.
    #[error("after {seconds} s still waiting: {what}")]
    NotYet {
        /// How long it was waited.
        seconds: u64,
        /// For what.
        what: String,
    },
    /// The other side sent something that it must not send.
    #[error("the other side sent {0}")]
    BadAnswer(String),
    /// A process that was started here has ended when it should not have, or not in order.
    #[error("{0}")]
    Ended(String),
    /// A check that does not hold.
    #[error("{0}")]
    Disproved(String),
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
        Self::of_answer(url, Peer::Edge, status)
    }

    /// The failure that a gRPC status of a broker is.
    #[must_use]
    pub fn of_broker_status(url: &str, status: &tonic::Status) -> Self {
        Self::of_answer(url, Peer::Broker, status)
    }

    fn of_answer(url: &str, wanted: Peer, status: &tonic::Status) -> Self {
        match truc_transport::status::refusal(status) {
            Some(refusal) => Self::Refused(refusal),
            None => {
                let causes = std::error::Error::source(status).map(|cause| format!(": {}", chain(cause))).unwrap_or_default();
                Self::no_answer(url, wanted, format!("{}: {}{causes}", status.code(), status.message()))
            }
        }
    }

    /// Why a node does not answer, after a look at who is at its address; else in the words of the transport.
    #[must_use]
    pub fn no_answer(url: &str, wanted: Peer, message: String) -> Self {
        let url = url.to_owned();
        match probe::look(&url).filter(|found| found.is_not_meant_by(&url)) {
            Some(found) => Self::Misdirected { url, wanted, found },
            None if wanted == Peer::Edge => Self::Unreachable { url, message },
            None => Self::BrokerUnreachable { url, message },
        }
    }

    /// A refusal that names a field of the interface first, in the words of the command line.
    #[must_use]
    pub(crate) fn in_options(self, options: &[(&str, &str)]) -> Self {
        let Self::Refused(mut refusal) = self else { return self };
        if let Some((rest, option)) = options.iter().find_map(|(field, option)| Some((refusal.message.strip_prefix(field)?, option))) {
            refusal.message = format!("{option}{rest}");
        }
        Self::Refused(refusal)
    }

    /// The stable reason, where there is one.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(refusal) | Self::ReferenceUnknown(refusal) => Some(refusal.reason),
            Self::Pki(error) => error.reason(),
            _ => None,
        }
    }

    /// The wrong values by name, where there are some.
    #[must_use]
    pub fn values(&self) -> &[(Cow<'static, str>, String)] {
        match self {
            Self::Refused(refusal) | Self::ReferenceUnknown(refusal) => &refusal.values,
            _ => &[],
        }
    }

    /// What to do, where the message alone does not say it.
    #[must_use]
    pub const fn advice(&self, language: Language) -> Option<&'static str> {
        let (english, vietnamese) = match self {
            Self::ReferenceUnknown(_) => (
                "check the reference, and whether this is the edge that the document was handed to: `truc list --direction sent` shows what it has",
                "kiểm tra lại mã tham chiếu, và đây có đúng là nút biên đã nhận văn bản không: xem bằng `truc list --direction sent`",
            ),
            Self::Unreachable { .. } => EDGE_AWAY,
            Self::BrokerUnreachable { .. } => BROKER_AWAY,
            Self::Misdirected { wanted, found, .. } => wanted.advice(*found),
            Self::NotYet { .. } => (
                "nothing is lost and the edge goes on by itself: ask again with `truc status`",
                "không mất gì, nút biên tự làm tiếp: hỏi lại bằng `truc status`",
            ),
            Self::Exists(_) => ("name another folder, or take away what is there", "chọn thư mục khác, hoặc dời nội dung đang có ở đó"),
            _ => match self.reason() {
                Some(reason) => (reason.advice(), reason.advice_vi()),
                None => return None,
            },
        };
        Some(language.choose(english, vietnamese))
    }

    /// The message. What others said, and names, stay as they are.
    #[must_use]
    pub fn message(&self, language: Language) -> String {
        if language == Language::En {
            return self.to_string();
        }
        match self {
            Self::Unreachable { url, message } => format!("{url} không trả lời như một nút biên: {message}"),
            Self::BrokerUnreachable { url, message } => format!("{url} không trả lời như một trục: {message}"),
            Self::Misdirected { url, wanted, found } => {
                format!("{url} không trả lời như {}: {}", wanted.name(language), found.sentence(language))
            }
            Self::NotYet { seconds, what } => format!("sau {seconds} giây vẫn còn chờ: {what}"),
            Self::BadAnswer(what) => format!("bên kia trả lời sai giao thức: {what}"),
            Self::Disproved(what) => format!("kiểm chứng không đạt: {what}"),
            Self::Usage(what) => format!("tham số không hợp lệ: {what}"),
            Self::Exists(path) => format!("{} đã có sẵn; không ghi đè gì", path.display()),
            Self::Output(cause) => format!("không ghi được ra đầu ra chuẩn: {cause}"),
            Self::ReferenceUnknown(_) => "chưa có văn bản nào được gửi dưới mã tham chiếu này".to_owned(),
            Self::Refused(_) | Self::Ended(_) | Self::File { .. } | Self::Pki(_) | Self::Directory(_) | Self::Runtime(_) => {
                self.to_string()
            }
        }
    }

    /// The exit code by cause.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Refused(refusal) | Self::ReferenceUnknown(refusal) => exit_of(refusal.reason),
            // Another address is needed, which the same call does not have later either.
            Self::Misdirected { found: Found::Tls | Found::PlainHttp2 | Found::Http1, .. } => Exit::Usage,
            Self::Unreachable { .. } | Self::BrokerUnreachable { .. } | Self::Misdirected { .. } | Self::NotYet { .. } => Exit::Later,
            Self::BadAnswer(_) | Self::Disproved(_) | Self::Ended(_) => Exit::Failed,
            Self::Usage(_) => Exit::Usage,
            Self::File { .. } | Self::Exists(_) | Self::Pki(_) | Self::Directory(_) | Self::Output(_) | Self::Runtime(_) => Exit::Operator,
        }
    }
}

/// Who was to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The edge of an agency.
    Edge,
    /// The broker of the axis.
    Broker,
}

const EDGE_AWAY: (&str, &str) = (
    "see whether `truc edge run` runs and listens on this address, then try again",
    "kiểm tra xem `truc edge run` có đang chạy và lắng nghe tại địa chỉ này không, rồi thử lại",
);
const BROKER_AWAY: (&str, &str) = (
    "see whether `truc broker run` runs and listens on this address, and whether both certificates are of one authority",
    "kiểm tra xem `truc broker run` có đang chạy tại địa chỉ này không, và hai chứng thư có cùng một tổ chức chứng thực không",
);

impl Peer {
    const fn name(self, language: Language) -> &'static str {
        match self {
            Self::Edge => language.choose("an edge", "một nút biên"),
            Self::Broker => language.choose("a broker", "một trục"),
        }
    }

    /// What to do when somebody else is there.
    const fn advice(self, found: Found) -> (&'static str, &'static str) {
        match (self, found) {
            (Self::Edge, Found::Nobody) => EDGE_AWAY,
            (Self::Broker, Found::Nobody) => BROKER_AWAY,
            (Self::Edge, Found::Tls) => (
                "this may be the port of the broker, which takes edges only: name the address that `truc edge run` printed. If it is an edge \
                 with TLS, write https://name:port and give --edge-ca",
                "đây có thể là cổng của trục, nơi chỉ dành cho nút biên: dùng địa chỉ mà `truc edge run` đã in ra. Nếu là nút biên có TLS thì \
                 viết https://tên:cổng kèm --edge-ca",
            ),
            (Self::Edge, Found::PlainHttp2) => (
                "an edge without TLS is written http://address:port, without certificates",
                "nút biên không có TLS được viết là http://địa-chỉ:cổng, không kèm chứng thư",
            ),
            (Self::Broker, Found::PlainHttp2) => (
                "this looks like the port of an edge: name the address that `truc broker run` printed",
                "đây giống cổng của một nút biên: dùng địa chỉ mà `truc broker run` đã in ra",
            ),
            (_, Found::Http1) => (
                "this may be a port for metrics: name the address that the node printed after \"listening on\"",
                "đây có thể là cổng số liệu đo: dùng địa chỉ mà tiến trình đã in ra sau \"listening on\"",
            ),
            (_, Found::Tls | Found::Stranger) => (
                "look which process listens there (`ss -tlnp`) and whether it hangs; the node printed its address after \"listening on\"",
                "xem tiến trình nào đang lắng nghe ở đó (`ss -tlnp`) và có bị treo không; địa chỉ đúng được in ra sau \"listening on\"",
            ),
        }
    }
}

/// An error with its causes: the transport's own words are "transport error".
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Some errors say their cause themselves.
        let next = cause.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        source = cause.source();
    }
    text
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
