//! Commands that were admitted and looked up before either was decided: the first decides, the second sees it, durable or not.

use truc_signing::statement::*;
use truc_types::{EdgeTerm, Reason};

use crate::world::{Answer, World};

/// Both files of agency 0 are admitted and looked up, then decided one after the other into one block.
fn race(connected: usize, make: impl FnOnce(&mut World) -> [Vec<u8>; 2]) -> [Answer; 2] {
    let mut world = World::open();
    let submits = make(&mut world).map(|payload| {
        let file = world.seal(connected, &payload);
        world.looked_up(world.admit(connected, file).unwrap())
    });
    let answers = submits.map(|submit| world.take(&world.decide(submit)));
    assert!(world.replayed().0.facts_equal(&world.state));
    answers
}

#[test]
fn of_two_files_under_one_id_the_first_is_accepted() {
    let [first, second] = race(0, |world| {
        let first = world.envelope(0, &["H1"]);
        let second = Envelope { message_id: first.message_id, ..world.envelope(0, &["H2"]) };
        [first.to_json(), second.to_json()]
    });
    assert!(first.is_accepted());
    assert_eq!(second.reason(), Reason::MessageIdConflict);
}

#[test]
fn of_two_files_under_one_sequence_number_the_first_is_accepted() {
    let [first, second] = race(0, |world| {
        let first = world.envelope(0, &["H1"]);
        let second = Envelope { sender_seq: first.sender_seq, ..world.envelope(0, &["H2"]) };
        [first.to_json(), second.to_json()]
    });
    assert!(first.is_accepted());
    assert_eq!(second.reason(), Reason::SequenceReused);
}

#[test]
fn of_the_same_bytes_twice_the_second_is_a_repetition() {
    let [first, second] = race(0, |world| {
        let envelope = world.envelope(0, &["H1"]);
        [envelope.to_json(), envelope.to_json()]
    });
    assert_eq!(second, Answer::Repeated(first.position()));
}

#[test]
fn of_two_edges_that_open_one_term_the_first_has_it() {
    let [first, second] =
        race(0, |world| [world.term_opening(0, EdgeTerm(2)), world.term_opening(0, EdgeTerm(2))].map(|opening| opening.to_json()));
    assert!(first.is_accepted());
    assert_eq!(second.reason(), Reason::TermSuperseded);
}

#[test]
fn of_two_receipts_for_one_event_the_first_is_accepted() {
    let [first, second] = race(1, |world| {
        let message = world.sent(0, &["H1"]);
        let mut receipt = || world.receipt(1, ReceiptEvent::Fetched, &[(message, "H1")]).to_json();
        [receipt(), receipt()]
    });
    assert!(first.is_accepted());
    assert_eq!(second.reason(), Reason::ReceiptRepeated);
}

#[test]
fn a_new_term_in_the_same_block_fences_the_old_one() {
    let [first, second] = race(0, |world| [world.term_opening(0, EdgeTerm(2)).to_json(), world.envelope(0, &["H1"]).to_json()]);
    assert!(first.is_accepted());
    assert_eq!(second.reason(), Reason::TermSuperseded);
}
