//! What admission refuses, each with its reason. None of it reaches the log.

use std::sync::Arc;

use truc_signing::statement::*;
use truc_signing::{DsseFile, SealKey, Signature, seal};
use truc_types::limits::CLOCK_SKEW_MILLIS_MAX;
use truc_types::{EdgeTerm, Reason, SenderSeq, Timestamp};

use crate::fixture::{self, AGE_DAYS, ATTACHMENT_BYTES, ATTACHMENTS, Key, RECEIPT_ITEMS, RECIPIENTS};
use crate::world::{Answer, World, attachment};

const DAY_MILLIS: u64 = 86_400_000;

/// Agency 0 is connected and submits the file.
fn check(expected: Reason, file: impl FnOnce(&mut World) -> Arc<[u8]>) {
    let mut world = World::open();
    let file = file(&mut world);
    let before = world.log.len();
    let answer = world.submit(0, file);
    assert!(matches!(answer, Answer::NotAdmitted(_)), "{expected}: {answer:?}");
    assert_eq!(answer.reason(), expected, "{answer:?}");
    assert_eq!(world.log.len(), before, "{expected}: something was logged");
}

/// An envelope of agency 0 with one thing changed.
fn check_envelope(expected: Reason, change: impl FnOnce(&mut Envelope)) {
    check(expected, |world| {
        let mut envelope = world.envelope(0, &["H1"]);
        change(&mut envelope);
        world.seal(0, &envelope.to_json())
    });
}

/// An envelope of agency 0 that names and bears the signature of these keys.
fn sealed_with(world: &mut World, keys: &[(&SealKey, SignerRole)]) -> Arc<[u8]> {
    let mut envelope = world.envelope(0, &["H1"]);
    envelope.required_signers = keys.iter().map(|(key, role)| key.required_signer(*role)).collect();
    let keys: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
    seal(&envelope.to_json(), &keys).into()
}

fn check_key(expected: Reason, agency: usize, kind: Key, role: SignerRole) {
    check(expected, |world| sealed_with(world, &[(&fixture::key(agency, kind), role)]));
}

fn with_signatures(world: &mut World, change: impl FnOnce(&mut Vec<Signature>)) -> Arc<[u8]> {
    let envelope = world.envelope(0, &["H1"]);
    let mut file = DsseFile::parse(&world.seal(0, &envelope.to_json())).unwrap();
    change(&mut file.signatures);
    file.to_bytes().into()
}

#[test]
fn bytes_that_are_no_statement_of_an_agency_are_refused() {
    check(Reason::StatementMalformed, |_| Arc::from(*b"not JSON"));
    check(Reason::StatementTooLarge, |_| vec![b' '; 60_001].into());
    check(Reason::StatementUnsupported, |_| fixture::registry_file(2, fixture::joined(9, &[])));
    check(Reason::StatementUnsupported, |world| {
        let sent = world.sent(0, &["H1"]);
        let fact = world.fact(world.state.message(&sent).unwrap().position.next());
        world.seal(0, &fact.to_json())
    });
}

#[test]
fn an_agency_submits_only_what_it_issued_itself() {
    check(Reason::IdentityMismatch, |world| {
        let envelope = world.envelope(1, &["H0"]);
        world.seal(1, &envelope.to_json())
    });
    check(Reason::IdentityMismatch, |world| {
        let message = world.sent(0, &["H1"]);
        let receipt = world.receipt(1, ReceiptEvent::Fetched, &[(message, "H1")]);
        world.seal(1, &receipt.to_json())
    });
    check(Reason::IdentityMismatch, |world| {
        let opening = world.term_opening(1, EdgeTerm(2));
        world.seal(1, &opening.to_json())
    });
}

#[test]
fn an_agency_that_never_joined_is_unknown() {
    let world = World::open();
    let stranger = "H77".parse().unwrap();
    let mut other = World::open();
    let mut envelope = other.envelope(0, &["H1"]);
    envelope.sender.agency = "H77".parse().unwrap();
    let refusal = truc_core::admit(world.now, world.state.registry(), &stranger, other.seal(0, &envelope.to_json())).unwrap_err();
    assert_eq!(refusal.reason, Reason::SenderUnknown);
}

