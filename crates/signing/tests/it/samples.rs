//! Fixed statements: the vectors are made from them, other tests change one thing in them.

use ed25519_dalek::SigningKey;
use truc_signing::statement::*;
use truc_signing::{SealKey, sha256};
use truc_types::*;

pub(crate) const CREATED: &str = "2026-11-22T03:04:05.006Z";

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The fixed key of the vectors: the seed is 32 times this byte. The certificate is only a digest here.
pub(crate) fn key(seed: u8) -> SealKey {
    SealKey::from_parts(SigningKey::from_bytes(&[seed; 32]), sha256(&[b'c', seed]))
}

pub(crate) fn signers() -> Vec<RequiredSigner> {
    vec![key(1).required_signer(SignerRole::Seal)]
}

pub(crate) fn message(n: u8) -> MessageId {
    MessageId::mint(time("2026-11-22T03:04:05.000Z"), [n; 10])
}

pub(crate) fn observed() -> ObservedLog {
    ObservedLog { origin: "truc.example/axis/2026".into(), size: 1_234, root: sha256(b"root") }
}

pub(crate) fn attachment(name: &str) -> Attachment {
    Attachment {
        name: name.into(),
        media_type: "application/pdf".into(),
        size: 617_000,
        sha256: sha256(name.as_bytes()),
        encoding: Encoding::Identity,
        commit: None,
    }
}

pub(crate) fn envelope() -> Envelope {
    Envelope {
        message_id: message(1),
        sender: Sender { organisation: "H53.13".parse().unwrap(), agency: "H53".parse().unwrap() },
        recipients: vec!["G22".parse().unwrap(), "000.00.13.H37".parse().unwrap()],
        business: Business::New,
        business_reason: None,
        in_reply_to: Vec::new(),
        thread: None,
        recalls: None,
        updates: None,
        replaces: Vec::new(),
        doc: Doc::new("4127", "BTC-NSNN", "Về việc \"liên thông\" văn bản"),
        attachments: vec![attachment("4127-BTC-NSNN.pdf")],
        edxml: None,
        contact: None,
        created_at: time(CREATED),
        expires_at: None,
        edge_term: EdgeTerm(1),
        sender_seq: SenderSeq(7),
        nonce: [9; 16],
        observed_log: Some(observed()),
        required_signers: signers(),
    }
}

pub(crate) fn reference() -> DocumentReference {
    DocumentReference {
        message_id: Some(message(2)),
        organisation: Some("G22".parse().unwrap()),
        document_id: Some("000.00.00.G22,2015/09/30,7816/VPCP-TTĐT".into()),
        code: Some("7816/VPCP-TTĐT".into()),
        issued_on: Some("2015-09-30".parse().unwrap()),
    }
}

pub(crate) fn contact() -> Contact {
    Contact {
        department: Some("Văn phòng".into()),
        department_id: Some("VP".into()),
        staff: Some("Nguyễn Văn A".into()),
        staff_id: Some("12".into()),
        email: Some("a@example.vn".into()),
        phone: Some("+84 24 1234".into()),
    }
}

/// Every optional field that a reply may have.
pub(crate) fn full_reply() -> Envelope {
    let doc = Doc {
        document_id: Some("H53.13-2026-4127".into()),
        doc_type: DocType { code: Some(18), detail: Some(0), name: Some("Công văn".into()) },
        content: Some("Nội dung\n\tdòng hai".into()),
        place: Some("Tây Ninh".into()),
        issued_on: Some("2026-11-20".parse().unwrap()),
        signer: Some(Signer {
            competence: Some("KT.".into()),
            position: Some("Phó Chủ tịch".into()),
            full_name: Some("Trần Thị B".into()),
        }),
        due_on: Some("2026-12-01".parse().unwrap()),
        urgency: Urgency::FlashAtHour,
        urgent_at: Some(time("2026-11-22T09:00:00.000Z")),
        sphere: Some("Lưu hành nội bộ".into()),
        drafter: Some("NVA".into()),
        copies: Some(12),
        pages: Some(3),
        appendices: vec!["Phụ lục I".into(), "Phụ lục II".into()],
        paper: true,
        language: Some("vi".into()),
        to_places: vec!["Như trên".into(), "Lưu: VT".into()],
        steering_type: Some(1),
        task_code: Some("NV-1".into()),
        task_application: Some("TDNV".into()),
        ..Doc::new("4127", "BTC-NSNN", "Trả lời")
    };
    let sealed = Attachment { encoding: Encoding::AgeV1, commit: Some(sha256(b"plain")), ..attachment("mat.pdf") };
    let opaque = Attachment { encoding: Encoding::Opaque("1.2.704.1".into()), ..sealed.clone() };
    Envelope {
        business: Business::Reply,
        business_reason: Some("Theo đề nghị".into()),
        in_reply_to: vec![reference()],
        thread: Some(message(3)),
        doc,
        attachments: vec![attachment("a.pdf"), sealed, opaque],
        edxml: Some(EdxmlSource { sha256: sha256(b"edxml"), size: 99_999 }),
        contact: Some(contact()),
        expires_at: Some(time("2026-12-22T03:04:05.006Z")),
        required_signers: vec![key(2).required_signer(SignerRole::Approver), key(1).required_signer(SignerRole::Seal)],
        ..envelope()
    }
}

