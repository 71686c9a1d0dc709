//! Tests of the state: what records do to the rows, and that a replay reaches the same rows.

use std::sync::Arc;

use truc_ledger::Frontier;
use truc_signing::statement::ReceiptEvent;
use truc_types::limits::RECEIPT_ITEMS_MAX;
use truc_types::{EdgeTerm, MessageId, Position, SenderSeq};
use truc_views::{KeyRange, Overlay, Table, ViewFormat, ViewStore};

use super::rows::{EVENTS, NOTICE, Step, Visibility};
use super::{Event, State};
use crate::record::{Answer, Fate, GivenReason, Record};
use crate::sealer::fitting;
use crate::testing::{accepted, agency, arrival, drafted, feed_receipt, id, leaf, organisation, sealer};

struct Bench {
    _folder: tempfile::TempDir,
    state: State,
    journal: Vec<Record>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let format = ViewFormat { name: "edge", format: super::ROWS_FORMAT, cache_bytes: 1 << 20 };
        let (store, _) = ViewStore::open(folder.path(), format, Position(0)).unwrap();
        let state = State::new(Arc::new(Overlay::new(Arc::new(store))), Position(0));
        Self { _folder: folder, state, journal: Vec::new() }
    }

    fn record(&mut self, record: Record) {
        self.state.apply(self.state.applied(), truc_types::Timestamp::from_millis(1_000 + self.journal.len() as u64), &record).unwrap();
        self.journal.push(record);
    }

    fn open_term(&mut self, term: u64) {
        self.record(Record::TermOpening { term: EdgeTerm(term), file: vec![1] });
        self.record(Record::TermOpened { term: EdgeTerm(term), leaf: leaf(1), checkpoint: String::new() });
    }

    /// Seals what was drafted, as the outbox does, and gives the file.
    fn seal(&mut self, message_id: MessageId) -> Vec<u8> {
        let draft = self.journal.iter().find_map(|record| match record {
            Record::Drafted { message_id: found, draft, .. } if *found == message_id => Some(draft.clone()),
            _ => None,
        });
        let meta = self.state.meta().unwrap();
        let record = sealer("H53").envelope(&draft.unwrap(), meta.term, meta.seq.next(), None).unwrap();
        let Record::Sealed { file, .. } = record.clone() else { panic!("not sealed") };
        self.record(record);
        file
    }

    /// Seals the next receipt of a kind, as the receipts loop does.
    fn seal_receipt(&mut self, event: Event) -> Option<(MessageId, usize)> {
        let mut items = self.state.pending_items(event, &agency("A80")).unwrap();
        items.truncate(fitting(&items));
        if items.is_empty() {
            return None;
        }
        let count = items.len();
        let (receipt, file) = sealer("H53").receipt(event, &agency("A80"), items, self.state.meta().unwrap().term, None);
        let receipt_id = receipt.receipt_id;
        self.record(Record::ReceiptSealed { receipt_id, file });
        Some((receipt_id, count))
    }

    fn log_receipt(&mut self, receipt_id: MessageId) {
        self.record(Record::ReceiptLogged { receipt_id, leaf: leaf(30), checkpoint: String::new() });
    }

    /// The rows as they go to the view's writer.
    fn dump(&self) -> Vec<(u8, Vec<u8>, Vec<u8>)> {
        drop(self.state.take_rows(&Frontier::new()).unwrap());
        let table = |number: u8| {
            let rows = self.state.rows.scan(Table(number), &KeyRange::all(), 1_000).unwrap().rows;
            rows.into_iter().map(move |(key, row)| (number, key, row))
        };
        (0..=NOTICE.0).flat_map(table).collect()
    }
}

