//! A log whose entries do not follow from each other: `apply` names what is wrong, and so an auditor can.

use std::sync::Arc;

use truc_core::{ApplyError, Entry, State};
use truc_signing::statement::*;
use truc_signing::{DsseFile, seal};
use truc_types::*;

use crate::fixture::{self, Key, agency_code, code};
use crate::world::World;

/// Applies the log of the world and then `more`, and gives the first error.
fn apply(log: &[Arc<[u8]>], more: impl IntoIterator<Item = Vec<u8>>) -> Result<(), ApplyError> {
    let (mut state, mut effects) = (State::default(), Vec::new());
    let more = more.into_iter().map(Arc::from);
    for (position, bytes) in (0..).zip(log.iter().cloned().chain(more)) {
        state.apply(Position(position), &Entry::parse(bytes).unwrap(), &mut effects)?;
    }
    Ok(())
}

fn sealed(world: &World, agency: usize, payload: &[u8]) -> Vec<u8> {
    world.seal(agency, payload).to_vec()
}

/// A world with one message of agency 0 to H1, at this position, with its fact behind it.
fn one_message() -> (World, MessageId, Position) {
    let mut world = World::open();
    let message = world.sent(0, &["H1"]);
    let position = world.state.message(&message).unwrap().position;
    (world, message, position)
}

fn next(world: &World) -> Position {
    world.state.next()
}

#[test]
fn a_gap_is_named() {
    let (world, ..) = one_message();
    let entry = Entry::parse(world.log[0].clone()).unwrap();
    let mut state = State::default();
    assert_eq!(state.apply(Position(3), &entry, &mut Vec::new()), Err(ApplyError::Gap { expected: Position(0), found: Position(3) }));
}

#[test]
fn an_envelope_and_its_fact_stand_together_and_say_the_same() {
    let (world, _, position) = one_message();
    let at = usize::try_from(position.0).unwrap();
    let (before, envelope, fact) = (&world.log[..at], world.log[at].to_vec(), world.log[at + 1].to_vec());
    let Fact::Accepted(accepted) = Fact::parse(&fact).unwrap() else { panic!("no accepted fact") };
    let unpaired = |position| Err(ApplyError::Unpaired { position });
    assert_eq!(apply(before, [fact.clone()]), unpaired(position));
    assert_eq!(apply(before, [envelope.clone(), envelope.clone()]), unpaired(position.next()));
    assert_eq!(apply(before, [envelope.clone(), fact.clone(), fact]), unpaired(position.plus(2)));
    let with = |change: fn(&mut Accepted)| {
        let mut changed = accepted.clone();
        change(&mut changed);
        apply(before, [envelope.clone(), Fact::Accepted(changed).to_json()])
    };
    assert_eq!(with(|_| {}), Ok(()));
    assert_eq!(with(|accepted| accepted.envelope = Digest([3; 32])), unpaired(position.next()));
    assert_eq!(with(|accepted| accepted.message_id = MessageId::from_bytes([3; 16])), unpaired(position.next()));
    assert_eq!(with(|accepted| accepted.queue[0].recipient = code("H2")), unpaired(position.next()));
    assert_eq!(with(|accepted| accepted.queue.push(accepted.queue[0].clone())), unpaired(position.next()));
    assert_eq!(with(|accepted| accepted.registry_version += 1), unpaired(position.next()));
    let gap =
        ApplyError::QueueGap { position: position.next(), agency: agency_code(1), expected: QueuePosition(1), found: QueuePosition(2) };
    assert_eq!(with(|accepted| accepted.queue[0].position = QueuePosition(2)), Err(gap));
    let unknown = ApplyError::UnknownAgency { position: position.next(), agency: "H77".into() };
    assert_eq!(with(|accepted| accepted.queue[0].agency = agency_code(77)), Err(unknown));
}

