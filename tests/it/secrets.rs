//! What must never stand in a log, at the most talkative level: titles, names of people and files, tokens, passwords, keys.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tonic::Request;
use truc_proto::edge::v1 as pb;
use truc_proto::edge::v1::Stage;
use truc_signing::keyfile;
use truc_tests::axis::{AGENCIES, Axis};
use truc_tests::daemon::Daemon;
use truc_tests::tools::{PASSWORD, root, truc_ok};

/// Words that stand in the documents and calls below, and nowhere else.
const TITLE: &str = "V/v trích yếu không được lộ 81734";
const FILE_NAME: &str = "tep-khong-duoc-lo-52901.pdf";
const TOKEN: &str = "token-khong-duoc-lo-66112";

/// The private keys of the axis in every form somebody might print them in.
fn key_forms(axis: &Axis) -> Vec<String> {
    let mut files = vec![axis.path("broker/keys/log.key.pem"), axis.path("broker/keys/tls.key.pem")];
    files
        .extend(AGENCIES.iter().flat_map(|agency| ["seal", "tls"].map(|key| axis.edge_folder(agency).join(format!("keys/{key}.key.pem")))));
    let mut forms = Vec::new();
    for file in files {
        let key = keyfile::read_encrypted(&std::fs::read_to_string(file).unwrap(), PASSWORD.as_bytes()).unwrap();
        let plain = keyfile::write_plain(&key).unwrap();
        let bytes = key.to_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let debug = format!("{bytes:?}");
        forms.extend([hex.to_uppercase(), hex, STANDARD.encode(bytes).trim_end_matches('=').to_owned(), URL_SAFE_NO_PAD.encode(bytes)]);
        forms.push(debug.trim_matches(['[', ']']).to_owned());
        // The one line of base64 in the PEM text.
        forms.push(plain.lines().nth(1).unwrap().to_owned());
    }
    forms
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_at_any_level_names_titles_people_files_tokens_passwords_or_keys() {
    let mut axis = Axis::new();
    axis.start_broker_with(|command| {
        command.env("TRUC_LOG", "trace");
    });
    let mut edges = Vec::new();
    for agency in AGENCIES {
        let mut command = axis.edge_command(&axis.edge_folder(agency));
        command.env("TRUC_LOG", "trace").arg("--log-json");
        edges.push(Daemon::start(command, &axis.path(&format!("edge-{agency}.log"))));
    }
    let [office, finance, _] = &edges[..] else { panic!("three edges") };
    let url = format!("http://{}", office.address());
    let attachment = axis.path(FILE_NAME);
    std::fs::write(&attachment, "%PDF-1.4\n%%EOF\n").unwrap();
    let common = ["send", "--edge", &url, "--secrecy", "none", "--wait"];
    let written =
        ["--reference", "r-1", "--to", "G12,H53", "--number", "1", "--notation", "VPCP", "--subject", TITLE, attachment.to_str().unwrap()];
    let message_id = truc_ok(&[&common[..], &written].concat()).lines().next().unwrap().to_owned();
    // The national sample names its signer.
    let sample = root().join("testdata/edxml/sdk/edoc_new.edxml");
    truc_ok(&[&common[..], &["--reference", "r-2", "--edxml", sample.to_str().unwrap()]].concat());
    // Once to the end, and once refused.
    let finance_dms = truc_tests::dms::Dms::new(finance.address());
    finance_dms.receive(None, 1).await.unwrap();
    finance_dms.acknowledge(&message_id, "G12", "88").await.unwrap();
    let mut client = truc_tests::dms::Dms::new(office.address()).client().await.unwrap();
    let document = Some(pb::get_status_request::Document::MessageId(message_id.clone()));
    let mut call = Request::new(pb::GetStatusRequest { document });
    call.metadata_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    let status = client.get_status(call).await.unwrap().into_inner().status.unwrap();
    assert_ne!(status.stage(), Stage::Stored, "the document was on its way");

    let log = std::iter::once("broker".to_owned())
        .chain(AGENCIES.map(|agency| format!("edge-{agency}")))
        .map(|name| axis.log(&name))
        .collect::<String>();
    assert!(log.contains("file descriptors") && log.contains("connected to the axis"), "there is a log to look at");
    let mut needles =
        vec![TITLE, "trích yếu", "81734", FILE_NAME, "52901", "Nguyen Thanh Phuc", "kết nối, liên thông phần mềm", TOKEN, PASSWORD];
    let (base64, hex) = (STANDARD.encode(PASSWORD), PASSWORD.bytes().map(|byte| format!("{byte:02x}")).collect::<String>());
    needles.extend([base64.as_str(), hex.as_str()]);
    let keys = key_forms(&axis);
    needles.extend(keys.iter().map(String::as_str));
    assert_eq!(needles.len(), 11 + 6 * 8);
    for needle in needles {
        assert!(!needle.is_empty());
        let line = log.lines().find(|line| line.contains(needle));
        assert_eq!(line, None, "a log line names {needle}");
    }
}