/// Both directions of an edge's life, with a term change and a receipt that was refused.
fn life() -> Bench {
    let mut bench = Bench::new();
    bench.open_term(3);
    bench.record(drafted(id(1), "HS-1", &["A80", "G22"]));
    let file = bench.seal(id(1));
    bench.record(accepted(id(1), &file, &["A80", "G22"]));
    bench.record(feed_receipt(1, ReceiptEvent::Fetched, id(1), &file, "A80"));
    bench.record(feed_receipt(2, ReceiptEvent::Refused, id(1), &file, "A80"));
    bench.record(drafted(id(2), "HS-2", &["G22"]));
    bench.seal(id(2));
    bench.open_term(4);
    bench.seal(id(2));
    bench.record(Record::RefusedByAxis { message_id: id(2), reason: "RECIPIENT_UNKNOWN".to_owned(), message: "no such code".to_owned() });
    for number in 10..14 {
        arrival(id(number), "H53", u64::from(number)).into_iter().for_each(|record| bench.record(record));
    }
    let (refused, count) = bench.seal_receipt(Event::Fetched).unwrap();
    assert_eq!(count, 4);
    let returned = Record::ReceiptReturned { receipt_id: refused, reason: "X".to_owned(), culprit: Some((2, Fate::Dropped)), apart: false };
    bench.record(returned);
    let (receipt_id, count) = bench.seal_receipt(Event::Fetched).unwrap();
    assert_eq!(count, 3);
    bench.log_receipt(receipt_id);
    let answer = Answer::Refused(GivenReason { code: "wrong".to_owned(), text: "sai".to_owned() });
    bench.record(Record::Answered {
        message_id: id(10),
        recipient: organisation("H53"),
        at: truc_types::Timestamp::from_millis(5),
        answer,
    });
    bench.record(Record::Confirmed { cursor: 2 });
    bench
}

#[test]
fn every_step_of_a_document_knows_its_record() {
    let mut bench = life();
    let (receipt_id, _) = bench.seal_receipt(Event::Refused).unwrap();
    bench.log_receipt(receipt_id);
    let position = |wanted: &dyn Fn(&Record) -> bool| bench.journal.iter().rposition(wanted).map(|at| at as u64);
    let refused = bench.state.outbox(&id(2)).unwrap().unwrap();
    assert_eq!(refused.refused_at, position(&|record| matches!(record, Record::RefusedByAxis { .. })));
    let row = |number| bench.state.inbox(&id(number), &organisation("H53")).unwrap().unwrap();
    let (answered, dropped) = (row(10), row(12));
    assert_eq!(
        answered.visible_at,
        bench.journal.iter().position(|record| matches!(record, Record::ReceiptLogged { .. })).map(|at| at as u64)
    );
    assert_eq!(answered.answer_at, position(&|record| matches!(record, Record::Answered { .. })));
    assert_eq!(answered.answer_logged_at, position(&|record| matches!(record, Record::ReceiptLogged { .. })));
    assert_eq!(dropped.visibility, Visibility::Discarded);
    assert_eq!((dropped.visible_at, dropped.answer_at), (position(&|record| matches!(record, Record::ReceiptReturned { .. })), None));
}

#[test]
fn rows_of_a_record_that_is_half_applied_count_as_not_durable() {
    let bench = life();
    let end = bench.state.applied();
    // It stops between its rows, as a reader beside the recorder may meet it.
    let unknown = Record::ReceiptLogged { receipt_id: id(99), leaf: leaf(31), checkpoint: String::new() };
    assert!(bench.state.apply(end, truc_types::Timestamp::from_millis(9_000), &unknown).is_err());
    assert_eq!((bench.state.applied(), bench.state.begun()), (end, end.next()));
}

#[test]
fn a_replay_of_the_journal_reaches_the_same_rows() {
    let live = life();
    let mut replayed = Bench::new();
    live.journal.iter().for_each(|record| {
        // Through the bytes of the journal, as a start does it.
        replayed.record(Record::parse(&record.to_bytes().unwrap()).unwrap());
    });
    assert!(live.dump().len() > 10);
    assert_eq!(live.dump(), replayed.dump());
    assert_eq!(live.state.applied(), Position(live.journal.len() as u64));
}

#[test]
fn a_replay_that_begins_in_the_middle_goes_on_with_the_rows_that_are_there() {
    let live = life();
    for begun in 0..live.journal.len() {
        let mut replayed = Bench::new();
        let (before, after) = live.journal.split_at(begun);
        before.iter().for_each(|record| replayed.record(record.clone()));
        drop(replayed.state.take_rows(&Frontier::new()).unwrap());
        replayed.state = State::new(Arc::clone(replayed.state.rows()), Position(begun as u64));
        after.iter().for_each(|record| replayed.record(record.clone()));
        assert_eq!(live.dump(), replayed.dump(), "begun anew at {begun}");
    }
}

