//! The same bytes again get the original acceptance, for as long as the log exists.

use std::sync::Arc;

use truc_signing::statement::*;
use truc_types::Position;

use crate::world::{Answer, World};

/// The file is accepted, then `between` happens, then it is answered as it was at first and nothing is appended.
fn check(connected: usize, file: impl FnOnce(&mut World) -> Arc<[u8]>, between: impl FnOnce(&mut World)) {
    let mut world = World::open();
    let file = file(&mut world);
    let Answer::Accepted(position) = world.submit(connected, file.clone()) else { panic!("not accepted") };
    between(&mut world);
    let length = world.log.len();
    assert_eq!(world.submit(connected, file), Answer::Repeated(position));
    assert_eq!(world.log.len(), length);
}

fn envelope(world: &mut World) -> Arc<[u8]> {
    let envelope = world.envelope(0, &["H1"]);
    world.seal(0, &envelope.to_json())
}

fn fetched(world: &mut World) -> Arc<[u8]> {
    let message = world.sent(0, &["H1"]);
    let receipt = world.receipt(1, ReceiptEvent::Fetched, &[(message, "H1")]);
    world.seal(1, &receipt.to_json())
}

fn term_opening(world: &mut World) -> Arc<[u8]> {
    let opening = world.term_opening(0, truc_types::EdgeTerm(2));
    world.seal(0, &opening.to_json())
}

fn close(world: &mut World) {
    let id = *world.state.messages().next().unwrap().0;
    world.finish(1, id, "H1");
    assert_eq!(world.state.open_messages(), 0);
}

#[test]
fn an_open_message_is_recognised() {
    check(0, envelope, |_| {});
    check(0, envelope, World::seal_segment);
}

#[test]
fn a_closed_message_is_recognised() {
    check(0, envelope, close);
}

#[test]
fn a_message_that_only_the_index_knows_is_recognised() {
    check(0, envelope, |world| {
        close(world);
        world.seal_segment();
        assert_eq!(world.state.known(world.index.keys().next().unwrap()), None);
    });
}

#[test]
fn a_message_that_closes_after_its_segment_was_sealed_is_recognised() {
    check(0, envelope, |world| {
        world.seal_segment();
        close(world);
    });
}

#[test]
fn the_first_statements_that_no_index_has_are_recognised() {
    let mut world = World::open();
    world.seal_segment();
    let file = envelope(&mut world);
    let position = world.submit(0, file.clone()).position();
    assert_eq!(position, world.indexed_through);
    close(&mut world);
    assert_eq!(world.submit(0, file.clone()), Answer::Repeated(position));
    world.seal_through(position);
    assert_eq!(world.submit(0, file), Answer::Repeated(position));

    let receipt = fetched(&mut world);
    let position = world.submit(1, receipt.clone()).position();
    world.seal_through(position);
    assert_eq!(world.submit(1, receipt), Answer::Repeated(position));
}

#[test]
fn receipts_and_term_openings_are_recognised() {
    check(1, fetched, |_| {});
    check(1, fetched, World::seal_segment);
    check(0, term_opening, |_| {});
    check(0, term_opening, World::seal_segment);
}

#[test]
fn a_new_edge_term_does_not_hide_what_was_accepted_in_the_old_one() {
    check(0, envelope, |world| assert!(world.open_term(0).is_accepted()));
}

#[test]
fn a_look_up_before_the_segment_was_sealed_is_stale() {
    let mut world = World::open();
    let file = envelope(&mut world);
    assert!(world.submit(0, file.clone()).is_accepted());
    close(&mut world);
    let looked_up = world.looked_up(world.admit(0, file.clone()).unwrap());
    assert!(!looked_up.is_stale(&world.state));
    world.seal_segment();
    assert!(looked_up.is_stale(&world.state));
    assert!(!world.looked_up(world.admit(0, file).unwrap()).is_stale(&world.state));
}

#[test]
fn the_answer_says_whether_a_fact_follows() {
    let mut world = World::open();
    let file = envelope(&mut world);
    let position = world.submit(0, file).position();
    assert!(matches!(world.fact(position.next()), Fact::Accepted(accepted) if accepted.leaf.0 == position.0));
    let receipt = fetched(&mut world);
    let position = world.submit(1, receipt).position();
    assert_eq!(position, Position(world.log.len() as u64 - 1), "a receipt has no fact of its own");
}