pub(crate) fn recall() -> Envelope {
    let recalls = Some(Recalled { message_id: message(2), envelope: sha256(b"earlier") });
    Envelope {
        business: Business::Recall, business_reason: Some("Sai thể thức".into()), recalls, attachments: Vec::new(), ..envelope()
    }
}

pub(crate) fn update() -> Envelope {
    let updates = Some(Update {
        message_id: message(2),
        envelope: sha256(b"earlier"),
        added: vec!["G01".parse().unwrap()],
        removed: vec!["G02".parse().unwrap()],
    });
    Envelope { business: Business::Update, updates, attachments: Vec::new(), ..envelope() }
}

pub(crate) fn replacement() -> Envelope {
    let replaces = vec![Replacement { document: reference(), recipients: vec!["G22".parse().unwrap()] }];
    Envelope { business: Business::Replace, replaces, ..envelope() }
}

/// An encrypted document without its title.
pub(crate) fn encrypted() -> Envelope {
    let file = Attachment { encoding: Encoding::AgeV1, commit: Some(sha256(b"plain")), ..attachment("noi-dung.age") };
    let doc = Doc { number: None, notation: None, subject: None, ..envelope().doc };
    Envelope { doc, attachments: vec![file], ..envelope() }
}

pub(crate) fn receipt(event: ReceiptEvent) -> Receipt {
    let reason = event.needs_reason().then(|| ReceiptReason { code: "sai_tham_quyen".into(), text: "Không đúng thẩm quyền".into() });
    let registered = event == ReceiptEvent::Acknowledged;
    let item = ReceiptItem {
        message_id: message(1),
        envelope: sha256(b"earlier"),
        recipient: "G22".parse().unwrap(),
        event_time: time(CREATED),
        queue_position: Some(QueuePosition(41)),
        arrival_number: registered.then(|| "1024".into()),
        reason,
        status_code: (event == ReceiptEvent::Status).then(|| StatusCode::new(4).unwrap()),
    };
    let second = ReceiptItem { message_id: message(2), queue_position: None, ..item.clone() };
    Receipt {
        receipt_id: message(8),
        event,
        issuer: "G22".parse().unwrap(),
        original_sender: "H53".parse().unwrap(),
        items: vec![item, second],
        copy_destroyed: event == ReceiptEvent::RecallAgreed,
        contact: Some(contact()),
        created_at: time(CREATED),
        edge_term: EdgeTerm(2),
        nonce: [8; 16],
        observed_log: Some(observed()),
        queue_contiguous: Some(QueuePosition(41)),
        required_signers: signers(),
    }
}

pub(crate) fn facts() -> Vec<(&'static str, Fact)> {
    let queue = QueueEntry { recipient: "G22".parse().unwrap(), agency: "G22".parse().unwrap(), position: QueuePosition(41) };
    let about = RecipientFact {
        message_id: message(1),
        envelope: sha256(b"earlier"),
        recipient: "G22".parse().unwrap(),
        block_time: time(CREATED),
        reason: Some("expires_at".into()),
    };
    let accepted = Accepted {
        message_id: message(1),
        envelope: sha256(b"earlier"),
        leaf: LeafIndex(1_234),
        block_time: time(CREATED),
        registry_version: 95,
        queue: vec![queue.clone()],
    };
    let rejected = Rejected {
        digest: sha256(b"refused"),
        agency: "H53".parse().unwrap(),
        message_id: None,
        reason: Reason::SequenceReused,
        block_time: time(CREATED),
    };
    vec![
        ("fact-accepted", Fact::Accepted(accepted)),
        ("fact-rejected", Fact::Rejected(rejected)),
        ("fact-expired", Fact::Expired(about.clone())),
        ("fact-parked", Fact::Parked(RecipientFact { reason: None, ..about.clone() })),
        ("fact-forwarded", Fact::Forwarded(Forwarded { from: about, to: queue, registry_version: 96 })),
    ]
}

pub(crate) fn registry(version: u64, event: RegistryEvent) -> Registry {
    Registry { version, at: time(CREATED), event, required_signers: vec![key(3).required_signer(SignerRole::Operator)] }
}

