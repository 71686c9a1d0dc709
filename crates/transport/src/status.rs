//! The one map between refusals and gRPC statuses: canonical code, `google.rpc.ErrorInfo` with the stable reason (AIP-193), and
//! `google.rpc.BadRequest` for a wrong field.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use truc_proto::broker::v1 as pb;
use truc_types::limits::RETRY_PAUSE_MILLIS;
use truc_types::names::ERROR_DOMAIN;
use truc_types::{Reason, Refusal, Retry};

/// The canonical code of a reason.
#[must_use]
#[expect(clippy::too_many_lines, reason = "one table, without a wildcard: a new reason must choose its code")]
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
        | R::DocumentKindReserved
        | R::BusinessUnsupported
        | R::AttachmentSizeMismatch
        | R::AttachmentDigestMismatch
        | R::AttachmentTooLarge
        | R::AttachmentTooMany
        | R::AttachmentTruncated
        | R::AttachmentEmpty
        | R::EdxmlInvalid
        | R::EdxmlUnsupportedType
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
        R::IdentityMissing | R::IdentityExpired | R::IdentityTokenMissing | R::IdentityTokenUnknown => Code::Unauthenticated,
        R::HandInSuperseded => Code::Aborted,
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
        | R::EdxmlDiffers
        | R::EdxmlUnreadable
        | R::ConfigInvalid
        | R::FileUnusable
        | R::KeyUnreadable
        | R::CertificateEnded
        | R::JournalLocked
        | R::JournalFormat
        | R::BlobInUse
        | R::BackupForeign
        | R::RegistryVersion
        | R::RegistryContradiction
        | R::ViewAhead => Code::FailedPrecondition,
        R::BlobOffset | R::HandInPosition => Code::OutOfRange,
        R::FlowFlooding | R::UploadTooMany | R::BusyViews | R::BusyQueues | R::DiskFull | R::Descriptors => Code::ResourceExhausted,
        R::FlowStalled => Code::DeadlineExceeded,
        R::OutcomeUnknown
        | R::ShuttingDown
        | R::ClockSteppedBack
        | R::ClockJumped
        | R::SequencerStopped
        | R::LoopbackFailed
        | R::BrokerAway
        | R::JournalStorage
        | R::BlobStorage
        | R::WatchFolder => Code::Unavailable,
        R::JournalTruncated | R::JournalCorrupt | R::BackupDamaged | R::LogFork | R::LogProofInvalid => Code::DataLoss,
    }
}

/// The status that carries a refusal: `ErrorInfo` with reason, wrong values, blame, retry and advice for programs; `LocalizedMessage`
/// for officials; `RetryInfo` where the same call may succeed later.
#[must_use]
pub fn status(refusal: &Refusal) -> Status {
    Status::with_error_details(code(refusal.reason), refusal.message.clone(), details(refusal))
}

/// The details of a refusal's status.
pub(crate) fn details(refusal: &Refusal) -> ErrorDetails {
    let reason = refusal.reason;
    let mut metadata: HashMap<String, String> =
        refusal.values.iter().map(|(name, value)| (name.clone().into_owned(), value.clone())).collect();
    let about = [("blame", reason.blame().word()), ("retry", reason.retry().word()), ("advice", reason.advice())];
    metadata.extend(about.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let mut details = ErrorDetails::with_error_info(reason.error_info(), ERROR_DOMAIN, metadata);
    details.set_localized_message("vi", format!("{}; {}", reason.meaning_vi(), reason.advice_vi()));
    if reason.retry() == Retry::Later {
        details.set_retry_info(Some(Duration::from_millis(RETRY_PAUSE_MILLIS)));
    }
    if let Some(field) = refusal.value("field") {
        details.add_bad_request_violation(field, refusal.message.clone());
    }
    details
}

/// The reason, message and values of a status; `None` if it did not come from a Trục process (a broken line, a proxy).
#[must_use]
pub fn refusal(status: &Status) -> Option<Refusal> {
    let details = status.get_error_details();
    let info = details.error_info()?;
    if info.domain != ERROR_DOMAIN {
        return None;
    }
    let reason = info.reason.parse().ok()?;
    let about = |name: &str| matches!(name, "blame" | "retry" | "advice");
    Some(with_values(Refusal::new(reason, status.message()), info.metadata.iter().filter(|(name, _)| !about(name))))
}

/// A refusal inside a stream.
#[must_use]
pub fn to_proto(refusal: &Refusal) -> pb::Refusal {
    pb::Refusal {
        reason: refusal.reason.error_info(),
        message: refusal.message.clone(),
        values: refusal.values.iter().map(|(name, value)| (name.clone().into_owned(), value.clone())).collect(),
    }
}

/// A refusal from inside a stream; one with a reason that this release does not know is `None`.
#[must_use]
pub fn from_proto(refusal: &pb::Refusal) -> Option<Refusal> {
    Some(with_values(Refusal::new(refusal.reason.parse().ok()?, refusal.message.clone()), refusal.values.iter()))
}

/// In the order of their names, because maps on the wire have none.
fn with_values<'a>(refusal: Refusal, values: impl Iterator<Item = (&'a String, &'a String)>) -> Refusal {
    let sorted: BTreeMap<_, _> = values.collect();
    sorted.into_iter().fold(refusal, |refusal, (name, value)| refusal.with(name.clone(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_the_wire() {
        for reason in Reason::ALL {
            let sent = Refusal::new(*reason, "something was wrong").with("allowed", "a").with("found", 7);
            let status = status(&sent);
            assert_eq!(status.code(), code(*reason));
            assert_eq!(refusal(&status).unwrap(), sent);
            assert_eq!(from_proto(&to_proto(&sent)).unwrap(), sent);
            let details = status.get_error_details();
            assert_eq!(details.retry_info().is_some(), reason.retry() == Retry::Later);
            assert_eq!(details.error_info().unwrap().metadata["blame"], reason.blame().word());
            let localized = details.localized_message().unwrap();
            assert_eq!(localized.locale, "vi");
            assert!(localized.message.contains(reason.meaning_vi()) && localized.message.contains(reason.advice_vi()));
        }
    }

    #[test]
    fn the_largest_refusal_fits_the_headers_of_every_library() {
        for reason in Reason::ALL {
            let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
            let largest = names.iter().fold(Refusal::new(*reason, "x".repeat(9_999)), |r, name| r.with(*name, "y".repeat(9_999)));
            let headers = status(&largest).into_http::<()>().into_parts().0.headers;
            let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
            assert!(bytes <= 8 * 1024, "{reason}: {bytes} bytes");
        }
    }

    #[test]
    fn a_wrong_field_stands_in_the_details_with_its_path() {
        let refused = status(&Refusal::new(Reason::RequestInvalid, "too long").with("field", "document.subject"));
        let violations = refused.get_error_details().bad_request().unwrap().field_violations.clone();
        assert_eq!((violations[0].field.as_str(), violations[0].description.as_str()), ("document.subject", "too long"));
    }

    #[test]
    fn a_status_of_others_is_no_refusal() {
        assert_eq!(refusal(&Status::unavailable("connection refused")), None);
    }
}