#[test]
fn every_defect_of_the_seal_has_its_reason() {
    check(Reason::SealMissing, |world| with_signatures(world, Vec::clear));
    check(Reason::SealInvalid, |world| with_signatures(world, |signatures| signatures[0].sig[3] ^= 1));
    check(Reason::SealInvalid, |world| with_signatures(world, |signatures| signatures.push(signatures[0])));
    check_key(Reason::SealForeign, 0, Key::Foreign, SignerRole::Seal);
    check_key(Reason::SealForeign, 1, Key::Seal, SignerRole::Seal);
    check_key(Reason::SealForeign, 0, Key::Seal, SignerRole::Approver);
    check_key(Reason::SealExpiredReseal, 0, Key::Ended, SignerRole::Seal);
    check_key(Reason::SealRevoked, 0, Key::Revoked, SignerRole::Seal);
    check(Reason::SealStripped, |world| {
        let (seal_key, approver) = (fixture::key(0, Key::Seal), fixture::key(0, Key::Approver));
        let file = sealed_with(world, &[(&seal_key, SignerRole::Seal), (&approver, SignerRole::Approver)]);
        let mut file = DsseFile::parse(&file).unwrap();
        file.signatures.pop();
        file.to_bytes().into()
    });
    check(Reason::SealCertificateSwapped, |world| {
        let mut envelope = world.envelope(0, &["H1"]);
        envelope.required_signers[0].cert_sha256.0[0] ^= 1;
        world.seal(0, &envelope.to_json())
    });
}

#[test]
fn an_approver_alone_seals_nothing() {
    check_key(Reason::SealMissing, 0, Key::Approver, SignerRole::Approver);
    let mut world = World::open();
    let (seal_key, approver) = (fixture::key(0, Key::Seal), fixture::key(0, Key::Approver));
    let file = sealed_with(&mut world, &[(&seal_key, SignerRole::Seal), (&approver, SignerRole::Approver)]);
    assert!(world.submit(0, file).is_accepted());
}

#[test]
fn statements_of_another_time_are_refused() {
    let now = fixture::start();
    let future = now.plus_millis(CLOCK_SKEW_MILLIS_MAX + 1);
    check_envelope(Reason::MessageFromFuture, |envelope| envelope.created_at = future);
    let past = Timestamp::from_millis(now.as_millis() - AGE_DAYS * DAY_MILLIS);
    check_envelope(Reason::MessageTooOld, |envelope| envelope.created_at = past);
    check(Reason::MessageFromFuture, |world| {
        let mut opening = world.term_opening(0, EdgeTerm(2));
        opening.created_at = future;
        world.seal(0, &opening.to_json())
    });
    let receipt_of = |change: fn(&mut Receipt, Timestamp)| {
        move |world: &mut World| {
            let message = world.sent(1, &["H0"]);
            let mut receipt = world.receipt(0, ReceiptEvent::Fetched, &[(message, "H0")]);
            change(&mut receipt, future);
            world.seal(0, &receipt.to_json())
        }
    };
    check(Reason::MessageFromFuture, receipt_of(|receipt, future| receipt.created_at = future));
    check(Reason::MessageFromFuture, receipt_of(|receipt, future| receipt.items[0].event_time = future));
}

#[test]
fn the_edges_of_the_allowed_time_are_inside() {
    let now = fixture::start();
    let oldest = Timestamp::from_millis(now.as_millis() - AGE_DAYS * DAY_MILLIS + 1);
    for created_at in [now.plus_millis(CLOCK_SKEW_MILLIS_MAX), oldest] {
        let mut world = World::open();
        let envelope = Envelope { created_at, ..world.envelope(0, &["H1"]) };
        assert!(world.send(0, &envelope).is_accepted(), "{created_at}");
    }
}

#[test]
fn the_limits_that_genesis_publishes_hold() {
    check_envelope(Reason::AttachmentTooLarge, |envelope| envelope.attachments[0].size = ATTACHMENT_BYTES + 1);
    let too_many = usize::try_from(ATTACHMENTS).unwrap() + 1;
    check_envelope(Reason::AttachmentTooMany, |envelope| envelope.attachments = vec![attachment(); too_many]);
    check_envelope(Reason::StatementTooLong, |envelope| {
        envelope.recipients = (0..=RECIPIENTS).map(|n| fixture::code(&format!("H1.{n}"))).collect()
    });
    check(Reason::StatementTooLong, |world| {
        let messages: Vec<_> = (0..=RECEIPT_ITEMS).map(|_| world.sent(1, &["H0"])).collect();
        let items: Vec<_> = messages.iter().map(|message| (*message, "H0")).collect();
        let receipt = world.receipt(0, ReceiptEvent::Fetched, &items);
        world.seal(0, &receipt.to_json())
    });
}

#[test]
fn what_the_format_forbids_is_refused_with_the_reason_of_the_format() {
    check_envelope(Reason::RecipientTwice, |envelope| envelope.recipients.push(fixture::code("H1")));
    check_envelope(Reason::StatementOutOfRange, |envelope| envelope.sender_seq = SenderSeq(0));
    check(Reason::DocumentSecret, |world| {
        let envelope = world.envelope(0, &["H1"]);
        let payload = String::from_utf8(envelope.to_json()).unwrap();
        let secret = payload.replacen(r#""secrecy":"none""#, r#""secrecy":"mat""#, 1);
        assert_ne!(payload, secret);
        world.seal(0, secret.as_bytes())
    });
}