#[test]
fn events_are_read_from_every_cursor_whatever_rows_they_share() {
    let mut bench = life();
    // Too long to share a row with others.
    let answer = Answer::Refused(GivenReason { code: "wrong".to_owned(), text: "x".repeat(1_400) });
    for number in [11, 13] {
        let at = truc_types::Timestamp::from_millis(6);
        bench.record(Record::Answered { message_id: id(number), recipient: organisation("H53"), at, answer: answer.clone() });
    }
    for number in 20..60 {
        bench.record(drafted(id(number), &format!("HS-{number}"), &["A80"]));
    }
    let all = bench.state.stored_events_after(0, 1_000).unwrap();
    assert!(all.len() > 50 && all.is_sorted_by_key(|(cursor, _)| *cursor));
    let rows = bench.state.rows.scan(EVENTS, &KeyRange::all(), 1_000).unwrap().rows.len();
    assert!(rows * 5 < all.len(), "{rows} rows for the events of {} records", all.len());
    for cursor in 0..=bench.journal.len() as u64 {
        let expected: Vec<_> = all.iter().filter(|(after, _)| *after > cursor).cloned().collect();
        assert_eq!(bench.state.stored_events_after(cursor, 1_000).unwrap(), expected, "after {cursor}");
        // From memory they come with the reference of the DMS.
        let mut newest = bench.state.events_after(cursor, 1_000).unwrap();
        for event in newest.iter_mut().flat_map(|(_, events)| events) {
            let row = bench.state.outbox(&event.message_id).unwrap();
            assert!(event.reference.is_none() || event.reference.take() == row.map(|row| row.reference), "after {cursor}");
        }
        assert_eq!(newest, expected, "after {cursor}");
        let page = bench.state.stored_events_after(cursor, 3).unwrap();
        assert_eq!(page, expected.into_iter().take(page.len()).collect::<Vec<_>>());
        assert!(page.len() == 3 || page.last().is_none_or(|(last, _)| all.last().is_some_and(|(end, _)| last == end)), "after {cursor}");
    }
}

#[test]
fn notices_are_found_after_every_position() {
    let bench = Bench::new();
    let noticed = [0, 1, 127, 128, 300, 1_000].map(Position);
    noticed.iter().for_each(|position| bench.state.notice(*position).unwrap());
    for after in 0..1_001 {
        let expected: Vec<_> = noticed.iter().copied().filter(|position| position.0 > after).collect();
        assert_eq!(bench.state.notices_after(Position(after), 100).unwrap(), expected);
        assert_eq!(bench.state.notices_after(Position(after), 2).unwrap(), expected.into_iter().take(2).collect::<Vec<_>>());
    }
}

#[test]
fn a_record_at_another_position_is_refused() {
    let bench = Bench::new();
    assert!(bench.state.apply(Position(1), truc_types::Timestamp::default(), &Record::Confirmed { cursor: 1 }).is_err());
    assert!(
        bench
            .state
            .apply(
                Position(0),
                truc_types::Timestamp::default(),
                &Record::ReceiptLogged { receipt_id: id(1), leaf: leaf(1), checkpoint: String::new() }
            )
            .is_err()
    );
}

#[test]
fn the_sender_sees_every_step_of_every_recipient() {
    let bench = life();
    let row = bench.state.outbox(&id(1)).unwrap().unwrap();
    let [a80, g22] = row.recipients.as_slice() else { panic!("{row:?}") };
    assert_eq!((a80.step, a80.receipts.len(), a80.agency.as_str()), (Step::Refused, 2, "A80"));
    assert_eq!(a80.reason.as_ref().unwrap().code, "wrong_recipient");
    assert_eq!((g22.step, g22.queue_position.0, g22.receipts.len()), (Step::Queued, 2, 0));
    assert_eq!(bench.state.meta().unwrap().feed_cursor, 2);
    let refused = bench.state.outbox(&id(2)).unwrap().unwrap();
    assert_eq!(refused.refusal.unwrap().0, "RECIPIENT_UNKNOWN");
    assert!(bench.state.open_documents(None, 10).unwrap().0.is_empty(), "nothing is open any more");
}

#[test]
fn a_receipt_that_came_twice_or_late_never_takes_a_step_back() {
    let mut bench = life();
    let row = bench.state.outbox(&id(1)).unwrap().unwrap();
    let file = bench.journal.iter().find_map(|record| match record {
        Record::Sealed { file, .. } => Some(file.clone()),
        _ => None,
    });
    bench.record(feed_receipt(3, ReceiptEvent::Fetched, id(1), &file.unwrap(), "A80"));
    let later = bench.state.outbox(&id(1)).unwrap().unwrap();
    assert_eq!((later.recipients[0].step, later.recipients[0].at), (Step::Refused, row.recipients[0].at));
}

