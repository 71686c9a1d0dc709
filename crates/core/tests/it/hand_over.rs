//! A delivery leaves the queue when `fetched` is in the log: not with the lease, not with a promise.

use truc_core::Effect;
use truc_core::dispatch::LeaseId;
use truc_signing::statement::*;
use truc_types::{QueuePosition, Reason};

use crate::fixture::agency_code;
use crate::world::{World, index};

fn dequeued(world: &mut World) -> Vec<(u16, u64)> {
    let effects = std::mem::take(&mut world.effects).into_iter();
    effects
        .filter_map(|effect| if let Effect::Dequeued { agency, position, .. } = effect { Some((agency.0, position.0)) } else { None })
        .collect()
}

#[test]
fn only_the_fetched_receipt_takes_a_delivery_from_the_queue() {
    let mut world = World::open();
    let message = world.sent(0, &["H1.1", "H1.2", "H2"]);
    let now = world.now;
    let grant = world.queues[1].grant(now, LeaseId(1)).unwrap();
    assert_eq!((grant.position, grant.delivery.message_id), (QueuePosition(1), message));
    assert_eq!(dequeued(&mut world), [], "a lease is no hand-over");

    let early = world.report_one(1, ReceiptEvent::Acknowledged, message, "H1.1");
    assert_eq!(early.reason(), Reason::ReceiptOutOfOrder);
    assert_eq!(dequeued(&mut world), []);
    assert_eq!(world.queues[1].waiting(), 2);

    assert!(world.report_one(1, ReceiptEvent::Fetched, message, "H1.1").is_accepted());
    assert_eq!(dequeued(&mut world), [(1, 1)]);
    assert_eq!((world.queues[1].waiting(), world.queues[1].leased()), (1, 0), "the lease goes with it");

    assert!(world.report_one(1, ReceiptEvent::Acknowledged, message, "H1.1").is_accepted());
    assert_eq!(dequeued(&mut world), [], "it has left the queue already");
}

#[test]
fn a_receipt_of_many_items_is_taken_whole_or_not_at_all() {
    let mut world = World::open();
    let (first, second) = (world.sent(0, &["H1"]), world.sent(0, &["H1"]));
    let mut receipt = world.receipt(1, ReceiptEvent::Fetched, &[(first, "H1"), (second, "H1")]);
    receipt.items[1].queue_position = Some(QueuePosition(7));
    assert_eq!(world.report(1, &receipt).reason(), Reason::ReceiptNotRecipient);
    assert_eq!(dequeued(&mut world), []);
    let receipt = world.receipt(1, ReceiptEvent::Fetched, &[(first, "H1"), (second, "H1")]);
    assert!(world.report(1, &receipt).is_accepted());
    assert_eq!(dequeued(&mut world), [(1, 1), (1, 2)]);
}

#[test]
fn nobody_takes_the_delivery_of_another_agency() {
    let mut world = World::open();
    let message = world.sent(0, &["H1", "H2"]);
    let mut receipt = world.receipt(2, ReceiptEvent::Fetched, &[(message, "H1")]);
    assert_eq!(world.report(2, &receipt).reason(), Reason::ReceiptNotRecipient);
    receipt.original_sender = agency_code(2);
    receipt.receipt_id = world.mint();
    assert_eq!(world.report(2, &receipt).reason(), Reason::ReceiptNotRecipient);
    assert_eq!(dequeued(&mut world), []);
    assert_eq!(world.state.message(&message).unwrap().sender, index(0));
}
