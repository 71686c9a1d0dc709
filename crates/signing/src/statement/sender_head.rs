//! sender-head/v1: what an edge says of its own terms and sequence numbers, sealed by it: makes omission provable without chaining envelopes.
//!
//! Not the decision who may open a term: that is the core's.

use truc_types::limits::WITHDRAWN_MAX;
use truc_types::names::{AGENCY_URN_PREFIX, SENDER_HEAD_V1};
use truc_types::{AgencyCode, Digest, EdgeTerm, MessageId, SenderSeq, Timestamp};

use super::parts::{Nonce, ObservedLog, RequiredSigner, Subject, first_repeated, required_signers, text_enum};
use super::{StatementError, USUAL_BYTES, expect_subject, named_subject, parse_as, write_statement};
use crate::json::{Object, Path, Value};

text_enum! {
    /// Spelling of the events.
    SenderHeadEventName {
        /// [`SenderHeadEvent::TermOpened`].
        TermOpened = "term_opened",
        /// [`SenderHeadEvent::Head`].
        Head = "head",
    }
}

/// What the edge says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SenderHeadEvent {
    /// This edge is the agency's edge from now on; lower terms are fenced.
    TermOpened {
        /// The term it takes over from, if there was one; lower than `edge_term`.
        previous_term: Option<EdgeTerm>,
    },
    /// The numbers of this term that were used since the last head.
    Head {
        /// First number.
        first_seq: SenderSeq,
        /// Last number; not below the first.
        last_seq: SenderSeq,
        /// RFC 9162 root over the digests of the DSSE files of the numbers in order, withdrawn ones left out.
        root: Digest,
        /// Numbers that were refused or withdrawn: between first and last, each once.
        withdrawn: Vec<SenderSeq>,
    },
}

/// What an edge says of its terms and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SenderHead {
    /// Id of this statement.
    pub statement_id: MessageId,
    /// The agency that seals.
    pub agency: AgencyCode,
    /// Term of the edge.
    pub edge_term: EdgeTerm,
    /// What it says.
    pub event: SenderHeadEvent,
    /// How far the edge has read the registry feed: the registry version it knows.
    pub feed_cursor: Option<u64>,
    /// When the edge sealed it, by its own clock.
    pub created_at: Timestamp,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// Newest checkpoint the edge had verified.
    pub observed_log: Option<ObservedLog>,
    /// Whose signatures must be on the file.
    pub required_signers: Vec<RequiredSigner>,
}

impl SenderHead {
    /// The payload bytes; nothing is checked: parse before sealing.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        write_statement(SENDER_HEAD_V1, USUAL_BYTES, &[named_subject(subject_name(&self.agency))], |w| {
            w.field("statement_id", &self.statement_id);
            w.field("agency", &self.agency);
            w.field("edge_term", &self.edge_term);
            match &self.event {
                SenderHeadEvent::TermOpened { previous_term } => {
                    w.field("event", &SenderHeadEventName::TermOpened);
                    w.optional("previous_term", previous_term.as_ref());
                }
                SenderHeadEvent::Head { first_seq, last_seq, root, withdrawn } => {
                    w.field("event", &SenderHeadEventName::Head);
                    w.field("first_seq", first_seq);
                    w.field("last_seq", last_seq);
                    w.field("root", root);
                    w.list_if_any("withdrawn", withdrawn);
                }
            }
            w.optional("feed_cursor", self.feed_cursor.as_ref());
            w.field("created_at", &self.created_at);
            w.field("nonce", &self.nonce);
            w.optional("observed_log", self.observed_log.as_ref());
            w.list("required_signers", &self.required_signers);
        })
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// The first fault, with its path.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        parse_as(payload, SENDER_HEAD_V1, Self::read)
    }

    pub(super) fn read(subjects: Vec<Subject>, value: Value<'_>, path: &Path<'_>) -> Result<Self, StatementError> {
        let mut object = Object::new(value, path)?;
        let agency = object.required("agency")?;
        expect_subject(subjects, &subject_name(&agency))?;
        let edge_term = object.required("edge_term")?;
        let event = match object.required("event")? {
            SenderHeadEventName::TermOpened => SenderHeadEvent::TermOpened { previous_term: object.optional("previous_term")? },
            SenderHeadEventName::Head => SenderHeadEvent::Head {
                first_seq: object.required("first_seq")?,
                last_seq: object.required("last_seq")?,
                root: object.required("root")?,
                withdrawn: object.list("withdrawn", WITHDRAWN_MAX)?,
            },
        };
        check(&event, edge_term, path)?;
        let head = Self {
            statement_id: object.required("statement_id")?,
            agency,
            edge_term,
            event,
            feed_cursor: object.optional("feed_cursor")?,
            created_at: object.required("created_at")?,
            nonce: object.required("nonce")?,
            observed_log: object.optional("observed_log")?,
            required_signers: required_signers(&mut object)?,
        };
        object.finish()?;
        Ok(head)
    }
}

fn subject_name(agency: &AgencyCode) -> String {
    format!("{AGENCY_URN_PREFIX}{agency}")
}

fn check(event: &SenderHeadEvent, term: EdgeTerm, path: &Path<'_>) -> Result<(), StatementError> {
    let at = |key| path.key(key).to_string();
    match event {
        SenderHeadEvent::TermOpened { previous_term: Some(previous) } if *previous >= term => {
            Err(StatementError::IntegerTooLarge { path: at("previous_term"), found: previous.0, limit: term.0 - 1 })
        }
        SenderHeadEvent::TermOpened { .. } => Ok(()),
        SenderHeadEvent::Head { first_seq, last_seq, withdrawn, .. } => {
            if last_seq < first_seq {
                return Err(StatementError::IntegerTooSmall { path: at("last_seq"), found: last_seq.0, limit: first_seq.0 });
            }
            if let Some(seq) = withdrawn.iter().find(|seq| *seq < first_seq) {
                return Err(StatementError::IntegerTooSmall { path: at("withdrawn"), found: seq.0, limit: first_seq.0 });
            }
            if let Some(seq) = withdrawn.iter().find(|seq| *seq > last_seq) {
                return Err(StatementError::IntegerTooLarge { path: at("withdrawn"), found: seq.0, limit: last_seq.0 });
            }
            match first_repeated(withdrawn.iter()) {
                None => Ok(()),
                Some(seq) => Err(StatementError::Repeated { path: at("withdrawn"), found: seq.to_string() }),
            }
        }
    }
}
