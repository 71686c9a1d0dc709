//! A document's whole way between two edges and a real broker, all in this process, on real files.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use truc_edge::{EdgeError, init, load};
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::Step;
use truc_proto::edge::v1::document_service_client::DocumentServiceClient;
use truc_signing::statement::{AgencyJoined, Organisation};
use truc_transport::clock;
use truc_transport::shutdown::Shutdown;
use truc_transport::status;
use truc_types::names::{ENVELOPE_V1, RECEIPT_V1};
use truc_types::{AgencyCode, Reason};

use crate::folder::files;
use crate::pki::{PASSWORD, Pki};

/// Everything in these tests comes about in well under this.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Axis {
    pub(crate) scratch: TempDir,
    broker: SocketAddr,
    pub(crate) broker_shutdown: Shutdown,
}

pub(crate) struct Edge {
    pub(crate) dms: DocumentServiceClient<Channel>,
    pub(crate) address: SocketAddr,
    shutdown: Shutdown,
    running: JoinHandle<Result<(), EdgeError>>,
}

impl Axis {
    pub(crate) async fn start(agencies: &[&str]) -> Self {
        Self::with_organisations(agencies, &[]).await
    }

    pub(crate) async fn with_organisations(agencies: &[&str], organisations: &[(&str, &str)]) -> Self {
        let (scratch, pki) = (tempfile::tempdir().unwrap(), Pki::new());
        let codes: Vec<AgencyCode> = agencies.iter().map(|code| code.parse().unwrap()).collect();
        let seals: Vec<_> = codes.iter().map(|code| pki.seal(code)).collect();
        let joined = |code: &AgencyCode| AgencyJoined {
            agency: code.clone(),
            old_code: None,
            name_vi: "Cơ quan thử nghiệm".to_owned(),
            name_en: None,
            kind: "ministry".to_owned(),
            code_status: "confirmed".to_owned(),
            valid_from: None,
            predicates: vec![ENVELOPE_V1.to_owned(), RECEIPT_V1.to_owned()],
        };
        let genesis = truc_broker::Init {
            axis_name: "Trục thử nghiệm".to_owned(),
            log_origin: "truc.example/axis/2026".to_owned(),
            listen: "127.0.0.1:0".to_owned(),
            authority_pem: pki.authority_pem.clone(),
            operator_pem: pki.operator.certificate_pem.clone(),
            operator_key_pem: pki.operator.key_pem.clone(),
            log_key_pem: pki.log_key_pem.clone(),
            tls_certificate_pem: pki.broker.certificate_pem.clone(),
            tls_key_pem: pki.broker.key_pem.clone(),
            password: PASSWORD.to_vec().into(),
            agencies: codes.iter().zip(&seals).map(|(code, seal)| (joined(code), seal.certificate_pem.clone())).collect(),
            organisations: organisations.iter().map(|(code, served_by)| organisation(code, served_by)).collect(),
            loopback: None,
        };
        let data = scratch.path().join("broker");
        let made = truc_broker::init(&data, &genesis, clock::now()).unwrap();
        let config = truc_broker::load(&data, PASSWORD, None).unwrap();
        let (ready, address) = oneshot::channel();
        let broker_shutdown = Shutdown::default();
        tokio::spawn(truc_broker::run(config, broker_shutdown.clone(), move |address| ready.send(address).unwrap()));
        let broker = address.await.unwrap();
        for (code, seal) in codes.iter().zip(&seals) {
            let keys = scratch.path().join(format!("keys-{code}"));
            std::fs::create_dir(&keys).unwrap();
            let files = files(&keys, &pki, code, seal, &made.log_vkey, &format!("https://{broker}"));
            init(&scratch.path().join(format!("edge-{code}")), &files, PASSWORD).unwrap();
        }
        Self { scratch, broker, broker_shutdown }
    }

