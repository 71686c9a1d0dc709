//! Random commands, valid and not, over several agencies, with restarts: nothing is lost, nothing is doubled, and forgetting changes no decision.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use truc_core::dispatch::LeaseId;
use truc_core::{DeliveryStep, Entry, State};
use truc_signing::statement::*;
use truc_types::limits::LEASE_MILLIS;
use truc_types::*;

use crate::fixture::{AGENCIES, agency_code};
use crate::rows::Store;
use crate::world::{Answer, World, index};

const ORGANISATIONS: [&str; 14] =
    ["H0", "H1", "H1.1", "H1.2", "H2", "H2.1", "H3", "H0.1", "H0.2", "H2.2", "H3.1", "H3.2", "000.00.01.H2", "H77"];
/// More of the first 12 than share a row of the views.
const MANY: usize = 9;

#[derive(Debug, Clone)]
enum Step {
    /// A document with the next number, or one a little off it.
    Send {
        from: usize,
        to: Vec<usize>,
        off: i64,
        urgency: u8,
    },
    /// Bytes that were submitted before.
    Again(usize),
    /// An id that was used before.
    Conflict {
        from: usize,
        which: usize,
    },
    /// A receipt for deliveries of one open message, legal or not.
    Receipt {
        issuer: usize,
        event: usize,
        message: usize,
        deliveries: Vec<usize>,
    },
    OpenTerm {
        agency: usize,
        skip: u64,
    },
    Head {
        agency: usize,
    },
    Grant(usize),
    Release(usize),
    Reconnect(usize),
    Confirm {
        agency: usize,
        cursor: u64,
    },
    Wait(u64),
    TakeRows,
    SealSegment {
        behind: u64,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let agency = 0..AGENCIES;
    let few = proptest::collection::vec(prop_oneof![36 => 0..7usize, 4 => Just(12usize), 1 => Just(13usize)], 1..5);
    let many = proptest::sample::subsequence((0..12usize).collect::<Vec<_>>(), MANY..=12);
    let to = prop_oneof![8 => few, 1 => many];
    prop_oneof![
        12 => (agency.clone(), to, prop_oneof![16 => Just(0i64), 2 => -3i64..0, 1 => 4_000i64..4_200], 0u8..4)
            .prop_map(|(from, to, off, urgency)| Step::Send { from, to, off, urgency }),
        4 => any::<usize>().prop_map(Step::Again),
        1 => (agency.clone(), any::<usize>()).prop_map(|(from, which)| Step::Conflict { from, which }),
        30 => (agency.clone(), 0..5usize, any::<usize>(), proptest::collection::vec(0..5usize, 1..4))
            .prop_map(|(issuer, event, message, deliveries)| Step::Receipt { issuer, event, message, deliveries }),
        1 => (agency.clone(), 0u64..3).prop_map(|(agency, skip)| Step::OpenTerm { agency, skip }),
        1 => agency.clone().prop_map(|agency| Step::Head { agency }),
        4 => agency.clone().prop_map(Step::Grant),
        2 => any::<usize>().prop_map(Step::Release),
        1 => agency.clone().prop_map(Step::Reconnect),
        1 => (agency, 0u64..20).prop_map(|(agency, cursor)| Step::Confirm { agency, cursor }),
        2 => (0u64..LEASE_MILLIS * 2).prop_map(Step::Wait),
        2 => Just(Step::TakeRows),
        1 => (0u64..30).prop_map(|behind| Step::SealSegment { behind }),
        1 => Just(Step::Restart),
    ]
}

/// Two worlds that get the same bytes: one forgets, writes rows and restarts; the other remembers everything.
struct Run {
    world: World,
    keeper: World,
    store: Store,
    submitted: Vec<(usize, Arc<[u8]>)>,
    sent: Vec<MessageId>,
    accepted: HashMap<MessageId, Position>,
    /// Leases that are alive, with the time they end.
    leases: BTreeMap<LeaseId, (usize, QueuePosition, Timestamp)>,
    last_lease: u64,
    seen: Seen,
}

impl Run {
    fn new() -> Self {
        Self {
            world: World::open(),
            keeper: World::open(),
            store: Store::default(),
            submitted: Vec::new(),
            sent: Vec::new(),
            accepted: HashMap::new(),
            leases: BTreeMap::new(),
            last_lease: 0,
            seen: Seen::default(),
        }
    }

    fn submit(&mut self, agency: usize, payload: &[u8]) {
        let file = self.world.seal(agency, payload);
        self.submitted.push((agency, file.clone()));
        self.submit_file(agency, file);
    }

