//! Builds the statements of this edge and seals them. Takes time and random bytes from the clock of this machine; records nothing.

use std::sync::Arc;

use truc_signing::statement::{
    Envelope, ObservedLog, Receipt, ReceiptEvent, ReceiptItem, ReceiptReason, SenderHead, SenderHeadEvent, SignerRole,
};
use truc_signing::{SealKey, StatementError, seal};
use truc_transport::clock;
use truc_types::limits::{ARRIVAL_NUMBER_BYTES_MAX, DOC_TEXT_BYTES_MAX, ORIGIN_BYTES_MAX, RECEIPT_REASONS_BYTES_MAX};
use truc_types::{AgencyCode, Digest, EdgeTerm, MessageId, SenderSeq, Timestamp};

use crate::record::{Answer, Record};
use crate::state::{Event, PendingItem, PendingRow};

/// Seals for one agency.
#[derive(Clone)]
pub(crate) struct Sealer {
    key: Arc<SealKey>,
    agency: AgencyCode,
}

impl Sealer {
    pub(crate) const fn new(key: Arc<SealKey>, agency: AgencyCode) -> Self {
        Self { key, agency }
    }

    /// The payload of a draft: what the DMS said, with the largest possible values where the sealing fills something in. What passes here can always
    /// be sealed later.
    ///
    /// # Errors
    /// The first fault of the document, with its path.
    pub(crate) fn draft(&self, envelope: Envelope) -> Result<Vec<u8>, StatementError> {
        let payload = self.drafted(envelope).to_json();
        Envelope::parse(&payload)?;
        Ok(payload)
    }

    /// The envelope of a draft, without the check.
    pub(crate) fn drafted(&self, mut envelope: Envelope) -> Envelope {
        envelope.created_at = Timestamp::MAX;
        // The largest integer that JSON carries exactly (RFC 8259 section 6).
        envelope.edge_term = EdgeTerm((1 << 53) - 1);
        envelope.sender_seq = SenderSeq((1 << 53) - 1);
        envelope.nonce = [0; 16];
        envelope.observed_log = Some(ObservedLog { origin: "x".repeat(ORIGIN_BYTES_MAX), size: (1 << 53) - 1, root: Digest([0; 32]) });
        envelope.required_signers = vec![self.key.required_signer(SignerRole::Seal)];
        envelope
    }

    /// Seals a draft under a number.
    ///
    /// # Errors
    /// When the draft does not parse: it did when it was recorded.
    pub(crate) fn envelope(
        &self,
        draft: &[u8],
        term: EdgeTerm,
        seq: SenderSeq,
        observed_log: Option<ObservedLog>,
    ) -> Result<Record, StatementError> {
        Ok(self.record(Envelope::parse(draft)?, term, seq, observed_log))
    }

    /// Seals a document whose draft was just made, under a number.
    pub(crate) fn record(&self, mut envelope: Envelope, term: EdgeTerm, seq: SenderSeq, observed_log: Option<ObservedLog>) -> Record {
        let file = self.seal(&mut envelope, term, seq, observed_log);
        Record::Sealed { message_id: envelope.message_id, term, seq, file }
    }

    /// Fills in what the sealing fills in, and seals; the DSSE file.
    pub(crate) fn seal(&self, envelope: &mut Envelope, term: EdgeTerm, seq: SenderSeq, observed_log: Option<ObservedLog>) -> Vec<u8> {
        envelope.created_at = clock::now();
        envelope.edge_term = term;
        envelope.sender_seq = seq;
        envelope.nonce = clock::random();
        envelope.observed_log = observed_log;
        envelope.required_signers = vec![self.key.required_signer(SignerRole::Seal)];
        seal(&envelope.to_json(), &[&self.key])
    }

    /// Seals a receipt; with its DSSE file. `items` must be of one event and sender, and within the limits ([`fitting`]).
    pub(crate) fn receipt(
        &self,
        event: Event,
        sender: &AgencyCode,
        items: Vec<PendingItem>,
        term: EdgeTerm,
        observed_log: Option<ObservedLog>,
    ) -> (Receipt, Vec<u8>) {
        let receipt = self.unsealed_receipt(event, sender, items, term, observed_log);
        let file = seal(&receipt.to_json(), &[&self.key]);
        (receipt, file)
    }