    async fn edge_on(&self, data: &Path, take_over: bool) -> Edge {
        let mut config = load(data, PASSWORD).unwrap();
        assert_eq!(config.broker.authority().unwrap().as_str(), self.broker.to_string());
        config.take_over = take_over;
        let (ready, address) = oneshot::channel();
        let shutdown = Shutdown::default();
        let running = tokio::spawn(truc_edge::run(config, shutdown.clone(), move |address| ready.send(address).unwrap()));
        let address = address.await.unwrap();
        let dms = DocumentServiceClient::connect(format!("http://{address}")).await.unwrap();
        Edge { dms, address, shutdown, running }
    }

    pub(crate) async fn edge(&self, code: &str) -> Edge {
        self.edge_on(&self.scratch.path().join(format!("edge-{code}")), false).await
    }
}

impl Edge {
    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        tokio::time::timeout(SOON, self.running).await.unwrap().unwrap().unwrap();
    }

    pub(crate) async fn send(&mut self, reference: &str, recipients: &[&str], files: &[&[u8]]) -> Result<String, tonic::Status> {
        let attachment = |file: &&[u8]| pb::Attachment {
            name: "Công văn.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: file.len() as u64,
            sha256: String::new(),
        };
        let document = pb::Document {
            recipients: recipients.iter().map(|code| (*code).to_owned()).collect(),
            number: "4127".to_owned(),
            notation: "BTC-NSNN".to_owned(),
            subject: "Về việc kiểm thử".to_owned(),
            secrecy: pb::Secrecy::None.into(),
            urgency: pb::Urgency::Normal.into(),
            attachments: files.iter().map(attachment).collect(),
            ..pb::Document::default()
        };
        let header = pb::DocumentHeader { client_reference: reference.to_owned(), document: Some(document) };
        let request = Some(pb::send_document_request::Request::Header(header));
        let mut requests = vec![pb::SendDocumentRequest { request, resume_from: None }];
        for chunk in files.concat().chunks(100_000) {
            let data = pb::send_document_request::Request::Data(chunk.to_vec().into());
            requests.push(pb::SendDocumentRequest { request: Some(data), resume_from: None });
        }
        Ok(self.dms.send_document(tokio_stream::iter(requests)).await?.into_inner().message_id)
    }

    /// Waits for the next documents after a cursor.
    pub(crate) async fn receive(&mut self, after: u64, count: usize) -> Vec<pb::ReceiveDocumentsResponse> {
        let request = pb::ReceiveDocumentsRequest { after_cursor: Some(after), no_wait: false };
        let stream = self.dms.receive_documents(request).await.unwrap().into_inner();
        let documents = stream.take(count).collect::<Result<Vec<_>, _>>();
        tokio::time::timeout(SOON, documents).await.unwrap().unwrap()
    }

    /// Watches a document until its recipients have come to a step.
    pub(crate) async fn watch(&mut self, message_id: &str, step: Step) -> pb::DocumentStatus {
        let request = pb::WatchStatusRequest { message_id: message_id.to_owned() };
        let mut stream = self.dms.watch_status(request).await.unwrap().into_inner();
        let watched = async {
            loop {
                let status = stream.next().await.unwrap().unwrap().status.unwrap();
                if status.recipients.iter().all(|recipient| recipient.step >= step.into()) {
                    return status;
                }
            }
        };
        tokio::time::timeout(SOON, watched).await.unwrap()
    }

    pub(crate) async fn evidence(&mut self, message_id: &str, recipient: &str) -> BTreeMap<String, Vec<u8>> {
        let request = pb::GetEvidenceRequest { message_id: message_id.to_owned(), recipient: recipient.to_owned() };
        let mut stream = self.dms.get_evidence(request).await.unwrap().into_inner();
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        while let Some(piece) = stream.next().await {
            let piece = piece.unwrap();
            files.entry(piece.path).or_default().extend_from_slice(&piece.data);
        }
        files
    }

    pub(crate) async fn download(&mut self, message_id: &str, index: u32, offset: u64) -> Vec<u8> {
        let request = pb::DownloadAttachmentRequest { message_id: message_id.to_owned(), index, offset };
        let mut stream = self.dms.download_attachment(request).await.unwrap().into_inner();
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk.unwrap().data);
        }
        bytes
    }
}