#[test]
fn a_new_term_starts_its_own_numbers_and_is_not_open_before_it_is_accepted() {
    let mut bench = Bench::new();
    bench.open_term(1);
    bench.record(drafted(id(1), "HS-1", &["A80"]));
    bench.seal(id(1));
    bench.seal(id(1));
    let meta = bench.state.meta().unwrap();
    assert_eq!((meta.term, meta.seq, meta.term_open), (EdgeTerm(1), SenderSeq(2), true));
    bench.record(Record::TermOpening { term: EdgeTerm(7), file: Vec::new() });
    let meta = bench.state.meta().unwrap();
    assert_eq!((meta.term, meta.seq, meta.term_open), (EdgeTerm(7), SenderSeq(0), false));
    let sealed = bench.state.outbox(&id(1)).unwrap().unwrap().sealed.unwrap();
    assert_eq!((sealed.term, sealed.position), (EdgeTerm(1), Position(4)), "the last seal counts, and its own term is known");
}

#[test]
fn a_sealed_document_counts_as_unanswered_once_however_often_it_is_sealed_and_answered() {
    let mut bench = Bench::new();
    let unanswered = |bench: &Bench| bench.state.meta().unwrap().unanswered;
    bench.open_term(3);
    bench.record(drafted(id(1), "HS-1", &["A80"]));
    bench.record(drafted(id(2), "HS-2", &["A80"]));
    assert_eq!(unanswered(&bench), 0);
    bench.seal(id(1));
    bench.seal(id(2));
    bench.open_term(4);
    let file = bench.seal(id(1));
    assert_eq!(unanswered(&bench), 2);
    for _ in 0..2 {
        bench.record(accepted(id(1), &file, &["A80"]));
        assert_eq!(unanswered(&bench), 1);
    }
    bench.record(Record::RefusedByAxis { message_id: id(2), reason: "RECIPIENT_UNKNOWN".to_owned(), message: "no such code".to_owned() });
    assert_eq!(unanswered(&bench), 0);
}

#[test]
fn open_documents_come_urgent_first_and_page_by_page() {
    let mut bench = Bench::new();
    for number in 1..=5 {
        bench.record(drafted(id(number), &format!("HS-{number}"), &["A80"]));
    }
    let mut urgent = crate::testing::envelope("H53", id(9), &["A80"]);
    urgent.doc.urgency = truc_types::Urgency::Flash;
    let draft = sealer("H53").draft(urgent).unwrap();
    bench.record(Record::Drafted { message_id: id(9), reference: "HS-9".to_owned(), request: truc_types::Digest([0; 32]), draft });
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = bench.state.open_documents(after.as_deref(), 2).unwrap();
        all.extend(page);
        match next {
            Some(key) => after = Some(key),
            None => break,
        }
    }
    assert_eq!(all, [9, 1, 2, 3, 4, 5].map(id));
}

#[test]
fn nothing_is_shown_before_its_fetched_receipt_is_logged_and_a_dropped_one_never() {
    let mut bench = Bench::new();
    bench.open_term(1);
    for number in 1..=3 {
        arrival(id(number), "H53", u64::from(number)).into_iter().for_each(|record| bench.record(record));
    }
    assert!(bench.state.shown_after(0, 10).unwrap().is_empty());
    let (receipt_id, _) = bench.seal_receipt(Event::Fetched).unwrap();
    assert!(bench.state.shown_after(0, 10).unwrap().is_empty());
    assert!(bench.seal_receipt(Event::Fetched).is_none(), "what is in a sealed receipt is not pending");
    let culprit = Some((1, Fate::Dropped));
    bench.record(Record::ReceiptReturned { receipt_id, reason: "RECEIPT_NOT_RECIPIENT".to_owned(), culprit, apart: false });
    let (receipt_id, count) = bench.seal_receipt(Event::Fetched).unwrap();
    assert_eq!(count, 2);
    bench.log_receipt(receipt_id);
    let shown: Vec<_> = bench.state.shown_after(0, 10).unwrap().into_iter().map(|(cursor, id, _)| (cursor, id)).collect();
    assert_eq!(shown, [(1, id(1)), (2, id(3))]);
    assert_eq!(bench.state.inbox(&id(2), &organisation("H53")).unwrap().unwrap().visibility, Visibility::Discarded);
    assert!(bench.state.waiting_receipts(10).unwrap().is_empty());
}