#[test]
fn ids_and_sequence_numbers_are_used_once_and_terms_rise() {
    let (mut world, message, _) = one_message();
    let position = next(&world);
    let same_id = Envelope { message_id: message, ..world.envelope(0, &["H1"]) };
    assert_eq!(apply(&world.log, [sealed(&world, 0, &same_id.to_json())]), Err(ApplyError::IdRepeated { position, id: message }));
    let same_seq = Envelope { sender_seq: SenderSeq(1), ..world.envelope(0, &["H1"]) };
    let expected = ApplyError::Sequence { position, agency: agency_code(0), seq: SenderSeq(1) };
    assert_eq!(apply(&world.log, [sealed(&world, 0, &same_seq.to_json())]), Err(expected));
    let term = |found| ApplyError::Term { position, agency: agency_code(0), found: EdgeTerm(found), open: EdgeTerm(1) };
    let later = Envelope { edge_term: EdgeTerm(2), ..world.envelope(0, &["H1"]) };
    assert_eq!(apply(&world.log, [sealed(&world, 0, &later.to_json())]), Err(term(2)));
    let again = world.term_opening(0, EdgeTerm(1));
    assert_eq!(apply(&world.log, [sealed(&world, 0, &again.to_json())]), Err(term(1)));
    let event = SenderHeadEvent::Head { first_seq: SenderSeq(1), last_seq: SenderSeq(1), root: Digest([0; 32]), withdrawn: vec![] };
    let head = world.head(0, EdgeTerm(5), event);
    assert_eq!(apply(&world.log, [sealed(&world, 0, &head.to_json())]), Err(term(5)));
}

#[test]
fn a_receipt_fits_the_delivery_it_is_for() {
    let (mut world, message, _) = one_message();
    let good = world.receipt(1, ReceiptEvent::Fetched, &[(message, "H1")]);
    let check = |change: &dyn Fn(&mut Receipt)| {
        let mut receipt = good.clone();
        change(&mut receipt);
        let (message_id, recipient) = (receipt.items[0].message_id, receipt.items[0].recipient.clone());
        let expected = ApplyError::Receipt { position: next(&world), message_id, recipient };
        assert_eq!(apply(&world.log, [sealed(&world, 1, &receipt.to_json())]), Err(expected));
    };
    check(&|receipt| receipt.event = ReceiptEvent::Acknowledged);
    check(&|receipt| receipt.items[0].message_id = MessageId::from_bytes([1; 16]));
    check(&|receipt| receipt.items[0].recipient = code("H2"));
    check(&|receipt| receipt.items[0].envelope = Digest([1; 32]));
    check(&|receipt| receipt.original_sender = agency_code(3));
    check(&|receipt| receipt.issuer = agency_code(2));
    let fetched = sealed(&world, 1, &good.to_json());
    assert_eq!(apply(&world.log, [fetched.clone()]), Ok(()));
    assert_eq!(
        apply(&world.log, [fetched.clone(), fetched]),
        Err(ApplyError::IdRepeated { position: next(&world).next(), id: good.receipt_id })
    );
}

#[test]
fn an_agency_that_never_joined_is_named() {
    let (mut world, ..) = one_message();
    let unknown = Err(ApplyError::UnknownAgency { position: next(&world), agency: "H77".into() });
    let mut envelope = world.envelope(0, &["H1"]);
    envelope.sender.agency = agency_code(77);
    assert_eq!(apply(&world.log, [sealed(&world, 0, &envelope.to_json())]), unknown);
    let mut opening = world.term_opening(0, EdgeTerm(2));
    opening.agency = agency_code(77);
    assert_eq!(apply(&world.log, [sealed(&world, 0, &opening.to_json())]), unknown);
    let rejected =
        Rejected { digest: Digest([0; 32]), agency: agency_code(77), message_id: None, reason: Reason::SealInvalid, block_time: world.now };
    assert_eq!(apply(&world.log, [Fact::Rejected(rejected).to_json()]), unknown);
}

