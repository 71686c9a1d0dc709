//! The state as rows and back: what is written, and that damaged rows are refused instead of believed.

use std::collections::BTreeMap;

use truc_core::registry::AgencyIndex;
use truc_core::rows::{AgencyRow, GroupRow, MessageRow, RowError, Rows};
use truc_core::{Entry, State};
use truc_signing::statement::ReceiptEvent;
use truc_types::Position;

use crate::world::World;

/// What a view store holds.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) position: Position,
    registry: Vec<Position>,
    agencies: Vec<(AgencyIndex, AgencyRow)>,
    feed: BTreeMap<(AgencyIndex, u64), Vec<Position>>,
    groups: BTreeMap<u32, GroupRow>,
    apart: BTreeMap<u32, MessageRow>,
}

impl Store {
    pub(crate) fn write(&mut self, rows: Rows) {
        self.position = rows.position;
        if !rows.registry.is_empty() {
            self.registry = rows.registry;
        }
        for (index, row) in rows.agencies {
            self.agencies.retain(|(there, _)| *there != index);
            self.agencies.push((index, row));
        }
        for (index, cursor, positions) in rows.feed {
            let earlier = self.feed.remove(&(index, cursor));
            assert_eq!(earlier.is_some(), positions.is_none(), "a row of the feed comes once and goes once");
            self.feed.extend(positions.map(|positions| ((index, cursor), positions)));
        }
        for (group, row) in rows.groups {
            let earlier = self.groups.remove(&group);
            assert!(earlier.is_some() || row.is_some(), "no row goes that is not there");
            self.groups.extend(row.map(|row| (group, row)));
        }
        for (place, row) in rows.apart {
            let earlier = self.apart.remove(&place);
            assert!(earlier.is_some() || row.is_some(), "no row goes that is not there");
            assert!(row.as_ref().is_none_or(MessageRow::stands_apart), "a message of few recipients shares a row");
            self.apart.extend(row.map(|row| (place, row)));
        }
    }

    fn messages(&self) -> Result<Vec<(u32, MessageRow)>, RowError> {
        let mut messages: Vec<_> = self.apart.iter().map(|(place, row)| (*place, row.clone())).collect();
        for (group, row) in &self.groups {
            messages.extend(row.clone().into_messages(*group)?);
        }
        Ok(messages)
    }

    pub(crate) fn restore(&self, world: &World) -> Result<State, RowError> {
        let entry = |position: &Position| (*position, Entry::parse(world.log[usize::try_from(position.0).unwrap()].clone()).unwrap());
        let feed = self.feed.iter().map(|((index, cursor), positions)| (*index, *cursor, positions.clone()));
        State::restore(self.position, self.registry.iter().map(entry), self.agencies.clone(), feed, self.messages()?)
    }
}

/// A world with two open messages and a closed one, and its rows.
fn written() -> (World, Store) {
    let mut world = World::open();
    world.sent(0, &["H1", "H2.1"]);
    world.sent(2, &["H1"]);
    let closed = world.sent(0, &["H1"]);
    world.finish(1, closed, "H1");
    let mut store = Store::default();
    store.write(world.state.take_rows());
    (world, store)
}

#[test]
fn open_messages_have_rows_and_closed_ones_have_none() {
    let (mut world, mut store) = written();
    assert_eq!((store.messages().unwrap().len(), store.agencies.len()), (2, 4));
    let open = world.sent(0, &["H3"]);
    world.report_one(3, ReceiptEvent::Fetched, open, "H3");
    store.write(world.state.take_rows());
    assert_eq!((store.messages().unwrap().len(), store.groups.len()), (3, 1), "neighbours share a row");
    world.report_one(3, ReceiptEvent::Acknowledged, open, "H3");
    let rows = world.state.take_rows();
    assert_eq!((rows.groups.len(), rows.registry.len()), (1, 0), "nothing new there");
    store.write(rows);
    assert_eq!(store.messages().unwrap().len(), 2);
}

#[test]
fn a_message_that_came_and_went_between_two_writes_has_never_a_row() {
    let (mut world, _) = written();
    let message = world.sent(0, &["H1"]);
    world.finish(1, message, "H1");
    assert_eq!(world.state.take_rows().groups, []);
}

#[test]
fn rows_are_taken_once_and_in_order() {
    let (mut world, _) = written();
    let rows = world.state.take_rows();
    assert_eq!((rows.agencies, rows.groups, rows.apart, rows.registry), (vec![], vec![], vec![], vec![]));
    for _ in 0..60 {
        world.sent(0, &["H1"]);
    }
    let rows = world.state.take_rows();
    assert!(rows.groups.len() > 1 && rows.groups.is_sorted_by_key(|(group, _)| *group));
    assert!(rows.agencies.is_sorted_by_key(|(index, _)| *index));
}