    fn unsealed_receipt(
        &self,
        event: Event,
        sender: &AgencyCode,
        items: Vec<PendingItem>,
        term: EdgeTerm,
        observed_log: Option<ObservedLog>,
    ) -> Receipt {
        let item = |item: PendingItem| ReceiptItem {
            message_id: item.message_id,
            envelope: item.row.envelope,
            recipient: item.recipient,
            event_time: item.row.at,
            queue_position: Some(item.row.queue_position),
            arrival_number: item.row.arrival_number,
            reason: item.row.reason.map(|reason| ReceiptReason { code: reason.code, text: reason.text }),
            status_code: None,
        };
        Receipt {
            receipt_id: clock::mint(),
            event: match event {
                Event::Fetched => ReceiptEvent::Fetched,
                Event::Acknowledged => ReceiptEvent::Acknowledged,
                Event::Refused => ReceiptEvent::Refused,
            },
            issuer: self.agency.clone(),
            original_sender: sender.clone(),
            items: items.into_iter().map(item).collect(),
            copy_destroyed: false,
            contact: None,
            created_at: clock::now(),
            edge_term: term,
            nonce: clock::random(),
            observed_log,
            queue_contiguous: None,
            required_signers: vec![self.key.required_signer(SignerRole::Seal)],
        }
    }

    /// Whether an answer of the DMS can stand in a receipt.
    ///
    /// # Errors
    /// The first fault, with its path.
    pub(crate) fn check_answer(&self, answer: &Answer) -> Result<(), StatementError> {
        let (event, arrival_number, reason) = match answer {
            Answer::Acknowledged { arrival_number } => (Event::Acknowledged, arrival_number.clone(), None),
            Answer::Refused(reason) => (Event::Refused, None, Some(reason.clone())),
        };
        if reason.is_none() && arrival_number.as_deref().is_none_or(is_plain) {
            return Ok(());
        }
        let (now, envelope, queue_position) = (clock::now(), Digest([0; 32]), truc_types::QueuePosition(1));
        let row = PendingRow { envelope, at: now, queue_position, arrival_number, reason, alone: true };
        let item = PendingItem { message_id: MessageId::mint(now, [0; 10]), recipient: (&self.agency).into(), row };
        let receipt = self.unsealed_receipt(event, &self.agency, vec![item], EdgeTerm(1), None);
        Receipt::parse(&receipt.to_json()).map(|_| ())
    }

    /// Seals the statement that opens a term.
    pub(crate) fn term_opened(
        &self,
        term: EdgeTerm,
        previous: EdgeTerm,
        registry_version: u64,
        observed_log: Option<ObservedLog>,
    ) -> Vec<u8> {
        let head = SenderHead {
            statement_id: clock::mint(),
            agency: self.agency.clone(),
            edge_term: term,
            event: SenderHeadEvent::TermOpened { previous_term: Some(previous).filter(|previous| *previous > EdgeTerm(0)) },
            feed_cursor: Some(registry_version).filter(|version| *version > 0),
            created_at: clock::now(),
            nonce: clock::random(),
            observed_log,
            required_signers: vec![self.key.required_signer(SignerRole::Seal)],
        };
        seal(&head.to_json(), &[&self.key])
    }
}

/// A number of letters, digits and the marks of common registers stands in a receipt as it is.
fn is_plain(number: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.');
    (1..=ARRIVAL_NUMBER_BYTES_MAX).contains(&number.len()) && number.bytes().all(is_plain)
}

/// How many of the items, from the first on, one receipt may hold by the bytes of their reasons.
pub(crate) fn fitting<'a>(items: impl IntoIterator<Item = &'a PendingItem>) -> usize {
    // JSON escapes at most double a text of the limits (RFC 8259 section 7; control characters other than these are refused).
    let escaped = |text: &str| text.bytes().map(|byte| if matches!(byte, b'"' | b'\\' | b'\n' | b'\t') { 2 } else { 1 }).sum::<usize>();
    let mut bytes = 0;
    let fits = |item: &&PendingItem| {
        bytes += item.row.reason.as_ref().map_or(0, |reason| reason.code.len() + escaped(&reason.text));
        bytes <= RECEIPT_REASONS_BYTES_MAX
    };
    // One reason alone always fits: it was checked when the DMS gave it.
    const { assert!(DOC_TEXT_BYTES_MAX + truc_types::limits::REASON_CODE_BYTES_MAX <= RECEIPT_REASONS_BYTES_MAX) };
    items.into_iter().take_while(fits).count()
}
