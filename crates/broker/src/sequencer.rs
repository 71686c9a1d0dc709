//! The sequencer: one thread that owns the tentative state. Decide, apply at once, next command.
//!
//! Whatever it says rests on the state it has then, so every output travels with the block that is being filled and leaves only after that block, or
//! the one in flight, is durable. A block closes when the previous one is durable; while more is on its way to it, some
//! milliseconds later at most (`pace`).

mod deliveries;
mod inspect;
mod load;
mod registry;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use truc_core::dispatch::{AgencyQueue, LeaseId};
use truc_core::registry::AgencyIndex;
use truc_core::{Effect, Entry, Known, Outcome, State, Submit, decide};
use truc_ledger::Frontier;
use truc_signing::statement::{SenderHeadEvent, Statement};
use truc_transport::clock;
use truc_types::limits::{BLOCK_COMMANDS_MAX, CLOCK_STEP_BACK_MILLIS_MAX, VIEW_LAG_ENTRIES_MAX};
use truc_types::{EdgeTerm, MessageId, Position, Reason, Refusal, Timestamp};
use truc_views::ViewStore;

use crate::block::{Filling, Tail};
use crate::committer::{Answer, Durable, Job, Output, Reply, unknown_to_all};
use crate::meters::Meters;
use crate::pace::Pace;
use crate::published::Published;
use crate::rows;
use crate::stream::{OpenStream, StreamId, StreamItem};
pub(crate) use inspect::{InspectedAgency, InspectedDelivery, Inspection};

/// How often leases, pauses and view rows are looked at.
const TICK: Duration = Duration::from_millis(200);
/// While a block is on its way to the disk, commands gather for so long, or until it is durable: they cannot leave before it, and one waking for all of them
/// costs less than one for each. On a slow disk they are decided meanwhile.
const GATHERING: Duration = Duration::from_millis(1);
/// Ticks after which the load of the queues is looked at.
const LOAD_TICKS: u32 = 25;
/// Ticks after which rows are taken, however few they are.
const VIEW_ROWS_AGE_TICKS: u32 = 5;
/// Entries after which rows are taken at the next tick. Under load many small flushes delay nobody for long; one large one a second shows in the
/// slowest hundredth of the answers.
const VIEW_ROWS_ENTRIES: u64 = 2_048;
/// Messages after whose change rows are taken, too: a receipt changes up to 100, which lie anywhere, and each takes its neighbours along.
const VIEW_ROWS_MESSAGES: usize = 8_192;

/// What others ask of the sequencer.
#[derive(Debug)]
pub(crate) enum Command {
    /// Decide on a statement.
    Submit {
        submit: Box<Submit>,
        /// Take over although the edge of the older term is connected.
        force_takeover: bool,
        /// Attachments that must not go away until decided.
        pins: Vec<truc_blobs::BlobPin>,
        reply: Reply,
    },
    /// An edge opened its delivery stream.
    Open {
        agency: AgencyIndex,
        edge_term: EdgeTerm,
        feed_cursor: u64,
        id: StreamId,
        peer: Option<SocketAddr>,
        items: mpsc::Sender<StreamItem>,
    },
    /// An edge can take more deliveries.
    Credit { agency: AgencyIndex, id: StreamId, deliveries: u32 },
    /// An edge has stored receipts.
    Confirm { agency: AgencyIndex, id: StreamId, feed_cursor: u64 },
    /// An edge gives a lease back.
    Release { agency: AgencyIndex, id: StreamId, lease: LeaseId },
    /// A delivery stream ended.
    Close { agency: AgencyIndex, id: StreamId },
    /// A registry statement of the operator.
    AppendRegistry { entry: Box<Entry>, reply: oneshot::Sender<Result<Position, Refusal>> },
    /// Where a statement stands, if it is open or recent.
    Locate { message_id: MessageId, reply: oneshot::Sender<Option<Position>> },
    /// What the queues and streams are now, for the operator.
    Inspect { reply: oneshot::Sender<Inspection> },
    /// How it stands with the deliveries of one message that nobody has fetched, for the operator.
    InspectMessage { message_id: MessageId, reply: oneshot::Sender<Vec<InspectedDelivery>> },
    /// Whether commands still go through: answered when all before it is durable.
    Probe { reply: oneshot::Sender<()> },
    /// Take no more commands, finish what is here, and end. Whoever still has a way to send is told that the broker ends.
    End,
}

