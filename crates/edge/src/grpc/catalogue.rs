//! GetDocument, ListDocuments and GetThread: single documents and pages of them, from the rows.

use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::get_document_response::Document as Found;
use truc_types::limits::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX, PAGE_LOOKS_MAX};
use truc_types::{MessageId, OrganisationCode, Refusal, Timestamp};

use super::{document, invalid, message_id, organisation, receive, status, unknown};
use crate::node::Node;
use crate::state::{ListKey, ListRow, OutboxRow, State, StateError, Step, Visibility, list_key, listed_at};

/// Documents of a page when the caller does not say.
const PAGE_DEFAULT: usize = 100;
/// Lines read from the rows at once.
const LINES: usize = 500;

/// One document.
pub(super) async fn get(node: &Node, request: pb::GetDocumentRequest) -> Result<Found, Refusal> {
    let message_id = message_id(&request.message_id)?;
    if !request.recipient.is_empty() {
        let recipient = organisation("recipient", &request.recipient)?;
        return receive::received(node, message_id, recipient).await.map(Found::Received);
    }
    let rows = node.store.search(move |state| Ok((state.outbox(&message_id)?, state.arrivals_of(&message_id)?)));
    let (sent, arrivals) = rows.await?;
    if let Some(row) = sent {
        return sent_document(node, message_id, &row).await.map(Found::Sent);
    }
    let shown = arrivals.into_iter().filter(|(_, row)| matches!(row.visibility, Visibility::Shown(_))).map(|(code, _)| code);
    match shown.collect::<Vec<_>>().as_slice() {
        [] => Err(unknown(&message_id)),
        [recipient] => receive::received(node, message_id, recipient.clone()).await.map(Found::Received),
        several => {
            let codes = several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(invalid("recipient", format!("recipient is missing: {message_id} arrived for {codes}")))
        }
    }
}

async fn sent_document(node: &Node, message_id: MessageId, row: &OutboxRow) -> Result<pb::SentDocument, Refusal> {
    let envelope = receive::draft_of(node, &message_id, row).await?;
    Ok(pb::SentDocument {
        status: Some(status::to_proto(&message_id, row)),
        business: document::business(envelope.business).into(),
        document: Some(document::document(envelope)),
        stored_at: listed_at(&row.listed).to_string(),
    })
}

/// What a list is asked for.
struct Filter {
    direction: pb::Direction,
    stage: pb::Stage,
    step: pb::Step,
    counterpart: Option<OrganisationCode>,
    since: Option<Timestamp>,
    number: String,
    notation: String,
    open_only: bool,
}

/// One page of the list.
pub(super) async fn list(node: &Node, request: pb::ListDocumentsRequest) -> Result<pb::ListDocumentsResponse, Refusal> {
    let limit = page_size(request.page_size);
    let after = page_token(&request.page_token)?;
    let time = |field: &'static str, text: &str| match text {
        "" => Ok(None),
        text => text.parse::<Timestamp>().map(Some).map_err(|cause| invalid(field, format!("{field}: {cause}"))),
    };
    // The newest first: the list begins just before `until`.
    let from = match time("until", &request.until)? {
        None => [0; 16],
        Some(until) if until.as_millis() == 0 => [0xff; 16],
        Some(until) => list_key(Timestamp::from_millis(until.as_millis() - 1), u64::MAX),
    };
    let unknown = |field: &'static str, found: i32| invalid(field, format!("{field} is {found}, which is none of its values"));
    let counterpart = Some(request.counterpart).filter(|code| !code.is_empty());
    let filter = Filter {
        direction: request.direction.try_into().map_err(|_| unknown("direction", request.direction))?,
        stage: request.stage.try_into().map_err(|_| unknown("stage", request.stage))?,
        step: request.step.try_into().map_err(|_| unknown("step", request.step))?,
        counterpart: counterpart.map(|code| organisation("counterpart", &code)).transpose()?,
        since: time("since", &request.since)?,
        number: request.number,
        notation: request.notation,
        open_only: request.open_only,
    };
    let (lines, next) = node.store.search(move |state| find(state, &filter, &from, after, limit)).await?;
    let (documents, cut) = summaries(node, lines).await?;
    let next = cut.or(next).map(|key| token(&key)).unwrap_or_default();
    Ok(pb::ListDocumentsResponse { documents, next_page_token: next })
}

