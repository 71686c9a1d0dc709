//! What `decide` refuses, each with its reason; and that exactly the refusals for ever become facts.

use truc_signing::statement::*;
use truc_types::{Digest, EdgeTerm, QueuePosition, Reason, Refusal, Retry, SenderSeq};

use crate::fixture::{self, Key, code};
use crate::world::{Answer, World};

/// The last submission of `act` is refused by `decide`, and leaves a fact exactly if a retry is in vain.
fn check(expected: Reason, act: impl FnOnce(&mut World) -> Answer) {
    let mut world = World::open();
    let answer = act(&mut world);
    assert!(matches!(answer, Answer::Refused(_)), "{expected}: {answer:?}");
    assert_eq!(answer.reason(), expected, "{answer:?}");
    let last = Fact::parse(world.log.last().unwrap());
    let is_logged = matches!(&last, Ok(Fact::Rejected(rejected)) if rejected.reason == expected);
    assert_eq!(is_logged, expected.retry() == Retry::No, "{expected}: {last:?}");
}

/// An envelope of agency 0 with one thing changed.
fn check_envelope(expected: Reason, change: impl FnOnce(&mut Envelope)) {
    check(expected, |world| {
        let mut envelope = world.envelope(0, &["H1"]);
        change(&mut envelope);
        world.send(0, &envelope)
    });
}

/// A receipt of agency 1, after some earlier ones, for a message of agency 0 to H1 and H1.1, with one thing changed.
fn check_receipt(expected: Reason, earlier: &[ReceiptEvent], event: ReceiptEvent, change: impl FnOnce(&mut World, &mut Receipt)) {
    check(expected, |world| {
        let message = world.sent(0, &["H1", "H1.1", "H2"]);
        for event in earlier {
            assert!(world.report_one(1, *event, message, "H1").is_accepted());
        }
        let mut receipt = world.receipt(1, event, &[(message, "H1")]);
        change(world, &mut receipt);
        world.report(1, &receipt)
    });
}

#[test]
fn past_the_bound_on_open_deliveries_documents_wait_until_some_are_answered() {
    let mut world = World::open();
    world.state.limit_open_deliveries(3);
    let first = world.sent(0, &["H1", "H2"]);
    let sent = |world: &mut World, recipients: &[&str]| {
        let envelope = world.envelope(0, recipients);
        world.send(0, &envelope)
    };
    let refused = sent(&mut world, &["H1", "H2"]);
    assert_eq!((refused.reason(), refused.reason().retry()), (Reason::BusyQueues, Retry::Later));
    assert!(sent(&mut world, &["H1"]).is_accepted());
    assert_eq!((sent(&mut world, &["H1"]).reason(), world.state.open_deliveries()), (Reason::BusyQueues, 3));
    // A message is open until all have answered.
    world.finish(1, first, "H1");
    assert_eq!(sent(&mut world, &["H1"]).reason(), Reason::BusyQueues);
    world.finish(2, first, "H2");
    assert_eq!(world.state.open_deliveries(), 1);
    assert!(sent(&mut world, &["H1", "H2"]).is_accepted());
}

#[test]
fn an_envelope_goes_from_an_organisation_of_its_agency_to_known_ones() {
    check_envelope(Reason::RecipientUnknown, |envelope| envelope.recipients.push(code("H77")));
    check_envelope(Reason::SenderUnknown, |envelope| envelope.sender.organisation = code("H1.1"));
    check_envelope(Reason::SenderUnknown, |envelope| envelope.sender.organisation = code("H77"));
    check(Reason::RecipientCannotRead, |world| {
        world.append_registry(fixture::joined(4, &["https://truc.example/envelope/v2"]));
        let envelope = world.envelope(0, &["H4"]);
        world.send(0, &envelope)
    });
}

#[test]
fn a_recipient_under_its_old_code_and_its_own_is_named_twice() {
    check_envelope(Reason::RecipientTwice, |envelope| envelope.recipients = vec![code("H2.1"), code("000.00.01.H2")]);
    check_envelope(Reason::RecipientTwice, |envelope| envelope.recipients = vec![code("000.00.01.H2"), code("H1"), code("H2.1")]);
}

#[test]
fn only_new_documents_and_replies_without_expiry_are_routed() {
    check_envelope(Reason::BusinessUnsupported, |envelope| envelope.expires_at = Some(envelope.created_at.plus_millis(1)));
    check_envelope(Reason::BusinessUnsupported, |envelope| {
        envelope.business = Business::Recall;
        envelope.recalls = Some(Recalled { message_id: envelope.message_id, envelope: Digest([1; 32]) });
    });
    let update = |envelope: &Envelope| Update {
        message_id: envelope.message_id,
        envelope: Digest([1; 32]),
        added: vec![code("H3")],
        removed: vec![],
    };
    check_envelope(Reason::BusinessUnsupported, |envelope| {
        envelope.business = Business::Update;
        envelope.updates = Some(update(envelope));
    });
}