/// The sequencer and everything that it alone owns.
pub(crate) struct Sequencer {
    pub(crate) state: State,
    pub(crate) frontier: Frontier,
    pub(crate) tail: Tail,
    pub(crate) published: Arc<Published>,
    pub(crate) views: Arc<ViewStore>,
    queues: Vec<AgencyQueue>,
    streams: Vec<Option<OpenStream>>,
    /// When the stream of an agency ended last.
    ended: HashMap<AgencyIndex, Timestamp>,
    /// Received and not handled yet.
    waiting: VecDeque<Command>,
    filling: Filling,
    effects: Vec<Effect>,
    last_lease: u64,
    in_flight: bool,
    pace: Pace,
    ending: bool,
    views_taken: Position,
    views_age_ticks: u32,
    load_age_ticks: u32,
    views_broken: bool,
    last_now: Timestamp,
    /// When this sequencer began, by both clocks.
    begun: (Timestamp, Instant),
    clock_stepped_back: Arc<std::sync::atomic::AtomicBool>,
    jobs: SyncSender<Job>,
    meters: Arc<Meters>,
}

/// Why the loop ended.
enum End {
    /// Everybody who could send a command has gone.
    Drained,
    /// The committer has gone: it says why.
    CommitterGone,
}

impl Sequencer {
    /// A sequencer over a state that is durable up to its end.
    #[expect(clippy::too_many_arguments, reason = "each of them is another part of the engine; the start makes them in this order")]
    pub(crate) fn new(
        state: State,
        frontier: Frontier,
        tail: Tail,
        published: Arc<Published>,
        views: Arc<ViewStore>,
        jobs: SyncSender<Job>,
        clock_stepped_back: Arc<std::sync::atomic::AtomicBool>,
        meters: Arc<Meters>,
        pace: Pace,
    ) -> Self {
        let views_taken = views.position();
        let last_now = tail.time;
        let mut sequencer = Self {
            state,
            frontier,
            tail,
            published,
            views,
            queues: Vec::new(),
            streams: Vec::new(),
            ended: HashMap::new(),
            waiting: VecDeque::with_capacity(BLOCK_COMMANDS_MAX),
            filling: Filling::default(),
            effects: Vec::new(),
            last_lease: 0,
            in_flight: false,
            pace,
            ending: false,
            views_taken,
            views_age_ticks: 0,
            load_age_ticks: LOAD_TICKS,
            views_broken: false,
            last_now,
            begun: (last_now, Instant::now()),
            clock_stepped_back,
            jobs,
            meters,
        };
        sequencer.fill_queues();
        sequencer
    }