/// Lines that pass the filter, and where the next page begins unless the list has ended.
type Lines = Vec<(ListKey, ListRow)>;

fn find(
    state: &State,
    filter: &Filter,
    from: &ListKey,
    mut after: Option<ListKey>,
    limit: usize,
) -> Result<(Lines, Option<ListKey>), StateError> {
    let (mut found, mut looks) = (Vec::new(), 0);
    loop {
        let page = state.listed_after(from, after.as_ref().map(<[u8; 16]>::as_slice), LINES)?;
        let more = page.more;
        for (key, row) in page.lines {
            if filter.since.is_some_and(|since| row.at < since) {
                return Ok((found, None));
            }
            (looks, after) = (looks + 1, Some(key));
            if filter.passes(state, &row)? {
                found.push((key, row));
            }
            if found.len() >= limit || looks >= PAGE_LOOKS_MAX {
                return Ok((found, after));
            }
        }
        if !more {
            return Ok((found, None));
        }
    }
}

impl Filter {
    fn passes(&self, state: &State, row: &ListRow) -> Result<bool, StateError> {
        let other_way = if row.is_sent() { pb::Direction::Received } else { pb::Direction::Sent };
        if self.direction == other_way || (!row.is_sent() && self.stage != pb::Stage::Unspecified) {
            return Ok(false);
        }
        let named = !self.number.is_empty() || !self.notation.is_empty() || (self.counterpart.is_some() && !row.is_sent());
        if named {
            let Some(title) = state.title(&row.message_id)? else { return Ok(false) };
            let is = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
            let from_them = row.is_sent() || self.counterpart.as_ref().is_none_or(|code| *code == title.sender);
            if !is(&self.number, &title.number) || !is(&self.notation, &title.notation) || !from_them {
                return Ok(false);
            }
        }
        match row.recipient()? {
            None => Ok(state.outbox(&row.message_id)?.is_some_and(|sent| self.passes_sent(&sent))),
            Some(recipient) => {
                let Some(row) = state.inbox(&row.message_id, &recipient)? else { return Ok(false) };
                let step = receive::step(&row);
                Ok((self.step == pb::Step::Unspecified || self.step == step) && !(self.open_only && row.answer.is_some()))
            }
        }
    }

    fn passes_sent(&self, row: &OutboxRow) -> bool {
        let settled = |step: Step| matches!(step, Step::Acknowledged | Step::Refused);
        let open = row.refusal.is_none() && !row.recipients.iter().all(|recipient| settled(recipient.step));
        (self.stage == pb::Stage::Unspecified || self.stage == status::stage(row))
            && (self.step == pb::Step::Unspecified || row.recipients.iter().any(|recipient| status::step(recipient.step) == self.step))
            && self.counterpart.as_ref().is_none_or(|code| row.recipients.iter().any(|recipient| recipient.code == *code))
            && (open || !self.open_only)
    }
}

/// One page of a correspondence.
pub(super) async fn thread(node: &Node, request: pb::GetThreadRequest) -> Result<pb::GetThreadResponse, Refusal> {
    let message_id = message_id(&request.message_id)?;
    let (limit, after) = (page_size(request.page_size), page_token(&request.page_token)?);
    let thread = node.store.search(move |state| state.thread(&message_id)).await?;
    if thread.lines.is_empty() {
        return Err(unknown(&message_id));
    }
    // Oldest first: keys fall.
    let rest = thread.lines.into_iter().filter(|(key, _)| after.is_none_or(|after| *key < after));
    let mut rest: Lines = rest.collect();
    let more = rest.len() > limit;
    rest.truncate(limit);
    let next = rest.last().map(|(key, _)| *key).filter(|_| more);
    let (documents, cut) = summaries(node, rest).await?;
    let next = cut.or(next).map(|key| token(&key)).unwrap_or_default();
    Ok(pb::GetThreadResponse { documents, next_page_token: next, incomplete: thread.incomplete })
}

