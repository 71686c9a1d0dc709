//! Receipts travel back to the sender in a feed of their own: cursors without gaps, kept until the edge has them.

use truc_core::Effect;
use truc_signing::statement::*;
use truc_types::Position;

use crate::world::{World, index};

/// Agency 0 has sent five documents, and agencies 1 and 2 have fetched them: the positions of the receipts.
fn five_receipts() -> (World, Vec<Position>) {
    let mut world = World::open();
    let positions = (0..5)
        .map(|n| {
            let (agency, recipient) = if n % 2 == 0 { (1, "H1") } else { (2, "H2") };
            let message = world.sent(0, &[recipient]);
            world.report_one(agency, ReceiptEvent::Fetched, message, recipient).position()
        })
        .collect();
    (world, positions)
}

fn after(world: &World, cursor: u64) -> Vec<(u64, Position)> {
    world.state.feed_after(index(0), cursor).collect()
}

#[test]
fn cursors_have_no_gaps_and_name_the_receipts_in_order() {
    let (mut world, positions) = five_receipts();
    let expected: Vec<_> = (1..).zip(positions).collect();
    assert_eq!(after(&world, 0), expected);
    let fed = std::mem::take(&mut world.effects).into_iter().filter_map(|effect| match effect {
        Effect::Fed { agency, cursor, position } => Some((agency, (cursor, position))),
        _ => None,
    });
    assert_eq!(fed.collect::<Vec<_>>(), expected.iter().map(|fed| (index(0), *fed)).collect::<Vec<_>>());
    assert_eq!(world.state.feed_after(index(1), 0).count(), 0, "the recipient is fed nothing");
}

#[test]
fn the_feed_after_a_cursor_is_exactly_the_rest() {
    let (world, positions) = five_receipts();
    let all: Vec<_> = (1..).zip(positions).collect();
    for cursor in 0..=5 {
        assert_eq!(after(&world, cursor), all[usize::try_from(cursor).unwrap()..], "after {cursor}");
    }
    for cursor in [6, u64::MAX - 1, u64::MAX] {
        assert_eq!(after(&world, cursor), [], "after {cursor}");
    }
    assert_eq!(world.state.feed_after(index(77), 0).count(), 0, "an agency that never was");
}

#[test]
fn what_is_confirmed_is_not_kept_and_the_cursors_go_on() {
    let (mut world, positions) = five_receipts();
    world.state.confirm_feed(index(0), 3);
    let rest = [(4, positions[3]), (5, positions[4])];
    assert_eq!(after(&world, 3), rest);
    assert_eq!(after(&world, 0), rest, "what was confirmed is not kept");
    assert_eq!(
        (world.state.feed_first(index(0)), world.state.feed_first(index(77))),
        (4, 1),
        "the shell reads what is missing from the journal"
    );
    world.state.confirm_feed(index(0), 2);
    assert_eq!(after(&world, 3), rest, "an older confirmation brings nothing back");
    world.state.confirm_feed(index(0), u64::MAX);
    assert_eq!(after(&world, 0), []);
    let message = world.sent(0, &["H1"]);
    let position = world.report_one(1, ReceiptEvent::Fetched, message, "H1").position();
    assert_eq!(after(&world, 5), [(6, position)]);
}
