//! The outbox loop: brings every document that the DMS handed in to the axis. Upload, seal, submit, check the proofs; several documents at a time.
//!
//! A sealed document is first submitted as it is, even if the term has changed since: if it was accepted before a crash, the axis answers with the
//! original acceptance; if not, it says so, and only then is it sealed anew. Not here: what the recipients say (`feed`).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::submit_response::Outcome;
use truc_signing::statement::Envelope;
use truc_transport::status;
use truc_types::{Digest, EdgeTerm, MessageId, Reason, Refusal, Retry};

use crate::backoff::Backoff;
use crate::fresh::FreshDocument;
use crate::node::{LinkError, Node};
use crate::record::{Inside, Record, Recorded};
use crate::session::Link;
use crate::state::{OutboxRow, message_of_open_key};
use crate::store::refusal_of;
use crate::submit::Submitter;
use crate::term::superseded;
use crate::transfer;
use crate::trust::ProvenFact;

/// Documents in work at once: enough that uploads, seals and answers overlap.
const IN_HAND_MAX: usize = 64;
/// Documents of one lane that wait after a refusal that may pass; beyond, no new ones of the lane are begun until one of them has had its turn. Each may
/// hold a number: of all four lanes, with those in hand and those that the hand-in sealed, they are a third of the numbers that the axis takes in any order.
const DEFERRED_PER_LANE_MAX: usize = 256;
/// Longest pause of one document.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// Seals of one document in one go: certificate, number and clock may each have to be put right once.
const SEALS_MAX: u32 = 4;

/// What became of one document in one go.
enum Brought {
    /// Accepted or refused for good; recorded.
    Done,
    /// Not now.
    Deferred(Refusal),
    /// Not now: its number lies above those that the axis takes.
    Ahead(Refusal),
}

/// A document that waits after a refusal that may pass.
struct Deferred {
    /// Its key among the open documents.
    key: Vec<u8>,
    due: Instant,
    backoff: Backoff,
    /// Its number waits for others to be used.
    is_ahead: bool,
}

struct Outbox {
    node: Arc<Node>,
    link: Link,
    submitter: Submitter,
    term: EdgeTerm,
    work: JoinSet<(MessageId, Vec<u8>, Result<Brought, LinkError>)>,
    in_hand: HashSet<MessageId>,
    deferred: HashMap<MessageId, Deferred>,
    /// Keys of deferred documents whose pause is over.
    again: BTreeSet<Vec<u8>>,
    /// Keys of open documents that were read from the rows and nobody has begun.
    read: BTreeSet<Vec<u8>>,
    /// The rows name more of them.
    behind: bool,
}

/// Runs until the connection ends.
pub(crate) async fn run(node: Arc<Node>, link: Link, submitter: Submitter, term: EdgeTerm) -> Result<Infallible, LinkError> {
    let mut handed_in = node.store.signals().outbox.subscribe();
    let (work, in_hand, deferred) = (JoinSet::new(), HashSet::new(), HashMap::new());
    let (again, read) = (BTreeSet::new(), BTreeSet::new());
    let mut outbox = Outbox { node, link, submitter, term, work, in_hand, deferred, again, read, behind: true };
    loop {
        outbox.begin_work().await?;
        let due = outbox.next_due().unwrap_or_else(|| Instant::now() + PAUSE_MAX);
        tokio::select! {
            Some(done) = outbox.work.join_next() => outbox.settle(done.map_err(|cause| LinkError::Away(cause.to_string()))?)?,
            changed = handed_in.changed() => changed.map_err(|_| LinkError::Away("the recorder has gone".to_owned()))?,
            () = tokio::time::sleep_until(due) => {}
        }
    }
}

impl Outbox {
    /// Begins work on open documents, urgent ones first, whether they are fresh, were read from the rows or have waited.
    async fn begin_work(&mut self) -> Result<(), LinkError> {
        self.wake_deferred();
        if self.read.is_empty() && (self.behind || self.node.fresh.missed()) {
            self.read_rows().await?;
        }
        while self.in_hand.len() < IN_HAND_MAX
            && let Some((key, fresh)) = self.next()
        {
            self.begin(key, fresh);
        }
        self.node.fresh.in_step(!self.behind && self.read.is_empty() && self.deferred.len() < IN_HAND_MAX);
        Ok(())
    }

    /// The most urgent document that can be begun, the oldest of its lane. Where too many of its lane wait, one whose pause is over.
    fn next(&mut self) -> Option<(Vec<u8>, Option<FreshDocument>)> {
        let waited = self.again.first();
        let (new, is_fresh) = match (self.node.fresh.first_key(), self.read.first()) {
            (Some(fresh), read) if read.is_none_or(|read| fresh <= *read) => (Some(fresh), true),
            (_, read) => (read.cloned(), false),
        };
        let new = new.filter(|new| waited.is_none_or(|waited| new < waited) && self.may_begin(new));
        let Some(key) = new else { return self.again.pop_first().map(|key| (key, None)) };
        self.read.remove(&key);
        let document = if is_fresh { self.node.fresh.take(&key) } else { None };
        Some((key, document))
    }

