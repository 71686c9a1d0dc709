//! The stable reasons of everything that can be refused or fail, with whose fault it is, whether a retry helps and what to do.
//!
//! One table for all interfaces. A reason is written `group.name` in logs, facts and on the command line, and `GROUP_NAME` in
//! `google.rpc.ErrorInfo` (AIP-193). Reasons never change their meaning; messages may change.

use std::fmt;
use std::str::FromStr;

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

macro_rules! reasons {
    ($($variant:ident $code:literal $blame:ident $retry:ident $advice:literal)*) => {
        /// A stable reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(
                #[doc = concat!("`", $code, "`: ", $advice)]
                $variant,
            )*
        }

        impl Reason {
            /// Every reason there is, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The reason as `group.name`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn blame(self) -> Blame {
                match self { $(Self::$variant => Blame::$blame,)* }
            }

            /// Whether a retry helps.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)* }
            }

            /// What to do, in one sentence.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }
        }
    };
}

reasons! {
    StatementTooLarge "statement.too_large" Caller No "make the statement smaller: fewer recipients, shorter texts"
    StatementNotUtf8 "statement.not_utf8" Caller No "encode the statement as UTF-8 without a byte order mark"
    StatementMalformed "statement.malformed" Caller No "send one JSON object as docs/spec/statements.md lays it out"
    StatementUnknownField "statement.unknown_field" Caller No "remove the field; a new meaning needs a new predicate type"
    StatementMissingField "statement.missing_field" Caller No "add the field"
    StatementDuplicateKey "statement.duplicate_key" Caller No "write each key once"
    StatementWrongType "statement.wrong_type" Caller No "use the type that docs/spec/statements.md gives"
    StatementTooLong "statement.too_long" Caller No "shorten the text or list to the limit in the message"
    StatementOutOfRange "statement.out_of_range" Caller No "use a value that docs/spec/statements.md allows"
    StatementUnsupported "statement.unsupported" Caller No "use a predicate type that the registry lists for this axis"
    SealMissing "seal.missing" Caller No "seal the statement with the agency's seal key"
    SealInvalid "seal.invalid" Caller No "seal exactly the bytes that are sent, with the key that is named"
    SealStripped "seal.stripped" Caller No "send the signature of every required signer"
    SealForeign "seal.foreign" Caller AfterChange "use a seal key whose certificate is in the registry"
    SealWeakKey "seal.weak_key" Caller No "make a new key: this one is of small order or not canonical"
    SealCertificateSwapped "seal.certificate_swapped" Caller No "name the certificate that the registry holds for this key"
    SealExpiredReseal "seal.expired_reseal" Caller AfterChange "seal the same document anew with the current certificate"
    SealRevoked "seal.revoked" Caller AfterChange "use a certificate that is not revoked"
    IdentityMissing "identity.missing" Caller AfterChange "connect with a client certificate of the axis' authority"
    IdentityMismatch "identity.mismatch" Caller No "send only for the agency that the client certificate names"
    SenderUnknown "sender.unknown" Caller AfterChange "ask the operator to register the organisation with this agency"
    RecipientUnknown "recipient.unknown" Caller AfterChange "look the code up in the directory"
    RecipientTwice "recipient.twice" Caller No "name each recipient once"
    RecipientCannotRead "recipient.cannot_read" Peer Later "wait until the recipient's edge reads this predicate version"
    DocumentSecret "document.secret" Caller No "state secrets do not travel on this axis (Decision 28/2018 art. 1.2)"
    BusinessUnsupported "document.business_unsupported" Caller AfterChange "this release routes new documents and replies only"
    MessageIdConflict "message.id_conflict" Caller No "mint a new id: this one belongs to other bytes"
    MessageTooOld "message.too_old" Caller AfterChange "create the document anew: it is older than the axis remembers"
    MessageFromFuture "message.from_future" Caller AfterChange "set the clock: it is ahead of the axis"
    MessageUnknown "message.unknown" Caller No "check the id: nothing with it is known here, or it is closed"
    ReferenceConflict "reference.conflict" Caller No "use a new client reference: this one belongs to another document"
    SequenceReused "sequence.reused" Caller No "an edge was restored from an old copy: open a new edge term and seal anew"
    SequenceOutsideWindow "sequence.outside_window" Caller AfterChange "seal anew with the next number"
    TermNotOpen "term.not_open" Caller AfterChange "open the edge term before sealing in it"
    TermSuperseded "term.superseded" Caller No "another edge of this agency took over: stop this one"
    TermConnected "term.connected" Caller Later "stop the edge that is connected, or have the operator force the takeover"
    ReceiptNotRecipient "receipt.not_recipient" Caller No "send receipts only for deliveries of this agency"
    ReceiptOutOfOrder "receipt.out_of_order" Caller No "fetched comes first, then one of acknowledged and refused; an answer that was given stays"
    ReceiptRepeated "receipt.repeated" Caller No "the event is in the log already: what was said first stands"
    ReceiptDigestMismatch "receipt.digest_mismatch" Caller No "name the digest of the envelope that was delivered"
    ReceiptMixedSenders "receipt.mixed_senders" Caller No "put items of one original sender into one receipt"
    AttachmentMissing "attachment.missing" Caller AfterChange "upload the attachment completely before the envelope is submitted"
    AttachmentSizeMismatch "attachment.size_mismatch" Caller AfterChange "declare the size that was uploaded"
    AttachmentDigestMismatch "attachment.digest_mismatch" Caller AfterChange "upload the bytes that the digest names"
    AttachmentTooLarge "attachment.too_large" Caller No "keep attachments within the published limits"
    AttachmentTooMany "attachment.too_many" Caller No "keep attachments within the published limits"
    BlobUnknown "blob.unknown" Caller No "ask only for attachments of documents that were sent to this agency"
    BlobOffset "blob.offset" Caller AfterChange "resume at the offset that the message names"
    BlobInUse "blob.in_use" Us Later "wait until nobody uses the attachment any more, then delete it"
    BlobStorage "blob.storage" Operator Later "look at the disk of the attachments: space, permissions, health"
    RequestInvalid "request.invalid" Caller No "correct the field that the message names"
    CursorUnknown "request.cursor_unknown" Caller No "resume from a cursor that this edge handed out, or from the start"
    FlowFlooding "flow.flooding" Caller Later "keep fewer requests in flight on one stream"
    BusyViews "busy.views" Us Later "wait and try again: the views catch up with the journal"
    OutcomeUnknown "outcome.unknown" Us Later "submit the same bytes again: they are accepted once whatever happened"
    ShuttingDown "process.shutting_down" Operator Later "connect again in a moment"
    BrokerAway "broker.away" Operator Later "the edge keeps the document and goes on trying"
    JournalTruncated "journal.truncated" Operator No "restore the journal from a backup or recover on a new log origin; nothing was overwritten"
    JournalCorrupt "journal.corrupt" Operator No "restore the journal from a backup or recover on a new log origin; nothing was overwritten"
    JournalFormat "journal.format" Operator No "run the release that wrote this journal"
    JournalLocked "journal.locked" Operator AfterChange "stop the other process that uses this folder"
    JournalStorage "journal.storage" Operator AfterChange "look at the disk: space, permissions, health; then start again"
    ViewAhead "view.ahead" Operator No "the journal lost its tail: restore it; do not delete the views before that is understood"
    LogFork "log.fork" Peer No "stop and call the auditors: the axis shows two histories"
    LogProofInvalid "log.proof_invalid" Peer No "keep the bytes and call the auditors: the axis' proof does not hold"
    ConfigInvalid "config.invalid" Operator AfterChange "correct the setting, file or address that the message names"
    BackupDamaged "backup.damaged" Operator No "use another backup: this one is not what was written, the message names the file"
    BackupForeign "backup.foreign" Operator AfterChange "name another folder: this one holds something else, or the backup of another history"
    OperatorOnly "identity.operator_only" Caller No "connect with the operator's client certificate: this service is for the operator of the axis"
    KeyUnreadable "key.unreadable" Operator AfterChange "check the key file and its password"
}

impl Reason {
    /// The reason as `GROUP_NAME`, for `google.rpc.ErrorInfo`.
    #[must_use]
    pub fn error_info(self) -> String {
        self.code().replace('.', "_").to_ascii_uppercase()
    }
}

/// A text that is no reason of this release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no reason is called {0:?}")]
pub struct UnknownReason(pub String);

impl FromStr for Reason {
    type Err = UnknownReason;
    /// Reads either spelling.
    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.code() == text || reason.error_info() == text)
            .ok_or_else(|| UnknownReason(text.chars().take(60).collect()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_spelling_per_interface_and_reads_back() {
        let mut seen = std::collections::HashSet::new();
        for reason in Reason::ALL {
            assert!(seen.insert(reason.error_info()), "{reason} twice");
            assert_eq!(reason.code().parse(), Ok(*reason));
            assert_eq!(reason.error_info().parse(), Ok(*reason));
            assert!(reason.code().split_once('.').is_some_and(|(group, name)| !group.is_empty() && !name.is_empty()));
        }
    }
}
