//! GetEdgeInfo: who this edge is and what it takes, from the named limits.

use truc_proto::edge::v1 as pb;
use truc_types::Refusal;
use truc_types::limits::{
    APPENDICES_BYTES_MAX, ARRIVAL_NUMBER_BYTES_MAX, ATTACHMENT_BYTES_MAX, ATTACHMENT_NAME_BYTES_MAX, ATTACHMENTS_BYTES_MAX,
    ATTACHMENTS_MAX, BLOB_CHUNK_BYTES, CLIENT_REFERENCE_BYTES_MAX, CONTACT_CODE_BYTES_MAX, DOC_CODE_BYTES_MAX, DOC_NAME_BYTES_MAX,
    DOC_NOTATION_BYTES_MAX, DOC_NUMBER_BYTES_MAX, DOC_SUBJECT_BYTES_MAX, DOC_TEXT_BYTES_MAX, DOCUMENT_ID_BYTES_MAX, EDXML_BYTES_MAX,
    ENVELOPE_CODES_MAX, HAND_IN_AGE_MILLIS_MAX, HAND_INS_MAX, LIST_ITEMS_MAX, MEDIA_TYPE_BYTES_MAX, PAGE_ITEMS_MAX, PAYLOAD_BYTES_MAX,
    PLACE_BYTES_MAX, PLACES_BYTES_MAX, REASON_CODE_BYTES_MAX, REFERENCE_CODE_BYTES_MAX, REFERENCES_MAX,
};

use crate::node::Node;

/// Texts: field and bytes.
const TEXTS: &[(&str, usize)] = &[
    ("client_reference", CLIENT_REFERENCE_BYTES_MAX),
    ("document.number", DOC_NUMBER_BYTES_MAX),
    ("document.notation", DOC_NOTATION_BYTES_MAX),
    ("document.subject", DOC_SUBJECT_BYTES_MAX),
    ("document.type.name", DOC_NAME_BYTES_MAX),
    ("document.document_id", DOCUMENT_ID_BYTES_MAX),
    ("document.place", DOC_NAME_BYTES_MAX),
    ("document.signer.competence", DOC_CODE_BYTES_MAX),
    ("document.signer.position", DOC_NAME_BYTES_MAX),
    ("document.signer.full_name", DOC_NAME_BYTES_MAX),
    ("document.content", DOC_TEXT_BYTES_MAX),
    ("document.sphere", DOC_NAME_BYTES_MAX),
    ("document.drafter", DOC_CODE_BYTES_MAX),
    ("document.appendices[]", DOC_NAME_BYTES_MAX),
    ("document.language", DOC_CODE_BYTES_MAX),
    ("document.to_places[]", PLACE_BYTES_MAX),
    ("document.task_code", DOC_CODE_BYTES_MAX),
    ("document.task_application", DOC_CODE_BYTES_MAX),
    ("document.in_reply_to[].document_id", DOCUMENT_ID_BYTES_MAX),
    ("document.in_reply_to[].code", REFERENCE_CODE_BYTES_MAX),
    ("document.business_reason", DOC_TEXT_BYTES_MAX),
    ("document.contact.department", DOC_NAME_BYTES_MAX),
    ("document.contact.department_id", CONTACT_CODE_BYTES_MAX),
    ("document.contact.staff", DOC_NAME_BYTES_MAX),
    ("document.contact.staff_id", CONTACT_CODE_BYTES_MAX),
    ("document.contact.email", CONTACT_CODE_BYTES_MAX),
    ("document.contact.phone", CONTACT_CODE_BYTES_MAX),
    ("document.attachments[].name", ATTACHMENT_NAME_BYTES_MAX),
    ("document.attachments[].media_type", MEDIA_TYPE_BYTES_MAX),
    ("arrival_number", ARRIVAL_NUMBER_BYTES_MAX),
    ("reason_code", REASON_CODE_BYTES_MAX),
    ("reason_text", DOC_TEXT_BYTES_MAX),
];

/// Lists: field, bytes of all texts together (0: no such limit), items.
const LISTS: &[(&str, usize, usize)] = &[
    ("document.recipients", 0, ENVELOPE_CODES_MAX),
    ("document.appendices", APPENDICES_BYTES_MAX, LIST_ITEMS_MAX),
    ("document.to_places", PLACES_BYTES_MAX, LIST_ITEMS_MAX),
    ("document.in_reply_to", 0, REFERENCES_MAX),
    ("document.attachments", 0, ATTACHMENTS_MAX),
];

/// Who this edge is.
pub(super) async fn info(node: &Node) -> Result<pb::GetEdgeInfoResponse, Refusal> {
    let agency = node.agency().clone();
    let found = node.store.search(move |state| Ok((state.meta()?.registry_version, state.organisations_of(&agency, PAGE_ITEMS_MAX)?)));
    let (registry_version, (organisations, organisations_incomplete)) = found.await?;
    Ok(pb::GetEdgeInfoResponse {
        agency: node.agency().to_string(),
        organisations: organisations.iter().map(ToString::to_string).collect(),
        organisations_incomplete,
        registry_version,
        release: env!("CARGO_PKG_VERSION").to_owned(),
        limits: Some(limits()),
    })
}

fn limits() -> pb::Limits {
    // Every limit is far below what the field of the interface holds.
    let small = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
    let text = |(field, bytes): &(&str, usize)| pb::FieldLimit { field: (*field).to_owned(), bytes: small(*bytes), items: 0 };
    let list = |(field, bytes, items): &(&str, usize, usize)| pb::FieldLimit {
        field: (*field).to_owned(),
        bytes: small(*bytes),
        items: small(*items),
    };
    pb::Limits {
        recipients: small(ENVELOPE_CODES_MAX),
        attachments: small(ATTACHMENTS_MAX),
        attachment_bytes: ATTACHMENT_BYTES_MAX,
        attachments_bytes: ATTACHMENTS_BYTES_MAX,
        statement_bytes: small(PAYLOAD_BYTES_MAX).into(),
        edxml_bytes: EDXML_BYTES_MAX,
        chunk_bytes: small(BLOB_CHUNK_BYTES),
        page_items: small(PAGE_ITEMS_MAX),
        unfinished_hand_ins: small(HAND_INS_MAX),
        unfinished_seconds: HAND_IN_AGE_MILLIS_MAX / 1000,
        fields: TEXTS.iter().map(text).chain(LISTS.iter().map(list)).collect(),
    }
}