#[test]
fn an_id_belongs_to_the_bytes_that_came_first() {
    let conflicting = |seal_segment: bool| {
        move |world: &mut World| {
            let first = world.envelope(0, &["H1"]);
            assert!(world.send(0, &first).is_accepted());
            if seal_segment {
                world.seal_segment();
            }
            let second = Envelope { message_id: first.message_id, ..world.envelope(0, &["H1"]) };
            world.send(0, &second)
        }
    };
    check(Reason::MessageIdConflict, conflicting(false));
    check(Reason::MessageIdConflict, conflicting(true));
    check(Reason::MessageIdConflict, |world| {
        let message = world.sent(0, &["H1"]);
        let receipt = Receipt { receipt_id: message, ..world.receipt(1, ReceiptEvent::Fetched, &[(message, "H1")]) };
        world.report(1, &receipt)
    });
}

#[test]
fn a_sequence_number_is_used_once_and_within_the_window() {
    check(Reason::SequenceReused, |world| {
        world.sent(0, &["H1"]);
        let second = Envelope { sender_seq: SenderSeq(1), ..world.envelope(0, &["H1"]) };
        world.send(0, &second)
    });
    check_envelope(Reason::SequenceOutsideWindow, |envelope| envelope.sender_seq = SenderSeq(4_097));
    check(Reason::SequenceOutsideWindow, |world| {
        for seq in [4_096, 4_097] {
            let high = Envelope { sender_seq: SenderSeq(seq), ..world.envelope(0, &["H1"]) };
            assert!(world.send(0, &high).is_accepted());
        }
        let low = Envelope { sender_seq: SenderSeq(1), ..world.envelope(0, &["H1"]) };
        world.send(0, &low)
    });
}

#[test]
fn a_new_edge_term_numbers_from_one() {
    let mut world = World::open();
    world.sent(0, &["H1"]);
    assert!(world.open_term(0).is_accepted());
    let envelope = world.envelope(0, &["H1"]);
    assert_eq!(envelope.sender_seq, SenderSeq(1));
    assert!(world.send(0, &envelope).is_accepted());
}

#[test]
fn a_statement_is_taken_in_the_edge_term_that_is_open() {
    check_envelope(Reason::TermNotOpen, |envelope| envelope.edge_term = EdgeTerm(2));
    check(Reason::TermSuperseded, |world| {
        let envelope = world.envelope(0, &["H1"]);
        assert!(world.open_term(0).is_accepted());
        world.send(0, &envelope)
    });
    check_receipt(Reason::TermNotOpen, &[], ReceiptEvent::Fetched, |_, receipt| receipt.edge_term = EdgeTerm(2));
    check_receipt(Reason::TermSuperseded, &[], ReceiptEvent::Fetched, |world, _| assert!(world.open_term(1).is_accepted()));
    let head = |term| {
        move |world: &mut World| {
            assert!(world.open_term(0).is_accepted());
            let event = SenderHeadEvent::Head { first_seq: SenderSeq(1), last_seq: SenderSeq(1), root: Digest([0; 32]), withdrawn: vec![] };
            let head = world.head(0, EdgeTerm(term), event);
            world.submit(0, world.seal(0, &head.to_json()))
        }
    };
    check(Reason::TermSuperseded, head(1));
    check(Reason::TermNotOpen, head(3));
    check(Reason::TermSuperseded, |world| {
        let again = world.term_opening(0, EdgeTerm(1));
        world.submit(0, world.seal(0, &again.to_json()))
    });
}

#[test]
fn a_takeover_waits_while_the_old_edge_is_connected_unless_it_is_forced() {
    let take_over = |older_term_connected: bool| {
        move |world: &mut World| {
            let opening = world.term_opening(0, EdgeTerm(2));
            let mut submit = world.looked_up(world.admit(0, world.seal(0, &opening.to_json())).unwrap());
            submit.older_term_connected = older_term_connected;
            world.take(&world.decide(submit))
        }
    };
    check(Reason::TermConnected, take_over(true));
    assert!(take_over(false)(&mut World::open()).is_accepted());
}

#[test]
fn receipts_follow_the_life_of_a_delivery() {
    use ReceiptEvent::{Acknowledged, Fetched, Refused};
    let as_it_is = |_: &mut World, _: &mut Receipt| {};
    check_receipt(Reason::ReceiptOutOfOrder, &[], Acknowledged, as_it_is);
    check_receipt(Reason::ReceiptOutOfOrder, &[], Refused, as_it_is);
    check_receipt(Reason::ReceiptRepeated, &[Fetched], Fetched, as_it_is);
    check_receipt(Reason::ReceiptRepeated, &[Fetched, Acknowledged], Acknowledged, as_it_is);
    check_receipt(Reason::ReceiptRepeated, &[Fetched, Acknowledged], Fetched, as_it_is);
    check_receipt(Reason::ReceiptOutOfOrder, &[Fetched, Acknowledged], Refused, as_it_is);
    check_receipt(Reason::ReceiptOutOfOrder, &[Fetched, Refused], Acknowledged, as_it_is);
    check_receipt(Reason::BusinessUnsupported, &[Fetched], ReceiptEvent::Status, as_it_is);
    check_receipt(Reason::BusinessUnsupported, &[Fetched], ReceiptEvent::RecallAgreed, as_it_is);
}