fn page_size(asked: u32) -> usize {
    match usize::try_from(asked).unwrap_or(usize::MAX) {
        0 => PAGE_DEFAULT,
        asked => asked.min(PAGE_ITEMS_MAX),
    }
}

fn token(key: &ListKey) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn page_token(text: &str) -> Result<Option<ListKey>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = (text.len() == 32 && text.is_ascii()).then(|| u128::from_str_radix(text, 16).ok()).flatten();
    let number = number.ok_or_else(|| invalid("page_token", "page_token is none that this edge gave"))?;
    Ok(Some(number.to_be_bytes()))
}

/// The summaries of lines, as many as a page may have bytes; the last key if it was cut.
async fn summaries(node: &Node, lines: Lines) -> Result<(Vec<pb::DocumentSummary>, Option<ListKey>), Refusal> {
    let (mut documents, mut bytes, mut last) = (Vec::with_capacity(lines.len()), 0, None);
    for (key, row) in lines {
        let summary = summary(node, &row).await?;
        // What is not text is under 200 bytes.
        bytes += 200 + summary.subject.len() + summary.type_name.len() + summary.client_reference.len() + summary.number.len();
        if bytes > PAGE_BYTES_MAX && last.is_some() {
            return Ok((documents, last));
        }
        documents.push(summary);
        last = Some(key);
    }
    Ok((documents, None))
}

async fn summary(node: &Node, line: &ListRow) -> Result<pb::DocumentSummary, Refusal> {
    let message_id = line.message_id;
    let recipient = line.recipient().map_err(crate::store::refusal_of)?;
    let mut summary = pb::DocumentSummary {
        message_id: message_id.to_string(),
        recipient: recipient.as_ref().map(ToString::to_string).unwrap_or_default(),
        known_at: line.at.to_string(),
        ..Default::default()
    };
    let envelope = match recipient {
        None => {
            let row = node.store.read(move |state| state.outbox(&message_id)).await?.ok_or_else(|| unknown(&message_id))?;
            let steps = || row.recipients.iter().map(|recipient| recipient.step);
            // One that was returned needs somebody to act, however far the others are.
            let returned = steps().find(|step| status::step(*step) == pb::Step::Refused);
            let telling = returned.or_else(|| steps().min()).map_or(pb::Step::Unspecified, status::step);
            summary.set_direction(pb::Direction::Sent);
            summary.set_stage(status::stage(&row));
            summary.set_step(telling);
            summary.client_reference.clone_from(&row.reference);
            receive::draft_of(node, &message_id, &row).await?
        }
        Some(recipient) => {
            let found = node.store.read(move |state| state.inbox_with_duplicates(&message_id, &recipient)).await?;
            let (row, duplicates) = found.ok_or_else(|| unknown(&message_id))?;
            summary.set_direction(pb::Direction::Received);
            summary.set_step(receive::step(&row));
            summary.possible_duplicate = !duplicates.is_empty();
            receive::envelope_of(node, &row).await?
        }
    };
    summary.recipient_count = u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX);
    summary.set_urgency(document::urgency(envelope.doc.urgency));
    let document = document::document(envelope);
    (summary.sender, summary.number, summary.notation) = (document.sender, document.number, document.notation);
    (summary.subject, summary.issued_on, summary.due_on) = (document.subject, document.issued_on, document.due_on);
    summary.type_name = document.r#type.map(|kind| kind.name).unwrap_or_default();
    Ok(summary)
}
