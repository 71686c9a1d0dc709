//! The status packet: what a receiver (or, for 13, the sender) says became of a document. What that means for delivery is decided elsewhere.

use std::fmt;

use crate::message::{AnsweredDocument, LocalTime, Party, Staff};

/// A status packet. It has no receiver of its own: it goes to [`AnsweredDocument::organisation`] of `response_for`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Who says it.
    pub from: Party,
    /// Of which document; its organisation is the addressee and always there after reading.
    pub response_for: AnsweredDocument,
    /// Person to ask.
    pub staff: Option<Staff>,
    /// What became of the document.
    pub code: StatusCode,
    /// The same in words, or the reason of a refusal.
    pub description: Option<String>,
    /// When.
    pub time: Option<LocalTime>,
}

/// A two-digit `StatusCode`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u8);

impl StatusCode {
    /// 01 đã đến: in the receiver's system, nobody has acted.
    pub const ARRIVED: Self = Self(1);
    /// 02 từ chối: refused and returned.
    pub const REFUSED: Self = Self(2);
    /// 03 đã tiếp nhận: accepted and registered.
    pub const ACCEPTED: Self = Self(3);
    /// 04 phân công: assigned.
    pub const ASSIGNED: Self = Self(4);
    /// 05 đang xử lý: in process.
    pub const IN_PROCESS: Self = Self(5);
    /// 06 hoàn thành: completed.
    pub const COMPLETED: Self = Self(6);
    /// 13 lấy lại: the *sender* asks to take the document back.
    pub const TAKE_BACK: Self = Self(13);
    /// 15: the receiver agrees to the update or the taking back.
    pub const CHANGE_AGREED: Self = Self(15);
    /// 16: the receiver refuses it.
    pub const CHANGE_REFUSED: Self = Self(16);

    /// Every code that public sources explain.
    pub const KNOWN: [Self; 9] = [
        Self::ARRIVED,
        Self::REFUSED,
        Self::ACCEPTED,
        Self::ASSIGNED,
        Self::IN_PROCESS,
        Self::COMPLETED,
        Self::TAKE_BACK,
        Self::CHANGE_AGREED,
        Self::CHANGE_REFUSED,
    ];

    /// The code of a number below 100.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < 100 { Some(Self(number)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

impl fmt::Debug for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
