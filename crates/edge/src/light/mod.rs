//! An edge without a journal: it connects, seals, verifies and sends receipts with the code of the real one, and keeps in memory what that one keeps on
//! disk. For load generators, which want to see what the broker can do rather than many edges' disks.
//!
//! Not for documents that matter: what it knew is gone with it. It gives up at the first refusal and the first proof that does not hold.

mod arriving;
mod leaving;
mod receipts;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use truc_proto::broker::v1 as pb;
use truc_proto::broker::v1::submit_response::Outcome;
use truc_transport::status;
use truc_types::{AgencyCode, Digest, EdgeTerm, MessageId, OrganisationCode, Reason, Refusal};

use crate::config::EdgeConfig;
use crate::meters::Meters;
use crate::node::LinkError;
use crate::sealer::Sealer;
use crate::session::Link;
use crate::submit::{Answers, Submitter};
use crate::trust::{Observed, Trust};

pub use leaving::SealedDocument;

/// Registry statements of one answer.
const REGISTRY_PAGE: u32 = 100;

/// A connected edge without a journal. Cheap to clone.
#[derive(Clone)]
pub struct LightEdge {
    inner: Arc<Inner>,
}

/// What the document-management system behind a light edge answers, as soon as a document is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It registers everything, under its queue position as arrival number.
    Registers,
    /// It returns everything.
    Refuses,
}

/// What keeps a light edge going: to be run beside whatever uses it.
pub struct Loops {
    edge: Arc<Inner>,
    answers: Answers,
    gathering: Duration,
}

/// What a light edge did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Documents whose acceptance was verified.
    pub accepted: u64,
    /// Deliveries whose seals and proofs were verified.
    pub arrived: u64,
    /// Receipts of its own that are in the log, acceptance verified.
    pub receipts_logged: u64,
    /// Items in them.
    pub items_logged: u64,
    /// Receipts from recipients that were verified.
    pub receipts_verified: u64,
}

struct Inner {
    agency: AgencyCode,
    trust: Trust,
    sealer: Sealer,
    link: Link,
    submitter: Submitter,
    term: EdgeTerm,
    seq: AtomicU64,
    /// Where the registry is read on, for one reader at a time.
    registry_next: tokio::sync::Mutex<u64>,
    /// Documents whose last receipt has not come back.
    sent: Mutex<HashMap<MessageId, leaving::Sent>>,
    /// Deliveries that came before.
    arrived: Mutex<HashSet<(MessageId, OrganisationCode)>>,
    /// Digests of contents that were downloaded and verified.
    held: Mutex<HashSet<Digest>>,
    /// What is to stand in receipts.
    pending: Mutex<receipts::Pending>,
    /// A group of receipts is new.
    pending_changed: Notify,
    manner: Manner,
    /// Called for each document whose recipients have all answered, once its acceptance and their receipts were verified.
    returned: Box<dyn Fn(MessageId) + Send + Sync>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicU64,
    arrived: AtomicU64,
    receipts_logged: AtomicU64,
    items_logged: AtomicU64,
    receipts_verified: AtomicU64,
}

impl LightEdge {
    /// Connects, reads the registry and opens the next term, from whomever has one. Nothing arrives before the loops run. `returned` is called for each
    /// document whose recipients have all answered, once its acceptance and their receipts were verified.
    ///
    /// # Errors
    /// When the broker is away, refuses, or shows something that does not hold.
    pub async fn connect(
        config: &EdgeConfig,
        manner: Manner,
        returned: impl Fn(MessageId) + Send + Sync + 'static,
    ) -> Result<(Self, Loops), Refusal> {
        connect(config, manner, Box::new(returned)).await.map_err(LinkError::into_refusal)
    }

    /// The agency of this edge.
    #[must_use]
    pub fn agency(&self) -> &AgencyCode {
        &self.inner.agency
    }

    /// What it did so far.
    #[must_use]
    pub fn done(&self) -> Done {
        let counts = &self.inner.counts;
        let of = |count: &AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
        Done {
            accepted: of(&counts.accepted),
            arrived: of(&counts.arrived),
            receipts_logged: of(&counts.receipts_logged),
            items_logged: of(&counts.items_logged),
            receipts_verified: of(&counts.receipts_verified),
        }
    }

    /// The newest checkpoint as the broker signed it, verified.
    ///
    /// # Errors
    /// When the broker is away or its note does not hold.
    pub async fn checkpoint(&self) -> Result<String, Refusal> {
        let answer = self.inner.link.log().get_checkpoint(pb::GetCheckpointRequest {}).await;
        let note = answer.map_err(|status| LinkError::from(status).into_refusal())?.into_inner().checkpoint;
        let opened = self.inner.trust.open_checkpoint(&note);
        opened.map(|_| note).map_err(|cause| LinkError::from(cause).into_refusal())
    }

    /// Demands proof that the newest checkpoint extends the one that was shown at the beginning. The leaves between the two.
    ///
    /// # Errors
    /// When the proof does not hold, or none comes.
    pub async fn witness(&self) -> Result<u64, Refusal> {
        self.inner.witness().await.map_err(LinkError::into_refusal)
    }
}

impl Loops {
    /// What is to stand in receipts gathers for so long, unless one is full before: those who answer look at what has come from time to time. Without
    /// this, only while the receipt before it is on its way.
    #[must_use]
    pub fn gathering(self, gathering: Duration) -> Self {
        Self { gathering, ..self }
    }

