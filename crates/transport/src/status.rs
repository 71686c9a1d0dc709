//! The one map between refusals and gRPC statuses: canonical code, and `google.rpc.ErrorInfo` with the stable reason (AIP-193).

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use truc_proto::broker::v1 as pb;
use truc_types::names::ERROR_DOMAIN;
use truc_types::{Reason, Refusal};

/// The canonical code of a reason.
#[must_use]
pub const fn code(reason: Reason) -> Code {
    use Reason as R;
    match reason {
        R::StatementTooLarge
        | R::StatementNotUtf8
        | R::StatementMalformed
        | R::StatementUnknownField
        | R::StatementMissingField
        | R::StatementDuplicateKey
        | R::StatementWrongType
        | R::StatementTooLong
        | R::StatementOutOfRange
        | R::StatementUnsupported
        | R::RecipientTwice
        | R::DocumentSecret
        | R::BusinessUnsupported
        | R::AttachmentSizeMismatch
        | R::AttachmentDigestMismatch
        | R::AttachmentTooLarge
        | R::AttachmentTooMany
        | R::ReceiptMixedSenders
        | R::ReceiptDigestMismatch
        | R::RequestInvalid => Code::InvalidArgument,
        R::SealMissing
        | R::SealInvalid
        | R::SealStripped
        | R::SealForeign
        | R::SealWeakKey
        | R::SealCertificateSwapped
        | R::SealRevoked
        | R::IdentityMismatch
        | R::OperatorOnly
        | R::ReceiptNotRecipient => Code::PermissionDenied,
        R::IdentityMissing => Code::Unauthenticated,
        R::SenderUnknown | R::RecipientUnknown | R::MessageUnknown | R::BlobUnknown | R::CursorUnknown => Code::NotFound,
        R::MessageIdConflict | R::ReferenceConflict | R::SequenceReused | R::ReceiptRepeated => Code::AlreadyExists,
        R::SealExpiredReseal
        | R::RecipientCannotRead
        | R::MessageTooOld
        | R::MessageFromFuture
        | R::SequenceOutsideWindow
        | R::TermNotOpen
        | R::TermSuperseded
        | R::TermConnected
        | R::ReceiptOutOfOrder
        | R::AttachmentMissing
        | R::ConfigInvalid
        | R::KeyUnreadable
        | R::JournalLocked
        | R::JournalFormat
        | R::BlobInUse
        | R::BackupForeign
        | R::ViewAhead => Code::FailedPrecondition,
        R::BlobOffset => Code::OutOfRange,
        R::FlowFlooding | R::BusyViews => Code::ResourceExhausted,
        R::OutcomeUnknown | R::ShuttingDown | R::BrokerAway | R::JournalStorage | R::BlobStorage => Code::Unavailable,
        R::JournalTruncated | R::JournalCorrupt | R::BackupDamaged | R::LogFork | R::LogProofInvalid => Code::DataLoss,
    }
}

/// The status that carries a refusal.
#[must_use]
pub fn status(refusal: &Refusal) -> Status {
    let mut metadata: HashMap<String, String> = refusal.values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    metadata.insert("advice".to_owned(), refusal.reason.advice().to_owned());
    let details = ErrorDetails::with_error_info(refusal.reason.error_info(), ERROR_DOMAIN, metadata);
    Status::with_error_details(code(refusal.reason), refusal.message.clone(), details)
}

/// The reason and message of a status; `None` if it did not come from a Trục process (a broken line, a proxy).
#[must_use]
pub fn refusal(status: &Status) -> Option<Refusal> {
    let details = status.get_error_details();
    let info = details.error_info()?;
    if info.domain != ERROR_DOMAIN {
        return None;
    }
    let reason = info.reason.parse().ok()?;
    Some(Refusal::new(reason, status.message()))
}

/// A refusal inside a stream.
#[must_use]
pub fn to_proto(refusal: &Refusal) -> pb::Refusal {
    pb::Refusal {
        reason: refusal.reason.error_info(),
        message: refusal.message.clone(),
        values: refusal.values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    }
}

/// A refusal from inside a stream; one with a reason that this release does not know is `None`.
#[must_use]
pub fn from_proto(refusal: &pb::Refusal) -> Option<Refusal> {
    Some(Refusal::new(refusal.reason.parse().ok()?, refusal.message.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_the_wire() {
        for reason in Reason::ALL {
            let sent = Refusal::new(*reason, "something was wrong").with("found", 7);
            let status = status(&sent);
            assert_eq!(status.code(), code(*reason));
            let back = refusal(&status).unwrap();
            assert_eq!((back.reason, back.message), (*reason, sent.message.clone()));
            assert_eq!(from_proto(&to_proto(&sent)).unwrap().reason, *reason);
        }
    }

    #[test]
    fn a_status_of_others_is_no_refusal() {
        assert_eq!(refusal(&Status::unavailable("connection refused")), None);
    }
}
