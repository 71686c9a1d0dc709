//! Seals: each way to break one has its own error.

use curve_points::*;
use ed25519_dalek::{SigningKey, VerifyingKey};
use truc_signing::statement::*;
use truc_signing::*;
use truc_types::{Digest, Reason, Timestamp};

use crate::samples;

/// Encodings that a library may accept as keys though they are weak (RFC 8032 section 5.1.3; CCTV ed25519 vectors).
mod curve_points {
    /// The identity: order 1.
    pub(super) const IDENTITY: [u8; 32] = {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes
    };
    /// y = 0: order 4.
    pub(super) const ORDER_4: [u8; 32] = [0; 32];
    /// y = p + 1, the identity in a non-canonical encoding.
    pub(super) const NON_CANONICAL: [u8; 32] = {
        let mut bytes = [0xff; 32];
        bytes[0] = 0xee;
        bytes[31] = 0x7f;
        bytes
    };
}

const AT: &str = "2026-11-22T12:00:00.000Z";

fn trusted(key: &SealKey, role: SignerRole) -> TrustedKey {
    TrustedKey {
        keyid: key.keyid(),
        key: key.verifying_key().into(),
        owner: Owner::Agency("H53".parse().unwrap()),
        role,
        cert_sha256: key.cert_sha256(),
        not_before: samples::time("2026-01-01T00:00:00.000Z"),
        not_after: samples::time("2026-12-31T23:59:59.999Z"),
        revoked_at: None,
    }
}

fn ring() -> KeyRing {
    let mut ring = KeyRing::default();
    ring.add(trusted(&samples::key(1), SignerRole::Seal));
    ring.add(trusted(&samples::key(2), SignerRole::Approver));
    ring
}

fn check(file: &[u8], ring: &KeyRing, at: &str) -> Result<(), SealError> {
    open_sealed(file).unwrap().verify(samples::time(at), |keyid| ring.key(keyid))
}

fn two_signers() -> (Vec<u8>, Vec<u8>) {
    let payload = samples::full_reply().to_json();
    let file = seal(&payload, &[&samples::key(2), &samples::key(1)]);
    (payload, file)
}

#[test]
fn a_file_with_every_required_signature_verifies() {
    let (_, file) = two_signers();
    assert_eq!(check(&file, &ring(), AT), Ok(()));
    assert_eq!(open_sealed(&file).unwrap().digest, sha256(&file));
    assert_eq!(DsseFile::parse(&file).unwrap().to_bytes(), file);
}

#[test]
fn a_stripped_signature_is_named() {
    let (payload, _) = two_signers();
    let file = seal(&payload, &[&samples::key(1)]);
    let expected = SealError::Stripped { keyid: samples::key(2).keyid(), role: SignerRole::Approver };
    assert_eq!(check(&file, &ring(), AT), Err(expected));
    assert_eq!(check(&seal(&payload, &[]), &ring(), AT), Err(SealError::Missing));
}

#[test]
fn every_changed_byte_of_the_payload_breaks_the_seal() {
    let sealed = open_sealed(&two_signers().1).unwrap();
    let ring = ring();
    for at in (0..sealed.dsse.payload.len()).step_by(97) {
        let mut file = sealed.dsse.clone();
        file.payload[at] ^= 1;
        let result = verify_seals(&file, sealed.statement.required_signers(), samples::time(AT), |keyid| ring.key(keyid));
        assert_eq!(result, Err(SealError::Invalid { keyid: samples::key(2).keyid() }));
    }
}

#[test]
fn a_signature_that_nobody_asked_for_must_verify_and_be_known() {
    let payload = samples::envelope().to_json();
    let extra = seal(&payload, &[&samples::key(1), &samples::key(2)]);
    assert_eq!(check(&extra, &ring(), AT), Ok(()));
    let mut broken = DsseFile::parse(&extra).unwrap();
    broken.signatures[1].sig[3] ^= 1;
    assert_eq!(check(&broken.to_bytes(), &ring(), AT), Err(SealError::Invalid { keyid: samples::key(2).keyid() }));
    let foreign = seal(&payload, &[&samples::key(1), &samples::key(9)]);
    assert_eq!(check(&foreign, &ring(), AT), Err(SealError::Foreign { keyid: samples::key(9).keyid() }));
    let twice = seal(&payload, &[&samples::key(1), &samples::key(1)]);
    assert_eq!(check(&twice, &ring(), AT), Err(SealError::Repeated { keyid: samples::key(1).keyid() }));
}

#[test]
fn another_certificate_under_the_same_key_is_refused() {
    let file = seal(&samples::envelope().to_json(), &[&samples::key(1)]);
    let mut ring = ring();
    let expected = sha256(b"another certificate");
    ring.add(TrustedKey { cert_sha256: expected, ..trusted(&samples::key(1), SignerRole::Seal) });
    let (keyid, found) = (samples::key(1).keyid(), samples::key(1).cert_sha256());
    assert_eq!(check(&file, &ring, AT), Err(SealError::CertificateSwapped { keyid, expected, found }));
}

