//! A document's journey: from one document-management system to another, and back as receipts.

use std::collections::BTreeSet;

use truc_proto::edge::v1::{Secrecy, Stage, Step};
use truc_tests::axis::Axis;
use truc_tests::dms::{Letter, settled};

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_reaches_two_agencies_and_its_receipts_come_back() {
    let axis = Axis::running();
    let (sender, finance, province) = (axis.dms("G22"), axis.dms("G12"), axis.dms("H53"));
    let letter = Letter::new("letter-1", &["G12", "H53"]);
    let message_id = sender.send(&letter).await.unwrap();

    let at_finance = finance.receive(None, 1).await.unwrap().remove(0);
    let document = at_finance.document.unwrap();
    assert_eq!((document.message_id.as_str(), document.recipient.as_str()), (message_id.as_str(), "G12"));
    assert_eq!(
        (document.document.as_ref().unwrap().sender.as_str(), document.sender_agency.as_str(), document.queue_position),
        ("G22", "G22", 1)
    );
    assert_eq!(finance.attachment(&message_id, 0, 0).await.unwrap(), letter.attachment);
    assert_eq!(finance.attachment(&message_id, 0, 5).await.unwrap(), letter.attachment[5..]);
    finance.acknowledge(&message_id, "G12", "152").await.unwrap();

    province.receive(None, 1).await.unwrap();
    province.refuse(&message_id, "H53", "wrong_recipient", "Văn bản gửi nhầm nơi nhận").await.unwrap();

    let status = sender.watch(&message_id, settled).await.unwrap();
    assert_eq!(status.stage(), Stage::Accepted);
    let steps: Vec<_> = status.recipients.iter().map(|recipient| (recipient.recipient.as_str(), recipient.step())).collect();
    assert_eq!(steps, [("G12", Step::Acknowledged), ("H53", Step::Refused)]);
    assert_eq!(status.recipients[0].arrival_number, "152");
    assert_eq!(status.recipients[1].reason_code, "wrong_recipient");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reference_is_one_document_and_other_content_under_it_is_refused() {
    let axis = Axis::running();
    let (sender, finance) = (axis.dms("G22"), axis.dms("G12"));
    let letter = Letter::new("same", &["G12"]);
    let first = sender.send(&letter).await.unwrap();
    assert_eq!(sender.send(&letter).await.unwrap(), first);
    let other = Letter { attachment: b"%PDF-1.4 other".to_vec(), ..letter };
    let refused = truc_transport::status::refusal(&sender.send(&other).await.unwrap_err()).unwrap();
    assert_eq!(refused.reason, truc_types::Reason::ReferenceConflict);

    // Each arrives once; which is first depends on whose attachment was faster.
    let last = sender.send(&Letter::new("last", &["G12"])).await.unwrap();
    let ids = finance.receive(None, 2).await.unwrap().into_iter().map(|document| document.document.unwrap().message_id);
    assert_eq!(ids.collect::<BTreeSet<_>>(), BTreeSet::from([first, last]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_national_sample_travels_from_a80_to_a_unit_of_tay_ninh() {
    let axis = Axis::running();
    let sample = std::fs::read(truc_tests::tools::root().join("testdata/edxml/sdk/edoc_new.edxml")).unwrap();
    let message_id = axis.dms("G22").send_edxml("edxml-1", Secrecy::None, &sample).await.unwrap();
    let province = axis.dms("H53");
    let document = province.receive(None, 1).await.unwrap().remove(0).document.unwrap();
    assert_eq!((document.document.as_ref().unwrap().sender.as_str(), document.recipient.as_str()), ("000.00.00.A80", "28.22.H17"));
    assert_eq!(document.document.as_ref().unwrap().attachments.len(), 1);
    let attachment = province.attachment(&message_id, 0, 0).await.unwrap();
    let digest = truc_types::Digest(<sha2::Sha256 as sha2::Digest>::digest(&attachment).into());
    assert_eq!(digest.to_string(), document.document.as_ref().unwrap().attachments[0].sha256);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_secret_is_refused() {
    let axis = Axis::running();
    let sample = std::fs::read(truc_tests::tools::root().join("testdata/edxml/sdk/edoc_new.edxml")).unwrap();
    for mark in [Secrecy::Unspecified, Secrecy::Confidential, Secrecy::TopSecret] {
        let refused = axis.dms("G22").send_edxml("secret", mark, &sample).await.unwrap_err();
        let reason = truc_transport::status::refusal(&refused).unwrap().reason;
        assert!(matches!(reason, truc_types::Reason::DocumentSecret | truc_types::Reason::RequestInvalid), "{mark:?}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_recipient_is_told_to_the_sender() {
    let mut axis = Axis::new();
    axis.start_edge("G22");
    let sender = axis.dms("G22");
    // The edge has no directory yet: the axis refuses.
    let message_id = sender.send(&Letter::new("nowhere", &["H99"])).await.unwrap();
    axis.start_broker();
    let status = sender.watch(&message_id, |status| status.stage() == Stage::RefusedByAxis).await.unwrap();
    assert_eq!(status.refusal_reason, "RECIPIENT_UNKNOWN");
    // Now it has: the edge refuses at the header, and names the field.
    let refused = sender.send(&Letter::new("nowhere again", &["G12", "H99"])).await.unwrap_err();
    let violations = tonic_types::StatusExt::get_error_details(&refused).bad_request().unwrap().field_violations.clone();
    assert_eq!(violations[0].field, "document.recipients[1]");
    assert_eq!(truc_transport::status::refusal(&refused).unwrap().reason, truc_types::Reason::RecipientUnknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_takes_documents_while_the_broker_is_away_and_urgent_ones_overtake() {
    let mut axis = Axis::new();
    axis.start_edge("G22");
    let sender = axis.dms("G22");
    // More than a recipient's edge takes at once, and the urgent one last.
    let mut message_ids = Vec::new();
    for number in 0..80 {
        message_ids.push(sender.send(&Letter::new(&format!("normal-{number}"), &["G12"])).await.unwrap());
    }
    let flash = sender.send(&Letter { urgency: truc_proto::edge::v1::Urgency::Flash, ..Letter::new("flash", &["G12"]) }).await.unwrap();
    message_ids.push(flash.clone());
    assert_eq!(sender.status(&flash).await.unwrap().stage(), Stage::Stored);
    axis.start_broker();
    for message_id in &message_ids {
        sender.watch(message_id, |status| status.stage() == Stage::Accepted).await.unwrap();
    }
    // All wait in the queue of an edge that was never there: the urgent one is among the first that it takes.
    axis.start_edge("G12");
    let arrived = axis.dms("G12").receive(None, message_ids.len()).await.unwrap();
    let place = arrived.iter().position(|arrived| arrived.document.as_ref().unwrap().message_id == flash).unwrap();
    assert!(place < 40, "the urgent document came at place {place} of {}", arrived.len());
}