    /// Runs until all senders of commands are gone and everything is durable. Blocks the thread.
    pub(crate) fn run(mut self, mut commands: mpsc::Receiver<Command>, mut durable: mpsc::Receiver<Durable>) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        match runtime.block_on(self.work(&mut commands, &mut durable)) {
            End::Drained => tracing::info!(position = self.state.next().0, "the sequencer has finished"),
            End::CommitterGone => {
                tracing::error!("the committer has ended; the sequencer ends too");
                self.abandon(commands);
            }
        }
        Ok(())
    }

    /// Nothing that was decided here can become durable any more, and what it rested on may not be. Nobody is left without an answer.
    fn abandon(self, mut commands: mpsc::Receiver<Command>) {
        commands.close();
        unknown_to_all(self.filling.into_outputs(), "the journal failed");
        for command in self.waiting.into_iter().chain(std::iter::from_fn(|| commands.blocking_recv())) {
            if let Command::Submit { reply, .. } = command {
                reply.send(Answer::Refused(Refusal::new(Reason::ShuttingDown, "the broker ends")));
            }
        }
    }

    async fn work(&mut self, commands: &mut mpsc::Receiver<Command>, durable: &mut mpsc::Receiver<Durable>) -> End {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut received = Vec::with_capacity(BLOCK_COMMANDS_MAX);
        let mut open = true;
        loop {
            if !self.in_flight {
                self.gather(commands);
            }
            while !self.filling.is_full()
                && let Some(command) = self.waiting.pop_front()
            {
                self.handle(command);
            }
            if self.ending {
                commands.close();
            }
            // What a block waits for is not taken one by one: that would wake this thread for each.
            let waits = !self.in_flight && !self.filling.is_empty() && !self.ending && self.pace.waits(Instant::now(), &self.filling);
            if !self.in_flight && !waits && !self.filling.is_empty() && !self.hand_over() {
                return End::CommitterGone;
            }
            if !open && self.waiting.is_empty() && !self.in_flight {
                self.take_rows();
                if self.filling.is_empty() {
                    return End::Drained;
                }
                continue;
            }
            tokio::select! {
                biased;
                // First, or a flood of commands over a fast disk would never let leases run out and rows be taken.
                _ = tick.tick() => self.on_tick(),
                notice = durable.recv(), if self.in_flight => match notice {
                    Some(notice) => self.on_durable(&notice),
                    None => return End::CommitterGone,
                },
                () = tokio::time::sleep(GATHERING), if waits || self.in_flight && !self.filling.is_full() => self.gather(commands),
                count = commands.recv_many(&mut received, BLOCK_COMMANDS_MAX), if !waits && !self.in_flight && open && self.waiting.is_empty() => {
                    open = count > 0;
                    self.waiting.extend(received.drain(..));
                }
            }
        }
    }

    /// Takes what has come, without waiting for more.
    fn gather(&mut self, commands: &mut mpsc::Receiver<Command>) {
        let before = self.waiting.len();
        let room = BLOCK_COMMANDS_MAX.saturating_sub(before);
        self.waiting.extend(std::iter::from_fn(|| commands.try_recv().ok()).take(room));
        self.pace.gathered(self.waiting.len() > before);
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Submit { submit, force_takeover, pins, reply } => {
                self.submit(*submit, force_takeover, reply);
                drop(pins);
            }
            Command::Open { agency, edge_term, feed_cursor, id, peer, items } => {
                self.open_stream(agency, edge_term, feed_cursor, (id, peer), items);
            }
            Command::Credit { agency, id, deliveries } => {
                if let Some(stream) = self.stream(agency, id) {
                    stream.grant(deliveries);
                    self.deliver(agency);
                }
            }
            Command::Confirm { agency, id, feed_cursor } => {
                if let Some(stream) = self.stream(agency, id) {
                    stream.feed_confirmed = stream.feed_confirmed.max(feed_cursor.min(stream.feed_sent));
                    let confirmed = stream.feed_confirmed;
                    self.state.confirm_feed(agency, confirmed);
                    self.feed(agency);
                }
            }
            Command::Release { agency, id, lease } => {
                if self.stream(agency, id).is_some() {
                    let now = self.counted();
                    self.queue(agency).release(now, lease);
                }
            }
            Command::Close { agency, id } => {
                if self.stream(agency, id).is_some() {
                    self.close_stream(agency, None);
                }
            }
            Command::AppendRegistry { entry, reply } => self.append_registry(*entry, reply),
            Command::Inspect { reply } => self.inspect(reply),
            Command::InspectMessage { message_id, reply } => self.inspect_message(&message_id, reply),
            Command::Probe { reply } => self.filling.output(Output::Probed { reply }),
            Command::End => self.ending = true,
            Command::Locate { message_id, reply } => {
                let position = self.state.known(&message_id).map(|known| known.position);
                self.filling.output(Output::Located { reply, position });
            }
        }
    }

    fn submit(&mut self, mut submit: Submit, force_takeover: bool, reply: Reply) {
        if self.views_lag() > VIEW_LAG_ENTRIES_MAX {
            let refusal = Refusal::new(Reason::BusyViews, "the views lag too far behind the journal").with("lag", self.views_lag());
            return self.filling.output(Output::Refused { reply, refusal });
        }
        if submit.is_stale(&self.state)
            && let Err(refusal) = look_up(&self.published, &mut submit)
        {
            return self.filling.output(Output::Refused { reply, refusal });
        }
        let agency = submit.admitted.agency;
        let opens_term = opened_term(&submit.admitted.entry.statement);
        submit.older_term_connected =
            !force_takeover && opens_term.is_some_and(|term| self.connected_term(agency).is_some_and(|connected| connected < term));
        let time = self.block_time();
        let message_id = submit.admitted.id;
        let decision = decide(time, self.published.shard_start(), &self.state, submit);
        self.append(decision.entries);
        match decision.outcome {
            Outcome::Accepted { statement, has_fact } => {
                tracing::debug!(%message_id, position = statement.0, "accepted");
                if let Some(term) = opens_term {
                    self.fence(agency, term);
                }
                self.filling.output(Output::Accepted { reply, statement, has_fact });
            }
            Outcome::Repeated { statement, has_fact } => self.filling.output(Output::Repeated { reply, statement, has_fact }),
            Outcome::Refused(refusal) => {
                if matches!(refusal.reason, Reason::SequenceReused | Reason::MessageIdConflict) {
                    // Two documents under one number: an edge runs on an old copy of its folder, or somebody else has its key.
                    tracing::error!(%message_id, reason = %refusal.reason, cause = refusal.message, "alarm: other bytes under a used number or id");
                } else {
                    tracing::info!(%message_id, reason = %refusal.reason, cause = refusal.message, "refused");
                }
                self.filling.output(Output::Refused { reply, refusal });
            }
        }
    }

    /// Applies what was decided and puts it into the block.
    fn append(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let position = self.state.next();
            let mut effects = std::mem::take(&mut self.effects);
            // A refusal here is a defect: `apply` never fails on what `decide` produced (a property of truc-core).
            #[expect(clippy::expect_used, reason = "going on would make a log that nobody can replay")]
            self.state.apply(position, &entry, &mut effects).expect("apply takes what decide made");
            let id = entry.id();
            self.filling.push(entry.bytes, id);
            for effect in effects.drain(..) {
                self.take_effect(effect);
            }
            self.effects = effects;
        }
    }

    fn take_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Queued { agency, position, delivery } => {
                self.queue(agency).push(position, delivery);
                self.deliver(agency);
            }
            Effect::Dequeued { agency, position, accepted_at } => {
                self.queue(agency).remove(position);
                if self.state.registry().axis_agency() != Some(agency) {
                    let waited = self.block_time().millis_since(accepted_at);
                    self.filling.tally.waited_millis.push(waited);
                }
            }
            Effect::Fed { agency, .. } => self.feed(agency),
            Effect::RegistryChanged => {
                self.filling.output(Output::Registry(self.state.registry().clone()));
                self.announce_registry();
            }
        }
    }

    fn on_tick(&mut self) {
        // Looked at on every tick: a step shows also while nothing is decided.
        self.now();
        let now = self.counted();
        for agency in 0..self.queues.len() {
            let Ok(index) = u16::try_from(agency) else { break };
            if let Some(queue) = self.queues.get_mut(agency) {
                queue.tick(now);
            }
            self.deliver(AgencyIndex(index));
            self.feed(AgencyIndex(index));
        }
        self.load_age_ticks += 1;
        if self.load_age_ticks >= LOAD_TICKS {
            self.load_age_ticks = 0;
            let load = self.load();
            self.filling.output(Output::Load(Box::new(load)));
        }
        self.views_age_ticks += 1;
        let entries = self.state.next().0.saturating_sub(self.views_taken.0);
        let many = entries >= VIEW_ROWS_ENTRIES || self.state.messages_changed() >= VIEW_ROWS_MESSAGES;
        if self.views_age_ticks >= VIEW_ROWS_AGE_TICKS || many {
            self.take_rows();
        }
    }

    fn on_durable(&mut self, notice: &Durable) {
        self.in_flight = false;
        self.views_broken |= notice.views_broken;
        self.state.forget(notice.indexed_through);
    }

    /// Takes the changed rows, if the ones taken before are written. They leave with the block, so the views never run ahead of the journal.
    fn take_rows(&mut self) {
        let idle = self.views.position() >= self.views_taken;
        if self.views_broken || !idle || self.state.next() == self.views_taken {
            return;
        }
        self.views_age_ticks = 0;
        self.views_taken = self.state.next();
        self.filling.output(Output::Views(rows::take(&mut self.state)));
    }

    fn views_lag(&self) -> u64 {
        if self.views_broken { 0 } else { self.state.next().0.saturating_sub(self.views.position().0) }
    }

    /// Closes the block and gives it to the committer; false if that has ended.
    fn hand_over(&mut self) -> bool {
        let answers = self.filling.answers();
        let next = Filling::as_large_as(&self.filling);
        let job = std::mem::replace(&mut self.filling, next).close(&mut self.tail, &mut self.frontier);
        self.meters.decided.store(self.tail.position.0, std::sync::atomic::Ordering::Relaxed);
        match self.jobs.try_send(job) {
            Ok(()) => {
                self.pace.closed(Instant::now(), answers);
                self.in_flight = true;
                true
            }
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                unknown_to_all(job.outputs, "the journal failed");
                false
            }
        }
    }

    /// Time of the block that is being filled: set by its first command, never before the block before it.
    fn block_time(&mut self) -> Timestamp {
        let (now, last) = (self.now(), self.tail.time);
        *self.filling.time.get_or_insert_with(|| now.max(last))
    }

    /// The time for leases and pauses: it only counts. By the clock of the day a step forwards would end every lease, and after a step backwards
    /// none would end, and no delivery come again, until that clock had caught up.
    fn counted(&self) -> Timestamp {
        let (first, begun) = self.begun;
        first.plus_millis(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn now(&mut self) -> Timestamp {
        let now = clock::now();
        let stepped = self.last_now.millis_since(now) > CLOCK_STEP_BACK_MILLIS_MAX;
        if self.clock_stepped_back.swap(stepped, std::sync::atomic::Ordering::Relaxed) != stepped {
            tracing::error!(stepped, %now, last = %self.last_now, "the clock of this machine stepped");
        }
        self.last_now = self.last_now.max(now);
        self.last_now
    }
}

/// Asks the index of sealed segments for a statement's id.
pub(crate) fn look_up(published: &Published, submit: &mut Submit) -> Result<(), Refusal> {
    let reader = published.reader();
    // Read before the search: what is sealed in between is still in the state.
    submit.indexed_through = reader.indexed_through();
    let found = reader.find(&submit.admitted.id.to_bytes()).map_err(|cause| crate::published::storage(&cause))?;
    submit.indexed = match found {
        Some(position) => {
            use sha2::Digest as _;
            let digest = truc_types::Digest(sha2::Sha256::digest(published.entry(position)?).into());
            Some(Known { position, digest })
        }
        None => None,
    };
    Ok(())
}

fn opened_term(statement: &Statement) -> Option<EdgeTerm> {
    match statement {
        Statement::SenderHead(head) if matches!(head.event, SenderHeadEvent::TermOpened { .. }) => Some(head.edge_term),
        _ => None,
    }
}
