//! One envelope, many recipients: as many deliveries, each on its own, in queues without gaps.

use std::collections::BTreeMap;

use truc_core::dispatch::LeaseId;
use truc_core::{DeliveryStep, Effect};
use truc_signing::statement::*;
use truc_types::{Lane, QueuePosition, Urgency};

use crate::fixture::{self, agency_code, code};
use crate::world::{World, index};

#[test]
fn an_agency_that_serves_two_recipients_gets_two_deliveries() {
    let mut world = World::open();
    let message = world.sent(0, &["H1.1", "H2", "H1.2"]);
    assert_eq!([0, 1, 2, 3].map(|agency| world.queues[agency].waiting()), [0, 2, 1, 0]);
    let queued: Vec<_> =
        world.state.message(&message).unwrap().recipients.iter().map(|r| (r.organisation.clone(), r.agency, r.queue_position.0)).collect();
    assert_eq!(queued, [(code("H1.1"), index(1), 1), (code("H2"), index(2), 1), (code("H1.2"), index(1), 2)]);
}

#[test]
fn the_fact_names_the_place_of_every_recipient() {
    let mut world = World::open();
    world.sent(3, &["H1"]);
    let message = world.sent(0, &["000.00.01.H1", "H2"]);
    let open = world.state.message(&message).unwrap();
    let Fact::Accepted(accepted) = world.fact(open.position.next()) else { panic!("no accepted fact") };
    let entry = |recipient: &str, agency, position| QueueEntry {
        recipient: code(recipient),
        agency: agency_code(agency),
        position: QueuePosition(position),
    };
    assert_eq!(accepted.queue, [entry("000.00.01.H1", 1, 2), entry("H2", 2, 1)], "recipients are spelt as the envelope spells them");
    assert_eq!((accepted.envelope, accepted.leaf.0, accepted.block_time), (open.digest, open.position.0, world.now));
    assert_eq!(accepted.registry_version, world.state.registry().version());
}

#[test]
fn a_broadcast_to_94_agencies_is_94_deliveries() {
    let mut world = World::of(&fixture::registry(94), 94);
    let recipients: Vec<String> = (0..94).map(|agency| format!("H{agency}")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    world.sent(0, &["H5", "H5.1"]);
    world.effects.clear();
    let message = world.sent(0, &recipients);
    let queued: BTreeMap<_, _> = world
        .effects
        .iter()
        .map(|effect| match effect {
            Effect::Queued { agency, position, delivery } if delivery.message_id == message => (agency.0, position.0),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: BTreeMap<_, _> = (0..94).map(|agency| (agency, if agency == 5 { 3 } else { 1 })).collect();
    assert_eq!(queued, expected);
    assert!(world.replayed().0.facts_equal(&world.state));
}

#[test]
fn a_recipient_that_is_slow_or_refuses_holds_up_nobody() {
    let mut world = World::open();
    let message = world.sent(0, &["H1", "H2", "H3"]);
    assert!(world.report_one(2, ReceiptEvent::Fetched, message, "H2").is_accepted());
    assert!(world.report_one(2, ReceiptEvent::Refused, message, "H2").is_accepted());
    assert!(world.report_one(3, ReceiptEvent::Fetched, message, "H3").is_accepted());
    let steps: Vec<_> = world.state.message(&message).unwrap().recipients.iter().map(|recipient| recipient.step).collect();
    assert_eq!(steps, [DeliveryStep::Waiting, DeliveryStep::Refused, DeliveryStep::Fetched]);
    assert_eq!([1, 2, 3].map(|agency| world.queues[agency].waiting()), [1, 0, 0]);
}

#[test]
fn a_message_is_open_until_the_last_recipient_has_answered() {
    let mut world = World::open();
    let message = world.sent(0, &["H1.1", "H1.2"]);
    let both = |world: &mut World, event| {
        let receipt = world.receipt(1, event, &[(message, "H1.2"), (message, "H1.1")]);
        world.report(1, &receipt)
    };
    assert!(both(&mut world, ReceiptEvent::Fetched).is_accepted());
    assert_eq!(world.state.open_messages(), 1);
    assert!(both(&mut world, ReceiptEvent::Acknowledged).is_accepted());
    assert_eq!(world.state.open_messages(), 0);
    assert!(world.state.known(&message).is_some());
}

#[test]
fn the_urgency_of_the_document_is_the_lane_of_every_delivery() {
    let mut world = World::open();
    for urgency in [Urgency::Normal, Urgency::FlashAtHour, Urgency::Urgent] {
        let mut envelope = world.envelope(0, &["H1", "H2"]);
        envelope.doc.urgency = urgency;
        envelope.doc.urgent_at = (urgency == Urgency::FlashAtHour).then_some(world.now);
        assert!(world.send(0, &envelope).is_accepted());
    }
    for agency in [1, 2] {
        let now = world.now;
        let lanes: Vec<_> = (0..3).map(|lease| world.queues[agency].grant(now, LeaseId(lease)).unwrap().delivery.lane).collect();
        assert_eq!(lanes, [Lane::Flash, Lane::Urgent, Lane::Normal]);
    }
}
