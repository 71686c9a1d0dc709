//! A broker without disk and network: admit, decide, apply; the log, its tree, the queues and the index of what was forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use truc_core::dispatch::{AgencyQueue, Delivery};
use truc_core::registry::AgencyIndex;
use truc_core::{Admitted, Brief, Decision, DeliveryStep, Effect, Entry, Known, Outcome, State, Submit, admit, decide};
use truc_ledger::{Frontier, leaf_hash};
use truc_signing::statement::*;
use truc_signing::{SealKey, seal, sha256};
use truc_types::*;

use crate::fixture::{self, AGENCIES, Key, agency_code, code};

/// What an edge keeps to seal with.
pub(crate) struct Edge {
    pub(crate) key: SealKey,
    pub(crate) term: EdgeTerm,
    pub(crate) seq: u64,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted(Position),
    Repeated(Position),
    Refused(Refusal),
    /// Refused before the sequencer saw it.
    NotAdmitted(Refusal),
}

impl Answer {
    pub(crate) fn position(&self) -> Position {
        match self {
            Self::Accepted(position) | Self::Repeated(position) => *position,
            other => panic!("not in the log: {other:?}"),
        }
    }

    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Refused(refusal) | Self::NotAdmitted(refusal) => refusal.reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }
}

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) log: Vec<Arc<[u8]>>,
    pub(crate) frontier: Frontier,
    pub(crate) queues: Vec<AgencyQueue>,
    /// Effects of the entries since it was emptied last.
    pub(crate) effects: Vec<Effect>,
    pub(crate) now: Timestamp,
    pub(crate) edges: Vec<Edge>,
    pub(crate) index: HashMap<MessageId, Known>,
    pub(crate) indexed_through: Position,
    minted: u64,
}

impl World {
    /// An axis whose agencies have not opened a term.
    pub(crate) fn closed(registry: &[Arc<[u8]>], agencies: usize) -> Self {
        let edge = |agency| Edge { key: fixture::key(agency, Key::Seal), term: EdgeTerm(0), seq: 0 };
        let mut world = Self {
            state: State::default(),
            log: Vec::new(),
            frontier: Frontier::new(),
            queues: (0..agencies).map(|_| AgencyQueue::default()).collect(),
            effects: Vec::new(),
            now: fixture::start(),
            edges: (0..agencies).map(edge).collect(),
            index: HashMap::new(),
            indexed_through: Position(0),
            minted: 0,
        };
        for file in registry {
            world.append(&Entry::parse(file.clone()).unwrap());
        }
        world
    }

    /// The small axis; every agency has opened term 1.
    pub(crate) fn open() -> Self {
        Self::of(fixture::small_registry(), AGENCIES)
    }

    /// An axis on which every agency has opened term 1.
    pub(crate) fn of(registry: &[Arc<[u8]>], agencies: usize) -> Self {
        let mut world = Self::closed(registry, agencies);
        for agency in 0..agencies {
            assert!(world.open_term(agency).is_accepted());
        }
        world.effects.clear();
        world
    }

    pub(crate) fn append(&mut self, entry: &Entry) {
        let from = self.effects.len();
        self.state.apply(self.state.next(), entry, &mut self.effects).unwrap();
        self.log.push(entry.bytes.clone());
        self.frontier.append(leaf_hash(&entry.bytes));
        for effect in &self.effects[from..] {
            match effect {
                Effect::Queued { agency, position, delivery } => self.queues[usize::from(agency.0)].push(*position, *delivery),
                Effect::Dequeued { agency, position, .. } => self.queues[usize::from(agency.0)].remove(*position),
                Effect::Fed { .. } | Effect::RegistryChanged => {}
            }
        }
    }

    pub(crate) fn append_registry(&mut self, event: RegistryEvent) {
        let version = self.state.registry().version() + 1;
        self.append(&Entry::parse(fixture::registry_file(version, event)).unwrap());
    }