pub(crate) fn registries() -> Vec<(&'static str, Registry)> {
    let genesis = Genesis {
        axis_name: "Trục liên thông".into(),
        log_origin: "truc.example/axis/2026".into(),
        log_vkey: "truc.example/axis/2026+01234567+AQ==".into(),
        ca_pem: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".into(),
        operator_keyid: key(3).keyid(),
        operator_pem: "-----BEGIN CERTIFICATE-----\nAQ==\n-----END CERTIFICATE-----\n".into(),
        limits: PublishedLimits {
            attachment_bytes: limits::ATTACHMENT_BYTES_MAX,
            attachments: limits::ATTACHMENTS_MAX as u64,
            recipients: limits::ENVELOPE_CODES_MAX as u64,
            statement_bytes: limits::STATEMENT_FILE_BYTES_MAX as u64,
            receipt_items: limits::RECEIPT_ITEMS_MAX as u64,
            envelope_age_days: limits::ENVELOPE_AGE_DAYS_MAX,
        },
        loopback_kind: "urn:truc:loopback".into(),
        predicates: vec![names::ENVELOPE_V1.into(), names::RECEIPT_V1.into()],
    };
    let joined = AgencyJoined {
        agency: "G22".parse().unwrap(),
        old_code: Some("000.00.00.G22".parse().unwrap()),
        name_vi: "Văn phòng Chính phủ".into(),
        name_en: Some("Office of the Government".into()),
        kind: "ministry".into(),
        code_status: "confirmed".into(),
        valid_from: Some("2020-09-15".parse().unwrap()),
        predicates: vec![names::ENVELOPE_V1.into()],
    };
    let organisation = Organisation {
        code: "G22.1".parse().unwrap(),
        old_code: Some("000.00.01.G22".parse().unwrap()),
        name: Some("Vụ Tổng hợp".into()),
        served_by: "G22".parse().unwrap(),
        parent: Some("G22".parse().unwrap()),
        valid_from: Some("2020-09-15".parse().unwrap()),
        valid_until: Some("2025-06-30".parse().unwrap()),
        successors: vec!["G22.2".parse().unwrap()],
    };
    let added = CertificateAdded { agency: "G22".parse().unwrap(), role: SignerRole::Seal, certificate: b"not a real one".to_vec() };
    let revoked = CertificateRevoked {
        keyid: key(1).keyid(),
        at: time(CREATED),
        reason: "key_compromise".into(),
        invalidity_date: Some(time("2026-11-01T00:00:00.000Z")),
    };
    vec![
        ("registry-genesis", registry(1, RegistryEvent::Genesis(Box::new(genesis)))),
        ("registry-agency-joined", registry(2, RegistryEvent::AgencyJoined(joined))),
        ("registry-organisations-added", registry(3, RegistryEvent::OrganisationsAdded(vec![organisation]))),
        ("registry-certificate-added", registry(4, RegistryEvent::CertificateAdded(added))),
        ("registry-certificate-revoked", registry(5, RegistryEvent::CertificateRevoked(revoked))),
    ]
}

pub(crate) fn sender_head(event: SenderHeadEvent) -> SenderHead {
    SenderHead {
        statement_id: message(5),
        agency: "H53".parse().unwrap(),
        edge_term: EdgeTerm(2),
        event,
        feed_cursor: Some(95),
        created_at: time(CREATED),
        nonce: [7; 16],
        observed_log: Some(observed()),
        required_signers: signers(),
    }
}

/// Every kind of statement under the name of its vector.
pub(crate) fn all() -> Vec<(&'static str, Statement)> {
    let envelopes = [
        ("envelope-new", envelope()),
        ("envelope-reply-full", full_reply()),
        ("envelope-recall", recall()),
        ("envelope-update", update()),
        ("envelope-replace", replacement()),
        ("envelope-encrypted", encrypted()),
    ];
    let receipts = [
        ("receipt-fetched", ReceiptEvent::Fetched),
        ("receipt-acknowledged", ReceiptEvent::Acknowledged),
        ("receipt-refused", ReceiptEvent::Refused),
        ("receipt-status", ReceiptEvent::Status),
        ("receipt-recall-agreed", ReceiptEvent::RecallAgreed),
        ("receipt-recall-refused", ReceiptEvent::RecallRefused),
    ];
    let opened = SenderHeadEvent::TermOpened { previous_term: Some(EdgeTerm(1)) };
    let (first_seq, last_seq) = (SenderSeq(1), SenderSeq(40));
    let head = SenderHeadEvent::Head { first_seq, last_seq, root: sha256(b"root"), withdrawn: vec![SenderSeq(3)] };
    let mut all: Vec<_> = envelopes.into_iter().map(|(name, envelope)| (name, Statement::Envelope(Box::new(envelope)))).collect();
    all.extend(receipts.into_iter().map(|(name, event)| (name, Statement::Receipt(receipt(event)))));
    all.extend(facts().into_iter().map(|(name, fact)| (name, Statement::Fact(fact))));
    all.extend(registries().into_iter().map(|(name, registry)| (name, Statement::Registry(registry))));
    all.push(("sender-head-term-opened", Statement::SenderHead(sender_head(opened))));
    all.push(("sender-head-head", Statement::SenderHead(sender_head(head))));
    all
}