#[test]
fn a_receipt_names_the_delivery_as_it_is() {
    use ReceiptEvent::Fetched;
    check_receipt(Reason::ReceiptNotRecipient, &[], Fetched, |_, receipt| receipt.items[0].recipient = code("H2"));
    check_receipt(Reason::ReceiptNotRecipient, &[], Fetched, |_, receipt| receipt.items[0].recipient = code("H1.2"));
    check_receipt(Reason::ReceiptNotRecipient, &[], Fetched, |_, receipt| receipt.items[0].recipient = code("000.00.01.H1"));
    check_receipt(Reason::ReceiptNotRecipient, &[], Fetched, |_, receipt| receipt.items[0].queue_position = Some(QueuePosition(3)));
    check_receipt(Reason::ReceiptDigestMismatch, &[], Fetched, |_, receipt| receipt.items[0].envelope = Digest([9; 32]));
    check_receipt(Reason::ReceiptMixedSenders, &[], Fetched, |_, receipt| receipt.original_sender = fixture::agency_code(3));
    check_receipt(Reason::MessageUnknown, &[], Fetched, |world, receipt| receipt.items[0].message_id = world.mint());
    check(Reason::ReceiptMixedSenders, |world| {
        let (first, second) = (world.sent(0, &["H1"]), world.sent(2, &["H1"]));
        let receipt = world.receipt(1, Fetched, &[(first, "H1"), (second, "H1")]);
        world.report(1, &receipt)
    });
}

#[test]
fn a_closed_message_gets_the_same_answer_whether_it_is_remembered_or_not() {
    for seal_segment in [false, true] {
        check(Reason::MessageUnknown, |world| {
            let message = world.sent(0, &["H1"]);
            let again = world.receipt(1, ReceiptEvent::Acknowledged, &[(message, "H1")]);
            world.finish(1, message, "H1");
            if seal_segment {
                world.seal_segment();
            }
            world.report(1, &again)
        });
    }
}

#[test]
fn what_the_shell_has_against_it_is_the_refusal() {
    for reason in [Reason::AttachmentMissing, Reason::AttachmentTooLarge] {
        check(reason, |world| {
            let envelope = world.envelope(0, &["H1"]);
            let mut submit = world.looked_up(world.admit(0, world.seal(0, &envelope.to_json())).unwrap());
            submit.objection = Some(Refusal::new(reason, "not there"));
            world.take(&world.decide(submit))
        });
    }
}

#[test]
fn keys_are_looked_at_again_when_the_block_is_filled() {
    check(Reason::SealRevoked, |world| {
        let envelope = world.envelope(0, &["H1"]);
        let submit = world.looked_up(world.admit(0, world.seal(0, &envelope.to_json())).unwrap());
        world.append_registry(fixture::revoked(0, Key::Seal, world.now));
        world.take(&world.decide(submit))
    });
    check(Reason::SealExpiredReseal, |world| {
        let envelope = world.envelope(0, &["H1"]);
        let submit = world.looked_up(world.admit(0, world.seal(0, &envelope.to_json())).unwrap());
        world.now = fixture::certificate(0, Key::Seal).not_after().plus_millis(1);
        world.take(&world.decide(submit))
    });
}

#[test]
fn a_recipient_that_moved_to_another_agency_is_routed_to_that_one() {
    let mut world = World::open();
    let envelope = world.envelope(0, &["H1.1"]);
    let submit = world.looked_up(world.admit(0, world.seal(0, &envelope.to_json())).unwrap());
    world.append_registry(RegistryEvent::OrganisationsAdded(vec![fixture::organisation("H1.1", None, 2)]));
    assert!(world.take(&world.decide(submit)).is_accepted());
    assert_eq!((world.queues[1].waiting(), world.queues[2].waiting()), (0, 1));
}

#[test]
fn a_code_that_is_somebodys_own_is_never_read_as_an_old_one() {
    let mut world = World::open();
    let hijacker = fixture::organisation("H2.9", Some("H1".to_owned()), 2);
    world.append_registry(RegistryEvent::OrganisationsAdded(vec![hijacker]));
    world.sent(0, &["H1"]);
    assert_eq!((world.queues[1].waiting(), world.queues[2].waiting()), (1, 0));
}
