//! The committer: one thread that makes blocks durable, signs their checkpoints, and only then lets outputs go.
//!
//! Jobs come in order and outputs leave in order, so whatever rests on a block leaves after it. A crash before the append returns leaves nobody
//! answered; one after it leaves entries whose submitters ask again and get the original acceptance; signing again gives the same bytes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use truc_core::registry::Registry;
use truc_journal::{AppendError, Block, EntryId, Journal};
use truc_ledger::{Checkpoint, Extension, InclusionProof, LogSigner, checkpoint};
use truc_types::limits::HIGH_WATER_AGE_MILLIS_MAX;
use truc_types::{Digest, LeafIndex, Position, Reason, Refusal};
use truc_views::{ViewBatch, Writer};

use crate::ended::Ended;
use crate::flow::Charge;
use crate::meters::{Load, Metered, Meters, Tally};
use crate::published::{Checkpointed, Proven, Published};
use crate::stream::{Place, StreamItem};

/// What became of a submission.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Durable and provable.
    Accepted(Box<Acceptance>),
    /// Not in the log.
    Refused(Refusal),
}

/// The proofs that a submitter gets.
#[derive(Debug)]
pub(crate) struct Acceptance {
    /// The statement. Its bytes are the submitter's own.
    pub statement: InclusionProof,
    /// The axis fact about it.
    pub fact: Option<Proven>,
    /// The checkpoint that covers both.
    pub checkpoint: Arc<str>,
    /// It was in the log before.
    pub repeated: bool,
}

/// Where an answer goes: a place on the stream that was kept for it when the request was read.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The place.
    pub place: mpsc::OwnedPermit<(u64, Answer)>,
    /// Number of the request.
    pub request_id: u64,
    /// What the statement takes of the memory for statements in flight, until it is answered.
    pub charge: Charge,
    /// Counts the answer; the axis' own statements are not counted.
    pub metered: Option<Metered>,
}

impl Reply {
    /// Sends the answer. A client that went away does not get it: it will ask again.
    pub(crate) fn send(self, answer: Answer) {
        let Self { place, request_id, charge, metered } = self;
        if let Some(metered) = metered {
            metered.answered(&answer);
        }
        if let Answer::Refused(refusal) = &answer {
            charge.refused(refusal);
        }
        place.send((request_id, answer));
        drop(charge);
    }
}

/// Something that leaves the process once everything before it is durable.
pub(crate) enum Output {
    /// The statement at a position was accepted into this job's block.
    Accepted { reply: Reply, statement: Position, has_fact: bool },
    /// The statement was in the log before.
    Repeated { reply: Reply, statement: Position, has_fact: bool },
    /// The statement was refused.
    Refused { reply: Reply, refusal: Refusal },
    /// Something for the delivery stream of an edge.
    Stream { place: Place, item: StreamItem },
    /// The position of a statement, or that there is none.
    Located { reply: oneshot::Sender<Option<Position>>, position: Option<Position> },
    /// What the operator asked for.
    Told(Box<dyn FnOnce() + Send>),
    /// Somebody wants to know whether commands still go through.
    Probed { reply: oneshot::Sender<()> },
    /// How full the queues are.
    Load(Box<Load>),
    /// A new registry.
    Registry(Arc<Registry>),
    /// Rows for the views.
    Views(ViewBatch),
}

/// A block to commit, if there is one, and what leaves after it.
pub(crate) struct Job {
    pub(crate) block: Option<Closed>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) tally: Tally,
}

/// A block that takes no more, with what was found out about its entries while it was filled.
pub(crate) struct Closed {
    pub(crate) block: Block,
    /// The id of each entry that has one.
    pub(crate) ids: Vec<Option<EntryId>>,
    pub(crate) leaves: Vec<Digest>,
    /// The tree behind it.
    pub(crate) extension: Extension,
}

/// What the committer tells the sequencer after each job.
#[derive(Debug)]
pub(crate) struct Durable {
    /// Statements below are in the index of sealed segments.
    pub(crate) indexed_through: Position,
    /// The views cannot be written any more; they are rebuilt at the next start.
    pub(crate) views_broken: bool,
}