fn organisation(code: &str, served_by: &str) -> Organisation {
    Organisation {
        code: code.parse().unwrap(),
        old_code: None,
        name: None,
        served_by: served_by.parse().unwrap(),
        parent: None,
        valid_from: None,
        valid_until: None,
        successors: Vec::new(),
    }
}

pub(crate) fn reason(status: &tonic::Status) -> Reason {
    status::refusal(status).unwrap_or_else(|| panic!("{status:?}")).reason
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_sent_received_acknowledged_and_proved() {
    let axis = Axis::start(&["G12", "H53", "A80"]).await;
    let (mut sender, mut recipient, mut other) = (axis.edge("G12").await, axis.edge("H53").await, axis.edge("A80").await);
    let large = vec![7u8; 1_500_000];
    let message_id = sender.send("HS-1", &["H53", "A80"], &[b"first", b"2", &large]).await.unwrap();
    assert_eq!(sender.send("HS-1", &["H53", "A80"], &[b"first", b"2", &large]).await.unwrap(), message_id, "the same document again");
    assert_eq!(reason(&sender.send("HS-1", &["H53", "A80"], &[b"other"]).await.unwrap_err()), Reason::ReferenceConflict);

    let [arrived] = recipient.receive(0, 1).await.try_into().unwrap();
    let document = arrived.document.unwrap();
    let content = document.document.unwrap();
    assert_eq!((document.message_id.as_str(), document.recipient.as_str(), content.sender.as_str()), (message_id.as_str(), "H53", "G12"));
    assert_eq!((document.queue_position, content.attachments.len()), (1, 3));
    assert_eq!(recipient.download(&message_id, 2, 1_000_000).await, large[1_000_000..]);
    assert_eq!(recipient.download(&message_id, 1, 0).await, b"2");

    let acknowledge = |number: &str| pb::AcknowledgeRequest {
        message_id: message_id.clone(),
        recipient: "H53".to_owned(),
        arrival_number: number.to_owned(),
    };
    recipient.dms.acknowledge(acknowledge("17")).await.unwrap();
    recipient.dms.acknowledge(acknowledge("17")).await.unwrap();
    assert_eq!(reason(&recipient.dms.acknowledge(acknowledge("18")).await.unwrap_err()), Reason::ReceiptRepeated);
    other.receive(0, 1).await;
    let refuse = pb::RefuseRequest {
        message_id: message_id.clone(),
        recipient: "A80".to_owned(),
        reason_code: "wrong_recipient".to_owned(),
        reason_text: "Không đúng nơi nhận".to_owned(),
    };
    other.dms.refuse(refuse).await.unwrap();

    let status = sender.watch(&message_id, Step::Acknowledged).await;
    let [at_h53, at_a80] = status.recipients.as_slice() else { panic!("{status:?}") };
    assert_eq!((at_h53.step(), at_h53.arrival_number.as_str()), (Step::Acknowledged, "17"));
    assert_eq!((at_a80.step(), at_a80.reason_code.as_str()), (Step::Refused, "wrong_recipient"));

    let files = sender.evidence(&message_id, "H53").await;
    let log = std::str::from_utf8(&files["trust/vkeys.txt"]).unwrap().trim_end().parse().unwrap();
    for stem in ["envelope.dsse.json", "facts/01-accepted.json", "receipts/01-fetched.dsse.json", "receipts/02-acknowledged.dsse.json"] {
        let proof = format!("{}.tlog-proof", stem.trim_end_matches(".json").trim_end_matches(".dsse"));
        truc_ledger::tlog_proof::verify(&files[stem], &files[&proof], &log).unwrap_or_else(|cause| panic!("{stem}: {cause}"));
    }
    assert_eq!((files["attachments/00"].as_slice(), files["attachments/01"].as_slice()), (b"first".as_slice(), b"2".as_slice()));
    assert_eq!(files["attachments/02"], large);
    assert_eq!(std::str::from_utf8(&files["trust/chain.pem"]).unwrap().matches("BEGIN CERTIFICATE").count(), 2);
    assert!(!files.keys().any(|path| path.contains("refused")), "others' receipts are not shown");
    for edge in [sender, recipient, other] {
        edge.stop().await;
    }
    axis.broker_shutdown.begin();
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_every_stage_survive_restarts_and_none_is_doubled() {
    let axis = Axis::start(&["G12", "H53"]).await;
    let mut sender = axis.edge("G12").await;
    let mut sent = Vec::new();
    for number in 0..40 {
        sent.push(sender.send(&format!("HS-{number}"), &["H53"], &[b"bytes"]).await.unwrap());
    }
    // At once: some are accepted, some sealed, some only stored.
    sender.stop().await;
    let mut sender = axis.edge("G12").await;
    let mut recipient = axis.edge("H53").await;
    let documents = recipient.receive(0, 20).await;
    let confirm = pb::ConfirmDocumentsRequest { cursor: documents.last().unwrap().cursor };
    recipient.dms.confirm_documents(confirm).await.unwrap();
    assert_eq!(
        reason(&recipient.dms.confirm_documents(pb::ConfirmDocumentsRequest { cursor: 1_000 }).await.unwrap_err()),
        Reason::CursorUnknown
    );
    recipient.stop().await;
    let mut recipient = axis.edge("H53").await;
    let all = recipient.receive(0, 40).await;
    let mut ids: Vec<_> = all.iter().map(|response| response.document.clone().unwrap().message_id).collect();
    ids.sort();
    sent.sort();
    assert_eq!(ids, sent);
    for message_id in &sent {
        sender.watch(message_id, Step::Fetched).await;
    }
    let rest = pb::ReceiveDocumentsRequest { after_cursor: None, no_wait: true };
    let rest = recipient.dms.receive_documents(rest).await.unwrap().into_inner().collect::<Result<Vec<_>, _>>().await.unwrap();
    assert_eq!(rest.len(), 20, "after what was confirmed, to the end");
    sender.stop().await;
    recipient.stop().await;
    axis.broker_shutdown.begin();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_edge_of_an_agency_takes_over_and_the_first_one_stops() {
    let axis = Axis::start(&["G12", "H53"]).await;
    let mut first = axis.edge("G12").await;
    let message_id = first.send("HS-1", &["H53"], &[b"bytes"]).await.unwrap();
    first.watch(&message_id, Step::Queued).await;
    // A copy of the keys, with no journal of its own.
    let (from, to) = (axis.scratch.path().join("edge-G12"), axis.scratch.path().join("second"));
    for folder in ["keys", "trust"] {
        std::fs::create_dir_all(to.join(folder)).unwrap();
        for entry in std::fs::read_dir(from.join(folder)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
        }
    }
    std::fs::copy(from.join("edge.toml"), to.join("edge.toml")).unwrap();
    let mut second = axis.edge_on(&to, true).await;
    let message_id = second.send("HS-2", &["H53"], &[b"bytes"]).await.unwrap();
    second.watch(&message_id, Step::Queued).await;
    // What the first one sends now belongs to a term that is over.
    let _taken = first.send("HS-3", &["H53"], &[b"bytes"]).await;
    let ended = tokio::time::timeout(SOON, first.running).await.unwrap().unwrap();
    assert!(matches!(ended, Err(EdgeError::TermSuperseded { .. })), "{ended:?}");
    second.stop().await;
    axis.broker_shutdown.begin();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_edge_cannot_carry_is_refused_before_it_is_stored() {
    let axis = Axis::start(&["G12"]).await;
    let mut sender = axis.edge("G12").await;
    let header = |secrecy: pb::Secrecy| {
        let document = pb::Document { secrecy: secrecy.into(), ..Default::default() };
        pb::DocumentHeader { client_reference: "HS".to_owned(), document: Some(document) }
    };
    for (secrecy, expected) in [(pb::Secrecy::TopSecret, Reason::DocumentSecret), (pb::Secrecy::Unspecified, Reason::RequestInvalid)] {
        let request = Some(pb::send_document_request::Request::Header(header(secrecy)));
        let request = pb::SendDocumentRequest { request, resume_from: None };
        let refused = sender.dms.send_document(tokio_stream::iter([request])).await.unwrap_err();
        assert_eq!(reason(&refused), expected, "{refused:?}");
    }
    let twice = sender.send("HS-0", &["H53", "H53"], &[b"x"]).await.unwrap_err();
    assert_eq!(reason(&twice), Reason::RecipientTwice);
    let empty = sender.send("HS-0", &["G12"], &[b"x", b""]).await.unwrap_err();
    assert_eq!(reason(&empty), Reason::AttachmentEmpty);
    let message_id = sender.send("HS-1", &["G12"], &[b"x"]).await.unwrap();
    sender.watch(&message_id, Step::Queued).await;
    // The edge has read the registry by now.
    let unknown = sender.send("HS-2", &["Z99"], &[b"x"]).await.unwrap_err();
    assert_eq!(reason(&unknown), Reason::RecipientUnknown);
    sender.stop().await;
    axis.broker_shutdown.begin();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edxml_file_travels_with_its_attachments_and_stays_as_it_was_handed_in() {
    let file = include_bytes!("../../../../testdata/edxml/sdk/edoc_new.edxml");
    let axis = Axis::with_organisations(&["G22", "H53"], &[("000.00.00.A80", "G22"), ("28.22.H17", "H53")]).await;
    let (mut sender, mut recipient) = (axis.edge("G22").await, axis.edge("H53").await);
    let send = |secrecy: pb::Secrecy| {
        use pb::send_edxml_request::Request;
        let header = pb::EdxmlHeader { client_reference: "EDXML-1".to_owned(), secrecy: secrecy.into() };
        let data = file.chunks(1_000).map(|chunk| Request::Data(chunk.into()));
        let requests = [Request::Header(header)].into_iter().chain(data).map(|request| pb::SendEdxmlRequest { request: Some(request) });
        tokio_stream::iter(requests.collect::<Vec<_>>())
    };
    assert_eq!(reason(&sender.dms.send_edxml(send(pb::Secrecy::Confidential)).await.unwrap_err()), Reason::DocumentSecret);
    let sent = sender.dms.send_edxml(send(pb::Secrecy::None)).await.unwrap().into_inner();
    let again = sender.dms.send_edxml(send(pb::Secrecy::None)).await.unwrap().into_inner();
    assert_eq!(sent.message_id, again.message_id);
    let [arrived] = recipient.receive(0, 1).await.try_into().unwrap();
    let document = arrived.document.unwrap();
    let content = document.document.unwrap();
    assert_eq!((content.sender.as_str(), document.recipient.as_str()), ("000.00.00.A80", "28.22.H17"));
    assert!(!content.attachments.is_empty());
    let first = recipient.download(&document.message_id, 0, 0).await;
    assert_eq!(truc_signing::sha256(&first).to_hex(), content.attachments[0].sha256);
    sender.watch(&sent.message_id, Step::Fetched).await;
    assert_eq!(sender.evidence(&sent.message_id, "28.22.H17").await["message.edxml"], file);
    sender.stop().await;
    recipient.stop().await;
    axis.broker_shutdown.begin();
}