    fn submit_file(&mut self, agency: usize, file: Arc<[u8]>) {
        self.keeper.now = self.world.now;
        let answer = self.world.submit(agency, file.clone());
        assert_eq!(answer, self.keeper.submit(agency, file.clone()), "forgetting changed a decision");
        let id = Entry::parse(file).unwrap().id().unwrap();
        match answer {
            Answer::Repeated(position) if position < self.world.indexed_through => {
                assert_eq!(self.accepted.get(&id), Some(&position), "{id} was answered with another place");
                self.seen.repeated_after_forgetting += usize::from(self.world.state.known(&id).is_none());
            }
            Answer::Accepted(position) => assert_eq!(self.accepted.insert(id, position), None, "{id} was accepted twice"),
            Answer::Repeated(position) => assert_eq!(self.accepted.get(&id), Some(&position), "{id} was answered with another place"),
            Answer::Refused(refusal) | Answer::NotAdmitted(refusal) => {
                self.seen.refused.insert(refusal.reason);
            }
        }
        let queued = |world: &World, agency: usize, position| {
            let mut recipients = world.state.messages().flat_map(|(_, message)| &message.recipients);
            recipients.any(|r| r.agency == index(agency) && r.queue_position == position && r.step == DeliveryStep::Waiting)
        };
        let world = &self.world;
        self.leases.retain(|_, (agency, position, _)| queued(world, *agency, *position));
    }

    fn send(&mut self, from: usize, to: &[usize], off: i64, urgency: u8) {
        let mut to: Vec<_> = to.iter().map(|organisation| ORGANISATIONS[*organisation]).collect();
        to.sort_unstable();
        to.dedup();
        let mut envelope = self.world.envelope(from, &to);
        envelope.sender_seq = SenderSeq(envelope.sender_seq.0.saturating_add_signed(off).max(1));
        envelope.doc.urgency = Urgency::from_digit(urgency).unwrap();
        self.sent.push(envelope.message_id);
        self.submit(from, &envelope.to_json());
    }

    /// Mostly the next event of a delivery of an open message, for every delivery of that agency that waits for it; sometimes anything.
    fn receipt(&mut self, issuer: usize, event: usize, message: usize, deliveries: &[usize]) {
        let mut open: Vec<_> = self.world.state.messages().map(|(id, _)| *id).collect();
        open.sort_unstable();
        let candidates = if event < 4 { &open } else { &self.sent };
        let Some(message) = candidates.get(message % candidates.len().max(1)).copied() else { return };
        let recipients = self.world.state.message(&message).map_or(&[][..], |open| &open.recipients);
        let (mut issuer, mut kind) =
            (issuer, [ReceiptEvent::Fetched, ReceiptEvent::Acknowledged, ReceiptEvent::Refused][deliveries[0] % 3]);
        let mut items: Vec<_> = deliveries.iter().filter_map(|i| recipients.get(*i)).map(|r| r.organisation.to_string()).collect();
        if event < 3
            && let Some(first) = recipients.iter().filter(|r| !r.step.is_final()).nth(deliveries[0] % recipients.len())
        {
            issuer = usize::from(first.agency.0);
            kind = match (first.step, event) {
                (DeliveryStep::Waiting, _) => ReceiptEvent::Fetched,
                (_, 0) => ReceiptEvent::Refused,
                _ => ReceiptEvent::Acknowledged,
            };
            items = recipients
                .iter()
                .filter(|r| (r.agency, r.step) == (first.agency, first.step))
                .map(|r| r.organisation.to_string())
                .collect();
        }
        items.sort_unstable();
        items.dedup();
        if items.is_empty() {
            items.push("H1".to_owned());
        }
        let items: Vec<_> = items.iter().map(|recipient| (message, recipient.as_str())).collect();
        let receipt = self.world.receipt(issuer, kind, &items);
        self.submit(issuer, &receipt.to_json());
    }

    fn open_term(&mut self, agency: usize, skip: u64) {
        let edge = &self.world.edges[agency];
        let term = edge.term.plus(skip);
        let opening = self.world.term_opening(agency, term);
        let length = self.world.log.len();
        self.submit(agency, &opening.to_json());
        if skip > 0 {
            assert!(self.world.log.len() > length, "a later term opens");
            self.world.edges[agency].term = term;
            self.world.edges[agency].seq = 0;
        }
    }

    fn head(&mut self, agency: usize) {
        let event = SenderHeadEvent::Head { first_seq: SenderSeq(1), last_seq: SenderSeq(9), root: Digest([1; 32]), withdrawn: vec![] };
        let head = self.world.head(agency, self.world.edges[agency].term, event);
        self.submit(agency, &head.to_json());
    }

