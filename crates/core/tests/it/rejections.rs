//! Refusals that are facts: what they say, and that no agency fills the log with them.

use truc_core::REJECTED_FACTS_PER_MINUTE_MAX;
use truc_signing::sha256;
use truc_signing::statement::*;
use truc_types::{Position, Reason, SenderSeq};

use crate::fixture::agency_code;
use crate::world::World;

/// An envelope whose number was used: refused for ever.
fn reused(world: &mut World, agency: usize) -> Envelope {
    Envelope { sender_seq: SenderSeq(1), ..world.envelope(agency, &["H2"]) }
}

#[test]
fn the_fact_names_the_bytes_the_agency_and_the_reason() {
    let mut world = World::open();
    world.sent(0, &["H1"]);
    let envelope = reused(&mut world, 0);
    let file = world.seal(0, &envelope.to_json());
    let position = Position(world.log.len() as u64);
    world.submit(0, file.clone());
    let expected = Rejected {
        digest: sha256(&file),
        agency: agency_code(0),
        message_id: Some(envelope.message_id),
        reason: Reason::SequenceReused,
        block_time: world.now,
    };
    assert_eq!(world.fact(position), Fact::Rejected(expected));
}

#[test]
fn a_refused_id_stays_free() {
    let mut world = World::open();
    world.sent(0, &["H1"]);
    let refused = reused(&mut world, 0);
    assert_eq!(world.send(0, &refused).reason(), Reason::SequenceReused);
    let again = Envelope { message_id: refused.message_id, ..world.envelope(0, &["H1"]) };
    assert!(world.send(0, &again).is_accepted());
}

#[test]
fn each_agency_fills_its_own_rate_and_the_next_minute_starts_anew() {
    let mut world = World::open();
    world.sent(0, &["H1"]);
    world.sent(1, &["H2"]);
    let reject = |world: &mut World, agency: usize| {
        let before = world.log.len();
        let envelope = reused(world, agency);
        assert_eq!(world.send(agency, &envelope).reason(), Reason::SequenceReused);
        world.log.len() - before
    };
    let logged: usize = (0..REJECTED_FACTS_PER_MINUTE_MAX + 5).map(|_| reject(&mut world, 0)).sum();
    assert_eq!(logged, REJECTED_FACTS_PER_MINUTE_MAX as usize);
    assert_eq!(reject(&mut world, 1), 1, "another agency is not held to it");
    world.now = world.now.plus_millis(60_000);
    assert_eq!(reject(&mut world, 0), 1);
    assert!(world.replayed().0.facts_equal(&world.state));
}
