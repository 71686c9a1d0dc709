//! The directory over the real interface, what an edge refuses before it takes a byte, and several edges in one process.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio_stream::wrappers::ReceiverStream;
use truc_proto::directory::v1::{CodeScheme, change::Kind};
use truc_proto::edge::v1::{self as pb, send_document_request::Request};
use truc_tests::axis::{AGENCIES, Axis};
use truc_tests::daemon::Daemon;
use truc_tests::dms::{Dms, Letter, settled};
use truc_tests::tools::{truc, truc_ok};
use truc_types::limits::ATTACHMENT_BYTES_MAX;
use truc_types::{Reason, Refusal};

/// The files below a folder; none if it is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn refusal(status: &tonic::Status) -> Refusal {
    truc_transport::status::refusal(status).unwrap_or_else(|| panic!("no refusal of ours: {status}"))
}

/// Waits until an edge has read the registry: a document that it sent is accepted only after that.
async fn informed(dms: &Dms) {
    let id = dms.send(&Letter::new("first", &["G12"])).await.unwrap();
    dms.watch(&id, |status| !status.accepted_at.is_empty()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_answers_from_its_own_directory_also_while_the_broker_is_away() {
    let mut axis = Axis::running();
    let dms = axis.dms("G22");
    informed(&dms).await;
    axis.kill_broker();
    let mut directory = dms.directory().await.unwrap();
    let known = directory.get_axis(pb::GetAxisRequest {}).await.unwrap().into_inner();
    let (version, limits) = (known.registry_version, known.axis.unwrap().limits.unwrap());
    assert_eq!((limits.attachment_bytes, limits.attachments), (ATTACHMENT_BYTES_MAX, 30));
    let agencies = directory.list_agencies(pb::ListAgenciesRequest::default()).await.unwrap().into_inner().agencies;
    assert_eq!(agencies.iter().map(|agency| agency.code.as_str()).collect::<Vec<_>>(), ["G12", "G22", "H53"]);

    let found = |code: &str| pb::LookUpCodeRequest { code: code.to_owned() };
    let own = directory.look_up_code(found("H53.03")).await.unwrap().into_inner();
    let old = directory.look_up_code(found("000.00.03.H53")).await.unwrap().into_inner();
    assert_eq!((own.scheme(), old.scheme()), (CodeScheme::Own, CodeScheme::Old));
    assert_eq!((own.organisation, own.agency.unwrap().code.as_str()), (old.organisation, "H53"));
    let unknown = refusal(&directory.look_up_code(found("H53.09")).await.unwrap_err());
    assert_eq!(unknown.reason, Reason::RecipientUnknown);
    assert!(unknown.message.contains("H53.03"), "{unknown}");

    // What the last statement of the registry brought, and nothing of the ones before.
    let request = pb::ListDirectoryChangesRequest { from_version: version - 1, page_size: 3, page_token: String::new() };
    let page = directory.list_directory_changes(request).await.unwrap().into_inner();
    assert_eq!((page.changes.len(), page.registry_version), (3, version));
    assert!(page.changes.iter().all(|change| change.kind() == Kind::Added && change.agency.is_none()));
    let request = pb::ListDirectoryChangesRequest { from_version: version, ..pb::ListDirectoryChangesRequest::default() };
    assert_eq!(directory.list_directory_changes(request).await.unwrap().into_inner().changes, []);
    let listed = truc_ok(&["directory", "list", "--query", "TAI CHINH", "--edge", &format!("http://{}", dms.address())]);
    assert_eq!(listed.lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(), ["G12", "G12.01", "G12.02", "H53.03"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_axis_would_refuse_is_refused_at_the_header_and_no_byte_is_taken_or_sent() {
    let axis = Axis::running();
    let dms = axis.dms("G22");
    informed(&dms).await;
    let blobs = || [files(&axis.edge_folder("G22").join("blobs")), files(&axis.path("broker/blobs"))];
    let before = blobs();
    let document = |recipients: &[&str], size: u64| pb::Document {
        recipients: recipients.iter().map(|code| (*code).to_owned()).collect(),
        number: "1".to_owned(),
        notation: "VPCP".to_owned(),
        subject: "Thử".to_owned(),
        urgency: pb::Urgency::Normal.into(),
        secrecy: pb::Secrecy::None.into(),
        attachments: vec![pb::Attachment {
            name: "a.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            size,
            sha256: String::new(),
        }],
        ..pb::Document::default()
    };
    let header = |reference: &str, recipients: &[&str], size: u64| pb::DocumentHeader {
        client_reference: reference.to_owned(),
        document: Some(document(recipients, size)),
    };
    for (header, reason, named) in [
        (header("unknown", &["G12", "H53.09"], 10), Reason::RecipientUnknown, "H53.09"),
        (header("twice", &["H53.03", "000.00.03.H53"], 10), Reason::RecipientTwice, "000.00.03.H53"),
        (header("large", &["G12"], ATTACHMENT_BYTES_MAX + 1), Reason::AttachmentTooLarge, "52428801"),
    ] {
        // The stream stays open after the header: the answer does not wait for a byte of the attachment.
        let (requests, stream) = tokio::sync::mpsc::channel(1);
        requests.send(pb::SendDocumentRequest { request: Some(Request::Header(header)), resume_from: None }).await.unwrap();
        let refused = dms.client().await.unwrap().send_document(ReceiverStream::new(stream)).await.unwrap_err();
        let refused = refusal(&refused);
        assert_eq!(refused.reason, reason, "{refused}");
        assert!(refused.message.contains(named), "{refused}");
        drop(requests);
    }
    assert_eq!(blobs(), before);
    // Either scheme is taken, and the envelope carries what the sender wrote.
    let id = dms.send(&Letter::new("old code", &["000.00.03.H53"])).await.unwrap();
    let document = axis.dms("H53").receive(None, 1).await.unwrap().remove(0).document.unwrap();
    assert_eq!((document.message_id, document.recipient.as_str()), (id, "000.00.03.H53"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_hosts_several_edges_and_one_upload_reaches_all_of_them() {
    let mut axis = Axis::new();
    axis.start_broker();
    let mut command = Command::new(truc());
    command.args(["edge", "host"]).args(AGENCIES.map(|agency| axis.edge_folder(agency)));
    let (host, addresses) = Daemon::start_host(command, &axis.path("host.log"), AGENCIES.len());
    let dms = |agency: &str| Dms::new(addresses.iter().find(|(found, _)| found == agency).unwrap().1);
    let letter = Letter::new("to all", &AGENCIES);
    let id = dms("G22").send(&letter).await.unwrap();
    for agency in AGENCIES {
        let document = dms(agency).receive(None, 1).await.unwrap().remove(0).document.unwrap();
        assert_eq!((&document.message_id, document.recipient.as_str()), (&id, agency));
        assert_eq!(dms(agency).attachment(&id, 0, 0).await.unwrap(), letter.attachment);
        dms(agency).acknowledge(&id, agency, "1").await.unwrap();
    }
    let status = dms("G22").watch(&id, settled).await.unwrap();
    assert_eq!(status.recipients.len(), AGENCIES.len());
    // The other one is that of the axis' loopback message.
    assert_eq!(files(&axis.path("broker/blobs/blobs")).len(), 2, "one stored copy, however many recipients");
    assert!(host.terminate().success());

    // All mistakes are told at once, before any edge starts.
    let mut command = Command::new(truc());
    command.args(["edge", "host"]).args([axis.path("none"), axis.edge_folder("G12"), axis.path("nothing")]);
    let refused = command.env("TRUC_KEY_PASSWORD", truc_tests::tools::PASSWORD).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("/none") && said.contains("/nothing") && !said.contains("edge-G12"), "{said}");
}