    fn grant(&mut self, agency: usize) {
        let lease = LeaseId(self.last_lease + 1);
        let now = self.world.now;
        if let Some(grant) = self.world.queues[agency].grant(now, lease) {
            self.last_lease += 1;
            let live = self.leases.values().any(|(other, position, _)| (*other, *position) == (agency, grant.position));
            assert!(!live, "two live leases on position {} of agency {agency}", grant.position);
            let message = self.world.state.message(&grant.delivery.message_id).expect("only open messages are granted");
            let recipient = &message.recipients[usize::from(grant.delivery.recipient)];
            assert_eq!(
                (recipient.agency, recipient.queue_position, recipient.step),
                (index(agency), grant.position, DeliveryStep::Waiting)
            );
            self.seen.regranted += usize::from(grant.attempt > 1);
            self.leases.insert(lease, (agency, grant.position, now.plus_millis(LEASE_MILLIS)));
        }
    }

    fn release(&mut self, which: usize) {
        let Some(lease) = self.leases.keys().copied().nth(which % self.leases.len().max(1)) else { return };
        if let Some((agency, ..)) = self.leases.remove(&lease) {
            self.world.queues[agency].release(self.world.now, lease);
        }
    }

    fn wait(&mut self, millis: u64) {
        self.world.now = self.world.now.plus_millis(millis);
        let now = self.world.now;
        self.world.queues.iter_mut().for_each(|queue| queue.tick(now));
        self.leases.retain(|_, (_, _, until)| *until > now);
    }

    /// As a broker starts: the state of the rows, the ids that no index has, the entries after the rows.
    fn restart(&mut self) {
        let mut state = self.store.restore(&self.world).unwrap();
        self.seen.restored_with_messages += usize::from(state.open_messages() > 0);
        state.forget(self.world.indexed_through);
        let entries: Vec<_> = self.world.log.iter().map(|bytes| Entry::parse(bytes.clone()).unwrap()).collect();
        let mut effects = Vec::new();
        for (position, entry) in (0..).map(Position).zip(&entries) {
            if position >= self.world.indexed_through {
                state.remember_entry(position, entry);
            }
            if position >= self.store.position {
                state.apply(position, entry, &mut effects).unwrap();
            }
        }
        assert!(state.facts_equal(&self.world.state), "the restored state is another");
        for agency in 0..AGENCIES {
            let rest: Vec<_> = self.world.state.feed_after(index(agency), 0).collect();
            let restored: Vec<_> = state.feed_after(index(agency), 0).collect();
            assert!(restored.ends_with(&rest), "agency {agency} would miss receipts");
        }
        self.world.state = state;
        self.world.refill_queues();
        self.leases.clear();
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Send { from, to, off, urgency } => self.send(from, &to, off, urgency),
            Step::Again(which) => {
                if let Some((agency, file)) = self.submitted.get(which % self.submitted.len().max(1)).cloned() {
                    self.submit_file(agency, file);
                }
            }
            Step::Conflict { from, which } => {
                if let Some(id) = self.sent.get(which % self.sent.len().max(1)).copied() {
                    let envelope = Envelope { message_id: id, ..self.world.envelope(from, &["H3"]) };
                    self.submit(from, &envelope.to_json());
                }
            }
            Step::Receipt { issuer, event, message, deliveries } => self.receipt(issuer, event, message, &deliveries),
            Step::OpenTerm { agency, skip } => self.open_term(agency, skip),
            Step::Head { agency } => self.head(agency),
            Step::Grant(agency) => self.grant(agency),
            Step::Release(which) => self.release(which),
            Step::Reconnect(agency) => {
                self.world.queues[agency].release_all();
                self.leases.retain(|_, (other, ..)| *other != agency);
            }
            Step::Confirm { agency, cursor } => self.world.state.confirm_feed(index(agency), cursor),
            Step::Wait(millis) => self.wait(millis),
            Step::TakeRows => self.store.write(self.world.state.take_rows()),
            Step::SealSegment { behind } => {
                let through = Position(self.world.state.next().0.saturating_sub(behind));
                self.world.seal_through(through.max(self.world.indexed_through));
            }
            Step::Restart => self.restart(),
        }
        for agency in 0..AGENCIES {
            let live = self.leases.values().filter(|(other, ..)| *other == agency).count();
            assert_eq!(self.world.queues[agency].leased(), live, "leases of agency {agency}");
        }
    }