    pub(crate) fn mint(&mut self) -> MessageId {
        self.minted += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.minted.to_be_bytes());
        MessageId::mint(fixture::start(), random)
    }

    /// A new document with the next number of the agency.
    pub(crate) fn envelope(&mut self, from: usize, recipients: &[&str]) -> Envelope {
        let edge = &mut self.edges[from];
        edge.seq += 1;
        let (term, seq, signer) = (edge.term, SenderSeq(edge.seq), edge.key.required_signer(SignerRole::Seal));
        Envelope {
            message_id: self.mint(),
            sender: Sender { organisation: OrganisationCode::from(&agency_code(from)), agency: agency_code(from) },
            recipients: recipients.iter().map(|text| code(text)).collect(),
            business: Business::New,
            business_reason: None,
            in_reply_to: Vec::new(),
            thread: None,
            recalls: None,
            updates: None,
            replaces: Vec::new(),
            doc: Doc::new("1", "CV", "Về việc thử"),
            attachments: vec![attachment()],
            edxml: None,
            contact: None,
            created_at: self.now,
            expires_at: None,
            edge_term: term,
            sender_seq: seq,
            nonce: [0; 16],
            observed_log: None,
            required_signers: vec![signer],
        }
    }

    /// A receipt for deliveries of open messages; the sender and the digests are those of the messages.
    pub(crate) fn receipt(&mut self, issuer: usize, event: ReceiptEvent, deliveries: &[(MessageId, &str)]) -> Receipt {
        let first = self.state.message(&deliveries[0].0);
        let original_sender = first.map_or(agency_code(0), |message| self.state.registry().agency(message.sender).unwrap().code.clone());
        let item = |(message_id, recipient): &(MessageId, &str)| ReceiptItem {
            message_id: *message_id,
            envelope: self.state.message(message_id).map_or(Digest([0; 32]), |message| message.digest),
            recipient: code(recipient),
            event_time: self.now,
            queue_position: None,
            arrival_number: None,
            reason: event.needs_reason().then(|| ReceiptReason { code: "wrong_place".into(), text: "Không đúng thẩm quyền".into() }),
            status_code: (event == ReceiptEvent::Status).then(|| StatusCode::new(4).unwrap()),
        };
        let items = deliveries.iter().map(item).collect();
        let edge = &self.edges[issuer];
        Receipt {
            event,
            issuer: agency_code(issuer),
            original_sender,
            items,
            copy_destroyed: false,
            contact: None,
            created_at: self.now,
            edge_term: edge.term,
            nonce: [0; 16],
            observed_log: None,
            queue_contiguous: None,
            required_signers: vec![edge.key.required_signer(SignerRole::Seal)],
            receipt_id: self.mint(),
        }
    }

    pub(crate) fn head(&mut self, agency: usize, edge_term: EdgeTerm, event: SenderHeadEvent) -> SenderHead {
        SenderHead {
            statement_id: self.mint(),
            agency: agency_code(agency),
            edge_term,
            event,
            feed_cursor: None,
            created_at: self.now,
            nonce: [0; 16],
            observed_log: None,
            required_signers: vec![self.edges[agency].key.required_signer(SignerRole::Seal)],
        }
    }

    pub(crate) fn term_opening(&mut self, agency: usize, term: EdgeTerm) -> SenderHead {
        self.head(agency, term, SenderHeadEvent::TermOpened { previous_term: None })
    }

    /// Opens the next term of an agency, as an edge does that was started anew.
    pub(crate) fn open_term(&mut self, agency: usize) -> Answer {
        let term = self.edges[agency].term.next();
        let opening = self.term_opening(agency, term);
        let answer = self.submit(agency, self.seal(agency, &opening.to_json()));
        self.edges[agency].term = term;
        self.edges[agency].seq = 0;
        answer
    }

    pub(crate) fn seal(&self, agency: usize, payload: &[u8]) -> Arc<[u8]> {
        seal(payload, &[&self.edges[agency].key]).into()
    }

    pub(crate) fn admit(&self, connected: usize, file: Arc<[u8]>) -> Result<Admitted, Refusal> {
        admit(self.now, self.state.registry(), &agency_code(connected), file)
    }

    /// The submission as the shell makes it: with what the index says.
    pub(crate) fn looked_up(&self, admitted: Admitted) -> Submit {
        let indexed = self.index.get(&admitted.id).copied();
        Submit { admitted, indexed, indexed_through: self.indexed_through, objection: None, older_term_connected: false }
    }

    pub(crate) fn decide(&self, submit: Submit) -> Decision {
        decide(self.now, Position(0), &self.state, submit)
    }

    pub(crate) fn take(&mut self, decision: &Decision) -> Answer {
        for entry in &decision.entries {
            self.append(entry);
        }
        match &decision.outcome {
            Outcome::Accepted { statement, .. } => Answer::Accepted(*statement),
            Outcome::Repeated { statement, .. } => Answer::Repeated(*statement),
            Outcome::Refused(refusal) => Answer::Refused(refusal.clone()),
        }
    }

    pub(crate) fn submit(&mut self, connected: usize, file: Arc<[u8]>) -> Answer {
        match self.admit(connected, file) {
            Ok(admitted) => self.take(&self.decide(self.looked_up(admitted))),
            Err(refusal) => Answer::NotAdmitted(refusal),
        }
    }

    /// Seals and submits an envelope of its sender.
    pub(crate) fn send(&mut self, from: usize, envelope: &Envelope) -> Answer {
        self.submit(from, self.seal(from, &envelope.to_json()))
    }

    /// Sends a new document that is accepted.
    pub(crate) fn sent(&mut self, from: usize, recipients: &[&str]) -> MessageId {
        let envelope = self.envelope(from, recipients);
        assert!(self.send(from, &envelope).is_accepted());
        envelope.message_id
    }

    /// Seals and submits a receipt of its issuer.
    pub(crate) fn report(&mut self, issuer: usize, receipt: &Receipt) -> Answer {
        self.submit(issuer, self.seal(issuer, &receipt.to_json()))
    }

    /// A receipt for one delivery.
    pub(crate) fn report_one(&mut self, issuer: usize, event: ReceiptEvent, message: MessageId, recipient: &str) -> Answer {
        let receipt = self.receipt(issuer, event, &[(message, recipient)]);
        self.report(issuer, &receipt)
    }

    /// Fetched and acknowledged: for a message to one recipient the end.
    pub(crate) fn finish(&mut self, issuer: usize, message: MessageId, recipient: &str) {
        for event in [ReceiptEvent::Fetched, ReceiptEvent::Acknowledged] {
            assert!(self.report_one(issuer, event, message, recipient).is_accepted());
        }
    }

    /// Everything in the log so far goes into the index of sealed segments, and the state forgets it.
    pub(crate) fn seal_segment(&mut self) {
        self.seal_through(self.state.next());
    }

    /// The log below a position goes into the index of sealed segments.
    pub(crate) fn seal_through(&mut self, through: Position) {
        let [from, until] = [self.indexed_through, through].map(|position| usize::try_from(position.0).unwrap());
        for (position, bytes) in (self.indexed_through.0..).zip(&self.log[from..until]) {
            if let Some(id) = Entry::parse(bytes.clone()).unwrap().id() {
                let earlier = self.index.insert(id, Known { position: Position(position), digest: sha256(bytes) });
                assert_eq!(earlier, None, "{id} is in the log twice");
            }
        }
        self.indexed_through = through;
        self.state.forget(through);
    }

    /// The fact after a statement.
    pub(crate) fn fact(&self, position: Position) -> Fact {
        Fact::parse(&self.log[usize::try_from(position.0).unwrap()]).unwrap()
    }

    /// A state from the bytes of the log alone, and the root over them.
    pub(crate) fn replayed(&self) -> (State, Digest) {
        let (mut state, mut frontier, mut effects) = (State::default(), Frontier::new(), Vec::new());
        for (position, bytes) in (0..).zip(&self.log) {
            state.apply(Position(position), &Entry::parse(bytes.clone()).unwrap(), &mut effects).unwrap();
            frontier.append(leaf_hash(bytes));
        }
        (state, frontier.root())
    }

    /// The same state from what is read in brief, as of a log that is packed and indexed to its end.
    pub(crate) fn replayed_in_brief(&self) -> State {
        let (mut state, mut effects) = (State::default(), Vec::new());
        state.forget(Position(self.log.len() as u64));
        for (position, bytes) in (0..).map(Position).zip(&self.log) {
            state.apply_brief(position, Brief::read(bytes).unwrap(), &mut effects).unwrap();
        }
        state
    }

    /// The queues that follow from the open messages, as a broker fills them when it starts.
    pub(crate) fn refill_queues(&mut self) {
        self.queues = self.edges.iter().map(|_| AgencyQueue::default()).collect();
        for (message_id, message) in self.state.messages() {
            for (i, recipient) in (0..).zip(&message.recipients) {
                if recipient.step == DeliveryStep::Waiting {
                    let delivery = Delivery { message_id: *message_id, recipient: i, lane: message.lane };
                    self.queues[usize::from(recipient.agency.0)].push(recipient.queue_position, delivery);
                }
            }
        }
    }
}

pub(crate) fn index(agency: usize) -> AgencyIndex {
    AgencyIndex(u16::try_from(agency).unwrap())
}

pub(crate) fn attachment() -> Attachment {
    Attachment {
        name: "cv.pdf".into(),
        media_type: "application/pdf".into(),
        size: 600_000,
        sha256: Digest([5; 32]),
        encoding: Encoding::Identity,
        commit: None,
    }
}
