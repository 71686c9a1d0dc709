//! Sequencer and committer over a journal, as the broker runs them, and a client that submits to them.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use truc_core::{State, Submit, admit};
use truc_journal::Journal;
use truc_ledger::{Checkpoint, checkpoint, leaf_hash};
use truc_transport::clock;
use truc_transport::metrics::Metrics;
use truc_types::{MessageId, Position, Reason, Refusal};
use truc_views::{ViewStore, Writer};

use super::axis::{self, Axis};
use crate::block::Tail;
use crate::boot::Booted;
use crate::committer::{self, Acceptance, Answer, Committer, Reply};
use crate::ended::Endings;
use crate::flow::Flow;
use crate::meters::Meters;
use crate::pace::{OnTheWay, Pace};
use crate::published::{Checkpointed, Published};
use crate::rows;
use crate::sequencer::{Command, Sequencer};

pub(super) struct Engine {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) published: Arc<Published>,
    places: mpsc::Sender<(u64, Answer)>,
    answers: mpsc::Receiver<(u64, Answer)>,
    flow: Flow,
    meters: Arc<Meters>,
    metrics: Metrics,
    sequencer: JoinHandle<std::io::Result<()>>,
    committer: JoinHandle<Result<(), Refusal>>,
    pub(super) endings: Endings,
}

/// What a start makes of a journal of any engine, with new views.
pub(super) fn booted(journal: Box<dyn Journal>, views: &Path) -> Booted {
    let (end, reader) = (journal.end(), journal.reader());
    let (state, tree) = crate::replay::replay(reader.as_ref(), State::default(), None).unwrap();
    let tail = Tail {
        number: end.number,
        position: end.position,
        shard_start: Position(0),
        origin: end.origin.clone(),
        term: end.term,
        time: end.time,
    };
    let newest = Checkpoint { origin: end.origin, size: end.tree_size, root: end.root };
    let note = checkpoint::sign(&newest, &axis::signer()).unwrap();
    let checkpointed = Checkpointed { note: note.into(), size: newest.size };
    let published = Arc::new(Published::new(reader, Position(0), tree.clone(), checkpointed, state.registry().clone()));
    let (views, _) = ViewStore::open(views, rows::FORMAT, end.position).unwrap();
    Booted { journal, state, tail, tree, views: Arc::new(views), published }
}

impl Engine {
    pub(super) fn start(booted: Booted) -> Self {
        let Booted { journal, state, tail, tree, views, published } = booted;
        let endings = Endings::default();
        let metrics = Metrics::new(&[crate::metrics::TABLE]);
        let meters = Arc::new(Meters::new(&metrics));
        let committer = Committer {
            journal,
            signer: axis::signer(),
            published: published.clone(),
            views: Writer::start(views.clone(), 0, |_| {}).unwrap(),
            views_broken: false,
            sync_delay: Duration::ZERO,
            meters: meters.clone(),
        };
        let committer::Running { jobs, durable, thread: committer } = committer::start(committer, endings.guard()).unwrap();
        // One place: a command that was sent says that the one two before it is handled.
        let (commands, inbox) = mpsc::channel(1);
        let (places, answers) = mpsc::channel(2_000);
        let (next, pace) = (tree.frontier(), Pace::new(OnTheWay::default()));
        let sequencer = Sequencer::new(state, next, tail, published.clone(), views, jobs, Arc::default(), meters.clone(), pace);
        let sequencer = std::thread::spawn(move || sequencer.run(inbox, durable));
        Self { commands, published, places, answers, flow: Flow::default(), meters, metrics, sequencer, committer, endings }
    }

    /// Starts with terms opened of both agencies.
    pub(super) fn start_open(axis: &Axis, booted: Booted, mut pass_one: impl FnMut()) -> Self {
        let mut engine = Self::start(booted);
        for agency in [0, 1] {
            engine.submit(agency as u64, agency, axis.opening(agency));
            pass_one();
            engine.accepted(agency as u64);
        }
        engine
    }

    /// Sends a statement of an agency; false if the sequencer has ended.
    pub(super) fn submit(&self, request_id: u64, agency: usize, file: Arc<[u8]>) -> bool {
        let admitted = admit(clock::now(), &self.published.registry(), &axis::code(agency), file).unwrap();
        let submit = Submit { admitted, indexed: None, indexed_through: Position(0), objection: None, older_term_connected: false };
        let place = self.places.clone().try_reserve_owned().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let charge = runtime.block_on(self.flow.share(&axis::code(agency)).enter(1));
        let reply = Reply { place, request_id, charge, metered: Some(self.meters.received()) };
        self.commands.blocking_send(Command::Submit { submit: Box::new(submit), force_takeover: false, pins: Vec::new(), reply }).is_ok()
    }

    /// Returns when everything that was sent before is decided.
    pub(super) fn wait_until_handled(&self) {
        for _ in 0..2 {
            let (reply, _) = oneshot::channel();
            self.commands.blocking_send(Command::Locate { message_id: MessageId::from_bytes([0; 16]), reply }).unwrap();
        }
    }

    /// What a metric with these labels shows.
    pub(super) fn shown(&self, metric: &str) -> String {
        let text = self.metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{metric} is not in {text}")).to_owned()
    }

    pub(super) fn answer(&mut self) -> (u64, Answer) {
        self.answers.blocking_recv().unwrap()
    }

    pub(super) fn has_answer(&self) -> bool {
        !self.answers.is_empty()
    }

    pub(super) fn accepted(&mut self, request_id: u64) -> Box<Acceptance> {
        match self.answer() {
            (id, Answer::Accepted(acceptance)) if id == request_id => acceptance,
            other => panic!("{request_id} is not accepted: {other:?}"),
        }
    }

    pub(super) fn refused(&mut self, request_id: u64) -> Reason {
        match self.answer() {
            (id, Answer::Refused(refusal)) if id == request_id => refusal.reason,
            other => panic!("{request_id} is not refused: {other:?}"),
        }
    }

    /// Ends it as the broker does; what the committer says.
    pub(super) fn end(self) -> Result<(), Refusal> {
        // It may have ended by itself.
        drop(self.commands.blocking_send(Command::End));
        self.sequencer.join().unwrap().unwrap();
        self.committer.join().unwrap()
    }
}

/// The proof holds against the checkpoint that comes with it.
pub(super) fn check(acceptance: &Acceptance, file: &[u8]) {
    let checkpoint = checkpoint::open(acceptance.checkpoint.as_bytes(), axis::signer().verifier()).unwrap();
    acceptance.statement.verify(&leaf_hash(file), &checkpoint.root).unwrap();
    if let Some(fact) = &acceptance.fact {
        fact.proof.verify(&leaf_hash(&fact.entry), &checkpoint.root).unwrap();
    }
}