#[test]
fn an_event_that_was_logged_in_an_earlier_life_counts_as_logged() {
    let mut bench = Bench::new();
    bench.open_term(1);
    arrival(id(1), "H53", 1).into_iter().for_each(|record| bench.record(record));
    let (receipt_id, _) = bench.seal_receipt(Event::Fetched).unwrap();
    let culprit = Some((0, Fate::LoggedBefore));
    bench.record(Record::ReceiptReturned { receipt_id, reason: "RECEIPT_REPEATED".to_owned(), culprit, apart: false });
    assert_eq!(bench.state.shown_after(0, 10).unwrap().len(), 1);
    assert!(bench.seal_receipt(Event::Fetched).is_none());
}

#[test]
fn receipts_gather_items_of_one_sender_up_to_the_limit() {
    let mut bench = Bench::new();
    bench.open_term(1);
    for number in 0..=u8::try_from(RECEIPT_ITEMS_MAX).unwrap() {
        arrival(id(number), "H53", u64::from(number) + 1).into_iter().for_each(|record| bench.record(record));
    }
    let group = (Event::Fetched, agency("A80"));
    let pending = |bench: &Bench| bench.state.pending_count(&group).unwrap();
    assert_eq!(bench.state.pending_groups(10).unwrap(), std::slice::from_ref(&group));
    assert_eq!(pending(&bench), RECEIPT_ITEMS_MAX + 1, "counted from the rows");
    let (first, count) = bench.seal_receipt(Event::Fetched).unwrap();
    assert_eq!((count, pending(&bench)), (RECEIPT_ITEMS_MAX, 1));
    let (_, count) = bench.seal_receipt(Event::Fetched).unwrap();
    assert_eq!((count, pending(&bench)), (1, 0));
    assert!(bench.state.pending_groups(10).unwrap().is_empty());
    // Nobody said which item was wrong: each goes alone.
    bench.record(Record::ReceiptReturned { receipt_id: first, reason: "X".to_owned(), culprit: None, apart: true });
    assert_eq!(pending(&bench), RECEIPT_ITEMS_MAX);
    for _ in 0..RECEIPT_ITEMS_MAX {
        let (receipt_id, count) = bench.seal_receipt(Event::Fetched).unwrap();
        assert_eq!(count, 1);
        bench.log_receipt(receipt_id);
    }
    assert!(bench.seal_receipt(Event::Fetched).is_none());
    assert_eq!(pending(&bench), 0);
    let all = bench.state.shown_after(0, 1_000).unwrap();
    assert_eq!(all.len(), RECEIPT_ITEMS_MAX);
    // Whatever rows they share.
    for (after, limit) in [(0, 3), (14, 3), (15, 1), (16, 40), (31, 17), (98, 5), (100, 5)] {
        let expected = all.iter().skip(after).take(limit).cloned().collect::<Vec<_>>();
        assert_eq!(bench.state.shown_after(after as u64, limit).unwrap(), expected, "{limit} after {after}");
    }
}

#[test]
fn reasons_that_do_not_fit_one_receipt_go_into_the_next() {
    let mut bench = Bench::new();
    bench.open_term(1);
    for number in 1..=6 {
        arrival(id(number), "H53", u64::from(number)).into_iter().for_each(|record| bench.record(record));
    }
    let (receipt_id, _) = bench.seal_receipt(Event::Fetched).unwrap();
    bench.log_receipt(receipt_id);
    for number in 1..=6 {
        let answer =
            Answer::Refused(GivenReason { code: "wrong".to_owned(), text: "\"".repeat(truc_types::limits::DOC_TEXT_BYTES_MAX / 2) });
        sealer("H53").check_answer(&answer).unwrap();
        let at = truc_types::Timestamp::from_millis(7);
        bench.record(Record::Answered { message_id: id(number), recipient: organisation("H53"), at, answer });
    }
    let counts: Vec<_> = std::iter::from_fn(|| bench.seal_receipt(Event::Refused).map(|(_, count)| count)).collect();
    assert_eq!(counts, [3, 3]);
}