    /// Whether a document that has not waited may be begun.
    fn may_begin(&self, key: &[u8]) -> bool {
        let waiting = self.deferred.values().filter(|deferred| deferred.key.first() == key.first()).count();
        waiting < DEFERRED_PER_LANE_MAX + self.in_hand.len()
    }

    /// Reads which documents are open: the first of those that nobody has begun. When there are more, it is read again once these are begun.
    async fn read_rows(&mut self) -> Result<(), LinkError> {
        // What comes in from here on is fresh again, and perhaps in the rows that are read as well.
        self.node.fresh.clear();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let from = after.take();
            let (open, next) = self.node.store.search(move |state| state.open_keys(from.as_deref(), 4 * IN_HAND_MAX)).await?;
            let begun = |message_id: MessageId| self.in_hand.contains(&message_id) || self.deferred.contains_key(&message_id);
            self.read.extend(open.into_iter().filter(|key| !message_of_open_key(key).is_some_and(begun)));
            self.behind = next.is_some();
            if !self.behind || !self.read.is_empty() {
                return Ok(());
            }
            after = next;
        }
    }

    /// When the next pause is over; a document in hand has none, and with full hands there is nothing to wait for.
    fn next_due(&self) -> Option<Instant> {
        let waiting = self.deferred.iter().filter(|(message_id, _)| !self.in_hand.contains(*message_id));
        waiting.map(|(_, deferred)| deferred.due).min().filter(|_| self.in_hand.len() < IN_HAND_MAX)
    }

    /// Documents whose pause is over take their place among the others.
    fn wake_deferred(&mut self) {
        let now = Instant::now();
        let due = self.deferred.iter().filter(|(message_id, deferred)| deferred.due <= now && !self.in_hand.contains(*message_id));
        self.again.extend(due.map(|(_, deferred)| deferred.key.clone()));
    }

    /// Begins a document, unless it is in hand or waits: one may be fresh and in the rows at once.
    fn begin(&mut self, key: Vec<u8>, fresh: Option<FreshDocument>) {
        let Some(message_id) = message_of_open_key(&key) else { return };
        let waits = self.deferred.get(&message_id).is_some_and(|deferred| deferred.due > Instant::now());
        if waits || !self.in_hand.insert(message_id) {
            return;
        }
        let (node, link, submitter, term) = (Arc::clone(&self.node), self.link.clone(), self.submitter.clone(), self.term);
        self.work.spawn(async move { (message_id, key, bring(&node, &link, &submitter, term, message_id, fresh).await) });
    }

    fn settle(&mut self, (message_id, key, brought): (MessageId, Vec<u8>, Result<Brought, LinkError>)) -> Result<(), LinkError> {
        self.in_hand.remove(&message_id);
        match brought {
            Ok(Brought::Done) => drop(self.deferred.remove(&message_id)),
            Ok(Brought::Deferred(refusal)) => self.defer(message_id, key, &refusal, false),
            Ok(Brought::Ahead(refusal)) => {
                self.defer(message_id, key, &refusal, true);
                self.renew_term_if_stuck()?;
            }
            // What the broker says to an upload concerns one document; the connection goes on.
            Err(LinkError::Refused(refusal)) => self.defer(message_id, key, &refusal, false),
            // So does an attachment that cannot be read.
            Err(LinkError::Local(refusal)) if matches!(refusal.reason, Reason::BlobStorage | Reason::DiskFull | Reason::Descriptors) => {
                self.defer(message_id, key, &refusal, false);
            }
            Err(cause) => return Err(cause),
        }
        Ok(())
    }

    /// Where all that is left lies above the numbers that the axis takes, none of them will ever bring it there: those below were given up, thousands in a
    /// row. Numbers begin anew in the next term.
    fn renew_term_if_stuck(&self) -> Result<(), LinkError> {
        if !self.in_hand.is_empty() || !self.deferred.values().all(|deferred| deferred.is_ahead) {
            return Ok(());
        }
        tracing::warn!(waiting = self.deferred.len(), "no document has a number that the axis takes: a new term is opened");
        *self.node.term.lock() = None;
        Err(LinkError::Away("a new term is opened".to_owned()))
    }

    fn defer(&mut self, message_id: MessageId, key: Vec<u8>, refusal: &Refusal, is_ahead: bool) {
        let mut backoff = self.deferred.remove(&message_id).map_or_else(|| Backoff::up_to(PAUSE_MAX), |deferred| deferred.backoff);
        let pause = backoff.pause();
        tracing::warn!(%message_id, reason = %refusal.reason, message = %refusal.message, pause_millis = pause.as_millis(), "the document has to wait");
        self.deferred.insert(message_id, Deferred { key, due: Instant::now() + pause, backoff, is_ahead });
    }
}

