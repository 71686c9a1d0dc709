//! The largest legal envelope and receipt, made from the named limits, fit a DSSE file with four signatures.

use truc_signing::statement::*;
use truc_signing::{open_sealed, seal, sha256};
use truc_types::limits::*;
use truc_types::*;

use crate::samples;

/// The longest text: three-byte letters, with the two-byte escapes of JSON counted by the limit itself.
fn text(limit: usize) -> Option<String> {
    Some("\"".repeat(limit / 2) + &"x".repeat(limit % 2))
}

fn code<T: std::str::FromStr<Err = CodeError>>(n: usize) -> T {
    format!("{n:0>35}").parse().unwrap()
}

fn texts(items: usize, together: usize) -> Vec<String> {
    (0..items).map(|_| text(together / items).unwrap()).collect()
}

fn four_signers() -> Vec<RequiredSigner> {
    (1..=SIGNATURES_MAX).map(|seed| samples::key(u8::try_from(seed).unwrap()).required_signer(SignerRole::Approver)).collect()
}

fn check_fits(payload: &[u8]) {
    let keys: Vec<_> = (1..=SIGNATURES_MAX).map(|seed| samples::key(u8::try_from(seed).unwrap())).collect();
    let file = seal(payload, &keys.iter().collect::<Vec<_>>());
    println!("payload {} file {}", payload.len(), file.len());
    assert!(payload.len() <= PAYLOAD_BYTES_MAX, "payload {} > {PAYLOAD_BYTES_MAX}", payload.len());
    assert!(file.len() <= STATEMENT_FILE_BYTES_MAX, "file {} > {STATEMENT_FILE_BYTES_MAX}", file.len());
    let sealed = open_sealed(&file).unwrap();
    assert_eq!(sealed.statement.to_json(), payload);
}

fn full_contact() -> Contact {
    Contact {
        department: text(DOC_NAME_BYTES_MAX),
        department_id: text(CONTACT_CODE_BYTES_MAX),
        staff: text(DOC_NAME_BYTES_MAX),
        staff_id: text(CONTACT_CODE_BYTES_MAX),
        email: text(CONTACT_CODE_BYTES_MAX),
        phone: text(CONTACT_CODE_BYTES_MAX),
    }
}

fn full_log() -> ObservedLog {
    ObservedLog { origin: text(ORIGIN_BYTES_MAX).unwrap(), size: (1 << 53) - 1, root: sha256(b"root") }
}

fn full_doc() -> Doc {
    Doc {
        document_id: text(DOCUMENT_ID_BYTES_MAX),
        number: text(DOC_NUMBER_BYTES_MAX),
        notation: text(DOC_NOTATION_BYTES_MAX),
        subject: text(DOC_SUBJECT_BYTES_MAX),
        doc_type: DocType { code: Some(u32::MAX), detail: Some(u32::MAX), name: text(DOC_NAME_BYTES_MAX) },
        content: text(DOC_TEXT_BYTES_MAX),
        place: text(DOC_NAME_BYTES_MAX),
        issued_on: Some("2026-11-22".parse().unwrap()),
        signer: Some(Signer {
            competence: text(DOC_CODE_BYTES_MAX),
            position: text(DOC_NAME_BYTES_MAX),
            full_name: text(DOC_NAME_BYTES_MAX),
        }),
        due_on: Some("2026-11-22".parse().unwrap()),
        urgency: Urgency::FlashAtHour,
        urgent_at: Some(Timestamp::MAX),
        secrecy: Secrecy::None,
        sphere: text(DOC_NAME_BYTES_MAX),
        drafter: text(DOC_CODE_BYTES_MAX),
        copies: Some(u32::MAX),
        pages: Some(u32::MAX),
        appendices: texts(LIST_ITEMS_MAX, APPENDICES_BYTES_MAX),
        paper: false,
        language: text(DOC_CODE_BYTES_MAX),
        to_places: texts(LIST_ITEMS_MAX, PLACES_BYTES_MAX),
        steering_type: Some(u32::MAX),
        task_code: text(DOC_CODE_BYTES_MAX),
        task_application: text(DOC_CODE_BYTES_MAX),
    }
}