/// Parts of the committer.
pub(crate) struct Committer {
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) signer: LogSigner,
    pub(crate) published: Arc<Published>,
    pub(crate) views: Writer,
    /// The writer took a batch no more, whyever: then waiting for the views would be for ever.
    pub(crate) views_broken: bool,
    /// Stands for a slower disk in benches: every block takes so much longer to be durable.
    pub(crate) sync_delay: Duration,
    pub(crate) meters: Arc<Meters>,
}

/// A committer that runs.
pub(crate) struct Running {
    /// Takes jobs in order.
    pub(crate) jobs: SyncSender<Job>,
    /// Tells of each job that is done.
    pub(crate) durable: mpsc::Receiver<Durable>,
    /// Gives the error that ended it.
    pub(crate) thread: std::thread::JoinHandle<Result<(), Refusal>>,
}

/// Starts the committer.
pub(crate) fn start(committer: Committer, ended: Ended) -> std::io::Result<Running> {
    // One job waits while one is committed: the sequencer hands over the next block only after the last is durable.
    let (jobs, taken) = sync_channel(2);
    let (done, durable) = mpsc::channel(4);
    let thread = std::thread::Builder::new().name("committer".to_owned()).spawn(move || {
        let _ended = ended;
        committer.run(&taken, &done)
    })?;
    Ok(Running { jobs, durable, thread })
}

