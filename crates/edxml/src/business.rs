//! The business block (`Bussiness` on the wire): what is to be done with a document. What that means for delivery is decided elsewhere.

use std::fmt;

use truc_types::OrganisationCode;

use crate::message::Staff;

/// What is to be done with a document (`BussinessDocType`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BusinessKind {
    /// 0: a new document, or a reply.
    #[default]
    New,
    /// 1: recall, thu hồi.
    Recall,
    /// 2: update, cập nhật.
    Update,
    /// 3: replacement, thay thế.
    Replace,
}

impl BusinessKind {
    /// The digit on the wire.
    #[must_use]
    pub const fn digit(self) -> u8 {
        match self {
            Self::New => 0,
            Self::Recall => 1,
            Self::Update => 2,
            Self::Replace => 3,
        }
    }

    /// The kind of a digit, if it has one.
    #[must_use]
    pub fn from_digit(text: &str) -> Option<Self> {
        match text {
            "0" => Some(Self::New),
            "1" => Some(Self::Recall),
            "2" => Some(Self::Update),
            "3" => Some(Self::Replace),
            _ => None,
        }
    }
}

impl fmt::Display for BusinessKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new document",
            Self::Recall => "recall",
            Self::Update => "update",
            Self::Replace => "replacement",
        })
    }
}

/// The business block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Business {
    /// What is to be done.
    pub kind: BusinessKind,
    /// Document that is recalled or updated; writers fill it for new documents too, without meaning.
    pub document_id: Option<String>,
    /// Why, as text.
    pub reason: Option<String>,
    /// `Paper`: samples use 0/1 for "also sent on paper", others a number of pages. The wire's 0 is `None`.
    pub paper: Option<u32>,
    /// What an update changes.
    pub update: Update,
    /// The documents that are replaced, and for whom.
    pub replacements: Vec<Replacement>,
    /// Person to ask.
    pub staff: Option<Staff>,
}

/// What an update changes (`BussinessDocumentInfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// `DocumentInfo`: 1 where the fields of the document change (by field notes, not by the standard).
    pub document_info: Option<u32>,
    /// `DocumentReceiver`: 1 where the receivers change.
    pub document_receiver: Option<u32>,
    /// Receivers that come and go.
    pub receivers: Vec<ReceiverChange>,
}

/// A receiver that comes or goes with an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverChange {
    /// Which.
    pub organisation: OrganisationCode,
    /// `ReceiverType`: 1 added, 0 removed.
    pub added: bool,
}

/// A document that is replaced (`ReplacementInfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replacement {
    /// Its national identifier.
    pub document_id: Option<String>,
    /// For whom.
    pub organisations: Vec<OrganisationCode>,
}