    /// What the bytes of the log say, read without the core: the oracle.
    fn check_log(&self) {
        assert_eq!(self.world.log, self.keeper.log, "forgetting changed the log");
        let mut ids = HashMap::new();
        let mut numbers = HashSet::new();
        let mut queues = [0; AGENCIES];
        let mut waiting: HashSet<(MessageId, OrganisationCode)> = HashSet::new();
        for (position, bytes) in (0..).map(Position).zip(&self.world.log) {
            let entry = Entry::parse(bytes.clone()).unwrap();
            if let Some(id) = entry.id() {
                assert_eq!(ids.insert(id, position), None, "{id} is in the log twice");
            }
            match entry.statement {
                Statement::Envelope(envelope) => {
                    assert!(numbers.insert((envelope.sender.agency, envelope.edge_term, envelope.sender_seq)), "a number was used twice");
                }
                Statement::Fact(Fact::Accepted(accepted)) => {
                    assert_eq!(ids.get(&accepted.message_id), Some(&Position(position.0 - 1)), "a fact without its envelope");
                    for queued in accepted.queue {
                        let agency = (0..AGENCIES).find(|agency| agency_code(*agency) == queued.agency).unwrap();
                        queues[agency] += 1;
                        assert_eq!(queued.position.0, queues[agency], "a gap in the queue of {agency}");
                        waiting.insert((accepted.message_id, queued.recipient));
                    }
                }
                Statement::Receipt(receipt) if receipt.event == ReceiptEvent::Fetched => {
                    for item in receipt.items {
                        assert!(waiting.remove(&(item.message_id, item.recipient)), "fetched twice or never sent");
                    }
                }
                _ => {}
            }
        }
        for (id, position) in &self.accepted {
            assert_eq!(ids.get(id), Some(position), "{id} was accepted and is not there");
        }
        assert_eq!(self.world.queues.iter().map(|queue| queue.waiting()).sum::<usize>(), waiting.len(), "a delivery is lost or doubled");
    }
}

impl Run {
    fn count(&self, seen: &mut Seen) {
        seen.accepted += self.accepted.len();
        seen.repeated_after_forgetting += self.seen.repeated_after_forgetting;
        seen.refused.extend(&self.seen.refused);
        seen.closed += self.sent.iter().filter(|id| self.accepted.contains_key(id) && self.world.state.message(id).is_none()).count();
        seen.regranted += self.seen.regranted;
        seen.restored_with_messages += self.seen.restored_with_messages;
    }
}

/// What the runs have come across: a property over commands that all fail says nothing.
#[derive(Debug, Default)]
struct Seen {
    accepted: usize,
    repeated_after_forgetting: usize,
    refused: HashSet<Reason>,
    closed: usize,
    regranted: usize,
    restored_with_messages: usize,
}

#[test]
fn nothing_is_lost_or_doubled_and_the_log_alone_gives_the_state_back() {
    let mut runner = TestRunner::new(Config { cases: 64, max_shrink_iters: 200, failure_persistence: None, ..Config::default() });
    let seen = RefCell::new(Seen::default());
    let outcome = runner.run(&proptest::collection::vec(step(), 100..300), |steps| {
        let mut run = Run::new();
        for step in steps {
            run.take(step);
        }
        run.check_log();
        let (replayed, root) = run.world.replayed();
        assert!(replayed.facts_equal(&run.world.state));
        assert!(replayed.facts_equal(&run.keeper.state));
        let mut in_brief = run.world.replayed_in_brief();
        assert!(in_brief.facts_equal(&replayed));
        let rows = |state: &mut State| format!("{:?}", state.take_rows());
        assert_eq!(rows(&mut in_brief), rows(&mut { replayed }), "and so are the rows of both");
        assert_eq!(root, run.world.frontier.root());
        run.restart();
        run.check_log();
        run.count(&mut seen.borrow_mut());
        Ok(())
    });
    outcome.unwrap();
    let seen = seen.into_inner();
    let met = |reason| seen.refused.contains(&reason);
    assert!(seen.accepted > 500 && seen.closed > 50 && seen.regranted > 0, "{seen:?}");
    assert!(seen.repeated_after_forgetting > 0 && seen.restored_with_messages > 0, "{seen:?}");
    assert!(met(Reason::MessageIdConflict) && met(Reason::SequenceReused) && met(Reason::ReceiptOutOfOrder), "{seen:?}");
    assert!(met(Reason::RecipientTwice) && met(Reason::TermSuperseded) && met(Reason::MessageUnknown), "{seen:?}");
}