impl Committer {
    fn run(mut self, jobs: &Receiver<Job>, durable: &mpsc::Sender<Durable>) -> Result<(), Refusal> {
        loop {
            match jobs.recv_timeout(Duration::from_millis(HIGH_WATER_AGE_MILLIS_MAX)) {
                Ok(job) => self.commit(job, durable)?,
                Err(RecvTimeoutError::Timeout) => self.journal.settle().map_err(|cause| append_failed(&cause))?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.views.close();
        self.journal.close().map_err(|cause| append_failed(&cause))
    }

    fn commit(&mut self, job: Job, durable: &mpsc::Sender<Durable>) -> Result<(), Refusal> {
        let mut extension = None;
        if let Some(Closed { block, ids, leaves, extension: grown }) = job.block {
            let begun = tokio::time::Instant::now();
            if let Err(cause) = self.journal.append_read(block.clone(), &ids) {
                let refusal = append_failed(&cause);
                tracing::error!(%cause, position = block.header.position.0, "the journal did not take a block; this process ends");
                unknown_to_all(job.outputs, &refusal.message);
                return Err(refusal);
            }
            if !self.sync_delay.is_zero() {
                std::thread::sleep(self.sync_delay);
            }
            self.meters.commit.observe(begun.elapsed().as_secs_f64());
            let checkpoint = match self.sign(&block) {
                Ok(checkpoint) => checkpoint,
                Err(refusal) => {
                    unknown_to_all(job.outputs, &refusal.message);
                    return Err(refusal);
                }
            };
            let (time, bytes, end) = (block.header.time, block.entries.iter().map(|entry| entry.len()).sum(), block.header.position);
            self.published.publish_block(block, &leaves, checkpoint);
            self.meters.block(leaves.len(), bytes, time, end.plus(leaves.len() as u64));
            extension = Some(grown);
        }
        // The sequencer may close the next block while the answers of this one leave.
        let notice = Durable {
            indexed_through: self.published.reader().indexed_through(),
            views_broken: self.views_broken || self.views.broken().is_some(),
        };
        if durable.blocking_send(notice).is_err() {
            tracing::debug!("the sequencer has ended");
        }
        self.meters.tally(&job.tally);
        let checkpoint = self.published.checkpoint();
        for output in job.outputs {
            self.release(output, extension.as_ref(), &checkpoint);
        }
        Ok(())
    }

    fn sign(&self, block: &Block) -> Result<Checkpointed, Refusal> {
        let header = &block.header;
        let checkpoint = Checkpoint { origin: header.origin.clone(), size: header.tree_size, root: header.root };
        let note = checkpoint::sign(&checkpoint, &self.signer).map_err(|cause| Refusal::new(Reason::KeyUnreadable, cause.to_string()))?;
        Ok(Checkpointed { note: note.into(), size: header.tree_size })
    }

    fn release(&mut self, output: Output, extension: Option<&Extension>, checkpoint: &Checkpointed) {
        match output {
            Output::Accepted { reply, statement, has_fact } => {
                let answer = self.acceptance(statement, has_fact, extension, checkpoint);
                reply.send(answer.map_or_else(Answer::Refused, |acceptance| Answer::Accepted(Box::new(acceptance))));
            }
            Output::Repeated { reply, statement, has_fact } => {
                let answer = self.acceptance(statement, has_fact, None, checkpoint);
                let repeated = |acceptance| Answer::Accepted(Box::new(Acceptance { repeated: true, ..acceptance }));
                reply.send(answer.map_or_else(Answer::Refused, repeated));
            }
            Output::Refused { reply, refusal } => reply.send(Answer::Refused(refusal)),
            // A stream that has ended meanwhile gave its leases back.
            Output::Stream { place, item } => drop(place.send(item)),
            Output::Located { reply, position } => {
                if reply.send(position).is_err() {
                    tracing::debug!("nobody waits for a position any more");
                }
            }
            Output::Told(tell) => tell(),
            Output::Probed { reply } => {
                if reply.send(()).is_err() {
                    tracing::debug!("nobody waits for a probe any more");
                }
            }
            Output::Load(load) => self.meters.load(&load, &self.published.registry()),
            Output::Registry(registry) => self.published.publish_registry(registry),
            Output::Views(batch) => {
                if self.views.write(batch).is_err() {
                    self.views_broken = true;
                    tracing::error!("the views cannot be written; they are rebuilt from the journal at the next start");
                }
            }
        }
    }

    /// The proofs of a statement: from the block that was just committed, or from the tree.
    fn acceptance(
        &self,
        statement: Position,
        has_fact: bool,
        extension: Option<&Extension>,
        checkpoint: &Checkpointed,
    ) -> Result<Acceptance, Refusal> {
        let leaf = |position: Position| LeafIndex(position.0 - self.published.shard_start().0);
        let fact = has_fact.then(|| statement.next());
        if let Some(extension) = extension
            && let Some(proof) = extension.inclusion_proof(leaf(statement))
        {
            let fact = match fact {
                Some(fact) => extension.inclusion_proof(leaf(fact)).map(|proof| Ok((self.published.entry(fact)?, proof))).transpose()?,
                None => None,
            };
            let fact = fact.map(|(entry, proof)| Proven { entry, proof });
            return Ok(Acceptance { statement: proof, fact, checkpoint: checkpoint.note.clone(), repeated: false });
        }
        let (proven, checkpoint) = self.published.prove([Some(statement), fact].into_iter().flatten())?;
        let mut proven = proven.into_iter();
        let proof = proven.next().ok_or_else(|| Refusal::new(Reason::MessageUnknown, "nothing was proven"))?.proof;
        Ok(Acceptance { statement: proof, fact: proven.next(), checkpoint: checkpoint.note, repeated: false })
    }
}

/// Why the process ends; submitters are told that the outcome is unknown.
fn append_failed(cause: &AppendError) -> Refusal {
    Refusal::new(cause.end_reason(), cause.to_string())
}

/// Nobody knows whether the block is durable: submitters must ask again, and are never told that they were refused.
pub(crate) fn unknown_to_all(outputs: Vec<Output>, cause: &str) {
    for output in outputs {
        if let Output::Accepted { reply, .. } | Output::Repeated { reply, .. } | Output::Refused { reply, .. } = output {
            reply.send(Answer::Refused(Refusal::new(Reason::OutcomeUnknown, format!("this process ends: {cause}"))));
        }
    }
}