#[test]
fn a_key_does_not_sign_in_a_role_that_is_not_its_own() {
    let file = seal(&samples::envelope().to_json(), &[&samples::key(1)]);
    let mut ring = KeyRing::default();
    ring.add(trusted(&samples::key(1), SignerRole::Approver));
    assert_eq!(check(&file, &ring, AT), Err(SealError::Foreign { keyid: samples::key(1).keyid() }));
}

#[test]
fn validity_and_revocation_are_judged_at_the_given_instant() {
    let file = seal(&samples::envelope().to_json(), &[&samples::key(1)]);
    let keyid = samples::key(1).keyid();
    let reason = |ring: &KeyRing, at: &str| check(&file, ring, at).map_err(|error| error.reason());
    assert_eq!(reason(&ring(), "2025-12-31T23:59:59.999Z"), Err(Reason::SealExpiredReseal));
    assert_eq!(reason(&ring(), "2026-01-01T00:00:00.000Z"), Ok(()));
    assert_eq!(reason(&ring(), "2026-12-31T23:59:59.999Z"), Ok(()));
    assert_eq!(reason(&ring(), "2027-01-01T00:00:00.000Z"), Err(Reason::SealExpiredReseal));
    let mut revoked = ring();
    assert!(revoked.revoke(&keyid, samples::time(AT)));
    assert!(!revoked.revoke(&sha256(b"unknown"), samples::time(AT)));
    assert_eq!(reason(&revoked, "2026-11-22T11:59:59.999Z"), Ok(()));
    assert_eq!(reason(&revoked, AT), Err(Reason::SealRevoked));
    revoked.add(trusted(&samples::key(1), SignerRole::Seal));
    assert_eq!(reason(&revoked, AT), Err(Reason::SealRevoked), "a new certificate does not undo the revocation of its key");
}

/// With A of small order, R = identity and S = 0, the equation S·B = R + k·A holds for many messages: plain verification accepts it.
#[test]
fn weak_keys_are_refused_whatever_they_sign() {
    for point in [IDENTITY, ORDER_4, NON_CANONICAL] {
        let Ok(key) = VerifyingKey::from_bytes(&point) else { continue };
        assert!(is_weak_key(&key));
        let keyid = spki_digest(&key);
        let signer = RequiredSigner { role: SignerRole::Seal, keyid, cert_sha256: Digest([0; 32]) };
        let payload = Envelope { required_signers: vec![signer], ..samples::envelope() }.to_json();
        let mut sig = [0; 64];
        sig[0] = 1;
        let file = DsseFile { payload, signatures: vec![Signature { keyid, sig }] };
        let mut ring = KeyRing::default();
        ring.add(TrustedKey { keyid, key: key.into(), cert_sha256: Digest([0; 32]), ..trusted(&samples::key(1), SignerRole::Seal) });
        assert_eq!(check(&file.to_bytes(), &ring, AT), Err(SealError::WeakKey { keyid }));
    }
    assert!(!is_weak_key(&SigningKey::from_bytes(&[1; 32]).verifying_key()));
}

#[test]
fn a_small_order_r_and_a_large_s_are_refused() {
    const GROUP_ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0x10,
    ];
    let good = DsseFile::parse(&seal(&samples::envelope().to_json(), &[&samples::key(1)])).unwrap();
    let invalid = Err(SealError::Invalid { keyid: samples::key(1).keyid() });
    for r in [IDENTITY, ORDER_4, NON_CANONICAL] {
        let mut file = good.clone();
        file.signatures[0].sig[..32].copy_from_slice(&r);
        assert_eq!(check(&file.to_bytes(), &ring(), AT), invalid);
    }
    // S + L is the same scalar in another spelling: a relay could make a second signature from the first.
    let mut file = good;
    let mut carry = 0u16;
    for (byte, order) in file.signatures[0].sig[32..].iter_mut().zip(GROUP_ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert_eq!(check(&file.to_bytes(), &ring(), AT), invalid);
}

#[test]
fn a_changed_payload_type_is_refused() {
    let file = String::from_utf8(two_signers().1).unwrap().replace("in-toto+json", "in-toto+cbor");
    assert_eq!(open_sealed(file.as_bytes()), Err(StatementError::PayloadType { found: "application/vnd.in-toto+cbor".into() }));
}

#[test]
fn the_key_never_shows_in_debug_output() {
    assert!(!format!("{:?}", samples::key(1)).contains("1, 1, 1"));
    assert!(format!("{:?}", samples::key(1)).contains(&samples::key(1).keyid().to_hex()));
    assert_eq!(Timestamp::default().as_millis(), 0);
}