/// A document as it is now: what has to be at the axis before it, and its seal if it has one.
struct Open {
    draft: Vec<u8>,
    carried: Vec<(Digest, u64)>,
    sealed: Option<(EdgeTerm, Vec<u8>)>,
}

/// Reads an open document; `None` if it is open no more.
async fn open(node: &Node, message_id: MessageId, fresh: Option<FreshDocument>) -> Result<Option<Open>, LinkError> {
    if let Some(FreshDocument { draft, carried, sealed, .. }) = fresh {
        // It may have been found in the rows meanwhile, and been brought or sealed anew.
        let row = node.store.peek(|state| state.outbox(&message_id))?;
        if row.is_some_and(|row| row.is_open() && row.sealed == sealed.as_ref().map(|(at, _)| *at)) {
            return Ok(Some(Open { draft, carried, sealed: sealed.map(|(at, file)| (at.term, file)) }));
        }
    }
    let row = node.store.read(|state| state.outbox(&message_id)).await?;
    let Some(row) = row.filter(OutboxRow::is_open) else { return Ok(None) };
    let draft = draft_of(node, &row).await?;
    let carried = Envelope::parse(&draft).map_err(|cause| cause.to_refusal())?.carried();
    let sealed = match row.sealed {
        Some(sealed) => Some((sealed.term, sealed_file(node, sealed.position).await?)),
        None => None,
    };
    Ok(Some(Open { draft, carried, sealed }))
}

async fn bring(
    node: &Arc<Node>,
    link: &Link,
    submitter: &Submitter,
    term: EdgeTerm,
    message_id: MessageId,
    fresh: Option<FreshDocument>,
) -> Result<Brought, LinkError> {
    let Some(Open { draft, carried, sealed }) = open(node, message_id, fresh).await? else { return Ok(Brought::Done) };
    // One that is sealed may still lack them at the axis, which takes a document without its attachments for a fault of the sender.
    transfer::upload_all(node, link, &carried).await?;
    let (mut sealed_in, mut file) = match sealed {
        Some(sealed) => sealed,
        None => (term, seal(node, message_id, &draft, term).await?),
    };
    for _ in 0..SEALS_MAX {
        let refusal = match submitter.submit(file.clone(), false).await? {
            Outcome::Accepted(acceptance) => return accept(node, message_id, &file, &acceptance).await,
            Outcome::Refused(refusal) => refusal,
        };
        match judge(&refusal) {
            Judgement::Superseded => superseded(sealed_in, term, &refusal)?,
            Judgement::SealAnew => {}
            Judgement::Upload => {
                carried.iter().for_each(|(digest, _)| node.at_axis.forget(digest));
                transfer::upload_all(node, link, &carried).await?;
            }
            Judgement::Defer(refusal) => return Ok(Brought::Deferred(refusal)),
            Judgement::Wait(refusal) => return Ok(Brought::Ahead(refusal)),
            Judgement::Final(refusal) => return refuse(node, message_id, refusal).await,
        }
        if matches!(judge(&refusal), Judgement::Superseded | Judgement::SealAnew) {
            tracing::info!(%message_id, reason = %refusal.reason, "the document is sealed anew");
            file = seal(node, message_id, &draft, term).await?;
            sealed_in = term;
        }
    }
    Ok(Brought::Deferred(Refusal::new(Reason::SealExpiredReseal, "sealed several times and still refused")))
}

/// What a refusal asks for.
enum Judgement {
    Superseded,
    SealAnew,
    Upload,
    Defer(Refusal),
    /// Its number lies above those that the axis takes.
    Wait(Refusal),
    Final(Refusal),
}

fn judge(refusal: &pb::Refusal) -> Judgement {
    // A reason that this release does not know may pass; nothing is given up because of it.
    let Some(known) = status::from_proto(refusal) else {
        return Judgement::Defer(Refusal::new(Reason::BrokerAway, format!("{}: {}", refusal.reason, refusal.message)));
    };
    match known.reason {
        Reason::TermSuperseded => Judgement::Superseded,
        // It waits under its number: new ones would lie still further ahead, and those given up would never bring the window after them.
        Reason::SequenceOutsideWindow if is_ahead(refusal) => Judgement::Wait(known),
        Reason::SealExpiredReseal | Reason::SequenceOutsideWindow | Reason::MessageTooOld | Reason::SequenceReused => Judgement::SealAnew,
        Reason::AttachmentMissing => Judgement::Upload,
        // The operator or time puts these right; the document is not at fault.
        Reason::TermNotOpen
        | Reason::SealRevoked
        | Reason::SealForeign
        | Reason::MessageFromFuture
        | Reason::IdentityMismatch
        | Reason::IdentityExpired => Judgement::Defer(known),
        reason if reason.retry() == Retry::Later => Judgement::Defer(known),
        _ => Judgement::Final(known),
    }
}

