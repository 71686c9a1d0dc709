//! The axis' own agency: its message of the reserved kind goes to itself and closes when it is fetched; nobody else sends one or reaches it.

use truc_signing::statement::*;
use truc_types::names::AXIS_AGENCY_KIND;
use truc_types::{Reason, names};

use crate::fixture::{self, AGENCIES, Key};
use crate::world::{World, index};

/// The agency after those of the small axis.
const AXIS: usize = AGENCIES;
/// What the genesis of the tests reserves.
const KIND: &str = "urn:truc:loopback";

fn axis_joined(agency: usize) -> RegistryEvent {
    let RegistryEvent::AgencyJoined(joined) = fixture::joined(agency, &[names::ENVELOPE_V1]) else { unreachable!() };
    RegistryEvent::AgencyJoined(AgencyJoined { kind: AXIS_AGENCY_KIND.into(), ..joined })
}

fn world() -> World {
    let mut registry = fixture::small_registry().to_vec();
    for event in [axis_joined(AXIS), fixture::certificate_added(AXIS, Key::Seal)] {
        registry.push(fixture::registry_file(registry.len() as u64 + 1, event));
    }
    World::of(&registry, AGENCIES + 1)
}

fn envelope(world: &mut World, from: usize, to: &str, kind: Option<&str>) -> Envelope {
    let mut envelope = world.envelope(from, &[to]);
    envelope.doc.doc_type.name = kind.map(str::to_owned);
    envelope
}

#[test]
fn a_loopback_message_goes_the_whole_way_and_is_closed_when_it_is_fetched() {
    let mut world = world();
    assert_eq!(world.state.registry().axis_agency(), Some(index(AXIS)));
    let sent = envelope(&mut world, AXIS, "H4", Some(KIND));
    assert!(world.send(AXIS, &sent).is_accepted());
    assert_eq!((world.state.open_messages(), world.queues[AXIS].waiting()), (1, 1));
    assert!(world.report_one(AXIS, ReceiptEvent::Fetched, sent.message_id, "H4").is_accepted());
    assert_eq!((world.state.open_messages(), world.queues[AXIS].waiting()), (0, 0));
    assert_eq!(world.state.feed_last(index(AXIS)), 1, "its receipt is in its feed");
    let (replayed, _) = world.replayed();
    assert!(replayed.facts_equal(&world.state));
}

#[test]
fn nobody_else_uses_the_kind_or_reaches_the_axis_and_the_axis_sends_nothing_else() {
    let cases: [(usize, &str, Option<&str>, Reason); 6] = [
        (0, "H1", Some(KIND), Reason::DocumentKindReserved),
        (0, "H4", Some(KIND), Reason::DocumentKindReserved),
        (0, "H4", Some("Công văn"), Reason::RecipientUnknown),
        (AXIS, "H4", None, Reason::DocumentKindReserved),
        (AXIS, "H4", Some("Công văn"), Reason::DocumentKindReserved),
        (AXIS, "H1", Some(KIND), Reason::RecipientUnknown),
    ];
    for (from, to, kind, expected) in cases {
        let mut world = world();
        let sent = envelope(&mut world, from, to, kind);
        assert_eq!(world.send(from, &sent).reason(), expected, "H{from} to {to} as {kind:?}");
        assert_eq!(world.state.open_messages(), 0);
    }
    let mut world = world();
    let sent = envelope(&mut world, 0, "H1", Some("Công văn"));
    assert!(world.send(0, &sent).is_accepted(), "everybody else goes on as before");
}

#[test]
fn an_axis_has_one_agency_of_its_own() {
    let mut registry = fixture::small_registry().to_vec();
    for agency in [AXIS, AXIS + 1] {
        registry.push(fixture::registry_file(registry.len() as u64 + 1, axis_joined(agency)));
    }
    let second = registry.pop().unwrap();
    let mut world = World::closed(&registry, AGENCIES);
    let entry = truc_core::Entry::parse(second).unwrap();
    let refused = world.state.apply(world.state.next(), &entry, &mut Vec::new()).unwrap_err();
    assert!(refused.to_string().contains("H5 is a second agency of the axis"), "{refused}");
}
