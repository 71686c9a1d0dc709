//! Whose fault a refusal is and whether a retry helps: words for programs, and for people in both languages. Not the reasons themselves.

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The caller sent something wrong.
    Caller,
    /// Another party (sender, recipient, their keys) did something wrong.
    Peer,
    /// The operator of this process has to act: disk, keys, configuration.
    Operator,
    /// A defect of this software.
    Us,
}

/// Whether the same call may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same bytes will be refused for ever.
    No,
    /// The same bytes may be accepted after a pause.
    Later,
    /// Something has to be changed first (a new seal, a full upload), then it may be accepted.
    AfterChange,
}

impl Blame {
    /// The word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Peer => "peer",
            Self::Operator => "operator",
            Self::Us => "us",
        }
    }

    /// Who has to act, for people.
    #[must_use]
    pub const fn who(self) -> &'static str {
        match self {
            Self::Caller => "the caller",
            Self::Peer => "the other party",
            Self::Operator => "the operator of the process",
            Self::Us => "this software",
        }
    }

    /// [`Blame::who`] in Vietnamese.
    #[must_use]
    pub const fn who_vi(self) -> &'static str {
        match self {
            Self::Caller => "bên gọi",
            Self::Peer => "bên kia",
            Self::Operator => "đơn vị vận hành hệ thống",
            Self::Us => "phần mềm này",
        }
    }
}

impl Retry {
    /// The word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Later => "later",
            Self::AfterChange => "after_change",
        }
    }

    /// Whether to try again, for people.
    #[must_use]
    pub const fn when(self) -> &'static str {
        match self {
            Self::No => "the same bytes will be refused for ever",
            Self::Later => "the same call may succeed later",
            Self::AfterChange => "it may succeed after the change",
        }
    }

    /// [`Retry::when`] in Vietnamese.
    #[must_use]
    pub const fn when_vi(self) -> &'static str {
        match self {
            Self::No => "gửi lại đúng nội dung này sẽ luôn bị từ chối",
            Self::Later => "có thể gửi lại sau",
            Self::AfterChange => "có thể gửi lại sau khi đã khắc phục",
        }
    }
}