/// A replacement: the business with the longest lists. One recipient is addressed, 199 codes are spread over the replaced documents.
fn largest_envelope() -> Envelope {
    let document = DocumentReference {
        message_id: Some(samples::message(1)),
        organisation: Some(code(1)),
        document_id: text(DOCUMENT_ID_BYTES_MAX),
        code: text(REFERENCE_CODE_BYTES_MAX),
        issued_on: Some("2026-11-22".parse().unwrap()),
    };
    let codes: Vec<OrganisationCode> = (1..ENVELOPE_CODES_MAX).map(code).collect();
    let replaces = codes
        .chunks(codes.len().div_ceil(REFERENCES_MAX))
        .map(|codes| Replacement { document: document.clone(), recipients: codes.to_vec() })
        .collect::<Vec<_>>();
    assert_eq!(replaces.len(), REFERENCES_MAX);
    let attachment = Attachment {
        name: text(ATTACHMENT_NAME_BYTES_MAX).unwrap(),
        media_type: format!("a/{}", "x".repeat(MEDIA_TYPE_BYTES_MAX - 2)),
        size: ATTACHMENT_BYTES_MAX,
        sha256: sha256(b"file"),
        encoding: Encoding::Opaque(format!("1.{}", "2".repeat(OID_BYTES_MAX - 2))),
        commit: Some(sha256(b"plain")),
    };
    Envelope {
        sender: Sender { organisation: code(1), agency: code(1) },
        recipients: vec![code(0)],
        business: Business::Replace,
        business_reason: text(DOC_TEXT_BYTES_MAX),
        thread: Some(samples::message(1)),
        replaces,
        doc: full_doc(),
        attachments: vec![attachment; ATTACHMENTS_MAX],
        edxml: Some(EdxmlSource { sha256: sha256(b"edxml"), size: EDXML_BYTES_MAX }),
        contact: Some(full_contact()),
        expires_at: Some(Timestamp::MAX),
        edge_term: EdgeTerm((1 << 53) - 1),
        sender_seq: SenderSeq((1 << 53) - 1),
        observed_log: Some(full_log()),
        required_signers: four_signers(),
        ..samples::envelope()
    }
}

#[test]
fn the_largest_legal_envelope_fits_a_dsse_file() {
    check_fits(&largest_envelope().to_json());
}

#[test]
fn one_code_more_than_the_largest_envelope_is_refused_with_path_and_limit() {
    let mut envelope = largest_envelope();
    envelope.recipients.push(code(ENVELOPE_CODES_MAX));
    let error = Envelope::parse(&envelope.to_json()).unwrap_err();
    let path = "predicate.recipients".to_owned();
    assert_eq!(error, StatementError::ListTooLong { path, found: ENVELOPE_CODES_MAX + 1, limit: ENVELOPE_CODES_MAX });
}

#[test]
fn the_largest_legal_receipt_fits_a_dsse_file() {
    let each = RECEIPT_REASONS_BYTES_MAX / RECEIPT_ITEMS_MAX;
    let item = |n: usize| ReceiptItem {
        message_id: samples::message(u8::try_from(n).unwrap()),
        envelope: sha256(b"envelope"),
        recipient: code(n),
        event_time: Timestamp::MAX,
        queue_position: Some(QueuePosition((1 << 53) - 1)),
        arrival_number: text(ARRIVAL_NUMBER_BYTES_MAX),
        reason: Some(ReceiptReason { code: "x".repeat(REASON_CODE_BYTES_MAX), text: text(each - REASON_CODE_BYTES_MAX).unwrap() }),
        status_code: StatusCode::new(16),
    };
    let receipt = Receipt {
        issuer: code(1),
        original_sender: code(2),
        items: (0..RECEIPT_ITEMS_MAX).map(item).collect(),
        contact: Some(full_contact()),
        edge_term: EdgeTerm((1 << 53) - 1),
        observed_log: Some(full_log()),
        queue_contiguous: Some(QueuePosition((1 << 53) - 1)),
        required_signers: four_signers(),
        ..samples::receipt(ReceiptEvent::Status)
    };
    check_fits(&receipt.to_json());
}

#[test]
fn the_largest_list_of_organisations_fits_a_dsse_file() {
    let organisation = |n: usize| Organisation {
        code: code(n),
        old_code: Some(code(n)),
        name: text(ORGANISATION_NAME_BYTES_MAX),
        served_by: code(n),
        parent: Some(code(n)),
        valid_from: Some("2026-11-22".parse().unwrap()),
        valid_until: Some("2026-11-22".parse().unwrap()),
        successors: (0..SUCCESSORS_MAX).map(code).collect(),
    };
    let event = RegistryEvent::OrganisationsAdded((0..ORGANISATIONS_PER_STATEMENT_MAX).map(organisation).collect());
    check_fits(&Registry { required_signers: four_signers(), ..samples::registry(3, event) }.to_json());
}

#[test]
fn the_longest_fact_and_sender_head_fit_the_payload_limit() {
    let entry = |n| QueueEntry { recipient: code(n), agency: code(n), position: QueuePosition((1 << 53) - 1) };
    let accepted = Accepted {
        message_id: samples::message(1),
        envelope: sha256(b"envelope"),
        leaf: LeafIndex((1 << 53) - 1),
        block_time: Timestamp::MAX,
        registry_version: (1 << 53) - 1,
        queue: (0..ENVELOPE_CODES_MAX).map(entry).collect(),
    };
    Fact::parse(&Fact::Accepted(accepted).to_json()).unwrap();
    let last = (1 << 53) - 1;
    let withdrawn = (0..WITHDRAWN_MAX as u64).map(|n| SenderSeq(last - n)).collect();
    let event = SenderHeadEvent::Head { first_seq: SenderSeq(1), last_seq: SenderSeq(last), root: sha256(b"root"), withdrawn };
    check_fits(&SenderHead { required_signers: four_signers(), ..samples::sender_head(event) }.to_json());
}