    /// Runs until something is wrong: with the line, an answer, a proof.
    pub async fn run(mut self) -> Refusal {
        let mut loops = JoinSet::new();
        loops.spawn(async move { self.answers.hand_out().await });
        loops.spawn(receipts::run(Arc::clone(&self.edge), self.gathering));
        loops.spawn(arriving::run(self.edge));
        match loops.join_next().await {
            Some(Ok(Err(cause))) => cause.into_refusal(),
            Some(Err(cause)) => Refusal::new(Reason::BrokerAway, format!("a loop of the edge broke: {cause}")),
            None => Refusal::new(Reason::BrokerAway, "no loop was running"),
        }
    }
}

async fn connect(
    config: &EdgeConfig,
    manner: Manner,
    returned: Box<dyn Fn(MessageId) + Send + Sync>,
) -> Result<(LightEdge, Loops), LinkError> {
    let link = Link::connect(config).await?;
    let trust = Trust::new(config.log.clone(), config.operator.clone(), Observed::new(None));
    let newest = link.log().get_checkpoint(pb::GetCheckpointRequest {}).await?.into_inner();
    trust.observed().recorded(&trust.open_checkpoint(&newest.checkpoint)?.checkpoint);
    let registry_next = read_registry(&trust, &link, 0).await?;
    let meters = Arc::new(Meters::new(&config.metrics, &config.agency));
    let (submitter, mut answers) = Submitter::open(&link, meters).await?;
    let sealer = Sealer::new(Arc::clone(&config.seal), config.agency.clone());
    // Nobody else takes answers before the loops run.
    let term = tokio::select! {
        term = open_term(&trust, &sealer, &submitter) => term?,
        ended = answers.hand_out() => return ended.map(|never| match never {}),
    };
    let inner = Arc::new(Inner {
        agency: config.agency.clone(),
        trust,
        sealer,
        link,
        submitter,
        term,
        seq: AtomicU64::new(0),
        registry_next: tokio::sync::Mutex::new(registry_next),
        sent: Mutex::default(),
        arrived: Mutex::default(),
        held: Mutex::default(),
        pending: Mutex::default(),
        pending_changed: Notify::new(),
        manner,
        returned,
        counts: Counts::default(),
    });
    Ok((LightEdge { inner: Arc::clone(&inner) }, Loops { edge: inner, answers, gathering: Duration::ZERO }))
}

/// Opens the next term after the one that is open.
async fn open_term(trust: &Trust, sealer: &Sealer, submitter: &Submitter) -> Result<EdgeTerm, LinkError> {
    let (mut previous, mut tries) = (EdgeTerm(0), 0);
    loop {
        let term = previous.next();
        let file = sealer.term_opened(term, previous, trust.registry().version(), trust.observed().for_statements());
        match submitter.submit(file.clone(), true).await? {
            Outcome::Accepted(acceptance) => return trust.check_acceptance(&file, &acceptance).map(|_| term).map_err(LinkError::from),
            Outcome::Refused(refusal) => {
                let open = refusal.values.get("open").and_then(|open| open.parse().ok()).map(EdgeTerm);
                tries += 1;
                match open {
                    Some(open) if open >= term && tries < 2 => previous = open,
                    _ => return Err(refused(&refusal)),
                }
            }
        }
    }
}

/// Reads the registry on from a leaf; the leaf to go on at.
async fn read_registry(trust: &Trust, link: &Link, mut from_leaf: u64) -> Result<u64, LinkError> {
    loop {
        let request = pb::ListRegistryEntriesRequest { from_leaf, page_size: REGISTRY_PAGE };
        let page = link.directory().list_registry_entries(request).await?.into_inner();
        let entries = trust.check_registry_entries(trust.registry().version(), &page.entries, &page.checkpoint)?;
        for entry in &entries {
            trust.adopt(entry.leaf.index, &entry.statement)?;
            from_leaf = entry.leaf.index.0 + 1;
        }
        if page.next_from_leaf == 0 || entries.is_empty() {
            return Ok(from_leaf);
        }
    }
}

impl Inner {
    /// Reads what is new in the registry.
    async fn read_registry(&self) -> Result<(), LinkError> {
        let mut next = self.registry_next.lock().await;
        *next = read_registry(&self.trust, &self.link, *next).await?;
        Ok(())
    }

    async fn witness(&self) -> Result<u64, LinkError> {
        let answer = self.link.log().get_checkpoint(pb::GetCheckpointRequest {}).await?.into_inner();
        self.trust.open_checkpoint(&answer.checkpoint)?;
        let observed = self.trust.observed();
        let (Some(newest), Some(old)) = (observed.to_prove(), observed.proved()) else { return Ok(0) };
        let request = pb::GetConsistencyProofRequest { old_size: old.size, new_size: newest.checkpoint.size };
        let proof = self.link.log().get_consistency_proof(request).await?.into_inner();
        self.trust.check_extension(&old, &newest.checkpoint, &proof.path)?;
        observed.recorded(&newest.checkpoint);
        Ok(newest.checkpoint.size - old.size)
    }
}

/// A refusal of the axis, which nobody here waits out.
fn refused(refusal: &pb::Refusal) -> LinkError {
    let unknown = || Refusal::new(Reason::RequestInvalid, format!("{}: {}", refusal.reason, refusal.message));
    LinkError::Refused(status::from_proto(refusal).unwrap_or_else(unknown))
}
