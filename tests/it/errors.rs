//! `docs/errors.md` says what the code says: the page is made from the table of reasons, and this test compares them.
//! `UPDATE_EXPECT=1 cargo test -p truc-tests --test it errors` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use expect_test::expect_file;
use truc_transport::status;
use truc_types::Reason;

const HEAD: &str = "# Reasons: what is refused or fails, whose fault it is, what to do

Made from the code (`crates/types/src/reason.rs`, `crates/transport/src/status.rs`) and compared with it by `tests/it/errors.rs`.
A reason never changes its meaning; messages may change. It is written `group.name` in logs, in the facts of the log and by `truc`,
and `GROUP_NAME` on the wire.

On the wire a refusal is a gRPC status with three details (AIP-193):

- `google.rpc.ErrorInfo`: `reason`, `domain` (`truc.example`), and in `metadata` the wrong values by name, `blame` (`caller`, `peer`,
  `operator`, `us`), `retry` (`no`, `later`, `after_change`) and `advice`;
- `google.rpc.LocalizedMessage` in `vi`: what it means and what to do, for officials;
- `google.rpc.RetryInfo`, only where the same call may succeed later: the first pause; double it at each further try.

Inside a submit stream, where one bad statement must not end the others, it is the message `truc.broker.v1.Refusal` with reason, message and
values. A status without these details does not come from Trục: a broken line, a proxy, or HTTP/2 itself.

Programs branch on the reason, then on `retry`. `truc` prints all of it, in the language of `--lang` or of the locale, and its exit code follows:
4 where `retry` is `later`, else 5 where the operator has to act, else 1.

`Who`: **caller** sent something wrong; **peer**: the other party or its keys; **operator** of this process: disk, keys, settings;
**us**: this software. `Arrives`: **axis**: at an edge that calls the broker; **dms**: at a DMS that calls its edge, directly or as the
status of a document that the axis refused; **end**: last words of a daemon that does not start or stops; **readiness**: in `/readyz` of a daemon; **offline**: `truc verify` and other
commands without a network; **operator**: at the call of the axis' operator that is named.
";

/// Where a reason can arrive.
const fn arrives(reason: Reason) -> &'static str {
    use Reason as R;
    match reason {
        R::StatementTooLarge
        | R::StatementNotUtf8
        | R::StatementMalformed
        | R::StatementDuplicateKey
        | R::StatementWrongType
        | R::StatementUnsupported
        | R::SealMissing
        | R::SealInvalid
        | R::SealStripped
        | R::SealForeign
        | R::SealWeakKey
        | R::SealCertificateSwapped
        | R::SealExpiredReseal
        | R::SealRevoked => "axis, dms (status), offline",
        R::IdentityMissing
        | R::IdentityExpired
        | R::IdentityMismatch
        | R::MessageIdConflict
        | R::MessageTooOld
        | R::MessageFromFuture
        | R::SequenceReused
        | R::SequenceOutsideWindow
        | R::TermNotOpen
        | R::TermConnected
        | R::ReceiptNotRecipient
        | R::ReceiptDigestMismatch
        | R::ReceiptMixedSenders
        | R::OperatorOnly
        | R::FlowStalled
        | R::BlobInUse => "axis",
        R::StatementUnknownField | R::StatementMissingField => "axis, dms, offline",
        R::ReceiptOutOfOrder | R::ReceiptRepeated | R::BlobUnknown | R::BlobOffset => "axis, dms",
        R::IdentityTokenMissing
        | R::IdentityTokenUnknown
        | R::ReferenceConflict
        | R::HandInPosition
        | R::HandInSuperseded
        | R::CursorUnknown
        | R::AttachmentTruncated
        | R::AttachmentEmpty
        | R::EdxmlInvalid
        | R::EdxmlUnsupportedType
        | R::BrokerAway => "dms",
        R::EdxmlDiffers | R::EdxmlUnreadable | R::WatchFolder => "dms (status, log)",
        R::StatementTooLong
        | R::StatementOutOfRange
        | R::SenderUnknown
        | R::RecipientUnknown
        | R::RecipientTwice
        | R::RecipientCannotRead
        | R::DocumentSecret
        | R::BusinessUnsupported
        | R::MessageUnknown
        | R::AttachmentMissing
        | R::AttachmentSizeMismatch
        | R::AttachmentDigestMismatch
        | R::AttachmentTooLarge
        | R::AttachmentTooMany
        | R::UploadTooMany
        | R::BlobStorage
        | R::RequestInvalid
        | R::FlowFlooding
        | R::BusyViews
        | R::BusyQueues
        | R::ShuttingDown
        | R::ClockSteppedBack => "axis, dms",
        _ => arrives_from_below(reason),
    }
}

/// The same for what does not come from a call, but from the process, its disk or the log.
const fn arrives_from_below(reason: Reason) -> &'static str {
    use Reason as R;
    match reason {
        R::OutcomeUnknown | R::Descriptors | R::DiskFull | R::FileUnusable | R::JournalCorrupt | R::JournalStorage => "axis, dms, end",
        R::DocumentKindReserved => "axis, dms",
        R::ClockJumped | R::CertificateEnded | R::SequencerStopped | R::LoopbackFailed => "readiness",
        R::TermSuperseded => "axis, end",
        R::JournalTruncated | R::JournalFormat | R::JournalLocked | R::ViewAhead | R::ConfigInvalid | R::KeyUnreadable => "end, offline",
        R::BackupDamaged | R::BackupForeign => "offline",
        R::RegistryVersion | R::RegistryContradiction => "operator (`truc admin registry append`)",
        R::LogFork | R::LogProofInvalid => "axis, end, offline",
        _ => panic!("say where this reason arrives"),
    }
}

fn page() -> String {
    let mut groups: BTreeMap<&str, Vec<Reason>> = BTreeMap::new();
    for reason in Reason::ALL {
        groups.entry(reason.code().split_once('.').unwrap().0).or_default().push(*reason);
    }
    let mut page = HEAD.to_owned();
    for (group, reasons) in groups {
        write!(page, "\n## {group}\n").unwrap();
        for reason in reasons {
            let (code, grpc) = (reason.code(), format!("{:?}", status::code(reason)));
            let (who, retry) = (reason.blame().word(), reason.retry().word());
            write!(page, "\n### `{code}`\n\n`{}` · gRPC `{grpc}` · who: {who} · retry: {retry} · ", reason.error_info()).unwrap();
            write!(page, "arrives: {}\n\n", arrives(reason)).unwrap();
            writeln!(page, "- {}. **{}.**", sentence(reason.meaning()), sentence(reason.advice())).unwrap();
            writeln!(page, "- {}. **{}.**", sentence(reason.meaning_vi()), sentence(reason.advice_vi())).unwrap();
        }
    }
    page
}

/// With a capital letter.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[test]
fn the_catalogue_of_reasons_is_what_the_code_says() {
    expect_file!["../../docs/errors.md"].assert_eq(&page());
}