/// Whether a number outside the window lies above it, and can be used once others have been.
fn is_ahead(refusal: &pb::Refusal) -> bool {
    let number = |name: &str| refusal.values.get(name).and_then(|number| number.parse::<u64>().ok());
    number("sender_seq").zip(number("highest")).is_some_and(|(seq, highest)| seq > highest)
}

async fn draft_of(node: &Node, row: &OutboxRow) -> Result<Vec<u8>, LinkError> {
    match node.store.record_at(row.drafted).await? {
        Record::Drafted { draft, .. } => Ok(draft),
        _ => Err(LinkError::Local(Refusal::new(Reason::JournalCorrupt, format!("no draft at position {}", row.drafted)))),
    }
}

async fn sealed_file(node: &Node, position: truc_types::Position) -> Result<Vec<u8>, LinkError> {
    match node.store.record_at(position).await? {
        Record::Sealed { file, .. } => Ok(file),
        _ => Err(LinkError::Local(Refusal::new(Reason::JournalCorrupt, format!("no sealed document at position {position}")))),
    }
}

/// Seals under the next number of the term; the record is durable before anybody sees the bytes.
async fn seal(node: &Arc<Node>, message_id: MessageId, draft: &[u8], term: EdgeTerm) -> Result<Vec<u8>, LinkError> {
    let (sealer, draft) = (node.sealer.clone(), draft.to_vec());
    let observed = node.trust.observed().for_statements();
    let sealed = node.store.record(move |state| {
        let meta = state.meta().map_err(refusal_of)?;
        if meta.term != term || !meta.term_open {
            return Err(Refusal::new(Reason::TermNotOpen, format!("term {term} is not open here")));
        }
        let record = sealer.envelope(&draft, term, meta.seq.next(), observed).map_err(|cause| cause.to_refusal())?;
        let file = if let Record::Sealed { file, .. } = &record { file.clone() } else { Vec::new() };
        Ok((vec![record], file))
    });
    let file = sealed.await?;
    tracing::debug!(%message_id, %term, "document sealed");
    Ok(file)
}

async fn accept(node: &Node, message_id: MessageId, file: &[u8], acceptance: &pb::Acceptance) -> Result<Brought, LinkError> {
    let accepted = node.trust.check_acceptance(file, acceptance)?;
    let missing = || crate::trust::TrustError::invalid(format!("the acceptance of {message_id} has no fact"));
    let ProvenFact { fact: parsed, bytes, leaf: fact_leaf } = accepted.fact.ok_or_else(missing)?;
    if parsed.message_id != message_id {
        return Err(crate::trust::TrustError::invalid(format!("the fact about {message_id} names {}", parsed.message_id)).into());
    }
    let leaf = accepted.leaf.index;
    let record =
        Record::Accepted { message_id, envelope_leaf: accepted.leaf, fact: bytes.to_vec(), fact_leaf, checkpoint: accepted.checkpoint };
    let recorded = Recorded { record, inside: Some(Inside::Accepted(parsed)) };
    // The DMS looks at it; of what follows, only the place of this document waits.
    node.store.record_soon(|_| Ok((vec![recorded], ())), std::convert::identity).await?;
    tracing::debug!(%message_id, %leaf, "document accepted by the axis");
    Ok(Brought::Done)
}

async fn refuse(node: &Node, message_id: MessageId, refusal: Refusal) -> Result<Brought, LinkError> {
    tracing::error!(%message_id, reason = %refusal.reason, message = %refusal.message, "document refused by the axis");
    let record = Record::RefusedByAxis { message_id, reason: refusal.reason.error_info(), message: refusal.message };
    node.store.record_all(vec![record]).await?;
    Ok(Brought::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_below_the_window_is_given_up_and_one_above_it_waits() {
        let judged = |seq: u64, highest: u64| {
            let refusal = Refusal::new(Reason::SequenceOutsideWindow, "outside").with("sender_seq", seq).with("highest", highest);
            judge(&status::to_proto(&refusal))
        };
        assert!(matches!(judged(4_098, 1), Judgement::Wait(_)));
        assert!(matches!(judged(1, 4_097), Judgement::SealAnew));
    }
}