#[test]
fn a_state_from_rows_equals_the_one_they_were_taken_from() {
    let (world, store) = written();
    let restored = store.restore(&world).unwrap();
    assert!(restored.facts_equal(&world.state));
    assert_eq!(restored.feed_after(AgencyIndex(0), 0).collect::<Vec<_>>(), world.state.feed_after(AgencyIndex(0), 0).collect::<Vec<_>>());
}

/// The rows with one thing changed are refused.
fn check(expected: &str, change: impl FnOnce(&mut Store)) {
    let (world, mut store) = written();
    change(&mut store);
    match store.restore(&world) {
        Err(RowError::Impossible(what)) => assert_eq!(what, expected),
        other => panic!("{expected}: {:?}", other.map(|_| ())),
    }
}

#[test]
fn rows_that_no_state_writes_are_refused() {
    check("agency", |store| store.agencies[0].0 = AgencyIndex(4));
    check("agency", |store| store.registry.truncate(1));
    check("position of a registry statement", |store| store.registry.push(store.registry[0]));
    check("position of a registry statement", |store| store.position = *store.registry.last().unwrap());
    check("position of a registry statement", |store| store.registry.push(Position(store.position.0 - 1)));
    check("group", |store| {
        let row = store.groups.remove(&0).unwrap();
        store.groups.insert(u32::MAX, row);
    });
    check("place or id", |store| {
        let row = store.groups[&0].clone();
        store.groups.insert(1, row);
    });
    check("position of a message", |store| store.position = Position(store.registry.last().unwrap().0 + 1));
}

#[test]
fn a_feed_with_a_hole_or_beyond_its_cursor_is_refused() {
    // One row with the receipts 1 and 2.
    let first = |store: &mut Store| store.feed.get_mut(&(AgencyIndex(0), 1)).unwrap().clone();
    let instead = |cursor: u64, change: fn(&mut Vec<Position>, Position)| {
        check("feed", |store| {
            let (mut row, end) = (first(store), store.position);
            change(&mut row, end);
            store.feed.remove(&(AgencyIndex(0), 1));
            store.feed.insert((AgencyIndex(0), cursor), row);
        });
    };
    let beside = |cursor: u64, position: fn(Position) -> Position| {
        check("feed", |store| _ = store.feed.insert((AgencyIndex(0), cursor), vec![position(store.position)]));
    };
    instead(1, |row, _| _ = row.pop());
    instead(1, |row, _| row.clear());
    instead(1, |row, end| row.push(Position(end.0 - 1)));
    instead(1, |row, _| row.swap(0, 1));
    instead(1, |row, end| row[1] = end);
    instead(2, |_, _| {});
    instead(0, |row, _| row.insert(0, Position(0)));
    instead(u64::MAX, |_, _| {});
    beside(3, |end| Position(end.0 - 1));
    beside(2, |end| Position(end.0 - 1));
    beside(0, |_| Position(0));
    check("agency", |store| _ = store.feed.insert((AgencyIndex(9), 1), vec![Position(1)]));
}

#[test]
fn a_feed_has_rows_of_what_came_together_and_loses_those_that_are_confirmed() {
    let (mut world, mut store) = written();
    let kept = |store: &Store| store.feed.iter().map(|((_, cursor), row)| (*cursor, row.len())).collect::<Vec<_>>();
    assert_eq!(kept(&store), [(1, 2)]);
    let message = world.sent(0, &["H1"]);
    world.finish(1, message, "H1");
    world.state.confirm_feed(AgencyIndex(0), 1);
    store.write(world.state.take_rows());
    assert_eq!(kept(&store), [(1, 2), (3, 2)], "the second receipt of the row waits");
    world.state = store.restore(&world).unwrap();
    assert_eq!(world.state.feed_first(AgencyIndex(0)), 1, "and the first one is offered once more");
    world.state.confirm_feed(AgencyIndex(0), 3);
    store.write(world.state.take_rows());
    assert_eq!(kept(&store), [(3, 2)]);
    world.state.confirm_feed(AgencyIndex(0), 4);
    store.write(world.state.take_rows());
    assert!(kept(&store).is_empty());
    let message = world.sent(0, &["H1"]);
    world.finish(1, message, "H1");
    world.state.confirm_feed(AgencyIndex(0), 5);
    store.write(world.state.take_rows());
    assert_eq!(kept(&store), [(6, 1)]);
    assert_eq!(store.restore(&world).unwrap().feed_after(AgencyIndex(0), 0).count(), 1);
    let message = world.sent(0, &["H1"]);
    world.finish(1, message, "H1");
    world.state.confirm_feed(AgencyIndex(0), 7);
    store.write(world.state.take_rows());
    assert_eq!(kept(&store), [(8, 1)], "7 came and went, so what is before it goes too");
    assert_eq!(store.restore(&world).unwrap().feed_first(AgencyIndex(0)), 8);
}

#[test]
fn a_registry_with_a_hole_does_not_replay() {
    let (world, mut store) = written();
    store.registry.remove(1);
    assert!(matches!(store.restore(&world), Err(RowError::Registry(_))));
}