#[test]
fn registry_statements_follow_from_each_other() {
    let (world, ..) = one_message();
    let (position, version) = (next(&world), world.state.registry().version());
    let add = |version, event| apply(&world.log, [fixture::registry_file(version, event).to_vec()]);
    assert_eq!(add(version + 1, fixture::joined(9, &[])), Ok(()));
    for found in [version, version + 2] {
        let expected = ApplyError::RegistryVersion { position, expected: version + 1, found };
        assert_eq!(add(found, fixture::joined(9, &[])), Err(expected));
    }
    let organisations = RegistryEvent::OrganisationsAdded(vec![fixture::organisation("H9.1", None, 9)]);
    let RegistryEvent::CertificateAdded(of_agency_0) = fixture::certificate_added(0, Key::Seal) else { panic!("no certificate") };
    let swapped = RegistryEvent::CertificateAdded(CertificateAdded { agency: agency_code(1), ..of_agency_0.clone() });
    let garbage = RegistryEvent::CertificateAdded(CertificateAdded { certificate: vec![0; 9], ..of_agency_0 });
    let contradictions = [
        (as_axis(0), "between an agency and the axis"),
        (organisations, "has not joined"),
        (fixture::certificate_added(9, Key::Seal), "has not joined"),
        (swapped, "names urn:truc:agency:H0"),
        (garbage, "does not parse"),
        (fixture::revoked(0, Key::Foreign, world.now), "was never added"),
    ];
    for (event, words) in contradictions {
        let Err(ApplyError::RegistryContent { position: at, cause }) = add(version + 1, event) else { panic!("{words}: applied") };
        assert_eq!(at, position);
        assert!(cause.contains(words), "{cause:?} does not say {words:?}");
    }
}

fn as_axis(agency: usize) -> RegistryEvent {
    let RegistryEvent::AgencyJoined(joined) = fixture::joined(agency, &[]) else { unreachable!() };
    RegistryEvent::AgencyJoined(AgencyJoined { kind: names::AXIS_AGENCY_KIND.into(), ..joined })
}

#[test]
fn an_agency_whose_entry_is_replaced_keeps_its_place_its_keys_and_its_queue() {
    let (mut world, ..) = one_message();
    let registry = world.state.registry();
    let (before, agencies, keys) = (registry.agency_index(&agency_code(1)), registry.agencies().len(), registry.keys().iter().count());
    let waiting = world.queues[1].waiting();
    assert!(waiting > 0, "something waits for it");
    let RegistryEvent::AgencyJoined(joined) = fixture::joined(1, &[names::ENVELOPE_V1]) else { unreachable!() };
    world.append_registry(RegistryEvent::AgencyJoined(AgencyJoined { name_vi: "Tên mới".into(), ..joined }));
    let registry = world.state.registry();
    assert_eq!(
        (registry.agency_index(&agency_code(1)), registry.agencies().len(), registry.keys().iter().count()),
        (before, agencies, keys)
    );
    assert_eq!(registry.agency(before.unwrap()).unwrap().name_vi, "Tên mới");
    let (_, organisation) = registry.organisation(&code("H1")).unwrap();
    assert!(organisation.name.as_deref() == Some("Tên mới") && organisation.added_in < organisation.changed_in);
    assert_eq!(world.queues[1].waiting(), waiting);
    let (replayed, _) = world.replayed();
    assert!(replayed.facts_equal(&world.state));
}

#[test]
fn facts_stand_plain_and_everything_else_is_sealed() {
    let (mut world, _, position) = one_message();
    let envelope = world.envelope(0, &["H1"]);
    let fact = world.fact(position.next()).to_json();
    let found = |file: Vec<u8>| match Entry::parse(file.into()) {
        Err(StatementError::PredicateType { found }) => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(found(envelope.to_json()), names::ENVELOPE_V1);
    assert_eq!(found(seal(&fact, &[&world.edges[0].key])), names::FACT_V1);
    assert!(
        Entry::parse(DsseFile { payload: envelope.to_json(), signatures: vec![] }.to_bytes().into()).is_ok(),
        "seals are the auditor's question"
    );
}
